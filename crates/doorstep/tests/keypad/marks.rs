//! What is remembered of single PINs: single use, successors, exclusive places, and what happens when there is
//! no room.

use crate::support::{DAY, Door, HOUR, MIDNIGHT, lockers, once};
use doorstep::clock::Event;
use doorstep::keypad::control::Command;
use doorstep::keypad::lock::Entry;
use doorstep::keypad::mark;
use doorstep::keypad::profile::Profile;
use doorstep::keypad::record::{Event as RecordEvent, Record, Source};
use doorstep::keypad::tuple::Tuple;
use doorstep::refusal::Refusal;

fn single<const N: usize>(door: &Door<N>, from: u64) -> Tuple {
    let tuple = door.booking(from, HOUR);
    Tuple { class: once(tuple.class), ..tuple }
}

fn used<T: std::fmt::Debug>(answer: Result<T, Refusal>) -> bool {
    matches!(answer, Err(Refusal::AlreadyUsed { .. }))
}

#[test]
fn single_use_opens_once_in_either_form() {
    let mut door: Door = Door::new(lockers(), MIDNIGHT);
    let tuple = single(&door, MIDNIGHT);
    let (pin, long) = (door.pin(&tuple, 0), door.long(&tuple, 0));
    assert!(door.open(&pin).is_ok());
    assert!(used(door.open(&pin)) && used(door.open(&long)));
    door.wait(HOUR);
    assert!(used(door.open(&pin)));
    // The other holder's is another PIN.
    let other = door.pin(&Tuple { holder: 1, ..tuple }, 0);
    assert!(door.open(&other).is_ok() && used(door.open(&other)));
}

/// Two keypads on one lock's ledger: both found the PIN right, one is granted.
#[test]
fn of_two_that_spend_at_once_one_is_granted() {
    let mut door: Door = Door::new(lockers(), MIDNIGHT);
    let pin = door.pin(&single(&door, MIDNIGHT), 0);
    let lock = door.lock.clone();
    let mut matched = Vec::new();
    for _ in 0..2 {
        let Ok(Entry::Pin(typed)) = lock.read(&pin) else { panic!("{pin}") };
        let (attempt, tried) = lock.begin(&door.state, 0, typed, door.head).unwrap();
        let receipt = door.append(attempt.place(), &tried).unwrap();
        matched.push(attempt.counted(receipt).unwrap().compare().unwrap());
    }
    let spend = |door: &Door, place: usize| lock.spend(&door.state, 0, &matched[place], door.head);
    let (first, opened) = spend(&door, 0).unwrap();
    let (second, also) = spend(&door, 1).unwrap();
    let receipt = door.append(second.place(), &also).unwrap();
    assert!(second.granted(receipt).is_ok());
    assert!(door.append(first.place(), &opened).is_none(), "its place is taken");
    assert!(used(spend(&door, 0)), "it is decided again, on the new state");
    assert_eq!(door.state.bucket(Source::Pin).used(), 1, "and its attempt stays counted");
}

/// The power is cut after each record of a lock's journal: what was opened once never opens again.
#[test]
fn a_journal_cut_anywhere_grants_at_most_once() {
    let mut door: Door = Door::new(lockers(), MIDNIGHT);
    let old = door.booking(MIDNIGHT, HOUR);
    let (once, newer) = (single(&door, MIDNIGHT), Tuple { generation: 1, ..old });
    let (once, old, newer) = (door.pin(&once, 0), door.pin(&old, 0), door.pin(&newer, 0));
    for typed in [&old, &once, &newer] {
        door.open(typed).unwrap();
    }
    for cut in 0..=door.journal.len() {
        let mut again: Door = Door::new(lockers(), MIDNIGHT);
        let mut opened = Vec::new();
        for record in &door.journal[..cut] {
            let record = Record::from_bytes(record).unwrap();
            again.note(&record);
            if let RecordEvent::Opened { tuple, .. } = record.event {
                opened.push(again.pin(&tuple, 0));
            }
        }
        again.clock(Event::PowerLost);
        let time = again.state.belief().floor().later(60);
        again.clock(Event::Token { time, age: 1 });
        assert_eq!(used(again.open(&once)), opened.contains(&once), "after {cut} records");
        let ended = again.open(&old) == Err(Refusal::Superseded);
        assert_eq!(ended, opened.contains(&newer), "after {cut} records");
    }
}

