//! What a PIN means: a window, a holder and a generation; and the digits that stand for it.

use crate::bytes::{Layout, Stored};
use crate::clock::{Clue, Interval};
use crate::code::{Code, Shape};
use crate::time::Timestamp;
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeLess};
use zeroize::Zeroize;

/// Words that one HMAC yields.
pub(crate) const BLOCK: usize = 4;

/// Digits that a long form adds.
const LONG_DIGITS: u8 = 5;

const MINUTE: u64 = 60;

/// A kind of window: how long, and on which grid it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Class {
    /// Minutes that a window lasts.
    pub duration: u32,
    /// Minutes from one beginning to the next.
    pub quantum: u16,
    /// Minutes after a multiple of the quantum, counted from 1970-01-01T00:00Z.
    pub phase: u16,
    /// Whether a PIN opens once.
    pub one_time: bool,
}

impl Class {
    /// The last beginning at or before `at`, by its index; `None` before the first.
    #[must_use]
    pub fn index_at(&self, at: Timestamp) -> Option<u32> {
        let minutes = (at.seconds() / MINUTE).checked_sub(u64::from(self.phase))?;
        u32::try_from(minutes.checked_div(u64::from(self.quantum))?).ok()
    }

    /// Bytes of an encoded class: `u32 duration || u16 quantum || u16 phase || u8 flags`.
    pub(crate) const LENGTH: usize = 9;

    /// None that a profile has.
    pub(crate) const BLANK: Self = Self { duration: 0, quantum: 0, phase: 0, one_time: false };

    pub(crate) fn fields(&mut self, layout: &mut Layout<'_>) {
        layout.word(&mut self.duration);
        layout.half(&mut self.quantum);
        layout.half(&mut self.phase);
        layout.flag(&mut self.one_time);
    }

    /// How long a window lasts, in seconds.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        u64::from(self.duration).saturating_mul(MINUTE)
    }
}

/// How much earlier and later than its window a PIN is taken, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// Before its window.
    pub early: u16,
    /// After it.
    pub late: u16,
}

impl Grace {
    /// 10 minutes before and 5 after: what PINs have.
    pub const PIN: Self = Self { early: 600, late: 300 };
}

/// One PIN's meaning. The lock and the issuer derive its digits from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// The kind of window.
    pub class: Class,
    /// Which beginning on the class's grid.
    pub index: u32,
    /// Which of several holders at once.
    pub holder: u8,
    /// 0, and one more each time the holder's PIN is made anew.
    pub generation: u8,
}

/// Where a belief lies against a tuple's window with its grace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meeting {
    /// The window begins later, by so many seconds.
    Early(u64),
    /// It may be now.
    Now,
    /// The window ended, so many seconds before.
    Late(u64),
}

impl Tuple {
    /// Bytes of an encoded tuple.
    pub(crate) const LENGTH: usize = 15;

    /// When the window begins.
    #[must_use]
    pub fn from(&self) -> Timestamp {
        let grid = u64::from(self.index).saturating_mul(u64::from(self.class.quantum));
        let minutes = grid.saturating_add(u64::from(self.class.phase));
        Timestamp::from_seconds(minutes.saturating_mul(MINUTE))
    }

    /// The first second after the window.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.from().later(self.class.seconds())
    }

    /// Whether it may be a time at which the PIN is taken.
    #[must_use]
    pub fn meets(&self, now: &Interval, grace: Grace) -> Meeting {
        let from = self.from().earlier(u64::from(grace.early));
        let until = self.until().later(u64::from(grace.late));
        if from > now.latest {
            Meeting::Early(from.since(now.latest))
        } else if until <= now.earliest {
            Meeting::Late(now.earliest.since(until).saturating_add(1))
        } else {
            Meeting::Now
        }
    }

    /// What its use tells of the time: guests come when their window begins, more or less.
    #[must_use]
    pub fn clue(&self) -> Clue {
        let spread = (self.class.seconds() / 5).max(12 * MINUTE);
        Clue {
            about: self.from(),
            spread: u32::try_from(spread).unwrap_or(u32::MAX),
            reach: 600,
            code: self.name(),
        }
    }

    /// A name of 32 bits, never 0.
    #[must_use]
    pub fn name(&self) -> u32 {
        let hash: [u8; 32] = Sha256::digest(self.to_bytes()).into();
        let [a, b, c, d, ..] = hash;
        u32::from_be_bytes([a, b, c, d]).max(1)
    }

    /// What is hashed for a block of lanes: `"KP1" || u32 duration || u16 quantum || u16 phase ||
    /// u8 flags || u32 index || u8 block`. It says what the PIN means, and names no table that
    /// somebody might edit.
    pub(crate) fn message(&self, block: u8) -> [u8; 17] {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, _, _] = self.to_bytes();
        [b'K', b'P', b'1', a, b, c, d, e, f, g, h, i, j, k, l, m, block]
    }

    // Apart, since a compiler writes the same bytes one by one wherever it is used.
    #[inline(never)]
    pub(crate) fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        // As long as its fields.
        let _ = self.store(&mut bytes);
        bytes
    }

    /// None that a lock takes.
    pub(crate) const BLANK: Self = Self { class: Class::BLANK, index: 0, holder: 0, generation: 0 };
}

