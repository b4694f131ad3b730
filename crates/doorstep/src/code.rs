//! What a person types: normalised once, compared in constant time, never printed by accident.

use crate::crockford;
use core::fmt;
use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The longest code that a [`Shape`] may be asked for, in symbols.
pub const MAX_CODE_LENGTH: usize = 10;

/// The longest code there is.
const CAPACITY: usize = 16;

/// Longer input than this is refused before it is looked at: a full code with a separator around
/// each symbol.
const MAX_INPUT_LENGTH: usize = 32;

/// The symbols a code is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alphabet {
    /// `0`-`9`.
    Digits,
    /// Crockford's base 32: digits and letters without I, L, O and U; either case is read, and O
    /// for 0, I and L for 1.
    Crockford,
}

impl Alphabet {
    /// How many symbols there are; also the alphabet's number in HO1.
    #[must_use]
    pub const fn size(self) -> u8 {
        match self {
            Self::Digits => 10,
            Self::Crockford => 32,
        }
    }

    pub(crate) const fn symbols(self) -> &'static [u8] {
        match self {
            Self::Digits => b"0123456789",
            Self::Crockford => crockford::SYMBOLS,
        }
    }

    fn canonical(self, typed: u8) -> Option<u8> {
        match (self, typed.to_ascii_uppercase()) {
            (Self::Crockford, b'O') => Some(b'0'),
            (Self::Crockford, b'I' | b'L') => Some(b'1'),
            (Self::Crockford, b'U') => None,
            (Self::Crockford, upper) => upper.is_ascii_alphanumeric().then_some(upper),
            (Self::Digits, _) => typed.is_ascii_digit().then_some(typed),
        }
    }
}

/// The alphabet and length of an issuer's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    alphabet: Alphabet,
    length: u8,
}

impl Shape {
    /// Eight digits, the default: read aloud in two groups.
    pub const DIGITS_8: Self = Self { alphabet: Alphabet::Digits, length: 8 };
    /// Ten digits.
    pub const DIGITS_10: Self = Self { alphabet: Alphabet::Digits, length: 10 };
    /// Eight Crockford symbols.
    pub const CROCKFORD_8: Self = Self { alphabet: Alphabet::Crockford, length: 8 };
    /// Ten symbols of Crockford's alphabet: 50 bits, for devices that check whole codes.
    pub const CROCKFORD_10: Self = Self { alphabet: Alphabet::Crockford, length: 10 };
    /// Twelve Crockford symbols, 60 bits: a recovery code.
    pub const RECOVERY: Self = Self { alphabet: Alphabet::Crockford, length: 12 };

    /// A shape of 4 to [`MAX_CODE_LENGTH`] symbols; `None` for other lengths.
    #[must_use]
    pub fn new(alphabet: Alphabet, length: u8) -> Option<Self> {
        (4..=MAX_CODE_LENGTH).contains(&usize::from(length)).then_some(Self { alphabet, length })
    }

    /// Digits as a lock's keypad takes them: up to 16, since long forms are not typed by heart.
    #[cfg(feature = "lock")]
    pub(crate) fn keypad(length: u8) -> Option<Self> {
        (4..=CAPACITY)
            .contains(&usize::from(length))
            .then_some(Self { alphabet: Alphabet::Digits, length })
    }

    /// The symbols.
    #[must_use]
    pub const fn alphabet(self) -> Alphabet {
        self.alphabet
    }

    /// The number of symbols.
    #[must_use]
    pub const fn length(self) -> u8 {
        self.length
    }

    /// How many codes there are.
    #[must_use]
    pub fn codes(self) -> u64 {
        // At most 32^12 = 2^60.
        u64::from(self.alphabet.size()).saturating_pow(u32::from(self.length))
    }
}

/// A code in canonical form: upper-case ASCII symbols of its [`Shape`], leading zeros kept.
#[derive(Clone)]
pub struct Code {
    symbols: [u8; CAPACITY],
    shape: Shape,
}

impl Code {
    /// Reads what a person typed: spaces and hyphens are dropped, everything else must be a symbol
    /// of the alphabet in ASCII, and the number of symbols must be right. Nothing else is ever
    /// compared, counted or keyed on, so one code has one spelling.
    ///
    /// # Errors
    /// [`Mistyped`] says what is wrong with it.
    pub fn parse(typed: &str, shape: Shape) -> Result<Self, Mistyped> {
        Self::parse_bytes(typed.as_bytes(), shape)
    }

