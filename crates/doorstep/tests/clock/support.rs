//! Beliefs to begin with, and random events as attackers and guests make them.

use doorstep::clock::{AfterPowerLoss, Belief, Clock, Clue, Event, Oscillator};
use doorstep::time::Timestamp;
use proptest::prelude::*;

pub(crate) const NOON: u64 = 1_800_000_000;
pub(crate) const DAY: u64 = 86_400;

pub(crate) const NEED_TIME: Clock =
    Clock { oscillator: Oscillator::Crystal, after_power_loss: AfterPowerLoss::NeedTime };
pub(crate) const TRUSTING: Clock =
    Clock { oscillator: Oscillator::Crystal, after_power_loss: AfterPowerLoss::Trust90Min };

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

pub(crate) fn elapsed(seconds: u64) -> Event {
    Event::Elapsed { seconds }
}

/// A PIN of an hour that begins at `start`.
pub(crate) fn pin(start: u64, code: u32) -> Event {
    Event::Heard(Clue { about: at(start), spread: 720, reach: 600, code })
}

/// A TOTP code of the step in which `when` lies.
pub(crate) fn step(when: u64, code: u32) -> Event {
    Event::Heard(Clue { about: at(when / 30 * 30 + 24), spread: 10, reach: 60, code })
}

pub(crate) fn after(belief: Belief, events: &[Event]) -> Belief {
    events.iter().fold(belief, |belief, event| belief.then(event))
}

pub(crate) fn any_clock() -> impl Strategy<Value = Clock> {
    let policies = [AfterPowerLoss::NeedTime, AfterPowerLoss::Trust90Min];
    (0..3_usize, 0..2_usize).prop_map(move |(oscillator, policy)| Clock {
        oscillator: Oscillator::ALL[oscillator],
        after_power_loss: policies[policy],
    })
}

/// A time as somebody would claim it, near or absurd.
fn any_time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        8 => (NOON - 30 * DAY..NOON + 400 * DAY).prop_map(at),
        1 => any::<u64>().prop_map(at),
        1 => Just(at(u64::MAX)),
        1 => Just(at(0)),
    ]
}

/// What somebody without any of the issuer's keys can cause.
pub(crate) fn any_guest_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => Just(Event::PowerLost),
        4 => (any_time(), any::<u32>(), any::<u32>(), any::<u32>())
            .prop_map(|(about, spread, reach, code)| Event::Heard(Clue { about, spread, reach, code })),
        4 => (any::<u32>(), any::<u32>()).prop_map(|(code, by)| Event::Missed { code, by }),
    ]
}

pub(crate) fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => any_guest_event(),
        6 => (0..40 * DAY).prop_map(elapsed),
        1 => any::<u64>().prop_map(elapsed),
        2 => any_time().prop_map(Event::Signed),
        2 => any_time().prop_map(|time| Event::SetTime { time }),
        2 => (any_time(), 0..900_u32).prop_map(|(time, age)| Event::Token { time, age }),
    ]
}
