//! The challenges that a lock has sent, and for how long each may be answered. Power that is lost takes them all.

use super::super::proof::Challenge;
use crate::clock::{Belief, NONCE_LIFETIME};

/// A lock asks for the time when it is uncertain by more than this many seconds, from the earliest to the latest.
const CERTAIN: u64 = 15 * 60;

/// A challenge that was sent, and what the lock had counted then.
#[derive(Debug)]
pub struct Sent {
    challenge: Challenge,
    at: u64,
}

impl Sent {
    /// A challenge that is sent now.
    #[must_use]
    pub const fn new(challenge: Challenge, counter: u64) -> Self {
        Self { challenge, at: counter }
    }

    /// The bytes to send.
    #[must_use]
    pub const fn nonce(&self) -> &[u8; 16] {
        self.challenge.nonce()
    }

    /// The challenge as old as it is now; `None` when the counter went back, so that nobody knows how old.
    #[must_use]
    pub fn aged(self, counter: u64) -> Option<Challenge> {
        let age = counter.checked_sub(self.at)?;
        Some(self.challenge.later(u32::try_from(age).unwrap_or(u32::MAX)))
    }
}

/// The challenge that a lock without the time sends to all phones, until one of them was online and brings the
/// answer.
#[derive(Debug, Default)]
pub struct TimeNonce(Option<Sent>);

impl TimeNonce {
    /// None was sent.
    pub const NONE: Self = Self(None);

    /// The nonce for a greeting, if the lock wants the time: the one that is out, or `fresh`.
    pub fn greet(
        &mut self,
        belief: &Belief,
        counter: u64,
        fresh: impl FnOnce() -> Challenge,
    ) -> Option<[u8; 16]> {
        let now = belief.now();
        if now.is_some_and(|now| now.latest.since(now.earliest) <= CERTAIN) {
            self.0 = None;
            return None;
        }
        let out = self.0.take().filter(|sent| {
            let age = counter.checked_sub(sent.at);
            age.is_some_and(|age| age < u64::from(NONCE_LIFETIME))
        });
        let sent = out.unwrap_or_else(|| Sent::new(fresh(), counter));
        Some(*self.0.insert(sent).nonce())
    }

    /// The challenge that is out, for a token that is presented now. It stays out: only the issuer can answer it, and
    /// whoever presents rubbish must not keep the answer from the lock.
    #[must_use]
    pub fn challenge(&self, counter: u64) -> Option<Challenge> {
        let sent = self.0.as_ref()?;
        Sent { challenge: sent.challenge.again(), at: sent.at }.aged(counter)
    }

    /// A token was taken, or the power was lost.
    pub fn forget(&mut self) {
        self.0 = None;
    }
}
