//! The pipeline by itself, over a ledger of bytes: order of the steps, receipts, and every
//! interleaving of three processes.

use crate::bench::at;
use crate::schedule::{Schedule, every_schedule};
use doorstep::ledger::{Head, Place, Receipt};
use doorstep::refusal::Refusal;
use doorstep::throttle::Budget;
use doorstep::time::{Timestamp, Window};
use doorstep::verifier::{
    Attempt, Compare, Counted, Grant, Matched, Means, Spending, Standing, WrongReceipt,
};
use std::cell::RefCell;
use std::collections::BTreeSet;

const TRIED: &[u8] = b"tried";
const SPENT: &[u8] = b"spent";
const NOW: Timestamp = Timestamp::from_seconds(150);

#[derive(Default)]
struct Ledger {
    head: Option<Head>,
    tried: u8,
    spent: u8,
}

impl Ledger {
    fn head(&self) -> Head {
        self.head.unwrap_or(Head::EMPTY)
    }

    fn append(&mut self, place: &Place, record: &[u8]) -> Option<Receipt> {
        if place.before != self.head() {
            return None;
        }
        self.head = Some(place.after);
        if record == TRIED {
            self.tried += 1;
        } else {
            self.spent += 1;
        }
        Some(place.appended())
    }

    fn standing(&self, limit: u8) -> Standing {
        Standing {
            window: Window::new(at(100), at(200)).unwrap(),
            budget: Budget::new(limit, self.tried),
            spent: (self.spent > 0).then_some(NOW),
        }
    }
}

/// A comparison whose result is fixed, and which says when it was made.
#[derive(Debug)]
struct Fixed<'a> {
    right: bool,
    made: &'a RefCell<Vec<&'static str>>,
}

impl Compare for Fixed<'_> {
    type Found = u8;

    fn compare(&self) -> Option<u8> {
        self.made.borrow_mut().push("compared");
        self.right.then_some(1)
    }
}

fn fixed<'a>(right: bool, made: &'a RefCell<Vec<&'static str>>) -> Fixed<'a> {
    Fixed { right, made }
}

fn begin<'a>(
    ledger: &Ledger,
    limit: u8,
    now: Timestamp,
    means: Means,
    method: Fixed<'a>,
) -> Result<Attempt<Fixed<'a>>, Refusal> {
    Attempt::begin(method, means, &ledger.standing(limit), now, Place::of(ledger.head(), TRIED))
}

#[test]
fn counted_before_compared_and_spent_before_granted() {
    let log = RefCell::new(Vec::new());
    let mut ledger = Ledger::default();
    let attempt = begin(&ledger, 5, NOW, Means::Typed, fixed(true, &log)).unwrap();
    assert!(log.borrow().is_empty(), "beginning compares nothing");
    let receipt = ledger.append(attempt.place(), TRIED).unwrap();
    log.borrow_mut().push("counted");
    let matched = attempt.counted(receipt).unwrap().compare().unwrap();
    let spending =
        matched.spend(&ledger.standing(5), NOW, Place::of(ledger.head(), SPENT)).unwrap();
    let receipt = ledger.append(spending.place(), SPENT).unwrap();
    log.borrow_mut().push("spent");
    let grant = spending.granted(receipt).unwrap();
    log.borrow_mut().push("granted");
    assert_eq!(*log.borrow(), ["counted", "compared", "spent", "granted"]);
    assert_eq!((grant.slot(), grant.at()), (1, NOW));
}

#[test]
fn a_receipt_of_another_record_counts_and_grants_nothing() {
    let log = RefCell::new(Vec::new());
    let ledger = Ledger::default();
    let begin = || begin(&ledger, 5, NOW, Means::Typed, fixed(true, &log)).unwrap();
    let elsewhere = [
        Place::of(Head::EMPTY, b"something else"),
        Place::of(Head::EMPTY, SPENT),
        Place::of(Head::EMPTY.then(TRIED), TRIED),
    ];
    for place in elsewhere {
        assert_eq!(begin().counted(place.appended()).unwrap_err(), WrongReceipt);
    }
    assert!(log.borrow().is_empty(), "and nothing was compared");

    let attempt = begin();
    let receipt = attempt.place().appended();
    let matched = attempt.counted(receipt).unwrap().compare().unwrap();
    let spend = || {
        matched.spend(&ledger.standing(5), NOW, Place::of(Head::EMPTY.then(TRIED), SPENT)).unwrap()
    };
    for place in elsewhere {
        assert_eq!(spend().granted(place.appended()).unwrap_err(), WrongReceipt);
    }
    assert_eq!(spend().granted(receipt).unwrap_err(), WrongReceipt, "the attempt's own receipt");
}

