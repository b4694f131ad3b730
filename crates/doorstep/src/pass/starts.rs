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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{AfterPowerLoss, Belief, Clock, Oscillator};
    use crate::ledger::Head;
    use crate::pass::claims::Audience;
    use crate::pass::key::TrustedKeys;
    use crate::pass::reader::{Groups, Moment, Reader};
    use crate::pass::state::State;
    use crate::secret::Secret;
    use crate::time::Timestamp;

    fn root() -> RootKey {
        RootKey::from_secret(Secret::from_bytes([9; 32]))
    }

    #[test]
    fn no_challenge_comes_twice_when_the_numbers_of_a_start_are_used_up() {
        let mut challenges =
            Challenges { key: root().challenges(), starts: 1, next: Some(u32::MAX) };
        assert!(challenges.draw().is_some());
        assert!(challenges.draw().is_none());
        assert!(challenges.draw().is_none());
    }

    #[test]
    fn a_lock_that_started_as_often_as_can_be_counted_starts_no_more() {
        let reader = Reader::new(Audience::parse("lk").unwrap(), Groups::default(), root(), None);
        let clock =
            Clock { oscillator: Oscillator::Crystal, after_power_loss: AfterPowerLoss::NeedTime };
        let belief = Belief::new(clock, Timestamp::from_seconds(0));
        let moment = Moment { belief, epoch: 0, elapsed: 0 };
        let mut state: State<1> = State::new(TrustedKeys::NONE, 0, 0, belief.floor());
        state.starts = u32::MAX - 1;
        assert!(reader.start(&moment, &state, Head::EMPTY).is_some());
        state.starts = u32::MAX;
        assert!(reader.start(&moment, &state, Head::EMPTY).is_none());
    }
}
