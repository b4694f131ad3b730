//! Several processes of one device present at one door: at most one grant, whatever the order.

use crate::bench::{Journal, NOON, Presentation, Scene, rng};
use crate::schedule::every_schedule;
use doorstep::cose::keys::SoftwareKey;
use doorstep::handover::device::Device;
use doorstep::handover::event::Record;
use doorstep::handover::stop::AtDoor;
use doorstep::id::DeliveryId;
use doorstep::ledger::Receipt;
use doorstep::refusal::Refusal;
use doorstep::verifier::{Attempt, Counted, Grant, Matched, Means, Spending};
use proptest::prelude::*;

/// What one process holds between its steps.
enum Step {
    Arrived,
    Trying(Record, Attempt<AtDoor>),
    Counted(Counted<AtDoor>),
    Matched(Matched<AtDoor>),
    Spending(Matched<AtDoor>, Record, Spending),
    Done(Result<Grant, Refusal>),
}

/// One journal and the processes at it.
pub(crate) struct World {
    pub(crate) journal: Journal,
    /// The state at the journal's end, folded on as records are appended.
    device: Device,
    key: SoftwareKey,
    delivery: DeliveryId,
    people: Vec<(Presentation, Step)>,
    /// Typed codes that were compared, over all lives of the device.
    pub(crate) compared: u8,
    pub(crate) grants: usize,
}

impl World {
    pub(crate) fn new(scene: &Scene, presentations: &[Presentation]) -> Self {
        Self {
            journal: scene.phone.journal.clone(),
            device: scene.phone.device(),
            key: scene.phone.key.clone(),
            delivery: scene.delivery,
            people: presentations.iter().map(|what| (what.clone(), Step::Arrived)).collect(),
            compared: 0,
            grants: 0,
        }
    }

    /// Who has not got an answer.
    pub(crate) fn waiting(&self) -> Vec<usize> {
        let done = |who: &usize| matches!(self.people[*who].1, Step::Done(_));
        (0..self.people.len()).filter(|who| !done(who)).collect()
    }

    /// The power goes: what is in memory is lost, what is in the journal is not.
    pub(crate) fn cut(&mut self) {
        for (_, step) in &mut self.people {
            if !matches!(step, Step::Done(_)) {
                *step = Step::Arrived;
            }
        }
        self.device = self.journal.device();
    }

    fn append(&mut self, record: &Record) -> Option<Receipt> {
        let receipt = self.journal.append(record)?;
        self.device.apply(record.body()).unwrap();
        Some(receipt)
    }

    /// Everything that the steps to come depend on.
    pub(crate) fn state(&self) -> impl std::fmt::Debug {
        let head = self.journal.head();
        let stale = |record: &Record| record.place().before != head;
        let people: Vec<_> = self
            .people
            .iter()
            .map(|(_, step)| match step {
                Step::Arrived => (0, false),
                Step::Trying(record, _) => (1, stale(record)),
                Step::Counted(_) => (2, false),
                Step::Matched(_) => (3, false),
                Step::Spending(_, record, _) => (4, stale(record)),
                Step::Done(answer) => (5, answer.is_ok()),
            })
            .collect();
        (people, self.attempts(), self.compared, self.is_spent(), self.grants)
    }

    /// Who is about to append.
    pub(crate) fn appending(&self) -> Vec<usize> {
        let appending =
            |who: &usize| matches!(self.people[*who].1, Step::Trying(..) | Step::Spending(..));
        (0..self.people.len()).filter(appending).collect()
    }

    /// The power goes right after a record became durable, before its writer learned of it.
    pub(crate) fn append_and_cut(&mut self, who: usize) {
        if let Step::Trying(record, _) | Step::Spending(_, record, _) = &self.people[who].1 {
            let _receipt_that_nobody_saw = self.journal.append(record);
        }
        self.cut();
    }

    pub(crate) fn attempts(&self) -> u8 {
        self.device.stop(self.delivery).unwrap().attempts
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.device.stop(self.delivery).unwrap().spent.is_some()
    }

