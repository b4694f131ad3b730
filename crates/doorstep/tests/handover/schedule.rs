//! Every order in which several processes can take their steps, one run each.
//!
//! Where the orders are too many, a run says what state it is in, and ends where another run has
//! been: what follows depends on the state alone.

use std::collections::BTreeSet;

/// The choices of one run; where they end, the first option is taken.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    choices: Vec<(usize, usize)>,
    next: usize,
    seen: BTreeSet<String>,
}

impl Schedule {
    /// Chooses one of `options`.
    pub(crate) fn choose(&mut self, options: usize) -> usize {
        assert!(options > 0, "somebody can go on");
        if self.next == self.choices.len() {
            self.choices.push((0, options));
        }
        let (choice, known) = self.choices[self.next];
        assert_eq!(known, options, "a run depends on nothing but its choices");
        self.next += 1;
        choice
    }

    /// Whether an earlier run has gone on from this state.
    pub(crate) fn has_seen(&mut self, state: &impl std::fmt::Debug) -> bool {
        // Up to its last choice, this run repeats an earlier one.
        self.next == self.choices.len() && !self.seen.insert(format!("{state:?}"))
    }

    /// Turns to the next run; `false` after the last.
    fn advance(&mut self) -> bool {
        self.choices.truncate(self.next);
        self.next = 0;
        while let Some((choice, options)) = self.choices.pop() {
            if choice + 1 < options {
                self.choices.push((choice + 1, options));
                return true;
            }
        }
        false
    }
}

/// Calls `run` once for every schedule there is, and says how many that were.
pub(crate) fn every_schedule(mut run: impl FnMut(&mut Schedule)) -> usize {
    let mut schedule = Schedule::default();
    let mut runs = 0;
    loop {
        run(&mut schedule);
        runs += 1;
        if !schedule.advance() {
            return runs;
        }
    }
}

#[test]
fn two_processes_of_two_steps_have_six_orders() {
    let mut orders = BTreeSet::new();
    let runs = every_schedule(|schedule| {
        let mut left = [2, 2];
        let mut order = Vec::new();
        while left != [0, 0] {
            let ready: Vec<usize> = (0..2).filter(|who| left[*who] > 0).collect();
            let who = ready[schedule.choose(ready.len())];
            left[who] -= 1;
            order.push(who);
        }
        orders.insert(order);
    });
    assert_eq!((runs, orders.len()), (6, 6));
}

#[test]
fn states_that_were_seen_are_not_gone_on_from() {
    let mut ends = 0;
    let runs = every_schedule(|schedule| {
        let mut left = [2, 2];
        while left != [0, 0] {
            if schedule.has_seen(&left) {
                return;
            }
            let ready: Vec<usize> = (0..2).filter(|who| left[*who] > 0).collect();
            left[ready[schedule.choose(ready.len())]] -= 1;
        }
        ends += 1;
    });
    assert!(ends > 0 && runs < 13, "{ends} ends in {runs} runs: a grid of nine states");
}
