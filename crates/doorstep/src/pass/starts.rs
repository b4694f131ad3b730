//! Challenges of a lock that draws no randomness: they are counted, under a key of its root, and no two starts of
//! it make the same ones.

use super::proof::Challenge;
use crate::keypad::key::RootKey;
use crate::ledger::{Place, Receipt};
use crate::verifier::WrongReceipt;
use core::fmt;
use hmac::Hmac;
use sha2::Sha256;

/// The record of a start, not yet appended.
#[must_use = "a lock sends no challenge before its start is recorded"]
pub struct Starting {
    challenges: Challenges,
    place: Place,
}

impl Starting {
    pub(super) fn new(root: &RootKey, starts: u32, place: Place) -> Self {
        let challenges = Challenges { key: root.challenges(), starts, next: Some(0) };
        Self { challenges, place }
    }

    /// Where the record must be appended.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// The start is counted.
    ///
    /// # Errors
    /// [`WrongReceipt`] when the receipt was given for another record.
    pub fn started(self, receipt: Receipt) -> Result<Challenges, WrongReceipt> {
        if receipt.fits(&self.place) { Ok(self.challenges) } else { Err(WrongReceipt) }
    }
}

/// The challenges of one start.
pub struct Challenges {
    key: Hmac<Sha256>,
    starts: u32,
    next: Option<u32>,
}

impl Challenges {
    /// The next challenge: the first 16 bytes of the HMAC over `u32 starts || u32 number`. `None` when all of
    /// this start are used up.
    pub fn draw(&mut self) -> Option<Challenge> {
        let number = self.next?;
        self.next = number.checked_add(1);
        Some(Challenge::counted(&self.key, self.starts, number))
    }
}

impl fmt::Debug for Starting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Starting({:?})", self.place)
    }
}

impl fmt::Debug for Challenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Challenges({}, {:?})", self.starts, self.next)
    }
}
