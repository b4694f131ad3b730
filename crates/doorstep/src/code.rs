//! What a person types: normalised once, compared in constant time, never printed by accident.

use core::fmt;
use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The longest code in symbols.
pub const MAX_CODE_LENGTH: usize = 10;

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
            Self::Crockford => b"0123456789ABCDEFGHJKMNPQRSTVWXYZ",
        }
    }

    fn canonical(self, typed: u8) -> Option<u8> {
        let symbol = match (self, typed.to_ascii_uppercase()) {
            (Self::Crockford, b'O') => b'0',
            (Self::Crockford, b'I' | b'L') => b'1',
            (_, upper) => upper,
        };
        self.symbols().contains(&symbol).then_some(symbol)
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
    pub const DIGITS_8: Self = Self {
        alphabet: Alphabet::Digits,
        length: 8,
    };
    /// Ten digits.
    pub const DIGITS_10: Self = Self {
        alphabet: Alphabet::Digits,
        length: 10,
    };
    /// Eight Crockford symbols.
    pub const CROCKFORD_8: Self = Self {
        alphabet: Alphabet::Crockford,
        length: 8,
    };

    /// A shape of 4 to [`MAX_CODE_LENGTH`] symbols; `None` for other lengths.
    #[must_use]
    pub fn new(alphabet: Alphabet, length: u8) -> Option<Self> {
        (4..=MAX_CODE_LENGTH)
            .contains(&usize::from(length))
            .then_some(Self { alphabet, length })
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
        // At most 32^10 = 2^50.
        u64::from(self.alphabet.size()).saturating_pow(u32::from(self.length))
    }
}

/// A code in canonical form: upper-case ASCII symbols of its [`Shape`], leading zeros kept.
#[derive(Clone)]
pub struct Code {
    symbols: [u8; MAX_CODE_LENGTH],
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
        if typed.len() > MAX_INPUT_LENGTH {
            return Err(Mistyped::TooLong);
        }
        let mut symbols = [0; MAX_CODE_LENGTH];
        let mut count: u8 = 0;
        for byte in typed.bytes().filter(|b| !matches!(b, b' ' | b'-')) {
            let symbol = shape.alphabet.canonical(byte).ok_or(Mistyped::Symbol)?;
            if count == shape.length {
                return Err(Mistyped::TooLong);
            }
            if let Some(place) = symbols.get_mut(usize::from(count)) {
                *place = symbol;
            }
            count = count.saturating_add(1);
        }
        if count < shape.length {
            return Err(Mistyped::TooShort {
                missing: shape.length.saturating_sub(count),
            });
        }
        Ok(Self { symbols, shape })
    }

    /// Draws a code, each one equally likely.
    pub fn make(shape: Shape, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let alphabet = shape.alphabet.symbols();
        let size = u32::from(shape.alphabet.size());
        // Bytes at or above the largest multiple of the size would make some symbols likelier.
        let fair = 256_u32.saturating_sub(256_u32.checked_rem(size).unwrap_or(0));
        let mut symbols = [0; MAX_CODE_LENGTH];
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

    /// The code's shape.
    #[must_use]
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// The canonical symbols, for a keyed hash or for the message to the holder; never for a log.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.symbols
            .get(..usize::from(self.shape.length))
            .unwrap_or_default()
    }

    /// Writes the code in two groups, as people read it aloud: `4829 1635`.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_grouped(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let half = usize::from(self.shape.length).div_ceil(2);
        for (index, symbol) in self.expose().iter().enumerate() {
            if index == half {
                out.write_char(' ')?;
            }
            out.write_char(char::from(*symbol))?;
        }
        Ok(())
    }
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
