//! Secrets as text: base32 and hex, read as people and programs write them, written one way.

use super::{OtpSecret, SecretBuilder};
use core::fmt;

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Why text is no secret. It says nothing of what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadSecret {
    /// Nothing there.
    Empty,
    /// A character that the encoding does not have; 0, 1, 8 and 9 are never guessed to be letters.
    Character,
    /// No number of whole bytes has this many characters.
    Length,
    /// More than [`MAX_SECRET_LENGTH`](super::MAX_SECRET_LENGTH) bytes.
    TooLong,
}

impl BadSecret {
    /// What to do about it.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Empty => "give the secret that the service showed at enrolment",
            Self::Character => {
                "base32 has the letters A to Z and the digits 2 to 7, hex 0 to 9 and A to F"
            }
            Self::Length => "copy the secret again: some of it is missing, or was copied twice",
            Self::TooLong => "a secret has at most 256 bytes",
        }
    }
}

impl fmt::Display for BadSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the secret is empty",
            Self::Character => "a character here is never part of a secret",
            Self::Length => "no secret has this many characters",
            Self::TooLong => "too long for a secret",
        })
    }
}

impl core::error::Error for BadSecret {}

/// A secret that was read, and whether it was written as it should be.
#[derive(Clone, Debug)]
pub struct Base32 {
    /// The secret.
    pub secret: OtpSecret,
    /// Whether its last character carries no stray bits, which another program might refuse.
    pub canonical: bool,
}

/// Whether people put this between groups of characters.
const fn separates(byte: u8) -> bool {
    matches!(byte, b' ' | b'-' | b'\t' | b'\n' | b'\r')
}

/// Reads base32 (RFC 4648): either case, with or without padding, spaces and hyphens between.
///
/// # Errors
/// [`BadSecret`] says what is wrong with it.
pub fn read_base32(text: &str) -> Result<Base32, BadSecret> {
    let mut builder = SecretBuilder::new();
    let canonical = base32_bytes(text, |byte| builder.push(byte))?;
    let secret = builder.finish().ok_or(BadSecret::Empty)?;
    Ok(Base32 { secret, canonical })
}

/// Hands each byte that base32 stands for to `push`, which says `None` when there are too many. Says
/// whether the last character carries no stray bits.
pub(crate) fn base32_bytes(
    text: &str,
    mut push: impl FnMut(u8) -> Option<()>,
) -> Result<bool, BadSecret> {
    let (mut bits, mut held, mut symbols, mut padded) = (0_u32, 0_u8, 0_usize, false);
    for byte in text.bytes().filter(|byte| !separates(*byte)) {
        if byte == b'=' {
            padded = true;
            continue;
        }
        let value = match byte.to_ascii_uppercase() {
            letter @ b'A'..=b'Z' => letter.saturating_sub(b'A'),
            digit @ b'2'..=b'7' => digit.saturating_sub(b'2').saturating_add(26),
            _ => return Err(BadSecret::Character),
        };
        if padded {
            return Err(BadSecret::Character);
        }
        symbols = symbols.saturating_add(1);
        bits = ((bits << 5_u32) | u32::from(value)) & 0xFFFF;
        held = held.saturating_add(5);
        if held >= 8 {
            held = held.saturating_sub(8);
            let whole = bits.checked_shr(u32::from(held)).unwrap_or(0) & 0xFF;
            push(u8::try_from(whole).unwrap_or(0)).ok_or(BadSecret::TooLong)?;
        }
    }
    if symbols == 0 {
        return Err(BadSecret::Empty);
    }
    if matches!(symbols % 8, 1 | 3 | 6) {
        return Err(BadSecret::Length);
    }
    let stray = bits & 1_u32.checked_shl(u32::from(held)).unwrap_or(0).saturating_sub(1);
    Ok(stray == 0)
}

/// Writes base32 in upper case without padding, as `otpauth` wants it: for the enrolment, never
/// for a log.
///
/// # Errors
/// Those of `out`.
pub fn write_base32(secret: &OtpSecret, out: &mut impl fmt::Write) -> fmt::Result {
    write_base32_bytes(secret.expose(), out)
}

pub(crate) fn write_base32_bytes(bytes: &[u8], out: &mut impl fmt::Write) -> fmt::Result {
    for chunk in bytes.chunks(5) {
        let mut bits = 0_u64;
        for index in 0..5 {
            bits = (bits << 8_u32) | u64::from(chunk.get(index).copied().unwrap_or(0));
        }
        let symbols = chunk.len().saturating_mul(8).div_ceil(5);
        for index in 0..symbols {
            let shift = u32::try_from(index).unwrap_or(0).saturating_mul(5);
            let value = bits.checked_shr(35_u32.saturating_sub(shift)).unwrap_or(0) & 31;
            let symbol = usize::try_from(value).ok().and_then(|value| BASE32.get(value));
            out.write_char(char::from(symbol.copied().unwrap_or(b'A')))?;
        }
    }
    Ok(())
}

