//! How many wrong codes one credential survives: a budget that only ever shrinks, or a bucket that
//! fills again slowly.

use crate::refusal::Refusal;
use crate::time::Timestamp;

/// Typed attempts that a delivery takes, over all its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    limit: u8,
    used: u8,
}

impl Budget {
    /// A budget of `limit` attempts of which `used` are counted.
    #[must_use]
    pub const fn new(limit: u8, used: u8) -> Self {
        Self { limit, used }
    }

    /// Attempts counted so far.
    #[must_use]
    pub const fn used(self) -> u8 {
        self.used
    }

    /// Attempts left.
    #[must_use]
    pub const fn left(self) -> u8 {
        self.limit.saturating_sub(self.used)
    }

    /// The budget after one more attempt.
    ///
    /// # Errors
    /// [`Refusal::Throttled`] without a time when none is left: a delivery code lives for hours,
    /// so its budget does not grow back.
    pub fn take(self) -> Result<Self, Refusal> {
        if self.left() == 0 {
            return Err(Refusal::Throttled { until: None });
        }
        Ok(Self { used: self.used.saturating_add(1), ..self })
    }
}

/// How fast a [`Bucket`] may be emptied, and how it fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Attempts that may follow each other at once; also the most that are ever saved up.
    pub burst: u8,
    /// Seconds until one attempt comes back.
    pub refill: u32,
}

impl Pace {
    /// What an authenticator of 6 digits bears: 10 attempts, and one back every 4 hours.
    pub const AUTHENTICATOR: Self = Self { burst: 10, refill: 4 * 60 * 60 };

    /// The most attempts that somebody who never stops gets within so many seconds, from a full bucket on.
    #[must_use]
    pub fn attempts_within(self, seconds: u64) -> u64 {
        let back = seconds.checked_div(u64::from(self.refill)).unwrap_or(0);
        u64::from(self.burst).saturating_add(back)
    }
}