    fn parse_bytes(typed: &[u8], shape: Shape) -> Result<Self, Mistyped> {
        if typed.len() > MAX_INPUT_LENGTH {
            return Err(Mistyped::TooLong);
        }
        let mut symbols = [0; CAPACITY];
        let mut count: u8 = 0;
        for byte in typed.iter().filter(|b| !matches!(b, b' ' | b'-')) {
            let symbol = shape.alphabet.canonical(*byte).ok_or(Mistyped::Symbol)?;
            if count == shape.length {
                return Err(Mistyped::TooLong);
            }
            if let Some(place) = symbols.get_mut(usize::from(count)) {
                *place = symbol;
            }
            count = count.saturating_add(1);
        }
        if count < shape.length {
            return Err(Mistyped::TooShort { missing: shape.length.saturating_sub(count) });
        }
        Ok(Self { symbols, shape })
    }

    /// Reads as many digits as were typed at a lock, of which there are several lengths. A keypad need not know
    /// text.
    #[cfg(feature = "lock")]
    pub(crate) fn parse_keypad(typed: &[u8]) -> Result<Self, Mistyped> {
        if typed.len() > MAX_INPUT_LENGTH {
            return Err(Mistyped::TooLong);
        }
        let digits = typed.iter().filter(|byte| byte.is_ascii_digit()).count();
        let shape = u8::try_from(digits).ok().and_then(Shape::keypad);
        Self::parse_bytes(typed, shape.ok_or(Mistyped::TooLong)?)
    }

    /// Draws a code, each one equally likely.
    pub fn make(shape: Shape, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let alphabet = shape.alphabet.symbols();
        let size = u32::from(shape.alphabet.size());
        // Bytes at or above the largest multiple of the size would make some symbols likelier.
        let fair = 256_u32.saturating_sub(256_u32.checked_rem(size).unwrap_or(0));
        let mut symbols = [0; CAPACITY];
        for symbol in symbols.iter_mut().take(usize::from(shape.length)) {
            let index = loop {
                let mut byte = [0];
                rng.fill_bytes(&mut byte);
                let [byte] = byte;
                if u32::from(byte) < fair {
                    break byte.checked_rem(shape.alphabet.size()).unwrap_or(0);
                }
            };
            *symbol = alphabet.get(usize::from(index)).copied().unwrap_or(b'0');
        }
        Self { symbols, shape }
    }

    /// The digits of `number`, with leading zeros; of a number that is too long, its last digits.
    #[cfg(any(feature = "lock", feature = "otp"))]
    pub(crate) fn from_number(number: u64, shape: Shape) -> Self {
        let mut symbols = [0; CAPACITY];
        let mut rest = number;
        for symbol in symbols.iter_mut().take(usize::from(shape.length)).rev() {
            *symbol = b'0'.saturating_add(u8::try_from(rest % 10).unwrap_or(0));
            rest /= 10;
        }
        Self { symbols, shape }
    }

    /// The number that the digits write. It stands for the code only beside its length.
    #[cfg(any(feature = "lock", feature = "otp"))]
    pub(crate) fn number(&self) -> u64 {
        number(self.expose())
    }

    /// The code's shape.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// The canonical symbols, for a keyed hash or for the message to the holder; never for a log.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.symbols.get(..usize::from(self.shape.length)).unwrap_or_default()
    }

    /// Writes the code in groups, as people read it aloud: two of up to five symbols, `4829 1635`, three
    /// of three, `482 916 357`, or as many of four as it takes, `7KQ2 M0XZ 41RT`.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_grouped(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let length = usize::from(self.shape.length);
        let group = match length {
            9 => 3,
            ..=MAX_CODE_LENGTH => length.div_ceil(2),
            _ => 4,
        };
        for (index, symbol) in self.expose().iter().enumerate() {
            if index > 0 && index.checked_rem(group) == Some(0) {
                out.write_char(' ')?;
            }
            out.write_char(char::from(*symbol))?;
        }
        Ok(())
    }
}

/// The number that up to 16 digits write.
#[cfg(any(feature = "lock", feature = "otp"))]
pub(crate) fn number(digits: &[u8]) -> u64 {
    let digits = digits.iter().map(|symbol| u64::from(symbol.saturating_sub(b'0')));
    digits.fold(0, |number, digit| number.saturating_mul(10).saturating_add(digit))
}

impl Drop for Code {
    fn drop(&mut self) {
        self.symbols.zeroize();
    }
}

impl ZeroizeOnDrop for Code {}

impl ConstantTimeEq for Code {
    fn ct_eq(&self, other: &Self) -> subtle::Choice {
        // Unused places are zero in both, so the whole array stands for the code.
        subtle::Choice::from(u8::from(self.shape == other.shape))
            & self.symbols.ct_eq(&other.symbols)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(..)")
    }
}

