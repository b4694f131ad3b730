//! Codes of steps and PINs at one door: each is read as what it is, and both speak to one clock.

use crate::support::{DAY, Installed, NOON, at, bundle};
use doorstep::clock::Event;
use doorstep::door::bundle::Bundle;
use doorstep::door::state::State;
use doorstep::door::{MARKS, Steps, Typed};
use doorstep::keypad::Shown;
use doorstep::keypad::record::Source;
use doorstep::otp::Digits;
use doorstep::otp::totp::Totp;
use doorstep::refusal::Refusal;

#[test]
fn what_is_typed_is_one_kind_of_code() {
    let door = Installed::new(bundle()).door;
    assert!(matches!(door.read("1234 5678"), Ok(Typed::Step(_))));
    assert!(matches!(door.read("01234567"), Ok(Typed::Step(_))), "a step may begin with 0");
    assert!(matches!(door.read("123 456 789"), Ok(Typed::Pin(_))));
    assert!(matches!(door.read("1234 5678 9012 34"), Ok(Typed::Pin(_))));
    assert!(matches!(door.read("0300000000"), Ok(Typed::Control(_))));
    for mistyped in ["", "1234567", "12345678901", "1234567a", "１２３４５６７８", "012345678"]
    {
        assert_eq!(door.read(mistyped).err(), Some(Refusal::Mistyped), "{mistyped}");
    }
    let without = Installed::new(Bundle { steps: None, ..bundle() });
    assert_eq!(without.door.read("12345678").err(), Some(Refusal::Mistyped));
    assert!(without.door.moment(&without.state).is_err());
}

/// 20 millionths slow for two years with a code a week; a PIN now and then.
#[test]
fn a_door_with_steps_lasts_and_refuses_replays() {
    let mut door = Installed::new(bundle());
    for week in 1..=104_u64 {
        let truth = NOON + week * 7 * DAY;
        door.wait(7 * DAY - 12);
        let code = door.step(truth);
        door.press(&code).unwrap();
        assert!(matches!(door.press(&code), Err(Refusal::AlreadyUsed { .. })), "week {week}");
        let older = door.step(truth - 30);
        assert!(door.press(&older).is_err(), "an older step never opens");
        let tuple = door.booking(truth, 3600, false);
        let pin = door.pin(&tuple);
        door.press(&pin).unwrap();
    }
    let now = door.state.keypad.belief().now().unwrap();
    assert!(now.probable.since(at(NOON + 104 * 7 * DAY)) < 60, "{now:?}");
    assert!(now.uncertainty() < 60, "the clock heard the steps");
}

#[test]
fn steps_pins_and_control_codes_have_attempts_of_their_own() {
    let mut door = Installed::new(bundle());
    let code = door.step(NOON);
    let wrong: Vec<String> =
        (0..).map(|n| format!("{n:08}")).filter(|w| *w != code).take(11).collect();
    for wrong in &wrong[..10] {
        assert!(matches!(door.press(wrong), Err(Refusal::WrongCode { .. })));
    }
    let refusal = door.press(&wrong[10]).unwrap_err();
    let floor = door.state.keypad.belief().floor();
    assert_eq!(Shown::of(&refusal, floor), Shown::Wait { seconds: Some(8640) });
    assert!(matches!(door.press(&code), Err(Refusal::Throttled { .. })), "also a right one");
    assert_eq!(door.state.keypad.bucket(Source::Pin).left(), 10);
    let tuple = door.booking(NOON, 3600, true);
    let pin = door.pin(&tuple);
    door.press(&pin).unwrap();
    assert_eq!(Shown::of(&door.press(&pin).unwrap_err(), floor), Shown::AlreadyUsed);
    door.wait(8650);
    let later = door.step(NOON + 8650);
    door.press(&later).unwrap();
}

#[test]
fn a_lost_clock_takes_no_step() {
    let mut bundle = bundle();
    bundle.clock.after_power_loss = doorstep::clock::AfterPowerLoss::NeedTime;
    let mut door = Installed::new(bundle);
    door.clock(Event::PowerLost);
    let code = door.step(NOON);
    let refusal = door.press(&code).unwrap_err();
    assert_eq!(refusal, Refusal::ClockUnset);
    assert_eq!(Shown::of(&refusal, at(0)), Shown::ClockUnset);
    assert_eq!(door.state.keypad.belief().lasts(), 0);
}

#[test]
fn a_state_reads_back_and_begins_in_its_epoch() {
    let mut door = Installed::new(bundle());
    assert_eq!(door.state.keypad.epoch(), 4);
    door.press("00000000").unwrap_err();
    assert_eq!(door.state.attempts.used(), 1);
    let code = door.step(NOON);
    door.press(&code).unwrap();
    let once = door.booking(NOON, 3600, true);
    let pin = door.pin(&once);
    door.press(&pin).unwrap();
    let mut bytes = [0; State::<MARKS>::LENGTH];
    door.state.write(&mut bytes).unwrap();
    let clock = *door.door.clock();
    let read = State::<MARKS>::read(clock, &bytes).unwrap();
    assert_eq!(read, door.state);
    assert!(State::<MARKS>::read(clock, &bytes[1..]).is_none());
    assert!(door.state.write(&mut bytes[1..]).is_none());
}

