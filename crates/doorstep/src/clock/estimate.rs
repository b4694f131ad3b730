//! The filter behind a belief: offset and rate of an oscillator with their covariance, in whole
//! numbers, since a lock's processor has no others.
//!
//! It is a Kalman filter of two states. Units: nanoseconds for time, milliseconds for the standard
//! deviation of the offset, billionths for rates, hours for its steps.

/// Nanoseconds in a second.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// Nanoseconds in a millisecond.
pub(crate) const MILLISECOND: u64 = 1_000_000;

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
            offset_variance: product(deviation, deviation),
            covariance: 0,
            rate_variance: product(noise.rate, noise.rate),
        }
    }

    /// Counts seconds. It is exact, so that it does not matter how they are portioned.
    pub(crate) fn count(&mut self, seconds: u64) {
        let second = SECOND.saturating_add_signed(self.rate);
        self.at = advanced(self.at, second, seconds);
    }

    /// Adds the uncertainty of an hour.
    pub(crate) fn age(&mut self, noise: Noise) {
        // A billionth over an hour is 0.0036 ms.
        let from_rate = part(self.rate_variance, 1_296, 100_000_000);
        let from_both = part(self.covariance, 72, 10_000);
        let more = sum(sum(from_both, from_rate), noise.offset);
        self.offset_variance = sum(self.offset_variance, more);
        self.covariance = sum(self.covariance, part(self.rate_variance, 36, 10_000));
        self.rate_variance = sum(self.rate_variance, noise.wander);
        self.bound();
    }

    /// Takes in that it is probably `about`, with a standard deviation of `spread` milliseconds,
    /// believing at most `forward` and `back` milliseconds of the difference.
    pub(crate) fn hear(&mut self, about: u64, spread: i64, forward: i64, back: i64) {
        let miss = ahead(about, self.at).saturating_sub(ahead(self.at, about));
        let miss = miss.clamp(back.saturating_neg(), forward);
        let noise = product(spread, spread).min(MAX_OFFSET_VARIANCE);
        let both = sum(self.offset_variance, noise);
        // 16 binary places.
        let one = 1 << 16_u8;
        let offset_gain = part(self.offset_variance, one, both);
        let rate_gain = part(self.covariance, one, both);
        let moved = part(miss, offset_gain, one);
        self.at = self.at.saturating_add_signed(product(moved, 1_000_000));
        self.rate = sum(self.rate, part(miss, rate_gain, one));
        let less =
            |whole: i64, of: i64, gain: i64| sum(whole, part(of, gain, one).saturating_neg());
        self.rate_variance = less(self.rate_variance, self.covariance, rate_gain);
        self.covariance = less(self.covariance, self.covariance, offset_gain);
        self.offset_variance = less(self.offset_variance, self.offset_variance, offset_gain);
        self.bound();
    }

    /// Makes the standard deviation at least this, in milliseconds.
    pub(crate) fn widen(&mut self, deviation: i64) {
        let variance = product(deviation, deviation);
        self.offset_variance = self.offset_variance.max(variance);
        self.bound();
    }

    /// Standard deviation of the offset, in milliseconds.
    pub(crate) fn deviation(&self) -> i64 {
        root(self.offset_variance)
    }

    /// Keeps the three numbers those of a covariance, whatever rounding did.
    fn bound(&mut self) {
        self.offset_variance = self.offset_variance.clamp(1, MAX_OFFSET_VARIANCE);
        self.rate_variance = self.rate_variance.clamp(1, MAX_RATE_VARIANCE);
        let most = product(root(self.offset_variance), root(self.rate_variance));
        self.covariance = self.covariance.clamp(most.saturating_neg(), most);
    }
}

/// A time so many seconds of that length later, in nanoseconds.
// Apart: where 64 bits are two words, what saturates takes up to twenty instructions at each place.
#[inline(never)]
pub(crate) fn advanced(at: u64, second: u64, seconds: u64) -> u64 {
    at.saturating_add(second.saturating_mul(seconds))
}

/// By how many milliseconds one time is later than another, if it is.
// Apart, as `advanced` is.
#[inline(never)]
fn ahead(later: u64, earlier: u64) -> i64 {
    i64::try_from(later.saturating_sub(earlier) / MILLISECOND).unwrap_or(i64::MAX)
}

/// The root of a variance, rounded down. It is found bit by bit: that of `core` takes a kilobyte, half of it a table.
fn root(variance: i64) -> i64 {
    let (mut rest, mut root, mut bit) = (variance, 0_i64, 1 << 62_u8);
    while bit > 0 {
        let next = root | bit;
        root >>= 1_u8;
        if rest >= next {
            rest = rest.wrapping_sub(next);
            root |= bit;
        }
        bit >>= 2_u8;
    }
    root
}

/// `value * factor / divisor`, for numbers whose product is small enough.
// Apart, as `advanced` is.
#[inline(never)]
fn part(value: i64, factor: i64, divisor: i64) -> i64 {
    product(value, factor).checked_div(divisor).unwrap_or(0)
}

// Apart, as `advanced` is.
#[inline(never)]
fn sum(one: i64, other: i64) -> i64 {
    one.saturating_add(other)
}

// Apart, as `advanced` is.
#[inline(never)]
const fn product(one: i64, other: i64) -> i64 {
    one.saturating_mul(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn roots_are_those_of_core(variance: i64, small in 0..=3_037_000_499_i64) {
            let square = small * small;
            for variance in [variance, small, square, (square - 1).max(0), i64::MAX] {
                prop_assert_eq!(root(variance), variance.max(0).isqrt());
            }
        }
    }
}