#[test]
fn nothing_is_compared_that_may_not_be_tried() {
    let log = RefCell::new(Vec::new());
    let refused = |ledger: &Ledger, limit, now, means| {
        begin(ledger, limit, now, means, fixed(true, &log)).err()
    };
    let fresh = Ledger::default();
    let spent = Ledger { spent: 1, ..Ledger::default() };
    let tried = Ledger { tried: 5, ..Ledger::default() };
    let (typed, scanned) = (Means::Typed, Means::Scanned);
    assert_eq!(refused(&fresh, 5, at(99), typed), Some(Refusal::NotYetValid { from: at(100) }));
    assert_eq!(refused(&fresh, 5, at(200), typed), Some(Refusal::Expired { until: at(200) }));
    for extreme in [0, u64::MAX] {
        assert!(refused(&fresh, 5, at(extreme), typed).is_some());
    }
    for means in [typed, scanned] {
        assert_eq!(refused(&spent, 5, NOW, means), Some(Refusal::AlreadyUsed { at: NOW }));
    }
    assert_eq!(refused(&tried, 5, NOW, typed), Some(Refusal::Throttled { until: None }));
    assert_eq!(refused(&fresh, 0, NOW, typed), Some(Refusal::Throttled { until: None }));
    assert_eq!(refused(&tried, 5, NOW, scanned), None, "a used-up budget does not stop a scan");
    assert!(log.borrow().is_empty());
}

#[test]
fn a_wrong_code_says_what_is_left_and_a_scan_does_not() {
    let log = RefCell::new(Vec::new());
    let left = |tried, means| {
        let ledger = Ledger { tried, ..Ledger::default() };
        let attempt = begin(&ledger, 5, NOW, means, fixed(false, &log)).unwrap();
        let receipt = attempt.place().appended();
        attempt.counted(receipt).unwrap().compare().unwrap_err()
    };
    assert_eq!(left(0, Means::Typed), Refusal::WrongCode { left: Some(4) });
    assert_eq!(left(4, Means::Typed), Refusal::WrongCode { left: Some(0) });
    assert_eq!(left(4, Means::Scanned), Refusal::WrongCode { left: None });
}

#[test]
fn a_match_is_judged_again_when_it_is_spent() {
    let log = RefCell::new(Vec::new());
    let ledger = Ledger::default();
    let attempt = begin(&ledger, 5, NOW, Means::Typed, fixed(true, &log)).unwrap();
    let receipt = attempt.place().appended();
    let matched = attempt.counted(receipt).unwrap().compare().unwrap();
    let spent = Ledger { spent: 1, ..Ledger::default() };
    let refused = |ledger: &Ledger, now| {
        matched.spend(&ledger.standing(5), now, Place::of(ledger.head(), SPENT)).err()
    };
    assert_eq!(refused(&spent, NOW), Some(Refusal::AlreadyUsed { at: NOW }));
    assert_eq!(refused(&ledger, at(200)), Some(Refusal::Expired { until: at(200) }));
    assert_eq!(refused(&ledger, at(99)), Some(Refusal::NotYetValid { from: at(100) }));
    let tried = Ledger { tried: 5, ..Ledger::default() };
    assert_eq!(refused(&tried, NOW), None, "it took the last token itself");
}

