//! The filter behind a belief: offset and rate of an oscillator with their covariance, in whole
//! numbers, since a lock's processor has no others.
//!
//! It is a Kalman filter of two states. Units: nanoseconds for time, milliseconds for the standard
//! deviation of the offset, billionths for rates, hours for its steps.

/// Nanoseconds in a second.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// Nanoseconds in a millisecond.
const MILLISECOND: i64 = 1_000_000;

/// The filter takes its steps by the hour.
pub(crate) const HOUR: u32 = 3600;

/// Beyond these nothing is known anyway, and the products below stay within 64 bits.
const MAX_OFFSET_VARIANCE: i64 = 50_000_000_000_000;
const MAX_RATE_VARIANCE: i64 = 4_000_000_000_000;

/// What is assumed of an oscillator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noise {
    /// Standard deviation of a new part's rate, in billionths.
    pub(crate) rate: i64,
    /// By how much the rate's variance grows in an hour, in squared billionths.
    pub(crate) wander: i64,
    /// By how much the offset's variance grows in an hour, in squared milliseconds.
    pub(crate) offset: i64,
}

/// A time and a rate, and how well they are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Estimate {
    /// The most probable time, in nanoseconds.
    pub(crate) at: u64,
    /// True seconds in a counted one, less one, in billionths.
    pub(crate) rate: i64,
    /// Variance of the offset, in squared milliseconds.
    pub(crate) offset_variance: i64,
    /// Covariance of offset and rate, in milliseconds times billionths.
    pub(crate) covariance: i64,
    /// Variance of the rate, in squared billionths.
    pub(crate) rate_variance: i64,
}

impl Estimate {
    /// A time known within `deviation` milliseconds, on a part of which nothing is known.
    pub(crate) const fn new(at: u64, deviation: i64, noise: Noise) -> Self {
        Self {
            at,
            rate: 0,
            offset_variance: deviation.saturating_mul(deviation),
            covariance: 0,
            rate_variance: noise.rate.saturating_mul(noise.rate),
        }
    }

    /// The estimate after counted seconds. It is exact, so that it does not matter how they are
    /// portioned.
    pub(crate) fn counted(self, seconds: u64) -> Self {
        let second = SECOND.saturating_add_signed(self.rate);
        Self { at: self.at.saturating_add(second.saturating_mul(seconds)), ..self }
    }

    /// What an hour adds to the uncertainty.
    pub(crate) fn aged(self, noise: Noise) -> Self {
        // A billionth over an hour is 0.0036 ms.
        let from_rate = per(self.rate_variance, 1_296, 100_000_000);
        let from_both = per(self.covariance, 72, 10_000);
        let offset_variance =
            self.offset_variance.saturating_add(from_both).saturating_add(from_rate);
        let covariance = self.covariance.saturating_add(per(self.rate_variance, 36, 10_000));
        Self {
            offset_variance: offset_variance.saturating_add(noise.offset),
            covariance,
            rate_variance: self.rate_variance.saturating_add(noise.wander),
            ..self
        }
        .bounded()
    }

    /// Takes in that it is probably `about`, with a standard deviation of `spread` milliseconds,
    /// believing at most `forward` and `back` milliseconds of the difference.
    pub(crate) fn heard(self, about: u64, spread: i64, forward: i64, back: i64) -> Self {
        let ahead = |later: u64, earlier: u64| {
            i64::try_from(later.saturating_sub(earlier)).unwrap_or(i64::MAX) / MILLISECOND
        };
        let miss = ahead(about, self.at).saturating_sub(ahead(self.at, about));
        let miss = miss.clamp(back.saturating_neg(), forward);
        let noise = spread.saturating_mul(spread).min(MAX_OFFSET_VARIANCE);
        let sum = self.offset_variance.saturating_add(noise);
        // 16 binary places.
        let gain =
            |variance: i64| variance.saturating_mul(1 << 16_u8).checked_div(sum).unwrap_or(0);
        let (offset_gain, rate_gain) = (gain(self.offset_variance), gain(self.covariance));
        let part = |whole: i64, gain: i64| whole.saturating_mul(gain) / (1 << 16_u8);
        let moved = part(miss, offset_gain).saturating_mul(MILLISECOND);
        Self {
            at: self.at.saturating_add_signed(moved),
            rate: self.rate.saturating_add(part(miss, rate_gain)),
            offset_variance: self
                .offset_variance
                .saturating_sub(part(self.offset_variance, offset_gain)),
            covariance: self.covariance.saturating_sub(part(self.covariance, offset_gain)),
            rate_variance: self.rate_variance.saturating_sub(part(self.covariance, rate_gain)),
        }
        .bounded()
    }

    /// The estimate with at least this standard deviation, in milliseconds.
    pub(crate) fn widened(self, deviation: i64) -> Self {
        let variance = deviation.saturating_mul(deviation);
        Self { offset_variance: self.offset_variance.max(variance), ..self }.bounded()
    }

    /// Standard deviation of the offset, in milliseconds.
    pub(crate) fn deviation(&self) -> i64 {
        self.offset_variance.max(0).isqrt()
    }

    /// Keeps the three numbers those of a covariance, whatever rounding did.
    fn bounded(self) -> Self {
        let offset_variance = self.offset_variance.clamp(1, MAX_OFFSET_VARIANCE);
        let rate_variance = self.rate_variance.clamp(1, MAX_RATE_VARIANCE);
        let most = offset_variance.isqrt().saturating_mul(rate_variance.isqrt());
        let covariance = self.covariance.clamp(most.saturating_neg(), most);
        Self { offset_variance, covariance, rate_variance, ..self }
    }
}

/// `value * factor / divisor`, for factors small enough.
fn per(value: i64, factor: i64, divisor: i64) -> i64 {
    value.saturating_mul(factor).checked_div(divisor).unwrap_or(0)
}
