//! Attackers who hold valid PINs, control the power, or type anything, at a whole lock.

use crate::support::{CLOCK, DAY, Door, HOUR, MIDNIGHT, at, lockers, once, wrong_code};
use doorstep::clock::Event;
use doorstep::keypad::lock::Entry;
use doorstep::keypad::state::State;
use doorstep::keypad::tuple::Tuple;
use doorstep::refusal::Refusal;

fn door() -> Door {
    Door::new(lockers(), MIDNIGHT)
}

/// The floor never moves by typed codes, whatever they are and however often.
#[test]
fn typed_codes_never_move_the_floor() {
    let (mut door, mut heard) = (door(), 0);
    for day in 0..30_u64 {
        let now = door.state.belief().probable().seconds();
        let ahead = (now / 900) * 900;
        for back in 0..8 {
            let tuple = door.booking(ahead + 4 * HOUR - back * 900, HOUR);
            let _ = door.open(&door.pin(&tuple, 0));
        }
        // These open, and move the estimate.
        for ahead in [ahead, ahead - 900, ahead - 1800] {
            let before = door.state.belief().probable();
            door.open(&door.pin(&door.booking(ahead, HOUR), 0)).unwrap();
            heard += u32::from(door.state.belief().probable() != before.later(1));
        }
        let counted = u64::from(door.tried);
        let slow = |seconds: u64| seconds - seconds * 120 / 1_000_000;
        door.wait(DAY);
        let floor = door.state.belief().floor().seconds();
        let most = MIDNIGHT + slow(counted + (day + 1) * DAY);
        assert!(floor.abs_diff(most) <= 1, "day {day}: {floor} {most}");
    }
    assert!(heard > 30, "{heard}");
}

/// A spent PIN, the power cut, the clock gone: the mark and the floor stand.
#[test]
fn clock_set_back_revives_no_spent_pin() {
    let mut door = door();
    let tuple = door.booking(MIDNIGHT, HOUR);
    let tuple = Tuple { class: once(tuple.class), ..tuple };
    let pin = door.pin(&tuple, 0);
    door.open(&pin).unwrap();
    let mut bytes = vec![0; State::<32>::LENGTH];
    door.state.write(&mut bytes).unwrap();
    door.state = State::read(CLOCK, &bytes).unwrap();
    door.clock(Event::PowerLost);
    assert_eq!(door.open(&pin), Err(Refusal::ClockUnset));
    door.clock(Event::Token { time: at(MIDNIGHT + 120), age: 1 });
    assert!(matches!(door.open(&pin), Err(Refusal::AlreadyUsed { .. })));
}

#[test]
fn no_bit_of_a_snapshot_changes_unseen() {
    let mut door = door();
    let tuple = door.booking(MIDNIGHT, HOUR);
    for generation in [0, 1] {
        let tuple = Tuple { class: once(tuple.class), generation, ..tuple };
        door.open(&door.pin(&tuple, 0)).unwrap();
    }
    assert!(door.state.marks().iter().count() > 1);
    let mut bytes = vec![0; State::<32>::LENGTH];
    door.state.write(&mut bytes).unwrap();
    assert_eq!(State::read(CLOCK, &bytes), Some(door.state));
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut other = bytes.clone();
            other[at] ^= 1 << bit;
            assert_ne!(State::read(CLOCK, &other), Some(door.state), "byte {at}, bit {bit}");
        }
        assert_eq!(State::<32>::read(CLOCK, &bytes[..at]), None, "cut at {at}");
    }
}

/// Old PINs, typed every day to hold the clock back: an expired one opens at most the stated
/// uncertainty after its grace.
#[test]
fn expired_pins_do_not_stretch_themselves() {
    let mut door = door();
    let stale = door.booking(MIDNIGHT, HOUR);
    for quarter in 0..96_u64 {
        door.wait(900);
        let now = MIDNIGHT + (quarter + 1) * 900;
        let late = now.saturating_sub(stale.until().seconds() + 300);
        let opened = door.open(&door.pin(&stale, 0)).is_ok();
        assert!(!(opened && late > 2 * 45 * 60), "{late} seconds late");
        // Everything else he holds, to widen the belief and to pull it back.
        for back in 1..6 {
            let other = door.booking(now / 900 * 900 - back * 900, HOUR);
            let _ = door.open(&door.pin(&other, 0));
        }
    }
    assert!(door.open(&door.pin(&stale, 0)).is_err());
}

/// A robot gets ten attempts and ten a day, whatever it does with them.
#[test]
fn a_robot_is_throttled_for_a_year() {
    let mut door = door();
    let wrong: Vec<String> = door.wrong_pins().take(30).collect();
    for day in 0..60_u64 {
        for typed in &wrong {
            door.wait(125);
            let _ = door.open(typed);
        }
        door.wait(DAY - 30 * 126);
        assert!(u64::from(door.tried) <= 10 + 10 * (day + 1), "day {day}: {}", door.tried);
    }
    assert!(door.tried >= 590, "{}", door.tried);
}

/// Whoever guesses with a right code in hand buys nothing with it.
#[test]
fn successes_buy_no_guesses() {
    let mut door = door();
    let pin = door.pin(&door.booking(MIDNIGHT, HOUR), 0);
    let wrong: Vec<String> = door.wrong_pins().take(12).collect();
    let mut compared = 0;
    for typed in &wrong {
        compared += u32::from(wrong_code(door.open(typed)));
        let _ = door.open(&pin);
    }
    assert_eq!(compared, 10);
}

/// A PIN that opened once, typed again each minute while the clock is as uncertain as it may be: by the
/// estimate its window is over, by the belief not yet, and until then its mark must stand.
#[test]
fn an_uncertain_clock_revives_no_spent_pin() {
    let mut door = door();
    door.wait(320 * DAY);
    assert!(door.state.belief().uncertainty() > 30 * 60);
    let now = door.state.belief().probable().seconds();
    let tuple = door.booking(now / 900 * 900 - 2700, HOUR);
    let tuple = Tuple { class: once(tuple.class), ..tuple };
    let pin = door.pin(&tuple, 0);
    door.open(&pin).unwrap();
    let mut expired = 0;
    for _ in 0..150 {
        door.wait(60);
        match door.clone().open(&pin) {
            Err(Refusal::AlreadyUsed { .. }) => assert_eq!(expired, 0),
            Err(Refusal::Expired { .. }) => expired += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(expired > 0, "in the end it is over by the belief as well");
}

/// The power goes between the comparison and the spending.
#[test]
fn a_clock_lost_meanwhile_opens_nothing() {
    let mut door = door();
    let pin = door.pin(&door.booking(MIDNIGHT, HOUR), 0);
    let lock = door.lock.clone();
    let Ok(Entry::Pin(typed)) = lock.read(&pin) else { panic!("{pin}") };
    let (attempt, tried) = lock.begin(&door.state, 0, typed, door.head).unwrap();
    let receipt = door.append(attempt.place(), &tried).unwrap();
    let matched = attempt.counted(receipt).unwrap().compare().unwrap();
    door.clock(Event::PowerLost);
    let spending = lock.spend(&door.state, 0, &matched, door.head);
    assert_eq!(spending.map(|_| ()), Err(Refusal::ClockUnset));
}
