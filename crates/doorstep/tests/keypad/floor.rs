//! What rests on the trusted floor and not on the estimate, and what a record between two steps changes.

use crate::support::{CLOCK, DAY, Door, HOUR, MIDNIGHT, at, lockers, once, wrong_code};
use doorstep::clock::{Belief, Event};
use doorstep::keypad::control::Command;
use doorstep::keypad::lock::Entry;
use doorstep::keypad::profile::Profile;
use doorstep::keypad::record::Source;
use doorstep::keypad::tuple::Tuple;
use doorstep::refusal::Refusal;

/// A door that has heard nothing for 100 days: its floor is 1,036 s behind the estimate.
fn door(profile: Profile) -> Door {
    let mut door = Door::new(profile, MIDNIGHT - 100 * DAY);
    door.wait(100 * DAY);
    let belief = door.state.belief();
    assert!(belief.probable().since(belief.floor()) > 1000);
    door
}

#[test]
fn marks_outlast_the_estimate() {
    let mut door = door(lockers());
    let tuple = door.booking(MIDNIGHT, HOUR);
    let tuple = Tuple { class: once(tuple.class), ..tuple };
    door.open(&door.pin(&tuple, 0)).unwrap();
    let over = tuple.until().later(300);
    door.wait(HOUR + 600);
    assert!(door.state.belief().probable() > over && door.state.belief().floor() < over);
    assert_eq!(door.state.marks().iter().count(), 1);
    door.wait(HOUR);
    assert!(door.state.belief().floor() >= over);
    assert_eq!(door.state.marks().iter().count(), 0);
}

#[test]
fn attempts_come_back_by_the_floor() {
    let mut door = door(lockers());
    let wrong: Vec<String> = door.wrong_pins().take(1).collect();
    assert!(wrong_code(door.open(&wrong[0])));
    let bucket = door.state.bucket(Source::Pin);
    assert_eq!((bucket.used(), bucket.as_of()), (1, door.state.belief().floor()));
}

/// Staff end the epoch while a PIN of it is being compared.
#[test]
fn a_pin_whose_epoch_ends_before_it_is_spent_is_revoked() {
    let mut door: Door = Door::new(lockers(), MIDNIGHT);
    let pin = door.pin(&door.booking(MIDNIGHT, HOUR), 0);
    let lock = door.lock.clone();
    let Ok(Entry::Pin(typed)) = lock.read(&pin) else { panic!("{pin}") };
    let (attempt, tried) = lock.begin(&door.state, 0, typed, door.head).unwrap();
    let receipt = door.append(attempt.place(), &tried).unwrap();
    let matched = attempt.counted(receipt).unwrap().compare().unwrap();
    assert!(lock.spend(&door.state, 0, &matched, door.head).is_ok());
    door.order(&door.control(0, &Command::EndEpoch { epoch: 1 })).unwrap();
    let spent = lock.spend(&door.state, 0, &matched, door.head);
    assert_eq!(spent.err(), Some(Refusal::Revoked));
}

/// A code that was wrong may be right once the clock is.
#[test]
fn fresh_time_empties_the_memory_of_wrong_codes() {
    let mut door: Door = Door::new(lockers(), MIDNIGHT);
    let pin = door.pin(&door.booking(MIDNIGHT + 2 * DAY, HOUR), 0);
    assert!(wrong_code(door.open(&pin)));
    door.clock(Event::Token { time: at(MIDNIGHT + 2 * DAY), age: 1 });
    assert!(door.open(&pin).is_ok());
    let mut door: Door = Door::new(lockers(), MIDNIGHT);
    let wrong: Vec<String> = door.wrong_pins().take(1).collect();
    door.open(&wrong[0]).unwrap_err();
    door.clock(Event::Token { time: at(MIDNIGHT + 2), age: 1 });
    door.open(&wrong[0]).unwrap_err();
    assert_eq!(door.tried, 2, "it was compared again");
}

#[test]
fn of_a_cancelled_pin_that_comes_early_the_clock_hears_nothing() {
    let mut door: Door = Door::new(lockers(), MIDNIGHT);
    let early = door.booking(MIDNIGHT + 2 * HOUR, HOUR);
    door.order(&door.control(0, &Command::Cancel { tuple: early, epoch: 0 })).unwrap();
    let before = door.state.belief().uncertainty();
    door.open(&door.pin(&early, 0)).unwrap_err();
    assert_eq!(door.state.belief().uncertainty(), before);
}

/// Of two set-time codes the first counts for nothing once the issuer answered.
#[test]
fn fresh_time_forgets_the_first_of_two_set_time_codes() {
    let far = |seconds: u64| Event::SetTime { time: at(MIDNIGHT + 80 * DAY + seconds) };
    let belief = Belief::new(CLOCK, at(MIDNIGHT)).then(&far(0));
    assert_eq!(belief.then(&far(300)).floor(), at(MIDNIGHT + 80 * DAY + 300));
    let answered = belief.then(&Event::Token { time: at(MIDNIGHT + DAY), age: 1 });
    assert_eq!(answered.then(&far(300)).floor(), at(MIDNIGHT + DAY));
}
