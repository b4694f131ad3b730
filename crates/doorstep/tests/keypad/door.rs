//! What opens and what does not: windows, grace, belief, attempts.

use crate::support::{CLOCK, DAY, Door, HOUR, MIDNIGHT, at, lockers, text, wrong_code};
use doorstep::clock::{Belief, Event};
use doorstep::keypad::issue::Pin;
use doorstep::keypad::key::RootKey;
use doorstep::keypad::lock::{Entry, Lock};
use doorstep::keypad::profile::Profile;
use doorstep::keypad::state::State;
use doorstep::keypad::tuple::{Form, PinDigits, Tuple};
use doorstep::refusal::Refusal;
use doorstep::secret::Secret;
use proptest::prelude::*;

fn courts(now: u64) -> Door {
    Door::new(Profile::courts().unwrap(), now)
}

#[test]
fn a_pin_opens_in_its_window_and_its_grace_and_not_beyond() {
    let pin = courts(MIDNIGHT).pin(&courts(MIDNIGHT).booking(MIDNIGHT, HOUR), 0);
    let opens = |now: u64| courts(now).open(&pin);
    // A fresh clock is right within 4 seconds either way, and typing takes one.
    for now in [MIDNIGHT - 601, MIDNIGHT, MIDNIGHT + 1800, MIDNIGHT + HOUR, MIDNIGHT + HOUR + 290] {
        assert!(opens(now).is_ok(), "{}", now.cast_signed() - MIDNIGHT.cast_signed());
    }
    let from = at(MIDNIGHT - 600);
    for now in [MIDNIGHT - 620, MIDNIGHT - HOUR, MIDNIGHT - 3 * HOUR] {
        assert_eq!(opens(now), Err(Refusal::NotYetValid { from }), "{now}");
    }
    let until = at(MIDNIGHT + HOUR + 300);
    for now in [MIDNIGHT + HOUR + 310, MIDNIGHT + 2 * HOUR, MIDNIGHT + 4 * HOUR] {
        assert_eq!(opens(now), Err(Refusal::Expired { until }), "{now}");
    }
    // Further away it is a wrong code like any other.
    assert!(wrong_code(opens(MIDNIGHT - 6 * HOUR)) && wrong_code(opens(MIDNIGHT + 2 * DAY)));
}

#[test]
fn many_use_is_the_rule_and_a_success_costs_nothing() {
    let mut door = courts(MIDNIGHT);
    let pin = door.pin(&door.booking(MIDNIGHT, HOUR), 0);
    for _ in 0..50 {
        door.open(&pin).unwrap();
    }
    assert_eq!(door.state.bucket(Form::Pin.into()).left(), 10);
}

#[test]
fn a_pin_of_another_lock_epoch_holder_or_day_is_wrong() {
    let door = courts(MIDNIGHT);
    let tuple = door.booking(MIDNIGHT, HOUR);
    let other =
        Lock::new(RootKey::from_secret(Secret::from_bytes([8; 32])), Profile::courts().unwrap());
    let mut elsewhere = Door { lock: other, ..courts(MIDNIGHT) };
    assert!(wrong_code(elsewhere.open(&door.pin(&tuple, 0))));
    assert!(
        wrong_code(courts(MIDNIGHT).open(&door.pin(&tuple, 1))),
        "the next epoch is not announced"
    );
    let tomorrow = door.booking(MIDNIGHT + DAY, HOUR);
    assert!(wrong_code(courts(MIDNIGHT).open(&door.pin(&tomorrow, 0))));
    // A second holder's PIN opens too.
    let friend = Tuple { holder: 1, ..tuple };
    assert_eq!(courts(MIDNIGHT).open(&door.pin(&friend, 0)).unwrap().tuple, friend);
}

#[test]
fn ten_vandal_codes_stop_pins_and_not_the_long_form() {
    let mut door = courts(MIDNIGHT);
    let tuple = door.booking(MIDNIGHT, HOUR);
    let wrong: Vec<String> = door.wrong_pins().take(11).collect();
    for typed in &wrong[..10] {
        assert!(wrong_code(door.open(typed)));
    }
    let throttled = |answer| matches!(answer, Err(Refusal::Throttled { until: Some(_) }));
    assert!(throttled(door.open(&wrong[10])));
    assert!(throttled(door.open(&door.pin(&tuple, 0))), "the right one neither");
    let long = door.long(&tuple, 0);
    assert_eq!(door.open(&long).unwrap().form, Form::Long);
    // One attempt is back after 2 h 24 min.
    door.wait(8640);
    assert!(!throttled(door.open(&door.pin(&tuple, 0))));
}