    pub(crate) fn refusals(&self) -> Vec<Refusal> {
        let done = self.people.iter().filter_map(|(_, step)| match step {
            Step::Done(Err(refusal)) => Some(*refusal),
            _ => None,
        });
        done.collect()
    }

    /// One step of one process.
    pub(crate) fn step(&mut self, who: usize) {
        let presentation = self.people[who].0.clone();
        let step = std::mem::replace(&mut self.people[who].1, Step::Arrived);
        self.people[who].1 = match step {
            Step::Arrived => match presentation.attempt(&self.device, NOON) {
                Ok((record, attempt)) => Step::Trying(record, attempt),
                Err(refusal) => Step::Done(Err(refusal)),
            },
            Step::Trying(record, attempt) => match self.append(&record) {
                Some(receipt) => Step::Counted(attempt.counted(receipt).unwrap()),
                None => Step::Arrived,
            },
            Step::Counted(counted) => {
                if presentation.means() == Means::Typed {
                    self.compared += 1;
                    assert!(self.compared <= self.attempts(), "counted before compared");
                }
                match counted.compare() {
                    Ok(matched) => Step::Matched(matched),
                    Err(refusal) => Step::Done(Err(refusal)),
                }
            }
            Step::Matched(matched) => {
                match self.device.claim(&matched, NOON, &mut rng(7)).unwrap() {
                    Ok(claiming) => {
                        let signature = self.key.sign(&claiming.to_be_signed());
                        let (record, spending) = claiming.signed(&signature).unwrap();
                        Step::Spending(matched, record, spending)
                    }
                    Err(refusal) => Step::Done(Err(refusal)),
                }
            }
            Step::Spending(matched, record, spending) => match self.append(&record) {
                Some(receipt) => {
                    assert!(self.is_spent(), "spent before granted");
                    self.grants += 1;
                    assert_eq!(self.grants, 1, "at most one grant");
                    Step::Done(Ok(spending.granted(receipt).unwrap()))
                }
                None => Step::Matched(matched),
            },
            done @ Step::Done(_) => done,
        };
    }

    /// What must hold when everybody has an answer and nothing failed.
    fn check(&self, limit: u8) {
        assert!(self.grants <= 1);
        assert_eq!(self.grants == 1, self.is_spent());
        assert_eq!(self.attempts(), self.compared, "a lost append charges nothing");
        assert!(self.compared <= limit);
        assert_eq!(usize::try_from(self.device.count_claims()).unwrap(), self.grants);
    }
}

/// Runs every order of steps there is.
fn all_orders(scene: &Scene, limit: u8, people: &[Presentation], check: impl FnMut(&World)) {
    run_all(scene, limit, people, false, check);
}

/// Runs every step from every state there is: the same, where the orders are too many.
fn all_states(scene: &Scene, limit: u8, people: &[Presentation], check: impl FnMut(&World)) {
    run_all(scene, limit, people, true, check);
}

fn run_all(
    scene: &Scene,
    limit: u8,
    people: &[Presentation],
    from_states: bool,
    mut check: impl FnMut(&World),
) {
    every_schedule(|schedule| {
        let mut world = World::new(scene, people);
        loop {
            let waiting = world.waiting();
            if waiting.is_empty() {
                break;
            }
            if from_states && schedule.has_seen(&world.state()) {
                return;
            }
            world.step(waiting[schedule.choose(waiting.len())]);
        }
        world.check(limit);
        check(&world);
    });
}

#[test]
fn two_with_the_right_code_get_one_grant_in_every_order() {
    let scene = Scene::new();
    let code = scene.typed(&scene.code(0));
    all_orders(&scene, 5, &[code.clone(), code], |world| {
        assert_eq!(world.grants, 1);
        assert!(matches!(world.refusals()[..], [Refusal::AlreadyUsed { .. }]));
    });
}

#[test]
fn the_last_token_is_granted_once_from_every_state() {
    let scene = Scene::with_budget(1);
    let code = scene.typed(&scene.code(0));
    all_states(&scene, 1, &[code.clone(), code], |world| assert_eq!(world.grants, 1));
}

