//! What each method has under somebody's facts, and how to set it up: one file for each family.

pub(super) mod delivery;
pub(super) mod keypad;
pub(super) mod login;
pub(super) mod pass;
pub(super) mod totp_door;

use super::needs::{Oscillator, Tries};
use doorstep::clock::{AfterPowerLoss, Belief, Clock};
use doorstep::odds::{YEAR, guessed_within};
use doorstep::throttle::Pace;
use doorstep::time::Timestamp;
use std::sync::OnceLock;

/// What a lock without a clock cannot do.
const NO_CLOCK: &str = "it needs a clock at the verifier";

/// What no number of digits that people type makes up for.
const GUESSABLE: &str = "so many codes at once are guessed too easily, at any length";

/// A lock that was just told the time; `None` without a clock.
pub(super) fn belief(oscillator: Oscillator) -> Option<Belief> {
    let clock =
        Clock { oscillator: oscillator.class()?, after_power_loss: AfterPowerLoss::NeedTime };
    Some(Belief::new(clock, Timestamp::from_seconds(YEAR)))
}

/// The chance of those who may try codes: with the attempts of one visit, or of a whole year.
fn guessed(guess: f64, pace: Pace, tries: Tries) -> f64 {
    let attempts = match tries {
        Tries::PasserBy => u64::from(pace.burst),
        Tries::Robot | Tries::Unlimited => pace.attempts_within(YEAR),
    };
    guessed_within(guess, attempts)
}

/// For how long a new lock opens if nobody comes; `None` without a clock.
fn silent(oscillator: Oscillator) -> Option<u64> {
    // Years of hours are looked at, so each is looked at once.
    static KNOWN: [OnceLock<u64>; doorstep::clock::Oscillator::ALL.len()] =
        [OnceLock::new(), OnceLock::new(), OnceLock::new()];
    let class = oscillator.class()?;
    let all = doorstep::clock::Oscillator::ALL.iter().zip(&KNOWN);
    let (_, known) = all.into_iter().find(|(one, _)| **one == class)?;
    let belief = belief(oscillator)?;
    Some(*known.get_or_init(|| belief.lasts()))
}