/// Attempts at a credential that lives for years. A success gives back its own token and no other,
/// so that whoever also holds a right code cannot buy guesses with it.
///
/// The bucket fills by time since the latest moment it ever saw: a clock set back fills nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    pace: Pace,
    used: u8,
    as_of: Timestamp,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub const fn full(pace: Pace, now: Timestamp) -> Self {
        Self { pace, used: 0, as_of: now }
    }

    /// The bucket as it was stored: `used` tokens missing at `as_of`.
    #[must_use]
    pub const fn stored(pace: Pace, used: u8, as_of: Timestamp) -> Self {
        Self { pace, used, as_of }
    }

    /// How it is emptied and filled.
    #[must_use]
    pub const fn pace(self) -> Pace {
        self.pace
    }

    /// Tokens missing at [`Bucket::as_of`].
    #[must_use]
    pub const fn used(self) -> u8 {
        self.used
    }

    /// Since when the next token fills.
    #[must_use]
    pub const fn as_of(self) -> Timestamp {
        self.as_of
    }

    /// Tokens left.
    #[must_use]
    pub const fn left(self) -> u8 {
        self.pace.burst.saturating_sub(self.used)
    }

    /// The bucket with what has come back by `now`.
    #[must_use]
    pub fn filled(self, now: Timestamp) -> Self {
        let refill = u64::from(self.pace.refill);
        let back = now.since(self.as_of).checked_div(refill).unwrap_or(0);
        let back = u8::try_from(back).unwrap_or(u8::MAX).min(self.used);
        let used = self.used.saturating_sub(back);
        // What has come back in part stays; a full bucket saves nothing up.
        let as_of = if used == 0 {
            self.as_of.max(now)
        } else {
            self.as_of.later(refill.saturating_mul(u64::from(back)))
        };
        Self { used, as_of, ..self }
    }

    /// The bucket after one more attempt.
    ///
    /// # Errors
    /// [`Refusal::Throttled`] with the time when the next token is there.
    pub fn take(self, now: Timestamp) -> Result<Self, Refusal> {
        let filled = self.filled(now);
        if filled.left() == 0 {
            // With no refill nothing ever comes back.
            let until = filled.as_of.later(u64::from(self.pace.refill));
            return Err(Refusal::Throttled { until: (self.pace.refill > 0).then_some(until) });
        }
        Ok(filled.taken(now))
    }

    /// The bucket after an attempt that was already let through.
    #[must_use]
    pub fn taken(self, now: Timestamp) -> Self {
        let filled = self.filled(now);
        Self { used: filled.used.saturating_add(1).min(self.pace.burst), ..filled }
    }

    /// The bucket when the clock by which it fills was rightly set back to `now`: it waits for no time that
    /// is only reached again long after.
    #[must_use]
    pub fn set_back(self, now: Timestamp) -> Self {
        Self { as_of: self.as_of.min(now), ..self }
    }

    /// What is stored of it: `u8 used || u64 as of`. Its pace is the method's.
    #[cfg(feature = "lock")]
    pub(crate) fn fields(&mut self, layout: &mut crate::bytes::Layout<'_>) {
        layout.byte(&mut self.used);
        layout.time(&mut self.as_of);
    }

    /// The bucket with the token of an attempt that was right.
    #[must_use]
    pub const fn give_back(self) -> Self {
        Self { used: self.used.saturating_sub(1), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn a_bucket_fills_one_by_one_and_never_beyond_its_burst() {
        let pace = Pace { burst: 2, refill: 100 };
        let mut bucket = Bucket::full(pace, at(1000));
        for _ in 0..2 {
            bucket = bucket.take(at(1000)).unwrap();
        }
        assert_eq!(bucket.take(at(1099)), Err(Refusal::Throttled { until: Some(at(1100)) }));
        bucket = bucket.take(at(1150)).unwrap();
        assert_eq!(bucket.take(at(1199)), Err(Refusal::Throttled { until: Some(at(1200)) }));
        assert_eq!(bucket.filled(at(u64::MAX)).left(), 2);
        assert_eq!(bucket.filled(at(100_000)).take(at(100_000)).unwrap().left(), 1);
    }

    #[test]
    fn a_clock_set_back_fills_no_bucket() {
        let pace = Pace { burst: 1, refill: 100 };
        let bucket = Bucket::full(pace, at(1000)).take(at(1000)).unwrap();
        for now in [0, 500, 1000, 1099] {
            assert_eq!(bucket.take(at(now)), Err(Refusal::Throttled { until: Some(at(1100)) }));
        }
        let full = Bucket::full(pace, at(1000)).filled(at(0)).take(at(0)).unwrap();
        assert!(full.take(at(100)).is_err(), "as full as it was at 1000, not fuller");
    }

    #[test]
    fn a_success_gives_back_its_own_token_only() {
        let bucket = Bucket::stored(Pace { burst: 5, refill: 100 }, 3, at(0));
        assert_eq!(bucket.take(at(0)).unwrap().give_back().left(), 2);
        assert_eq!(Bucket::full(Pace::AUTHENTICATOR, at(0)).give_back().left(), 10);
        let never = Bucket::stored(Pace { burst: 1, refill: 0 }, 1, at(0));
        assert_eq!(never.take(at(u64::MAX)), Err(Refusal::Throttled { until: None }));
    }

    #[test]
    fn the_last_token_is_taken_once() {
        let budget = Budget::new(2, 1).take().unwrap();
        assert_eq!(budget.left(), 0);
        assert_eq!(budget.take(), Err(Refusal::Throttled { until: None }));
        assert_eq!(Budget::new(0, 0).take(), Err(Refusal::Throttled { until: None }));
        assert_eq!(Budget::new(5, 255).take(), Err(Refusal::Throttled { until: None }));
    }

    #[test]
    fn no_schedule_of_attempts_beats_what_is_computed() {
        for (pace, span) in [
            (Pace { burst: 2, refill: 100 }, 1_000),
            (Pace { burst: 10, refill: 7 }, 999),
            (Pace { burst: 1, refill: 0 }, 50),
        ] {
            let mut bucket = Bucket::full(pace, at(0));
            let mut taken = 0;
            for now in 0..=span {
                while let Ok(after) = bucket.take(at(now)) {
                    (bucket, taken) = (after, taken + 1);
                }
            }
            assert_eq!(pace.attempts_within(span), taken, "{pace:?}");
        }
    }
}
