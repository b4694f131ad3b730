//! Points and spans of time as every verifier sees them: whole UTC seconds, told by the caller.

use core::fmt;

/// UTC seconds since 1970-01-01T00:00:00Z, without leap seconds. Zones exist where people read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The point `seconds` after the epoch.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Seconds since the epoch.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// The point `seconds` later, or the last one there is.
    #[must_use]
    // Apart where 64 bits are two words, and each place would be six instructions.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub const fn later(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// The point `seconds` earlier, or the first one there is.
    #[must_use]
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub const fn earlier(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub(seconds))
    }

    /// Seconds from `past` to here; 0 when `past` is not in the past.
    #[must_use]
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub const fn since(self, past: Self) -> u64 {
        self.0.saturating_sub(past.0)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0)
    }
}

/// Where a point lies against a [`Window`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Earlier than the first second.
    Before,
    /// In it.
    Inside,
    /// At the end or later.
    After,
}

/// A half-open span `[from, until)` that is never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    from: Timestamp,
    until: Timestamp,
}

impl Window {
    /// All times but the very last second.
    pub const ALWAYS: Self =
        Self { from: Timestamp::from_seconds(0), until: Timestamp::from_seconds(u64::MAX) };

    /// The span from `from` up to, not including, `until`; `None` when that is empty.
    #[must_use]
    pub fn new(from: Timestamp, until: Timestamp) -> Option<Self> {
        (from < until).then_some(Self { from, until })
    }

    /// The first second inside.
    #[must_use]
    pub const fn from(&self) -> Timestamp {
        self.from
    }

    /// The first second after.
    #[must_use]
    pub const fn until(&self) -> Timestamp {
        self.until
    }

    /// Length in seconds.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.until.since(self.from)
    }

    /// Where `at` lies.
    #[must_use]
    pub fn position(&self, at: Timestamp) -> Position {
        if at < self.from {
            Position::Before
        } else if at < self.until {
            Position::Inside
        } else {
            Position::After
        }
    }
}

#[cfg(feature = "handover")]
mod cbor {
    use super::Timestamp;
    use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

    impl<C> Encode<C> for Timestamp {
        fn encode<W: encode::Write>(
            &self,
            e: &mut Encoder<W>,
            _: &mut C,
        ) -> Result<(), encode::Error<W::Error>> {
            e.u64(self.0)?.ok()
        }
    }

    impl<'b, C> Decode<'b, C> for Timestamp {
        fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
            d.u64().map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_holds_its_first_second_and_not_its_last() {
        let at = Timestamp::from_seconds;
        let window = Window::new(at(100), at(200)).unwrap();
        assert_eq!(window.position(at(99)), Position::Before);
        assert_eq!(window.position(at(100)), Position::Inside);
        assert_eq!(window.position(at(199)), Position::Inside);
        assert_eq!(window.position(at(200)), Position::After);
    }

    #[test]
    fn empty_and_backward_windows_do_not_exist() {
        let at = Timestamp::from_seconds;
        assert!(Window::new(at(5), at(5)).is_none());
        assert!(Window::new(at(6), at(5)).is_none());
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        let last = Timestamp::from_seconds(u64::MAX);
        assert_eq!(last.later(1), last);
        assert_eq!(Timestamp::from_seconds(0).earlier(1).seconds(), 0);
        assert_eq!(Timestamp::from_seconds(0).since(last), 0);
    }
}
