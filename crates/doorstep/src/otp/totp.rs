//! TOTP (RFC 6238): HOTP with the number of the time step as its counter.

use super::hotp;
use super::keyed::Keyed;
use super::{Algorithm, Digits, OtpSecret};
use crate::code::Code;
use crate::time::Timestamp;
use core::num::NonZeroU64;

/// How an authenticator with a clock makes its codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totp {
    /// The hash.
    pub algorithm: Algorithm,
    /// Digits of a code.
    pub digits: Digits,
    /// Seconds of a step (X in the RFC); a period of 0 cannot be written.
    pub period: NonZeroU64,
    /// When step 0 begins (T0 in the RFC).
    pub t0: Timestamp,
}

/// 30 seconds, what nearly every authenticator uses.
pub const PERIOD_30: NonZeroU64 = match NonZeroU64::new(30) {
    Some(period) => period,
    None => NonZeroU64::MIN,
};

impl Default for Totp {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Sha1,
            digits: Digits::SIX,
            period: PERIOD_30,
            t0: Timestamp::from_seconds(0),
        }
    }
}

impl Totp {
    /// Makes the secret ready for many codes.
    #[must_use]
    pub fn keyed(&self, secret: &OtpSecret) -> Keyed {
        Keyed::new(secret, self.algorithm)
    }

    /// The step that `at` lies in; `None` before T0.
    #[must_use]
    pub fn step(&self, at: Timestamp) -> Option<u64> {
        // A period is at least 1.
        at.seconds().checked_sub(self.t0.seconds())?.checked_div(self.period.get())
    }

    /// When `step` begins, or the last point there is.
    #[must_use]
    pub const fn begins(&self, step: u64) -> Timestamp {
        self.t0.later(step.saturating_mul(self.period.get()))
    }

    /// Seconds from `at` until the next step, at most a period; `None` before T0.
    #[must_use]
    pub fn seconds_left(&self, at: Timestamp) -> Option<u64> {
        let into = at.seconds().checked_sub(self.t0.seconds())?.checked_rem(self.period.get())?;
        Some(self.period.get().saturating_sub(into))
    }

    /// The code of a step, leading zeros kept.
    #[must_use]
    pub fn code(&self, keyed: &Keyed, step: u64) -> Code {
        hotp::code(keyed, step, self.digits)
    }

    /// The code at a time; `None` before T0.
    #[must_use]
    pub fn code_at(&self, keyed: &Keyed, at: Timestamp) -> Option<Code> {
        Some(self.code(keyed, self.step(at)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends_of_time_have_steps() {
        let totp = Totp::default();
        let at = Timestamp::from_seconds;
        assert_eq!(totp.step(at(0)), Some(0));
        assert_eq!(totp.step(at(29)), Some(0));
        assert_eq!(totp.step(at(30)), Some(1));
        assert_eq!(totp.step(at(u64::MAX)), Some(u64::MAX / 30));
        assert_eq!(totp.begins(u64::MAX), at(u64::MAX));
        assert_eq!(totp.seconds_left(at(0)), Some(30));
        assert_eq!(totp.seconds_left(at(59)), Some(1));
        let keyed = totp.keyed(&OtpSecret::from_bytes(b"k").unwrap());
        assert_eq!(totp.code_at(&keyed, at(u64::MAX)).unwrap().expose().len(), 6);
        let late = Totp { t0: at(100), ..totp };
        assert_eq!((late.step(at(99)), late.step(at(100))), (None, Some(0)));
        assert_eq!(late.seconds_left(at(0)), None);
        let once = Totp { period: NonZeroU64::MAX, ..totp };
        assert_eq!((once.step(at(5)), once.step(at(u64::MAX))), (Some(0), Some(1)));
    }

    proptest! {
        #[test]
        fn a_step_begins_where_it_says(at in any::<u64>(), period in 1_u64.., t0 in any::<u64>()) {
            let period = NonZeroU64::new(period).unwrap();
            let totp = Totp { period, t0: Timestamp::from_seconds(t0), ..Totp::default() };
            let at = Timestamp::from_seconds(at);
            match totp.step(at) {
                None => prop_assert!(at < totp.t0),
                Some(step) => {
                    prop_assert!(totp.begins(step) <= at);
                    prop_assert!(at.since(totp.begins(step)) < period.get());
                }
            }
        }
    }
}