#[test]
fn the_first_use_of_a_newer_pin_ends_the_older_ones_of_its_holder() {
    let mut door: Door = Door::new(lockers(), MIDNIGHT);
    let old = door.booking(MIDNIGHT, HOUR);
    let (new, friend) = (Tuple { generation: 1, ..old }, Tuple { holder: 1, ..old });
    assert!(door.open(&door.pin(&old, 0)).is_ok(), "until the newer one is used");
    assert!(door.open(&door.pin(&new, 0)).is_ok());
    assert_eq!(door.open(&door.pin(&old, 0)), Err(Refusal::Superseded));
    assert_eq!(door.open(&door.long(&old, 0)), Err(Refusal::Superseded));
    assert!(door.open(&door.pin(&new, 0)).is_ok());
    assert!(door.open(&door.pin(&friend, 0)).is_ok(), "another holder keeps his");
}

#[test]
fn in_an_exclusive_place_the_next_party_ends_what_overlaps() {
    let mut door: Door = Door::new(Profile::courts().unwrap(), MIDNIGHT);
    let long = door.booking(MIDNIGHT - HOUR, 4 * HOUR);
    let back_to_back = door.booking(MIDNIGHT - HOUR, HOUR);
    let (next, friend) = (door.booking(MIDNIGHT, HOUR), Tuple { holder: 1, ..long });
    for tuple in [long, friend, back_to_back] {
        assert!(door.open(&door.pin(&tuple, 0)).is_ok());
    }
    assert!(door.open(&door.pin(&next, 0)).is_ok());
    for tuple in [long, friend] {
        assert_eq!(door.open(&door.pin(&tuple, 0)), Err(Refusal::Superseded));
    }
    assert!(door.open(&door.pin(&back_to_back, 0)).is_ok(), "it does not overlap");
    // Two hours later the third party is in; what the second ended stays ended.
    door.wait(HOUR);
    assert!(door.open(&door.pin(&door.booking(MIDNIGHT + HOUR, HOUR), 0)).is_ok());
    assert_eq!(door.open(&door.pin(&long, 0)), Err(Refusal::Superseded));
}

/// The third party comes early, while the first, whom the second ended, is still in its grace.
#[test]
fn what_one_party_ended_the_next_does_not_revive() {
    let mut door: Door = Door::new(Profile::courts().unwrap(), MIDNIGHT - HOUR);
    let first = door.booking(MIDNIGHT - 2 * HOUR, 2 * HOUR);
    let second = door.booking(MIDNIGHT - HOUR, HOUR);
    let third = door.booking(MIDNIGHT, HOUR);
    for tuple in [first, second] {
        assert!(door.open(&door.pin(&tuple, 0)).is_ok());
    }
    assert_eq!(door.open(&door.pin(&first, 0)), Err(Refusal::Superseded));
    door.wait(HOUR - 400);
    assert!(door.open(&door.pin(&third, 0)).is_ok());
    assert_eq!(door.open(&door.pin(&first, 0)), Err(Refusal::Superseded));
    assert!(door.open(&door.pin(&second, 0)).is_ok());
    door.wait(690);
    assert_eq!(door.open(&door.pin(&first, 0)), Err(Refusal::Superseded), "nor in its grace");
    door.wait(60);
    assert_eq!(door.state.marks().iter().count(), 1, "then it is over, and one mark is enough");
}

#[test]
fn when_there_is_no_room_what_needs_a_mark_is_refused_and_the_rest_opens() {
    let mut door: Door<8> = Door::new(lockers(), MIDNIGHT);
    let starts = [0, 900, 1800, 2700];
    let tuples = starts.iter().flat_map(|back| {
        let tuple = single(&door, MIDNIGHT - back);
        [tuple, Tuple { holder: 1, ..tuple }]
    });
    let tuples: Vec<Tuple> = tuples.collect();
    for tuple in &tuples[..6] {
        assert!(door.open(&door.pin(tuple, 0)).is_ok());
    }
    // A quarter of the room is kept for revocations.
    for tuple in &tuples[6..] {
        assert_eq!(door.open(&door.pin(tuple, 0)), Err(Refusal::LedgerFull));
    }
    let plain = door.booking(MIDNIGHT, HOUR);
    assert!(door.open(&door.pin(&plain, 0)).is_ok(), "many-use needs no mark");
    let newer = |back: u64| Tuple { generation: 1, ..door.booking(MIDNIGHT - back, HOUR) };
    let newer: Vec<Tuple> = starts.iter().map(|back| newer(*back)).collect();
    assert!(door.open(&door.pin(&newer[0], 0)).is_ok());
    // An eighth of it is kept for the next party of an exclusive place.
    assert_eq!(door.open(&door.pin(&newer[1], 0)), Err(Refusal::LedgerFull));
    assert!(door.open(&door.pin(&newer[0], 0)).is_ok(), "its mark is there already");
    assert!(used(door.open(&door.pin(&tuples[0], 0))), "and nothing was forgotten for it");
}