#[test]
fn a_long_form_is_compared_to_its_last_digit() {
    let door = courts(MIDNIGHT);
    let long = door.long(&door.booking(MIDNIGHT, HOUR), 0);
    for place in [0, 8, 9, 13] {
        let mut other = long.clone();
        let digit = if &long[place..=place] == "7" { "8" } else { "7" };
        other.replace_range(place..=place, digit);
        assert!(wrong_code(courts(MIDNIGHT).open(&other)), "{place}");
    }
    assert!(courts(MIDNIGHT).open(&long).is_ok());
}

/// Two windows may share a PIN by chance. One that may open now is meant, not one around it.
#[test]
fn a_pin_that_opens_now_is_not_taken_for_one_around_it() {
    let profile = Profile::courts().unwrap().with_digits(PinDigits::new(6).unwrap());
    let near = |index: u32| (MIDNIGHT / 900 - 3..=MIDNIGHT / 900 + 1).contains(&u64::from(index));
    let mut seen = [false; 2];
    for seed in 0..10_000_u64 {
        if seen == [true, true] {
            break;
        }
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let root = RootKey::from_secret(Secret::from_bytes(bytes));
        let lock = Lock::new(root.clone(), profile);
        let class = profile.classes()[1];
        let around = u32::try_from(MIDNIGHT / 900).unwrap();
        let mut pins = std::collections::HashMap::new();
        for index in around - 20..around + 14 {
            for lane in 0..4 {
                let tuple = Tuple { class, index, holder: lane / 2, generation: lane % 2 };
                let pin = Pin::derive(&root, 0, &profile, &tuple).unwrap().code(Form::Pin);
                let pin = text(pin.expose());
                let Some(other) = pins.insert(pin.clone(), index) else { continue };
                if near(index) == near(other) {
                    continue;
                }
                seen[usize::from(near(other))] = true;
                let mut door: Door = Door { lock: lock.clone(), ..courts(MIDNIGHT + 900 - 1) };
                assert!(near(door.open(&pin).unwrap().tuple.index), "{seed} {pin}");
            }
        }
    }
    assert_eq!(seen, [true, true], "whichever is compared first");
}

#[test]
fn a_power_cut_gives_no_attempts_back() {
    let mut door = courts(MIDNIGHT);
    let wrong: Vec<String> = door.wrong_pins().take(11).collect();
    for typed in &wrong[..10] {
        door.open(typed).unwrap_err();
    }
    let mut bytes = vec![0; State::<32>::LENGTH];
    door.state.write(&mut bytes).unwrap();
    door.state = State::read(CLOCK, &bytes).unwrap();
    door.clock(Event::PowerLost);
    door.clock(Event::Token { time: door.state.belief().floor().later(60), age: 1 });
    assert!(matches!(door.open(&wrong[10]), Err(Refusal::Throttled { .. })));
}

#[test]
fn the_same_wrong_code_again_costs_nothing_for_two_minutes() {
    let mut door = courts(MIDNIGHT);
    let wrong: Vec<String> = door.wrong_pins().take(6).collect();
    for _ in 0..30 {
        assert!(wrong_code(door.open(&wrong[0])));
    }
    assert_eq!(door.tried, 1);
    door.wait(121);
    assert!(wrong_code(door.open(&wrong[0])));
    assert_eq!(door.tried, 2);
    // Four are remembered.
    for typed in &wrong[1..5] {
        door.open(typed).unwrap_err();
    }
    door.open(&wrong[0]).unwrap_err();
    assert_eq!(door.tried, 7);
}

#[test]
fn a_lost_clock_opens_nothing_and_costs_nothing() {
    let mut door = courts(MIDNIGHT);
    let tuple = door.booking(MIDNIGHT, HOUR);
    door.clock(Event::PowerLost);
    for typed in [door.pin(&tuple, 0), door.long(&tuple, 0)] {
        assert_eq!(door.open(&typed), Err(Refusal::ClockUnset));
    }
    assert_eq!(door.tried, 0);
    door.clock(Event::Token { time: at(MIDNIGHT + 60), age: 2 });
    assert!(door.open(&door.pin(&tuple, 0)).is_ok());
}

