//! The records of a door's journal: those of its keypad and clock, and those of the codes of steps.

use crate::keypad::record as keypad;
use crate::otp::record as otp;

/// The most bytes of an encoded record.
pub const MAX_LENGTH: usize = otp::RECORD_LENGTH;

/// Something that must be durable before the next step, or that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// At the keypad, or to the clock (`docs/kp1.md`, section 11).
    Keypad(keypad::Record),
    /// With a code of a step.
    Step(otp::Record),
}

/// An encoded record. Which kind it is shows in its length: 25 bytes or 29.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes {
    bytes: [u8; MAX_LENGTH],
    length: usize,
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Record {
    /// Seconds that were counted since the record before.
    #[must_use]
    pub const fn elapsed(&self) -> u32 {
        match self {
            Self::Keypad(record) => record.elapsed,
            Self::Step(_) => 0,
        }
    }

    /// The record as it is appended, byte for byte that of its own kind.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let with = |source: &[u8]| {
            let mut bytes = [0; MAX_LENGTH];
            for (place, byte) in bytes.iter_mut().zip(source) {
                *place = *byte;
            }
            Bytes { bytes, length: source.len() }
        };
        match self {
            Self::Keypad(record) => with(&record.to_bytes()),
            Self::Step(record) => with(&record.to_bytes()),
        }
    }

    /// Reads a record that was appended; `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
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
