//! OCRA suites (RFC 6287 section 6): the text that says what goes into a response.

use crate::otp::{Algorithm, Digits};
use core::fmt;
use core::num::NonZeroU64;

/// The longest suite in bytes; the longest that the RFC allows has 48.
const MAX_SUITE_LENGTH: usize = 56;

/// The symbols that a challenge is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `A`: ASCII letters and digits.
    Alphanumeric,
    /// `N`: decimal digits.
    Numeric,
    /// `H`: hexadecimal digits.
    Hexadecimal,
}

/// A suite such as `OCRA-1:HOTP-SHA256-8:C-QN08-PSHA1`. Its text is hashed as it was written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Suite {
    text: [u8; MAX_SUITE_LENGTH],
    length: u8,
    algorithm: Algorithm,
    digits: Option<Digits>,
    counter: bool,
    format: Format,
    challenge_length: u8,
    pin: Option<Algorithm>,
    session: Option<u16>,
    period: Option<NonZeroU64>,
}

/// Why a text is no suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadSuite {
    /// It does not begin with `OCRA-1:`.
    Version,
    /// The middle part is not `HOTP-SHA1-n`, `HOTP-SHA256-n` or `HOTP-SHA512-n`.
    Function,
    /// A number of digits that is neither 0 nor 4 to 10.
    Digits,
    /// No challenge, which every suite has: `QN08` and the like, 04 to 64.
    Challenge,
    /// The PIN's hash is none of the three.
    Pin,
    /// A session length that is not 001 to 512.
    Session,
    /// A time step that is not 1 to 59 `S` or `M`, or 1 to 48 `H`.
    Time,
    /// Something unknown, given twice, or not in the order C, Q, P, S, T.
    Order,
}

impl fmt::Display for BadSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "an OCRA suite begins with OCRA-1:",
            Self::Function => "the suite's function is not HOTP-SHA1, HOTP-SHA256 or HOTP-SHA512",
            Self::Digits => "the suite's digits are not 0 or 4 to 10",
            Self::Challenge => "the suite's challenge is not QA, QN or QH with 04 to 64",
            Self::Pin => "the suite's PIN hash is not PSHA1, PSHA256 or PSHA512",
            Self::Session => "the suite's session is not S001 to S512",
            Self::Time => "the suite's time step is not T1S to T59S, T1M to T59M or T1H to T48H",
            Self::Order => "the suite's inputs are not in the order C, Q, P, S, T",
        })
    }
}

impl core::error::Error for BadSuite {}

impl Suite {
    /// Reads a suite strictly: upper case, each input at most once and in its order. An input may
    /// stand without its argument, as the RFC has defaults: `QN08`, `PSHA1`, `S064`, `T1M`.
    ///
    /// # Errors
    /// [`BadSuite`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, BadSuite> {
        let rest = text.strip_prefix("OCRA-1:").ok_or(BadSuite::Version)?;
        let (function, inputs) = rest.split_once(':').ok_or(BadSuite::Function)?;
        let function = function.strip_prefix("HOTP-").ok_or(BadSuite::Function)?;
        let (hash, digits) = function.split_once('-').ok_or(BadSuite::Function)?;
        let algorithm = algorithm(hash).ok_or(BadSuite::Function)?;
        let digits = match digits {
            "0" => None,
            _ => {
                let digits = number(digits).and_then(|digits| u8::try_from(digits).ok());
                Some(digits.and_then(Digits::for_ocra).ok_or(BadSuite::Digits)?)
            }
        };
        let mut inputs = inputs.split('-').peekable();
        let counter = inputs.next_if_eq(&"C").is_some();
        let challenge = inputs.next().and_then(|input| input.strip_prefix('Q'));
        let (format, challenge_length) = challenge_of(challenge.ok_or(BadSuite::Challenge)?)?;
        let mut argument = |letter: char| {
            let found = inputs.peek().and_then(|input| input.strip_prefix(letter));
            found.inspect(|_| {
                inputs.next();
            })
        };
        let pin = match argument('P') {
            None => None,
            Some("") => Some(Algorithm::Sha1),
            Some(hash) => Some(self::algorithm(hash).ok_or(BadSuite::Pin)?),
        };
        let session = match argument('S') {
            None => None,
            Some("") => Some(64),
            Some(length) => Some(session_of(length)?),
        };
        let period = match argument('T') {
            None => None,
            Some("") => NonZeroU64::new(60),
            Some(step) => Some(period_of(step)?),
        };
        if inputs.next().is_some() {
            return Err(BadSuite::Order);
        }
        let mut bytes = [0; MAX_SUITE_LENGTH];
        let length = u8::try_from(text.len()).map_err(|_| BadSuite::Order)?;
        bytes.get_mut(..text.len()).ok_or(BadSuite::Order)?.copy_from_slice(text.as_bytes());
        Ok(Self {
            text: bytes,
            length,
            algorithm,
            digits,
            counter,
            format,
            challenge_length,
            pin,
            session,
            period,
        })
    }

    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.text.get(..usize::from(self.length)).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }

    /// The hash under the HMAC.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Digits of a response; `None` when the whole HMAC is the response.
    #[must_use]
    pub const fn digits(&self) -> Option<Digits> {
        self.digits
    }

    /// Whether a counter goes in.
    #[must_use]
    pub const fn has_counter(&self) -> bool {
        self.counter
    }

    /// The symbols of a challenge.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The most symbols a challenge has: 4 to 64, of one party.
    #[must_use]
    pub const fn challenge_length(&self) -> u8 {
        self.challenge_length
    }

    /// The hash of the PIN, when one goes in.
    #[must_use]
    pub const fn pin(&self) -> Option<Algorithm> {
        self.pin
    }

    /// Bytes of the session's information, when it goes in: 1 to 512.
    #[must_use]
    pub const fn session(&self) -> Option<u16> {
        self.session
    }

    /// Seconds of a time step, when the time goes in.
    #[must_use]
    pub const fn period(&self) -> Option<NonZeroU64> {
        self.period
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn algorithm(name: &str) -> Option<Algorithm> {
    Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name)
}