/// Reads hex: either case, spaces, hyphens and colons between the bytes.
///
/// # Errors
/// [`BadSecret`] says what is wrong with it.
pub fn read_hex(text: &str) -> Result<OtpSecret, BadSecret> {
    let mut builder = SecretBuilder::new();
    let mut high = None;
    for byte in text.bytes().filter(|byte| !separates(*byte) && *byte != b':') {
        let value = hex_value(byte).ok_or(BadSecret::Character)?;
        high = match high {
            None => Some(value),
            Some(high) => {
                builder.push(high << 4_u32 | value).ok_or(BadSecret::TooLong)?;
                None
            }
        };
    }
    if high.is_some() {
        return Err(BadSecret::Length);
    }
    builder.finish().ok_or(BadSecret::Empty)
}

/// Writes hex in lower case: for the enrolment, never for a log.
///
/// # Errors
/// Those of `out`.
pub fn write_hex(secret: &OtpSecret, out: &mut impl fmt::Write) -> fmt::Result {
    secret.expose().iter().try_for_each(|byte| write!(out, "{byte:02x}"))
}

pub(crate) const fn hex_value(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte.saturating_sub(b'0')),
        b'a'..=b'f' => Some(byte.saturating_sub(b'a').saturating_add(10)),
        b'A'..=b'F' => Some(byte.saturating_sub(b'A').saturating_add(10)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::String;

    fn base32(bytes: &[u8]) -> String {
        let mut text = String::new();
        write_base32(&OtpSecret::from_bytes(bytes).unwrap(), &mut text).unwrap();
        text
    }

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (bytes, text) in [
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
            let read = read_base32(text).unwrap();
            assert_eq!((read.secret.expose(), read.canonical), (bytes.as_bytes(), true));
        }
    }

    #[test]
    fn spelling_of_a_secret_does_not_matter() {
        for text in ["mzxw6ytboi", " MZXW-6YTB OI\n", "MZXW6YTBOI======", "MZXW6YTBOI="] {
            assert_eq!(read_base32(text).unwrap().secret.expose(), b"foobar", "{text}");
        }
        let stray = read_base32("MZXW6YTBOJ").unwrap();
        assert_eq!((stray.secret.expose(), stray.canonical), (&b"foobar"[..], false));
        for text in ["666f6f", "66:6F:6F", "66 6f-6f"] {
            assert_eq!(read_hex(text).unwrap().expose(), b"foo", "{text}");
        }
    }

    #[test]
    fn what_is_no_secret_is_refused_with_its_reason() {
        let long = "A".repeat(8 * 80);
        for (text, why) in [
            ("", BadSecret::Empty),
            (" - ", BadSecret::Empty),
            ("====", BadSecret::Empty),
            ("A", BadSecret::Length),
            ("MZX", BadSecret::Length),
            ("MZXW6Y", BadSecret::Length),
            ("MZXW6YT8", BadSecret::Character),
            ("MZXW6YT0", BadSecret::Character),
            ("MY======MY", BadSecret::Character),
            ("ＭＹ", BadSecret::Character),
            (&long, BadSecret::TooLong),
        ] {
            assert_eq!(read_base32(text).err(), Some(why), "{text:?}");
        }
        let long = "00".repeat(257);
        for (text, why) in [
            ("", BadSecret::Empty),
            ("666", BadSecret::Length),
            ("0x66", BadSecret::Character),
            ("6g", BadSecret::Character),
            (&long, BadSecret::TooLong),
        ] {
            assert_eq!(read_hex(text).err(), Some(why), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes in proptest::collection::vec(any::<u8>(), 1..=256)) {
            let read = read_base32(&base32(&bytes)).unwrap();
            prop_assert_eq!(read.secret.expose(), &bytes[..]);
            prop_assert!(read.canonical);
            let mut hex = String::new();
            write_hex(&read.secret, &mut hex).unwrap();
            let read = read_hex(&hex).unwrap();
            prop_assert_eq!(read.expose(), &bytes[..]);
        }

        #[test]
        fn no_text_makes_the_readers_panic(text in any::<String>()) {
            let _ = read_base32(&text);
            let _ = read_hex(&text);
        }
    }
}
