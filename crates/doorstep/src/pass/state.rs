//! What a lock remembers for passes. What it believes about the time is not in it: a lock has one belief,
//! whatever opens it.

use super::key::TrustedKeys;
use super::mark::Marks;
use super::rider::Revoked;
use crate::throttle::{Bucket, Pace};
use crate::time::Timestamp;

/// Verifications that fail: four at once, and one back each counted second. A signature is not guessed; this is
/// for the battery.
pub const PACE: Pace = Pace { burst: 4, refill: 1 };

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
    /// A lock that was just installed, with the keys that it was provisioned with.
    #[must_use]
    pub const fn new(keys: TrustedKeys, floor: Timestamp) -> Self {
        Self {
            keys,
            rotation: 0,
            bulletin: 0,
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
}