impl Stored for Tuple {
    fn fields(&mut self, layout: &mut Layout<'_>) {
        self.class.fields(layout);
        layout.word(&mut self.index);
        layout.byte(&mut self.holder);
        layout.byte(&mut self.generation);
    }
}

/// Digits of a PIN: 6 to 10. The first is never 0, so that no PIN loses it in a message or is taken
/// for a control code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PinDigits(u8);

impl PinDigits {
    /// From 6 to 10.
    pub const ALL: [Self; 5] = [Self(6), Self(7), Self(8), Self(9), Self(10)];

    /// `digits` digits; `None` outside 6 to 10.
    #[must_use]
    pub const fn new(digits: u8) -> Option<Self> {
        match digits {
            6..=10 => Some(Self(digits)),
            _ => None,
        }
    }

    /// The number of digits.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// How many PINs there are: nine tenths of the numbers of so many digits.
    #[must_use]
    pub const fn pins(self) -> u64 {
        self.least().saturating_mul(9)
    }

    const fn least(self) -> u64 {
        match self.0 {
            6 => 100_000,
            7 => 1_000_000,
            8 => 10_000_000,
            9 => 100_000_000,
            _ => 1_000_000_000,
        }
    }

    /// The shape of PINs, or of long forms.
    pub(crate) fn shape(self, form: Form) -> Shape {
        let length = match form {
            Form::Pin => self.0,
            Form::Long => self.0.saturating_add(LONG_DIGITS),
        };
        Shape::keypad(length).unwrap_or(Shape::DIGITS_10)
    }
}

/// Which of a tuple's two codes it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// The PIN that guests type.
    Pin,
    /// The PIN and five digits more, which nobody guesses: taken even when a passer-by used up the
    /// attempts at PINs.
    Long,
}

/// 64 bits of an HMAC: all that a tuple's codes are made of.
#[derive(Clone, Copy, Default)]
pub(crate) struct Word(u64);

impl Word {
    pub(crate) const fn new(bits: u64) -> Self {
        Self(bits)
    }

    /// The number of the PIN, and of the five digits that follow it in the long form.
    pub(crate) fn numbers(self, digits: PinDigits) -> (u64, u64) {
        let (quotient, rest) = match digits.0 {
            6 => const { Divisor::new(900_000) },
            7 => const { Divisor::new(9_000_000) },
            8 => const { Divisor::new(90_000_000) },
            9 => const { Divisor::new(900_000_000) },
            _ => const { Divisor::new(9_000_000_000) },
        }
        .divide(self.0);
        let (_, tail) = const { Divisor::new(100_000) }.divide(quotient);
        (digits.least().saturating_add(rest), tail)
    }

    /// The code in one of its forms.
    pub(crate) fn code(self, digits: PinDigits, form: Form) -> Code {
        let (pin, tail) = self.numbers(digits);
        let number = match form {
            Form::Pin => pin,
            Form::Long => pin.saturating_mul(100_000).saturating_add(tail),
        };
        Code::from_number(number, digits.shape(form))
    }
}

/// Divides secret numbers by multiplying them. Small processors divide in a time that depends on the
/// number.
#[derive(Clone, Copy)]
pub(crate) struct Divisor {
    by: u64,
    /// 2^64 parts of it.
    reciprocal: u64,
}

impl Divisor {
    pub(crate) const fn new(by: u64) -> Self {
        let reciprocal = match u64::MAX.checked_div(by) {
            Some(reciprocal) => reciprocal,
            None => 0,
        };
        Self { by, reciprocal }
    }

    /// The quotient and the rest.
    pub(crate) fn divide(self, number: u64) -> (u64, u64) {
        // At most one too small, since the reciprocal is.
        let (_, quotient) = number.carrying_mul(self.reciprocal, 0);
        let rest = number.wrapping_sub(quotient.wrapping_mul(self.by));
        let more = !rest.ct_lt(&self.by);
        let less = u64::conditional_select(&0, &self.by, more);
        (quotient.wrapping_add(u64::from(more.unwrap_u8())), rest.wrapping_sub(less))
    }
}

impl Zeroize for Word {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn division_by_multiplication_is_exact(number: u64, by in 1..=u64::MAX, small in 1..=9_000_000_000_u64) {
            for by in [by, small, 100_000].into_iter().chain(PinDigits::ALL.map(PinDigits::pins)) {
                // Beside each multiple it could be wrong by one.
                let multiple = number / by * by;
                for number in [number, multiple, multiple.wrapping_sub(1), u64::MAX, u64::MAX / by * by] {
                    prop_assert_eq!(Divisor::new(by).divide(number), (number / by, number % by));
                }
            }
        }
    }
}
