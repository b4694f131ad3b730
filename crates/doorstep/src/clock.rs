//! What a lock without a network believes about the time (`docs/clock.md`), so that a drifting
//! oscillator shuts no honest guest out and no guest sets the clock.
//!
//! Two things are kept apart. The *trusted floor* is a time that has certainly passed; only the
//! issuer and the counted seconds raise it. The *estimate* says what time it probably is, and how
//! uncertain that is; codes that people type move it, between the floor and a ceiling. What is
//! remembered for ever (spent, revoked) rests on the floor alone.
//!
//! [`Belief`] is the whole state; every change is an [`Event`]:
//!
//! ```
//! use doorstep::clock::{AfterPowerLoss, Belief, Clock, Event, Oscillator};
//! use doorstep::time::Timestamp;
//!
//! let clock = Clock { oscillator: Oscillator::Crystal, after_power_loss: AfterPowerLoss::NeedTime };
//! let installed = Timestamp::from_seconds(1_800_000_000);
//! let belief = Belief::new(clock, installed);
//! let month = belief.then(&Event::Elapsed { seconds: 30 * 86_400 });
//! assert!(month.floor() < installed.later(30 * 86_400));
//! assert!(month.now().is_some_and(|now| now.uncertainty() < 300));
//! assert_eq!(month.then(&Event::PowerLost).now(), None, "off for nobody knows how long");
//! ```

mod belief;
mod estimate;
#[cfg(feature = "otp")]
pub mod totp;

pub use belief::{BELIEF_LENGTH, Belief, Clue, Event, NONCE_LIFETIME};

use crate::time::Timestamp;

/// The most that an estimate may be uncertain, in seconds either way, for anything to be granted.
pub const MAX_UNCERTAINTY: u64 = 45 * 60;

/// What counts a lock's seconds, and how wrong it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Oscillator {
    /// A 32.768 kHz tuning fork without compensation, indoors or outdoors.
    Crystal,
    /// A temperature-compensated crystal (TCXO).
    Compensated,
    /// A calibrated RC oscillator.
    Calibrated,
}

impl Oscillator {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Crystal, Self::Compensated, Self::Calibrated];

    /// By how many millionths a counted second differs from a true one at most. The trusted floor
    /// rests on it, so it covers cold, heat and age together.
    #[must_use]
    pub const fn bound(self) -> u32 {
        match self {
            Self::Crystal => 120,
            Self::Compensated => 6,
            Self::Calibrated => 1_500,
        }
    }

    /// A stable name for interfaces.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crystal => "crystal",
            Self::Compensated => "compensated",
            Self::Calibrated => "calibrated",
        }
    }

    /// A stable number for stored and provisioned bytes.
    #[cfg(feature = "otp")]
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Crystal => 0,
            Self::Compensated => 1,
            Self::Calibrated => 2,
        }
    }

    #[cfg(feature = "otp")]
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.number() == number)
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// What the filter assumes of a part that nothing is known of yet.
    const fn noise(self) -> estimate::Noise {
        match self {
            Self::Crystal => estimate::Noise { rate: 20_000, wander: 41_667, offset: 41_667 },
            Self::Compensated => estimate::Noise { rate: 2_000, wander: 267, offset: 41_667 },
            Self::Calibrated => {
                estimate::Noise { rate: 300_000, wander: 1_000_000, offset: 4_166_667 }
            }
        }
    }
}

/// What a lock does when its seconds stood still for an unknown time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AfterPowerLoss {
    /// Nothing is granted until fresh time arrives. For locks whose batteries guests can reach, and
    /// for passes.
    NeedTime,
    /// The power is trusted to have been off for at most 90 minutes. Whoever can cut the power can
    /// then stretch a code by as long as the power is off.
    Trust90Min,
}

impl AfterPowerLoss {
    /// Both of them, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::NeedTime, Self::Trust90Min];

    #[cfg(feature = "otp")]
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::NeedTime => 0,
            Self::Trust90Min => 1,
        }
    }

    #[cfg(feature = "otp")]
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.number() == number)
    }

    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// A stable name for interfaces.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NeedTime => "need_time",
            Self::Trust90Min => "trust_90min",
        }
    }
}

/// How a lock keeps time: settled when it is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Clock {
    /// What counts the seconds.
    pub oscillator: Oscillator,
    /// What happens when it stood still.
    pub after_power_loss: AfterPowerLoss,
}

/// When a lock believes it is: some time from `earliest` to `latest`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The earliest time it may be; never before the trusted floor.
    pub earliest: Timestamp,
    /// The most probable time.
    pub probable: Timestamp,
    /// The latest time it may be.
    pub latest: Timestamp,
}

impl Interval {
    /// Half of the interval's length, in seconds.
    #[must_use]
    pub const fn uncertainty(&self) -> u64 {
        self.latest.since(self.earliest) / 2
    }
}
