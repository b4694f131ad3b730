//! Presentations as text: `DP1:` and base45 (RFC 9285), whose characters take few modules in a QR code.

use super::document::Malformed;
use super::presented::MAX_PRESENTED;
use crate::bytes::Short;
use core::fmt;

/// How the text begins.
pub const PREFIX: &str = "DP1:";

const DIGITS: &[u8; 45] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";

/// Writes a presentation as text.
///
/// # Errors
/// Those of `out`.
pub fn write(presented: &[u8], out: &mut impl fmt::Write) -> fmt::Result {
    out.write_str(PREFIX)?;
    for pair in presented.chunks(2) {
        let (mut number, digits) = match *pair {
            [high, low] => (u16::from_be_bytes([high, low]), 3),
            [low] => (u16::from(low), 2),
            _ => (0, 0),
        };
        for _ in 0..digits {
            let digit = DIGITS.get(usize::from(number % 45)).unwrap_or(&b'0');
            out.write_char(char::from(*digit))?;
            number /= 45;
        }
    }
    Ok(())
}

/// Reads a presentation from its text. White space around it is not taken off: a space is a digit.
///
/// # Errors
/// [`Malformed`] for any other text.
pub fn read(text: &str) -> Result<Short<MAX_PRESENTED>, Malformed> {
    let body = text.strip_prefix(PREFIX).ok_or(Malformed("prefix"))?;
    let mut bytes = Short::EMPTY;
    for digits in body.as_bytes().chunks(3) {
        let mut number = 0_u32;
        for digit in digits.iter().rev() {
            let value = DIGITS.iter().position(|known| known == digit);
            let value = value.and_then(|value| u32::try_from(value).ok());
            number = number.saturating_mul(45).saturating_add(value.ok_or(Malformed("base45"))?);
        }
        let added = match digits.len() {
            3 => u16::try_from(number).ok().map(|pair| bytes.push(&pair.to_be_bytes())),
            2 => u8::try_from(number).ok().map(|last| bytes.push(&[last])),
            _ => None,
        };
        added.ok_or(Malformed("base45"))?.ok_or(Malformed("length"))?;
    }
    Ok(bytes)
}