#[test]
fn an_authentic_code_out_of_its_window_widens_the_belief_and_opens_nothing() {
    let mut door = courts(MIDNIGHT);
    let early = door.booking(MIDNIGHT + 2 * HOUR, HOUR);
    let before = door.state.belief().uncertainty();
    door.open(&door.pin(&early, 0)).unwrap_err();
    let after = door.state.belief().uncertainty();
    assert!(after > before && after <= before + 15 * 60 + 1);
    door.open(&door.pin(&early, 0)).unwrap_err();
    assert_eq!(door.state.belief().uncertainty(), after, "each code counts once");
}

#[test]
fn only_digits_of_the_right_shape_are_read_and_nothing_else_costs() {
    let mut door = courts(MIDNIGHT);
    let pin = door.pin(&door.booking(MIDNIGHT, HOUR), 0);
    assert_eq!(pin.len(), 9);
    let spaced = format!("{} {}-{}", &pin[..3], &pin[3..6], &pin[6..]);
    for typed in [
        "",
        "1",
        &pin[..8],
        "482916350１",
        "+482916351",
        "012345678",
        "04829163512345",
        "0999999999",
    ] {
        assert!(matches!(door.lock.read(typed), Err(Refusal::Mistyped)), "{typed}");
    }
    assert!(matches!(door.lock.read(format!("{pin}\n")), Err(Refusal::Mistyped)));
    assert!(matches!(door.lock.read("03000000000"), Err(Refusal::Mistyped)));
    assert!(matches!(door.lock.read("0300000000"), Ok(Entry::Control(_))));
    assert!(door.open(&spaced).is_ok());
}

#[test]
fn a_lost_append_is_decided_again() {
    let mut door = courts(MIDNIGHT);
    let pin = door.pin(&door.booking(MIDNIGHT, HOUR), 0);
    let lock = door.lock.clone();
    let Ok(Entry::Pin(typed)) = lock.read(&pin) else { panic!("{pin}") };
    let (attempt, tried) = lock.begin(&door.state, 0, typed, door.head).unwrap();
    door.wait(1);
    assert!(door.append(attempt.place(), &tried).is_none(), "another was faster");
    assert!(door.open(&pin).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A journal folds into the same state however often it is folded, and a snapshot reads back.
    #[test]
    fn journals_fold_and_snapshots_read_back(choices in proptest::collection::vec((0..6_u8, 0..7200_u64), 0..25)) {
        let mut door: Door = Door::new(lockers(), MIDNIGHT);
        for (choice, seconds) in choices {
            door.wait(seconds);
            let now = door.state.belief().probable().seconds();
            let tuple = door.booking(now - now % 900, HOUR);
            let typed = match choice {
                0 => door.pin(&tuple, 0),
                1 => door.long(&tuple, 0),
                2 => door.pin(&Tuple { generation: 1, ..tuple }, 0),
                3 => {
                    let class = crate::support::once(tuple.class);
                    door.pin(&Tuple { class, ..tuple }, 0)
                }
                4 => door.pin(&door.booking(now + 2 * HOUR, HOUR), 0),
                _ => door.wrong_pins().next().unwrap(),
            };
            let _ = door.open(&typed);
        }
        let mut folded = State::<32>::new(Belief::new(CLOCK, at(MIDNIGHT)));
        for record in &door.journal {
            let record = doorstep::keypad::record::Record::from_bytes(record).unwrap();
            folded = door.lock.then(&folded, &record);
        }
        prop_assert_eq!(folded, door.state);
        let mut bytes = vec![0; State::<32>::LENGTH];
        door.state.write(&mut bytes).unwrap();
        let read = State::<32>::read(CLOCK, &bytes).unwrap();
        let mut again = vec![0; State::<32>::LENGTH];
        read.write(&mut again).unwrap();
        prop_assert_eq!(&bytes, &again);
        prop_assert!(State::<32>::read(CLOCK, &bytes[1..]).is_none());
        bytes[0] = 9;
        prop_assert!(State::<32>::read(CLOCK, &bytes).is_none());
    }
}
