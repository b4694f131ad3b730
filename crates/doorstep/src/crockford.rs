//! 128 bits as people and links carry them: 26 symbols of Crockford's base 32.

/// The symbols by value: digits and letters without I, L, O and U.
pub const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Symbols that 128 bits take; the first of them is `0` to `7`.
pub const LENGTH: usize = 26;

/// The value as ASCII, most significant symbol first.
#[must_use]
pub fn encode(value: u128) -> [u8; LENGTH] {
    let mut text = [b'0'; LENGTH];
    let mut rest = value;
    for place in text.iter_mut().rev() {
        let symbol = usize::try_from(rest & 31).ok().and_then(|index| SYMBOLS.get(index));
        *place = symbol.copied().unwrap_or(b'0');
        rest >>= 5_u32;
    }
    text
}

/// Reads exactly what [`encode`] writes; `None` for any other text, lower case included.
#[must_use]
pub fn decode(text: &str) -> Option<u128> {
    if text.len() != LENGTH {
        return None;
    }
    text.bytes().try_fold(0_u128, |value, symbol| {
        let digit = SYMBOLS.iter().position(|known| *known == symbol)?;
        value.checked_mul(32)?.checked_add(u128::try_from(digit).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_one_text() {
        for value in [0, 1, 31, 32, u128::MAX, u128::MAX - 1, 1 << 127] {
            let text = encode(value);
            assert_eq!(decode(core::str::from_utf8(&text).unwrap()), Some(value));
        }
        assert_eq!(&encode(u128::MAX), b"7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
        for bad in [
            "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            "7zzzzzzzzzzzzzzzzzzzzzzzzz",
            "0000000000000000000000000",
            "000000000000000000000000000",
            "0000000000000000000000000I",
            "0000000000000000000000000é",
            "",
        ] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