/// Why typed text is no code. It says nothing of what was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistyped {
    /// A character that no code has.
    Symbol,
    /// More symbols than a code has.
    TooLong,
    /// Fewer symbols than a code has.
    TooShort {
        /// How many are missing.
        missing: u8,
    },
}

impl fmt::Display for Mistyped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Symbol => f.write_str("a character here is never part of a code"),
            Self::TooLong => f.write_str("too long for a code"),
            Self::TooShort { missing } => write!(f, "{missing} symbols are missing"),
        }
    }
}

impl core::error::Error for Mistyped {}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng as _;
    use std::string::{String, ToString as _};

    fn read(typed: &str, shape: Shape) -> Result<String, Mistyped> {
        Code::parse(typed, shape).map(|code| String::from_utf8(code.expose().to_vec()).unwrap())
    }

    fn digits(typed: &str) -> Result<String, Mistyped> {
        read(typed, Shape::DIGITS_8)
    }

    // CVE-2025-6014: two spellings of one code were two codes.
    #[test]
    fn spaces_and_hyphens_are_the_only_other_spelling() {
        for typed in ["48291635", "4829 1635", "4829-1635", "  4-8-2-9 1-6-3-5 "] {
            assert_eq!(digits(typed).as_deref(), Ok("48291635"), "{typed}");
        }
        for typed in [
            "4829\t1635",
            "48291635\n",
            "48291635\r\n",
            "4829\u{a0}1635",
            "4829\u{200b}1635",
            "4829\u{2013}1635",
            "4829_1635",
            "4829.1635",
            "4829,1635",
            "+48291635",
            "4829/1635",
            "48291635\0",
            "\u{1b}48291635",
            "\u{feff}48291635",
            "48291635\u{7f}",
            "4829163e5",
        ] {
            assert_eq!(digits(typed), Err(Mistyped::Symbol), "{typed:?}");
        }
    }

    // PyOTP 2.12.0: digits of other scripts were folded into ASCII and verified.
    #[test]
    fn digits_of_other_scripts_are_no_digits() {
        for typed in
            ["\u{ff14}8291635", "４８２９１６３５", "٤٨٢٩١٦٣٥", "४८२९१६३५", "⁴⁸²⁹¹⁶³⁵", "𝟒𝟖𝟐𝟗𝟏𝟔𝟑𝟓"]
        {
            assert!(digits(typed).is_err(), "{typed}");
        }
        for typed in ["7Z4KQ0X\u{ff37}", "7Z4\u{212a}Q0XW", "7Z4KQ0Xſ"] {
            assert_eq!(read(typed, Shape::CROCKFORD_8), Err(Mistyped::Symbol), "{typed}");
        }
    }

    // CVE-2025-12374: an empty code equalled an unset one.
    #[test]
    fn empty_short_and_long_are_refused_with_what_is_missing() {
        assert_eq!(digits(""), Err(Mistyped::TooShort { missing: 8 }));
        assert_eq!(digits(" - "), Err(Mistyped::TooShort { missing: 8 }));
        assert_eq!(digits("4829163"), Err(Mistyped::TooShort { missing: 1 }));
        assert_eq!(digits("482916350"), Err(Mistyped::TooLong));
        assert_eq!(digits("4829163x5"), Err(Mistyped::Symbol));
        assert_eq!(digits(&" ".repeat(33)), Err(Mistyped::TooLong));
    }

    #[test]
    fn ten_megabytes_are_refused_unread() {
        let huge = "4".repeat(10_000_000);
        for _ in 0..100_000 {
            assert_eq!(digits(&huge), Err(Mistyped::TooLong));
        }
    }

    // Kanidm: comparing numbers dropped leading zeros.
    #[test]
    fn leading_zeros_are_kept_and_needed() {
        assert_eq!(digits("00000042").as_deref(), Ok("00000042"));
        assert_eq!(digits("00000000").as_deref(), Ok("00000000"));
        assert!(digits("42").is_err());
        let zero_led = Code::parse("00000042", Shape::DIGITS_8).unwrap();
        let other = Code::parse("42000000", Shape::DIGITS_8).unwrap();
        assert!(!bool::from(zero_led.ct_eq(&other)));
    }

    #[test]
    fn crockford_reads_what_people_confuse() {
        let crockford = |typed| read(typed, Shape::CROCKFORD_8);
        assert_eq!(crockford("oOiI-lL7z").as_deref(), Ok("0011117Z"));
        for typed in ["7Z4KQ0XU", "7z4kq0xu", "7Z4KQ0X*", "7Z4KQ0X=", "7Z4KQ0X~"] {
            assert_eq!(crockford(typed), Err(Mistyped::Symbol), "{typed}");
        }
        for typed in ["4829163O", "4829163l", "4829163I"] {
            assert_eq!(digits(typed), Err(Mistyped::Symbol), "digits have no letters: {typed}");
        }
    }

    #[test]
    fn codes_of_different_shapes_are_never_equal() {
        let short = Code::parse("4829", Shape::new(Alphabet::Digits, 4).unwrap()).unwrap();
        let long = Code::parse("48290", Shape::new(Alphabet::Digits, 5).unwrap()).unwrap();
        let letters = Code::parse("4829", Shape::new(Alphabet::Crockford, 4).unwrap()).unwrap();
        assert!(!bool::from(short.ct_eq(&long)));
        assert!(!bool::from(short.ct_eq(&letters)));
        assert!(bool::from(short.ct_eq(&short.clone())));
    }

    #[test]
    fn shapes_are_bounded() {
        for length in [0, 1, 3, 11, 255] {
            assert!(Shape::new(Alphabet::Digits, length).is_none(), "{length}");
        }
        assert_eq!(Shape::DIGITS_8.codes(), 100_000_000);
        assert_eq!(Shape::CROCKFORD_8.codes(), 1 << 40);
        assert_eq!(Shape::new(Alphabet::Crockford, 10).unwrap().codes(), 1 << 50);
    }

    #[test]
    fn codes_are_read_aloud_in_two_groups() {
        let grouped = |typed, shape| {
            let mut text = String::new();
            Code::parse(typed, shape).unwrap().write_grouped(&mut text).unwrap();
            text
        };
        assert_eq!(grouped("48291635", Shape::DIGITS_8), "4829 1635");
        assert_eq!(grouped("0048291635", Shape::DIGITS_10), "00482 91635");
        assert_eq!(grouped("48291", Shape::new(Alphabet::Digits, 5).unwrap()), "482 91");
        assert_eq!(grouped("482916357", Shape::new(Alphabet::Digits, 9).unwrap()), "482 916 357");
    }

    /// Chi-squared over symbols and places. The bounds are passed by a fair generator with a chance
    /// of 1 - 10^-6, and the seed is fixed.
    #[test]
    fn every_code_is_equally_likely() {
        for (shape, bound) in [(Shape::DIGITS_8, 50.0), (Shape::CROCKFORD_8, 92.0)] {
            let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
            let mut counts = std::vec![[0_u32; 256]; usize::from(shape.length())];
            let draws = 20_000_u32;
            for _ in 0..draws {
                let code = Code::make(shape, &mut rng);
                for (place, symbol) in code.expose().iter().enumerate() {
                    counts[place][usize::from(*symbol)] += 1;
                }
            }
            let expected = f64::from(draws) / f64::from(shape.alphabet().size());
            for (place, counts) in counts.iter().enumerate() {
                let chi = |symbol: &u8| {
                    (f64::from(counts[usize::from(*symbol)]) - expected).powi(2) / expected
                };
                let chi: f64 = shape.alphabet().symbols().iter().map(chi).sum();
                assert!(chi < bound, "place {place}: {chi}");
                let drawn: u32 = counts.iter().sum();
                let known = shape.alphabet().symbols().iter();
                let known: u32 = known.map(|symbol| counts[usize::from(*symbol)]).sum();
                assert_eq!(drawn, known, "and nothing else is drawn");
            }
        }
    }

    /// A generator of nothing but 0xFF bytes and then zeros: 250 to 255 would favour 0 to 5.
    #[test]
    fn unfair_bytes_are_drawn_again() {
        struct Fixed(u8);
        impl rand_core::TryRng for Fixed {
            type Error = core::convert::Infallible;
            fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
                Ok(0)
            }
            fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
                Ok(0)
            }
            fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
                bytes.fill(self.0);
                self.0 = self.0.wrapping_sub(1);
                Ok(())
            }
        }
        impl rand_core::TryCryptoRng for Fixed {}
        let code = Code::make(Shape::DIGITS_8, &mut Fixed(255));
        assert_eq!(code.expose(), b"98765432", "249 is the first fair one");
        let code = Code::make(Shape::CROCKFORD_8, &mut Fixed(255));
        assert_eq!(code.expose(), b"ZYXWVTSR", "every byte is fair");
    }

    #[test]
    fn nothing_of_what_was_typed_is_printed() {
        let code = Code::parse("73551928", Shape::DIGITS_8).unwrap();
        assert_eq!(std::format!("{code:?}"), "Code(..)");
        for error in [Mistyped::Symbol, Mistyped::TooLong, Mistyped::TooShort { missing: 3 }] {
            assert!(!error.to_string().is_empty());
        }
    }
}
