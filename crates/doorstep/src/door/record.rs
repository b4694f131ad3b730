//! The records of a door's journal: those of its keypad and clock, those of the codes of steps, and those of
//! passes.

use crate::bytes::Short;
use crate::keypad::record as keypad;
use crate::otp::record as otp;
use crate::pass::record as pass;

/// The most bytes of an encoded record.
pub const MAX_LENGTH: usize = pass::MAX_LENGTH;

/// Where the kinds of the records of passes begin.
const PASSES: u8 = 64;

/// Something that must be durable before the next step, or that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// At the keypad, or to the clock (`docs/kp1.md`, section 11).
    Keypad(keypad::Record),
    /// With a code of a step.
    Step(otp::Record),
    /// With a pass or a rider (`docs/dp1.md`, section 8).
    Pass(pass::Record),
}

/// An encoded record.
pub type Bytes = Short<MAX_LENGTH>;

impl Record {
    /// Seconds that were counted since the record before.
    #[must_use]
    pub const fn elapsed(&self) -> u32 {
        match self {
            Self::Keypad(record) => record.elapsed,
            Self::Step(_) => 0,
            Self::Pass(record) => record.elapsed,
        }
    }

    /// The record as it is appended, byte for byte that of its own kind.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let with = |source: &[u8]| {
            let mut bytes = Bytes::EMPTY;
            // Those of passes are the longest.
            let _ = bytes.push(source);
            bytes
        };
        match self {
            Self::Keypad(record) => with(&record.to_bytes()),
            Self::Step(record) => with(&record.to_bytes()),
            Self::Pass(record) => record.to_bytes(),
        }
    }

    /// Reads a record that was appended; `None` for anything else. Those of passes have the highest first
    /// bytes, of the others each kind has a length of its own.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.first().is_some_and(|kind| *kind >= PASSES) {
            return pass::Record::from_bytes(bytes).map(Self::Pass);
        }
        if let Ok(bytes) = bytes.try_into() {
            return keypad::Record::from_bytes(bytes).map(Self::Keypad);
        }
        otp::Record::from_bytes(bytes.try_into().ok()?).map(Self::Step)
    }
}

impl From<keypad::Record> for Record {
    fn from(record: keypad::Record) -> Self {
        Self::Keypad(record)
    }
}

impl From<pass::Record> for Record {
    fn from(record: pass::Record) -> Self {
        Self::Pass(record)
    }
}
