//! Which steps around now are taken, by names that say how long a code really lives.

use super::totp::Totp;
use crate::time::Timestamp;
use core::fmt;

/// The most steps that a window reaches to either side; whoever needs more needs a resync.
pub const MAX_STEPS: u8 = 10;

/// How far a window reaches into the past and into the future, in half steps. A code is taken when
/// its step has a moment in `[now - back, now + ahead]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    back: u8,
    ahead: u8,
}

impl Window {
    /// The current step alone: a code dies when the authenticator shows the next.
    pub const CURRENT: Self = Self { back: 0, ahead: 0 };
    /// The current step, and the one before in the first half of it: time to finish typing.
    pub const HALF_PREVIOUS: Self = Self { back: 1, ahead: 0 };
    /// The current step and the one before.
    pub const PREVIOUS: Self = Self { back: 2, ahead: 0 };
    /// One step to either side, what most verifiers use.
    pub const ONE_EACH: Self = Self { back: 2, ahead: 2 };

    /// `steps` to either side; `None` beyond [`MAX_STEPS`].
    #[must_use]
    pub fn plus_minus(steps: u8) -> Option<Self> {
        let halves = (steps <= MAX_STEPS).then(|| steps.saturating_mul(2))?;
        Some(Self { back: halves, ahead: halves })
    }

    /// As many steps to either side as a lock's own clock is uncertain.
    #[cfg(feature = "lock")]
    pub(crate) const fn around(steps: u8) -> Self {
        let halves = steps.saturating_mul(2);
        Self { back: halves, ahead: halves }
    }

    /// Reads a window's name: `current`, `current+half-previous`, `current+previous`, `+-1` to
    /// `+-10`. `None` for other names.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "current" => Some(Self::CURRENT),
            "current+half-previous" => Some(Self::HALF_PREVIOUS),
            "current+previous" => Some(Self::PREVIOUS),
            _ => {
                let steps = name.strip_prefix("+-")?;
                let plain = !steps.starts_with('0') && steps.bytes().all(|b| b.is_ascii_digit());
                Self::plus_minus(plain.then(|| steps.parse().ok())??)
            }
        }
    }

    /// The most steps that are taken at one time.
    #[must_use]
    pub fn most_steps(self) -> u64 {
        u64::from(self.back).saturating_add(u64::from(self.ahead)).div_ceil(2).saturating_add(1)
    }

    /// The first and the last step that are taken at `now`, when the authenticator's clock is
    /// `drift` steps ahead of ours.
    #[must_use]
    pub(crate) fn steps(self, totp: &Totp, now: Timestamp, drift: i64) -> (u64, u64) {
        let period = totp.period.get();
        // Half of an odd period is rounded down, so that a window is never longer than its name.
        let halves = |count: u8| {
            let half = u128::from(period).saturating_mul(u128::from(count)) / 2;
            u64::try_from(half).unwrap_or(u64::MAX)
        };
        let shift = period.saturating_mul(drift.unsigned_abs());
        let there = if drift < 0 { now.earlier(shift) } else { now.later(shift) };
        let step = |at: Timestamp| totp.step(at).unwrap_or(0);
        (step(there.earlier(halves(self.back))), step(there.later(halves(self.ahead))))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::CURRENT => f.write_str("current"),
            Self::HALF_PREVIOUS => f.write_str("current+half-previous"),
            Self::PREVIOUS => f.write_str("current+previous"),
            Self { back, .. } => write!(f, "+-{}", back / 2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::num::NonZeroU64;
    use std::string::ToString;

    #[test]
    fn no_time_has_more_steps_than_the_most() {
        for name in ["current", "current+half-previous", "current+previous", "+-1", "+-10"] {
            let (window, totp) = (Window::parse(name).unwrap(), Totp::default());
            let times = (1_800_000_000..1_800_000_060).map(Timestamp::from_seconds);
            let counts =
                times.map(|now| window.steps(&totp, now, 0)).map(|(from, to)| to - from + 1);
            assert_eq!(counts.max(), Some(window.most_steps()), "{name}");
        }
    }

    #[test]
    fn a_name_reads_back_and_no_other_name_is_read() {
        for name in ["current", "current+half-previous", "current+previous", "+-1", "+-10"] {
            assert_eq!(Window::parse(name).unwrap().to_string(), name);
        }
        for name in
            ["", "Current", "+-", "+-0", "+-01", "+-11", "+--1", "+-1 ", "+-+1", "1", "+-300"]
        {
            assert_eq!(Window::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_window_takes_the_steps_that_its_name_says() {
        let totp = Totp::default();
        let steps = |window: Window, now| window.steps(&totp, Timestamp::from_seconds(now), 0);
        // Step 10 is 300..330.
        for now in [300, 314, 315, 329] {
            assert_eq!(steps(Window::CURRENT, now), (10, 10));
            assert_eq!(steps(Window::PREVIOUS, now), (9, 10));
            assert_eq!(steps(Window::ONE_EACH, now), (9, 11));
            assert_eq!(steps(Window::plus_minus(10).unwrap(), now), (0, 20));
        }
        assert_eq!(steps(Window::HALF_PREVIOUS, 314), (9, 10));
        assert_eq!(steps(Window::HALF_PREVIOUS, 315), (10, 10));
        assert_eq!(steps(Window::ONE_EACH, 0), (0, 1));
        assert_eq!(steps(Window::ONE_EACH, u64::MAX), (u64::MAX / 30 - 1, u64::MAX / 30));
    }

    #[test]
    fn drift_moves_a_window_by_whole_steps_for_any_period() {
        for period in [1, 7, 29, 30, 31, 60, 86_400] {
            let totp = Totp { period: NonZeroU64::new(period).unwrap(), ..Totp::default() };
            for drift in [-3, -1, 0, 1, 3_i64] {
                let now = Timestamp::from_seconds(1_800_000_017);
                let (first, last) = Window::ONE_EACH.steps(&totp, now, 0);
                let moved = (first.saturating_add_signed(drift), last.saturating_add_signed(drift));
                assert_eq!(Window::ONE_EACH.steps(&totp, now, drift), moved, "{period} {drift}");
            }
        }
        let (first, last) =
            Window::ONE_EACH.steps(&Totp::default(), Timestamp::from_seconds(5), i64::MIN);
        assert_eq!((first, last), (0, 1));
    }
}
