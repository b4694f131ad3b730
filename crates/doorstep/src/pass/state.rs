//! What a lock remembers for passes. What it believes about the time is not in it: a lock has one belief,
//! whatever opens it.

use super::key::{TrustedKey, TrustedKeys};
use super::mark::Marks;
use super::record::{Event, Record};
use super::rider::{Revoked, Rotation, advances, follows};
use crate::bytes::{Layout, Stored};
use crate::clock::Belief;
use crate::throttle::{Bucket, Pace};
use crate::time::Timestamp;

/// Verifications that open nothing: four at once, and one back each counted second. A signature is not guessed;
/// this is for the battery and the journal.
pub const PACE: Pace = Pace { burst: 4, refill: 1 };

/// Bytes of a snapshot before its marks.
const HEAD: usize = TrustedKeys::LENGTH + 4 + 4 + Revoked::LENGTH + 9 + 4;

/// The state, with room for `N` passes whose uses are remembered. It holds no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State<const N: usize> {
    pub(super) keys: TrustedKeys,
    pub(super) rotation: u32,
    pub(super) bulletin: u32,
    pub(super) revoked: Revoked,
    pub(super) attempts: Bucket,
    pub(super) marks: Marks<N>,
    pub(super) starts: u32,
}

impl<const N: usize> State<N> {
    /// A lock that was just installed, with the keys that it was provisioned with, and the numbers of the
    /// rotation and the bulletin that were the last ones then: none up to them is taken any more.
    #[must_use]
    pub const fn new(keys: TrustedKeys, rotation: u32, bulletin: u32, floor: Timestamp) -> Self {
        Self {
            keys,
            rotation,
            bulletin,
            revoked: Revoked::NONE,
            attempts: Bucket::full(PACE, floor),
            marks: Marks::new(),
            starts: 0,
        }
    }

    /// The issuer's keys.
    #[must_use]
    pub const fn keys(&self) -> &TrustedKeys {
        &self.keys
    }

    /// The number of the last rotation, 0 before the first. Whoever comes may bring a newer one.
    #[must_use]
    pub const fn rotation(&self) -> u32 {
        self.rotation
    }

    /// The number of the bulletin, 0 before the first.
    #[must_use]
    pub const fn bulletin(&self) -> u32 {
        self.bulletin
    }

    /// The passes that are revoked.
    #[must_use]
    pub const fn revoked(&self) -> &Revoked {
        &self.revoked
    }

    /// What is left of failed verifications. They fill by the trusted floor.
    #[must_use]
    pub const fn attempts(&self) -> &Bucket {
        &self.attempts
    }

    /// The passes whose uses are remembered.
    #[must_use]
    pub const fn marks(&self) -> &Marks<N> {
        &self.marks
    }

    /// How often the lock started, if it counts that for its challenges.
    #[must_use]
    pub const fn starts(&self) -> u32 {
        self.starts
    }

    /// The state after a record, when the lock believes `belief` after it ([`Record::believed`]).
    #[must_use]
    pub fn then(&self, belief: &Belief, record: &Record) -> Self {
        let mut state = *self;
        state.fold(belief, record);
        state
    }

    /// Changes the state into the one after a record, where there is no memory for two.
    pub fn fold(&mut self, belief: &Belief, record: &Record) {
        match &record.event {
            Event::Tried => self.attempts = self.attempts.taken(belief.floor()),
            Event::Opened { id, remembered } => {
                self.attempts = self.attempts.give_back();
                if let Some(used) = remembered {
                    self.marks.insert(*id, used, belief.probable());
                }
            }
            Event::Started => self.starts = self.starts.saturating_add(1),
            // What is authentic and opens nothing costs as much as what is forged: it writes as much.
            Event::Verified { .. } => {}
            Event::Token { .. } | Event::Bulletin { .. } | Event::Rotation(_) => {
                self.attempts = self.attempts.give_back();
            }
        }
        match &record.event {
            Event::Bulletin { sequence, revoked, .. } if advances(self.bulletin, *sequence) => {
                (self.bulletin, self.revoked) = (*sequence, *revoked);
            }
            Event::Rotation(rotation) if follows(self.rotation, rotation.sequence) => {
                let Rotation { key, window, sequence, .. } = *rotation;
                self.rotation = sequence;
                if rotation.is_end() {
                    self.keys.remove(&key);
                } else {
                    self.keys.insert(TrustedKey::new(key, window, sequence));
                }
            }
            _ => {}
        }
        self.marks.prune(belief.floor());
    }

    /// After a clock reset, attempts wait for no time that was wrong.
    pub fn follow_reset(&mut self, belief: &Belief) {
        self.attempts = self.attempts.set_back(belief.floor());
    }

    /// Bytes of an encoded state.
    pub const LENGTH: usize = HEAD + Marks::<N>::LENGTH;

    /// Writes the state as a snapshot: `keys || u32 rotation || u32 bulletin || u8 revoked, 48 * 4 prefixes ||
    /// u8 attempts used || u64 as of || u32 starts || marks`; `None` when `out` has not [`State::LENGTH`] bytes.
    #[must_use]
    // Apart, so that its part of the stack is given back before it is read again.
    #[inline(never)]
    pub fn write(&self, out: &mut [u8]) -> Option<()> {
        if out.len() == Self::LENGTH { self.store(out) } else { None }
    }

    /// Reads a snapshot; `None` for anything else.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut state = Self::new(TrustedKeys::NONE, 0, 0, Timestamp::from_seconds(0));
        state.restore(bytes)?;
        Some(state)
    }

    /// Changes the state into that of a snapshot, where there is no memory for two; `None` for anything else, and
    /// then it is of no use any more.
    #[must_use]
    pub fn restore(&mut self, bytes: &[u8]) -> Option<()> {
        if bytes.len() == Self::LENGTH { self.load(bytes) } else { None }
    }
}

impl<const N: usize> Stored for State<N> {
    fn fields(&mut self, layout: &mut Layout<'_>) {
        self.keys.fields(layout);
        layout.word(&mut self.rotation);
        layout.word(&mut self.bulletin);
        self.revoked.fields(layout);
        self.attempts.fields(layout);
        layout.word(&mut self.starts);
        self.marks.fields(layout);
    }
}