#[test]
fn how_long_a_clock_lasts_is_when_it_stops_granting() {
    let door = Installed::new(bundle());
    let belief = *door.state.keypad.belief();
    let lasts = belief.lasts();
    assert!((100 * DAY..10 * 365 * DAY).contains(&lasts), "{} days", lasts / DAY);
    let after = |seconds| belief.then(&Event::Elapsed { seconds }).now();
    assert!(after(lasts).is_some());
    assert!(after(lasts + 2 * 3600).is_none());
}

/// At a door with steps the day comes earlier: when a code of the true time is found no more.
#[test]
fn how_long_steps_last_is_until_the_time_is_less_certain_than_they_reach() {
    let lasts = |door: &Installed| door.door.lasts(&door.state);
    let mut by_digits = Vec::new();
    for digits in [Digits::EIGHT, Digits::SIX] {
        let mut with = bundle();
        with.steps.as_mut().unwrap().totp.digits = digits;
        let reach = if digits == Digits::SIX { 300 } else { 1200 };
        let door = Installed::new(with);
        let belief = *door.state.keypad.belief();
        let after = |seconds| belief.then(&Event::Elapsed { seconds });
        let seconds = lasts(&door);
        // What the door itself goes by: how far it may be from the most probable time, either way.
        let off = |seconds| {
            let now = after(seconds).now().unwrap();
            now.latest.since(now.probable).max(now.probable.since(now.earliest))
        };
        assert!(off(seconds) <= reach && off(seconds + 2 * 3600) > reach);
        by_digits.push(seconds);
    }
    let without = Installed::new(Bundle { steps: None, ..bundle() });
    assert_eq!(lasts(&without), without.state.keypad.belief().lasts());
    by_digits.insert(0, lasts(&without));
    assert!(by_digits.is_sorted_by(|a, b| a > b), "{by_digits:?}");
}

#[test]
fn eight_digits_keep_a_robot_out_and_six_do_not() {
    let odds = |digits| Steps::odds(&Totp { digits, ..Totp::default() });
    assert!(odds(Digits::EIGHT).robot_year < 0.01);
    assert!(odds(Digits::SIX).robot_year > 0.01);
    assert_eq!((odds(Digits::EIGHT).acceptable, odds(Digits::SIX).acceptable), (81, 21));
}

/// Nothing that was typed shows in what is logged of it, nor what a control code is taken apart to.
#[test]
fn no_digits_of_what_was_typed_show() {
    let door = Installed::new(bundle());
    let keypad = &door.state.keypad;
    let pin = door.pin(&door.booking(NOON, 3600, false));
    let control = ["01543219876543", "020012347654321", "0309876543"];
    for typed in [&*pin, "98765432101234", "87654321"].into_iter().chain(control) {
        let read = door.door.read(typed).unwrap();
        let mut shown = format!("{read:?}");
        match read {
            Typed::Pin(pin) => {
                let (attempt, tried) = door.door.lock().begin(keypad, 0, pin, door.head).unwrap();
                shown += &format!("{attempt:?} {tried:?}");
                let receipt = attempt.place().appended();
                let counted = attempt.counted(receipt).unwrap();
                shown += &format!("{counted:?}");
                shown += &format!("{:?}", counted.compare());
            }
            Typed::Control(order) => {
                let lock = door.door.lock();
                let (attempt, tried) = lock.begin_control(keypad, 0, order, door.head).unwrap();
                shown += &format!("{attempt:?} {tried:?}");
                let receipt = attempt.place().appended();
                let counted = attempt.counted(receipt).unwrap();
                shown += &format!("{counted:?}");
                shown += &format!("{:?}", counted.compare());
            }
            Typed::Step(code) => {
                let moment = door.door.moment(&door.state).unwrap();
                let enrolled = moment.enrolled();
                let (attempt, tried) = moment.begin(&enrolled, &code, door.head).unwrap();
                shown += &format!("{attempt:?} {tried:?}");
            }
        }
        for part in typed.as_bytes().windows(5) {
            let part = std::str::from_utf8(part).unwrap();
            assert!(!shown.contains(part), "{part} of {typed}: {shown}");
        }
    }
}

/// A clock that was a year ahead is set back: attempts and steps do not wait for that year.
#[test]
fn after_a_clock_reset_steps_are_taken_again() {
    let mut door = Installed::new(bundle());
    let early = door.step(NOON);
    door.wait(365 * DAY);
    let ahead = door.state.keypad.belief().probable().seconds();
    let (before, code) = (door.step(ahead - 30), door.step(ahead));
    door.press(&code).unwrap();
    // One that is not believed changes nothing, nor does one that is no way back.
    let untouched = door.state;
    door.clock(Event::Reset { time: at(NOON), age: 700 });
    assert_eq!((door.state.steps, door.state.attempts), (untouched.steps, untouched.attempts));
    door.clock(Event::Reset { time: at(ahead), age: 1 });
    assert_eq!(door.state.steps, untouched.steps);
    assert!(door.press(&before).is_err() && door.press(&code).is_err(), "spent is spent");
    door.clock(Event::Reset { time: at(NOON), age: 1 });
    door.press(&early).unwrap();
    assert!(matches!(door.press(&early), Err(Refusal::AlreadyUsed { .. })));
    for wrong in (0..).map(|n| format!("{n:08}")).take(12) {
        let _ = door.press(&wrong);
    }
    let next = door.step(NOON + 8700);
    assert!(matches!(door.press(&next), Err(Refusal::Throttled { .. })));
    door.wait(8700);
    door.press(&next).unwrap();
}