/// Staff cancel more than there is room for. Whoever has a booking still gets in.
#[test]
fn cancellations_close_an_exclusive_lock_to_nobody() {
    let mut door: Door = Door::new(Profile::courts().unwrap(), MIDNIGHT);
    let cancel = |quarter: u64| {
        let tuple = door.booking(MIDNIGHT + 900 * quarter, HOUR);
        door.control(0, &Command::Cancel { tuple, epoch: 0 })
    };
    let codes: Vec<String> = (100..132).map(cancel).collect();
    for (typed, place) in codes.iter().zip(0..) {
        let full = (place >= 28).then_some(Refusal::LedgerFull);
        assert_eq!(door.order(typed).err(), full, "{place}");
    }
    assert_eq!((door.state.marks().room(true), door.state.marks().room(false)), (0, 0));
    // All day one party follows the other, and none of them is the last.
    for hour in 0..24 {
        let party = door.booking(MIDNIGHT + hour * HOUR, HOUR);
        assert!(door.open(&door.pin(&party, 0)).is_ok(), "{hour}");
        door.wait(HOUR);
    }
}

#[test]
fn marks_are_forgotten_by_the_trusted_floor_alone() {
    let mut door: Door = Door::new(lockers(), MIDNIGHT);
    door.open(&door.pin(&single(&door, MIDNIGHT), 0)).unwrap();
    assert_eq!(door.state.marks().iter().count(), 1);
    // The estimate is poisoned a little forward, the window's end passes by it, and by the floor later.
    door.wait(HOUR + 290);
    assert_eq!(door.state.marks().iter().count(), 1);
    door.wait(20);
    assert_eq!(door.state.marks().iter().count(), 0);
}

#[test]
fn a_clock_reset_revives_nothing() {
    let mut door: Door = Door::new(lockers(), MIDNIGHT);
    let (once, many) = (single(&door, MIDNIGHT), door.booking(MIDNIGHT, HOUR));
    door.open(&door.pin(&once, 0)).unwrap();
    let (once, many) = (door.pin(&once, 0), door.pin(&many, 0));
    door.wait(3 * DAY);
    door.clock(Event::Reset { time: crate::support::at(MIDNIGHT), age: 1 });
    assert_eq!(
        (door.state.epoch(), door.state.belief().floor()),
        (1, crate::support::at(MIDNIGHT))
    );
    assert!(crate::support::wrong_code(door.open(&once)));
    assert!(crate::support::wrong_code(door.open(&many)));
    // One that is not believed does not end the epoch either.
    door.clock(Event::Reset { time: crate::support::at(0), age: 700 });
    assert_eq!(door.state.epoch(), 1);
}

/// What an issuer is told of two PINs is what their lock does: every pair of some windows, holders, generations
/// and epochs, at an exclusive place and at one that is not.
#[test]
fn a_use_ends_what_it_is_said_to_end() {
    let classes = *lockers().classes().first_chunk::<3>().unwrap();
    for exclusive in [true, false] {
        let profile = Profile::new(&classes, exclusive).unwrap();
        let mut all = Vec::new();
        for class in classes {
            let first = class.index_at(doorstep::time::Timestamp::from_seconds(MIDNIGHT)).unwrap();
            for (index, holder, generation) in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (2, 1, 1)] {
                let tuple = Tuple { class, index: first + index, holder, generation };
                all.extend([(tuple, 0), (tuple, 1)]);
            }
        }
        let (mut ended, mut left) = (0, 0);
        for (used, used_epoch) in &all {
            let mut door: Door = Door::new(profile, MIDNIGHT + HOUR / 2);
            door.order(&door.control(0, &Command::Announce { epoch: 1 })).unwrap();
            door.open(&door.pin(used, *used_epoch)).unwrap();
            for (other, epoch) in &all {
                let said = mark::ends((used, *used_epoch), (other, *epoch), &profile);
                let does = door.clone().open(&door.pin(other, *epoch)).is_err();
                assert_eq!(said, does, "{used:?} {used_epoch}, {other:?} {epoch}");
                if said { ended += 1 } else { left += 1 }
            }
        }
        assert!(ended > 100 && left > 100, "{ended} {left}");
    }
}