/// What one process holds between its steps.
enum Step<'a> {
    Arrived,
    Trying(Attempt<Fixed<'a>>),
    Counted(Counted<Fixed<'a>>),
    Matched(Matched<Fixed<'a>>),
    Spending(Matched<Fixed<'a>>, Spending),
    Done(Result<Grant, Refusal>),
}

impl<'a> Step<'a> {
    fn next(
        self,
        ledger: &mut Ledger,
        limit: u8,
        right: bool,
        log: &'a RefCell<Vec<&'static str>>,
    ) -> Self {
        match self {
            Self::Arrived => match begin(ledger, limit, NOW, Means::Typed, fixed(right, log)) {
                Ok(attempt) => Self::Trying(attempt),
                Err(refusal) => Self::Done(Err(refusal)),
            },
            Self::Trying(attempt) => match ledger.append(attempt.place(), TRIED) {
                Some(receipt) => Self::Counted(attempt.counted(receipt).unwrap()),
                None => Self::Arrived,
            },
            Self::Counted(counted) => match counted.compare() {
                Ok(matched) => Self::Matched(matched),
                Err(refusal) => Self::Done(Err(refusal)),
            },
            Self::Matched(matched) => {
                match matched.spend(&ledger.standing(limit), NOW, Place::of(ledger.head(), SPENT)) {
                    Ok(spending) => Self::Spending(matched, spending),
                    Err(refusal) => Self::Done(Err(refusal)),
                }
            }
            Self::Spending(matched, spending) => match ledger.append(spending.place(), SPENT) {
                Some(receipt) => Self::Done(Ok(spending.granted(receipt).unwrap())),
                None => Self::Matched(matched),
            },
            done @ Self::Done(_) => done,
        }
    }

    /// What this process will do, as far as it depends on the past.
    fn state(&self, head: Head) -> (u8, bool) {
        let stale = |place: &Place| place.before != head;
        match self {
            Self::Arrived => (0, false),
            Self::Trying(attempt) => (1, stale(attempt.place())),
            Self::Counted(_) => (2, false),
            Self::Matched(_) => (3, false),
            Self::Spending(_, spending) => (4, stale(spending.place())),
            Self::Done(answer) => (5, answer.is_ok()),
        }
    }

    /// Comparing touches nothing that others see, so it needs no turn of its own.
    const fn is_local(&self) -> bool {
        matches!(self, Self::Counted(_))
    }
}

/// Runs one schedule to its end and answers who was granted; `None` where another run went on.
fn run(schedule: &mut Schedule, limit: u8, right: &[bool]) -> Option<Vec<bool>> {
    let log = RefCell::new(Vec::new());
    let mut ledger = Ledger::default();
    let mut steps: Vec<Step<'_>> = right.iter().map(|_| Step::Arrived).collect();
    loop {
        let ready: Vec<usize> =
            (0..steps.len()).filter(|who| !matches!(steps[*who], Step::Done(_))).collect();
        if ready.is_empty() {
            break;
        }
        let states: Vec<_> = steps.iter().map(|step| step.state(ledger.head())).collect();
        if schedule.has_seen(&(ledger.tried, ledger.spent, states)) {
            return None;
        }
        let who = ready[schedule.choose(ready.len())];
        let mut step = std::mem::replace(&mut steps[who], Step::Arrived);
        step = step.next(&mut ledger, limit, right[who], &log);
        if step.is_local() {
            step = step.next(&mut ledger, limit, right[who], &log);
        }
        steps[who] = step;
    }
    let compared = log.borrow().len();
    assert_eq!(compared, usize::from(ledger.tried), "each comparison was counted once");
    assert!(ledger.tried <= limit);
    let granted: Vec<bool> = steps.iter().map(|step| matches!(step, Step::Done(Ok(_)))).collect();
    let grants = granted.iter().filter(|granted| **granted).count();
    assert_eq!(grants, usize::from(ledger.spent), "each grant was spent, each spending granted");
    assert!(grants <= 1);
    Some(granted)
}

#[test]
fn one_grant_under_every_interleaving_of_four() {
    for (limit, right) in [
        (1, [true; 4]),
        (5, [true; 4]),
        (4, [true, true, false, false]),
        (4, [true, false, false, false]),
    ] {
        let mut ends = 0;
        every_schedule(|schedule| {
            if let Some(granted) = run(schedule, limit, &right) {
                assert!(granted.contains(&true), "the right code was there and nobody failed");
                ends += 1;
            }
        });
        assert!(ends > 0);
    }
}

#[test]
fn the_last_token_goes_to_one_of_three() {
    let mut ends = BTreeSet::new();
    every_schedule(|schedule| ends.extend(run(schedule, 1, &[true, false, false])));
    let nobody = vec![false; 3];
    let first = vec![true, false, false];
    assert_eq!(ends, BTreeSet::from([nobody, first]), "whoever is counted first is compared");
}
