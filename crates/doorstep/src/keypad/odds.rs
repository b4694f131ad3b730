//! How likely a guess opens, computed from the profile and never from a table.

use super::profile::Profile;
use super::tuple::PinDigits;
use crate::clock::MAX_UNCERTAINTY;
use crate::odds::{YEAR, float, guessed_within};
use crate::throttle::Pace;

/// The attempts at PINs: ten, and ten more a day.
pub const PIN_PACE: Pace = Pace { burst: 10, refill: 8640 };

/// Epochs that are accepted at once, while a change was announced.
const EPOCHS: u64 = 2;

/// How likely a robot that never stops may open a lock within a year, at the default digits.
pub const BEARABLE: f64 = 0.01;

/// What a guesser gains at one lock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Odds {
    /// The most tuples that are acceptable at once: at the largest uncertainty, over all classes,
    /// lanes and accepted epochs.
    pub acceptable: u64,
    /// Chance that one guess opens.
    pub guess: f64,
    /// Chance that a robot that uses every attempt of a year opens.
    pub robot_year: f64,
}

impl Odds {
    /// The odds of a profile.
    #[must_use]
    pub fn new(profile: &Profile) -> Self {
        Self::with_digits(profile, profile.digits())
    }

    /// The odds of a profile if its PINs had so many digits.
    #[must_use]
    pub fn with_digits(profile: &Profile, digits: PinDigits) -> Self {
        Self::of(acceptable(profile, MAX_UNCERTAINTY).saturating_mul(EPOCHS), digits.pins())
    }

    /// The odds when one guess may hit so many of so many codes, and attempts come back at
    /// [`PIN_PACE`].
    #[must_use]
    pub fn of(acceptable: u64, codes: u64) -> Self {
        let guess = float(acceptable) / float(codes);
        let robot_year = guessed_within(guess, PIN_PACE.attempts_within(YEAR));
        Self { acceptable, guess, robot_year }
    }
}

/// For how many seconds beyond its window a PIN is taken at most, before and after it together, when the
/// time is known within so many seconds either way.
#[must_use]
pub fn beyond(profile: &Profile, uncertainty: u64) -> u64 {
    let grace = profile.grace();
    let grace = u64::from(grace.early).saturating_add(u64::from(grace.late));
    grace.saturating_add(uncertainty.saturating_mul(2))
}

/// The most tuples of one epoch that are acceptable at once, when the time is known within so many
/// seconds either way.
#[must_use]
pub fn acceptable(profile: &Profile, uncertainty: u64) -> u64 {
    let margin = beyond(profile, uncertainty);
    let starts = profile.classes().iter().map(|class| {
        let quantum = u64::from(class.quantum).saturating_mul(60);
        class.seconds().saturating_add(margin).checked_div(quantum).unwrap_or(0).saturating_add(1)
    });
    starts.fold(0_u64, u64::saturating_add).saturating_mul(u64::from(profile.lanes()))
}

/// The least number of digits that keeps a robot below 1 % a year; `None` when ten do not.
#[must_use]
pub fn default_digits(profile: &Profile) -> Option<PinDigits> {
    let bearable = |digits: &PinDigits| Odds::with_digits(profile, *digits).robot_year < BEARABLE;
    PinDigits::ALL.into_iter().find(bearable)
}