/// A decimal number without sign or leading zeros.
fn number(text: &str) -> Option<u64> {
    (text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0'))
        .then(|| text.parse().ok())?
}

fn challenge_of(argument: &str) -> Result<(Format, u8), BadSuite> {
    if argument.is_empty() {
        return Ok((Format::Numeric, 8));
    }
    let (format, length) = argument.split_at_checked(1).ok_or(BadSuite::Challenge)?;
    let format = match format {
        "A" => Format::Alphanumeric,
        "N" => Format::Numeric,
        "H" => Format::Hexadecimal,
        _ => return Err(BadSuite::Challenge),
    };
    let length = padded(length, 2).and_then(|length| u8::try_from(length).ok());
    let length = length.filter(|length| (4..=64).contains(length)).ok_or(BadSuite::Challenge)?;
    Ok((format, length))
}

fn session_of(argument: &str) -> Result<u16, BadSuite> {
    let length = padded(argument, 3).filter(|length| (1..=512).contains(length));
    length.ok_or(BadSuite::Session)
}

/// A decimal number of exactly `width` digits.
fn padded(text: &str, width: usize) -> Option<u16> {
    (text.len() == width && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())?
}

fn period_of(argument: &str) -> Result<NonZeroU64, BadSuite> {
    let split = argument.len().checked_sub(1).and_then(|at| argument.split_at_checked(at));
    let (count, unit) = split.ok_or(BadSuite::Time)?;
    let count = number(count).ok_or(BadSuite::Time)?;
    let (most, seconds) = match unit {
        "S" => (59, 1),
        "M" => (59, 60),
        "H" => (48, 3600),
        _ => return Err(BadSuite::Time),
    };
    let period = if count <= most { count.checked_mul(seconds) } else { None };
    period.and_then(NonZeroU64::new).ok_or(BadSuite::Time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_field_is_read() {
        let suite = Suite::parse("OCRA-1:HOTP-SHA512-10:C-QA64-PSHA256-S512-T48H").unwrap();
        assert_eq!(suite.algorithm(), Algorithm::Sha512);
        assert_eq!(suite.digits().map(Digits::get), Some(10));
        assert!(suite.has_counter());
        assert_eq!((suite.format(), suite.challenge_length()), (Format::Alphanumeric, 64));
        assert_eq!((suite.pin(), suite.session()), (Some(Algorithm::Sha256), Some(512)));
        assert_eq!(suite.period().map(NonZeroU64::get), Some(48 * 3600));
        assert_eq!(suite.as_str(), "OCRA-1:HOTP-SHA512-10:C-QA64-PSHA256-S512-T48H");
        let suite = Suite::parse("OCRA-1:HOTP-SHA1-0:Q-P-S-T").unwrap();
        assert_eq!((suite.digits(), suite.challenge_length()), (None, 8));
        assert_eq!((suite.pin(), suite.session()), (Some(Algorithm::Sha1), Some(64)));
        assert_eq!(suite.period().map(NonZeroU64::get), Some(60));
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        let head = "OCRA-1:HOTP-SHA1-6:";
        for (text, why) in [
            ("", BadSuite::Version),
            ("OCRA-2:HOTP-SHA1-6:QN08", BadSuite::Version),
            ("ocra-1:HOTP-SHA1-6:QN08", BadSuite::Version),
            ("OCRA-1:", BadSuite::Function),
            ("OCRA-1:HOTP-SHA1-6", BadSuite::Function),
            ("OCRA-1:TOTP-SHA1-6:QN08", BadSuite::Function),
            ("OCRA-1:HOTP-MD5-6:QN08", BadSuite::Function),
            ("OCRA-1:HOTP-sha1-6:QN08", BadSuite::Function),
            ("OCRA-1:HOTP-SHA-1-6:QN08", BadSuite::Function),
            ("OCRA-1:HOTP-SHA1-:QN08", BadSuite::Digits),
            ("OCRA-1:HOTP-SHA1-3:QN08", BadSuite::Digits),
            ("OCRA-1:HOTP-SHA1-11:QN08", BadSuite::Digits),
            ("OCRA-1:HOTP-SHA1-06:QN08", BadSuite::Digits),
            ("OCRA-1:HOTP-SHA1-00:QN08", BadSuite::Digits),
            ("OCRA-1:HOTP-SHA1-+6:QN08", BadSuite::Digits),
            ("OCRA-1:HOTP-SHA1-256:QN08", BadSuite::Digits),
            ("OCRA-1:HOTP-SHA1-6:", BadSuite::Challenge),
            ("OCRA-1:HOTP-SHA1-6:C", BadSuite::Challenge),
            ("OCRA-1:HOTP-SHA1-6:QN03", BadSuite::Challenge),
            ("OCRA-1:HOTP-SHA1-6:QN65", BadSuite::Challenge),
            ("OCRA-1:HOTP-SHA1-6:QN8", BadSuite::Challenge),
            ("OCRA-1:HOTP-SHA1-6:QN008", BadSuite::Challenge),
            ("OCRA-1:HOTP-SHA1-6:QX08", BadSuite::Challenge),
            ("OCRA-1:HOTP-SHA1-6:Q\u{e9}08", BadSuite::Challenge),
            ("OCRA-1:HOTP-SHA1-6:QN08-PMD5", BadSuite::Pin),
            ("OCRA-1:HOTP-SHA1-6:QN08-PSHA-1", BadSuite::Pin),
            ("OCRA-1:HOTP-SHA1-6:QN08-S000", BadSuite::Session),
            ("OCRA-1:HOTP-SHA1-6:QN08-S513", BadSuite::Session),
            ("OCRA-1:HOTP-SHA1-6:QN08-S64", BadSuite::Session),
            ("OCRA-1:HOTP-SHA1-6:QN08-T0S", BadSuite::Time),
            ("OCRA-1:HOTP-SHA1-6:QN08-T60S", BadSuite::Time),
            ("OCRA-1:HOTP-SHA1-6:QN08-T0H", BadSuite::Time),
            ("OCRA-1:HOTP-SHA1-6:QN08-T49H", BadSuite::Time),
            ("OCRA-1:HOTP-SHA1-6:QN08-T01M", BadSuite::Time),
            ("OCRA-1:HOTP-SHA1-6:QN08-TM", BadSuite::Time),
            ("OCRA-1:HOTP-SHA1-6:QN08-T1\u{e9}", BadSuite::Time),
            ("OCRA-1:HOTP-SHA1-6:QN08-T1D", BadSuite::Time),
            ("OCRA-1:HOTP-SHA1-6:QN08-C", BadSuite::Order),
            ("OCRA-1:HOTP-SHA1-6:QN08-QN08", BadSuite::Order),
            ("OCRA-1:HOTP-SHA1-6:QN08-T1M-S064", BadSuite::Order),
            ("OCRA-1:HOTP-SHA1-6:QN08-PSHA1-PSHA1", BadSuite::Order),
            ("OCRA-1:HOTP-SHA1-6:QN08-", BadSuite::Order),
            ("OCRA-1:HOTP-SHA1-6:QN08:", BadSuite::Challenge),
        ] {
            assert_eq!(Suite::parse(text).err(), Some(why), "{text}");
        }
        assert!(Suite::parse(&std::format!("{head}QN08")).is_ok());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(OCRA-1:)?(HOTP-)?(SHA1-|SHA512-)?[0-9]{0,3}:?[-CQNAHPSTM0-9é]{0,60}") {
            if let Ok(suite) = Suite::parse(&text) {
                prop_assert_eq!(suite.as_str(), text);
            }
        }
    }
}
