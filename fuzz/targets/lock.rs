//! Whatever is typed at a lock, whatever happens to its clock, and whatever its flash gives back: the
//! trusted floor falls by a reset alone, no PIN that opens once opens twice, and a snapshot reads back.

#![no_main]

use doorstep::clock::{self, AfterPowerLoss, Belief, Clock, Oscillator};
use doorstep::id::LockId;
use doorstep::keypad::key::RootKey;
use doorstep::keypad::lock::{Entry, Lock};
use doorstep::keypad::profile::Profile;
use doorstep::keypad::record::{Event, Record};
use doorstep::keypad::state::State;
use doorstep::keypad::tuple::Class;
use doorstep::ledger::Head;
use doorstep::secret::Secret;
use doorstep::time::Timestamp;
use std::collections::BTreeSet;

/// Few, so that they fill up.
const MARKS: usize = 6;

/// A lock of the vectors (`vectors/kp1/doors.json`).
fn lock() -> Lock {
    let mut site = [0; 32];
    for (place, number) in site.iter_mut().zip(0..) {
        *place = number;
    }
    let id = LockId::parse("lck_door").expect("an id");
    let class = Class { duration: 60, quantum: 15, phase: 0, one_time: false };
    let classes = [class, Class { one_time: true, ..class }, Class { duration: 240, ..class }];
    let profile = Profile::new(&classes, false).expect("a profile");
    Lock::new(RootKey::derive(&Secret::from_bytes(site), &id, 1), profile)
}

/// What the lock appends when `typed` is typed.
fn press(lock: &Lock, state: &State<MARKS>, typed: &str) -> Vec<Record> {
    let mut records = Vec::new();
    match lock.read(typed) {
        Ok(Entry::Pin(pin)) => {
            let wrong = lock.wrong(&pin);
            let Ok((attempt, tried)) = lock.begin(state, 1, pin, Head::EMPTY) else {
                return records;
            };
            records.push(tried);
            let receipt = attempt.place().appended();
            let state = lock.then(state, &tried);
            records.push(match attempt.counted(receipt).expect("its own").compare() {
                Err(_) => wrong,
                Ok(matched) => match lock.spend(&state, 0, &matched, Head::EMPTY) {
                    Ok((_, opened)) => opened,
                    Err(_) => {
                        return records
                            .into_iter()
                            .chain(lock.missed(&state, 0, &matched))
                            .collect();
                    }
                },
            });
        }
        Ok(Entry::Control(typed)) => {
            let begun = lock.begin_control(state, 1, typed, Head::EMPTY);
            let Ok((attempt, tried)) = begun else { return records };
            records.push(tried);
            let receipt = attempt.place().appended();
            let state = lock.then(state, &tried);
            let matched = attempt.counted(receipt).expect("its own").compare();
            let spent = matched.map(|matched| lock.spend_control(&state, 0, &matched, Head::EMPTY));
            records.extend(spent.ok().and_then(Result::ok).map(|(_, obeyed)| obeyed));
        }
        Err(_) => {}
    }
    records
}

// A case is lines of 32 bytes: an action, then a text filled up with zeros, or a record.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let clock =
        Clock { oscillator: Oscillator::Crystal, after_power_loss: AfterPowerLoss::Trust90Min };
    let lock = lock();
    let installed = Timestamp::from_seconds(1_800_057_600);
    let mut state = State::<MARKS>::new(Belief::new(clock, installed));
    let mut opened = BTreeSet::new();
    for line in bytes.chunks(32) {
        let Some((action, line)) = line.split_first() else { continue };
        let records = if action % 2 == 0 {
            let text = line.split(|byte| *byte == 0).next().unwrap_or_default();
            press(&lock, &state, &String::from_utf8_lossy(text))
        } else {
            // Only the lock itself says what it opened and obeyed.
            let record = line.first_chunk().and_then(Record::from_bytes);
            let outside =
                |record: &Record| matches!(record.event, Event::Clock(_) | Event::Wrong { .. });
            record.into_iter().filter(outside).collect()
        };
        for record in records {
            assert_eq!(Record::from_bytes(&record.to_bytes()), Some(record));
            let before = state.belief().floor();
            state = lock.then(&state, &record);
            let reset = matches!(record.event, Event::Clock(clock::Event::Reset { .. }));
            assert!(reset || state.belief().floor() >= before, "the floor fell");
            if let Event::Opened { tuple, epoch, .. } = record.event {
                assert_eq!(state.epoch(), epoch);
                let name = (tuple.index, tuple.holder, tuple.generation, epoch);
                assert!(!tuple.class.one_time || opened.insert(name), "opened twice");
            }
        }
        let mut snapshot = [0; State::<MARKS>::LENGTH];
        state.write(&mut snapshot).expect("its own length");
        let read = State::<MARKS>::read(clock, &snapshot).expect("its own snapshot");
        assert_eq!(read.marks().iter().count(), state.marks().iter().count());
        assert_eq!(read.belief(), state.belief());
    }
    if let Some(snapshot) = bytes.first_chunk::<{ State::<MARKS>::LENGTH }>() {
        let _ = State::<MARKS>::read(clock, snapshot);
    }
});