#[test]
fn a_wrong_code_beside_the_right_one_takes_at_most_the_last_token() {
    let scene = Scene::with_budget(1);
    let people = [scene.typed(&scene.code(0)), scene.typed(&scene.wrong()[0])];
    let mut granted = [0, 0];
    all_states(&scene, 1, &people, |world| granted[world.grants] += 1);
    assert!(granted[0] > 0 && granted[1] > 0, "the first that is counted is compared");

    let scene = Scene::with_budget(2);
    let people = [scene.typed(&scene.code(0)), scene.typed(&scene.wrong()[0])];
    all_states(&scene, 2, &people, |world| assert_eq!(world.grants, 1));
}

#[test]
fn three_processes_get_one_grant_from_every_state() {
    let scene = Scene::new();
    let (right, wrong) = (scene.typed(&scene.code(0)), scene.typed(&scene.wrong()[0]));
    let scan = Presentation::Scanned(scene.scan_text(1));
    let mut ends = 0;
    for people in [
        [right.clone(), right.clone(), right.clone()],
        [right.clone(), wrong.clone(), right.clone()],
        [right, wrong, scan],
    ] {
        all_states(&scene, 5, &people, |world| {
            assert_eq!(world.grants, 1);
            ends += 1;
        });
    }
    assert!(ends > 2);
}

#[test]
fn two_slots_are_one_delivery_from_every_state() {
    let scene = Scene::new();
    let people = [scene.typed(&scene.code(0)), scene.typed(&scene.code(1))];
    all_states(&scene, 5, &people, |world| assert_eq!(world.grants, 1));
    let people = [scene.typed(&scene.code(0)), Presentation::Scanned(scene.scan_text(1))];
    all_states(&scene, 5, &people, |world| assert_eq!(world.grants, 1));
}

#[derive(Clone, Copy, Debug)]
enum Who {
    First,
    Spare,
    Wrong,
    Scan,
    Stranger,
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![
        Just(Who::First),
        Just(Who::Spare),
        Just(Who::Wrong),
        Just(Who::Scan),
        Just(Who::Stranger)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// More processes than every order can be tried of, in random ones.
    #[test]
    fn a_crowd_gets_at_most_one_grant(
        crowd in prop::collection::vec(who(), 3..8),
        limit in 1_u8..6,
        order in prop::collection::vec(any::<prop::sample::Index>(), 120),
    ) {
        let scene = Scene::with_budget(limit);
        let mut stranger = scene.scan_text(0);
        let last = if stranger.pop() == Some('0') { '1' } else { '0' };
        stranger.push(last);
        let people: Vec<_> = crowd
            .iter()
            .map(|who| match who {
                Who::First => scene.typed(&scene.code(0)),
                Who::Spare => scene.typed(&scene.code(1)),
                Who::Wrong => scene.typed(&scene.wrong()[0]),
                Who::Scan => Presentation::Scanned(scene.scan_text(0)),
                Who::Stranger => Presentation::Scanned(stranger.clone()),
            })
            .collect();
        let mut world = World::new(&scene, &people);
        let mut order = order.iter();
        loop {
            let waiting = world.waiting();
            if waiting.is_empty() {
                break;
            }
            world.step(order.next().map_or(waiting[0], |turn| *turn.get(&waiting)));
        }
        world.check(limit);
        let count = |f: fn(&Who) -> bool| crowd.iter().filter(|who| f(who)).count();
        let typed = count(|who| matches!(who, Who::First | Who::Spare | Who::Wrong));
        let right = count(|who| matches!(who, Who::First | Who::Spare));
        let scans = count(|who| matches!(who, Who::Scan));
        if scans > 0 || right > 0 && (typed <= usize::from(limit) || right == typed) {
            prop_assert_eq!(world.grants, 1, "the right code was there and nobody failed");
        }
        if scans == 0 && right == 0 {
            prop_assert_eq!(world.grants, 0);
        }
    }
}
