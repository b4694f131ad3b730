//! Bytes as lower-case hexadecimal text, for key files.

use zeroize::Zeroizing;

pub(crate) fn encode(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Reads exactly `N` bytes of lower- or upper-case hexadecimal.
pub(crate) fn decode<const N: usize>(text: &str) -> Option<Zeroizing<[u8; N]>> {
    let digits = text.as_bytes();
    let mut bytes = Zeroizing::new([0; N]);
    if digits.len() != N.checked_mul(2)? {
        return None;
    }
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|v| u8::try_from(v).ok());
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = value(*high)? << 4 | value(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_nothing_else() {
        assert_eq!(encode(&[0, 0x9F, 0xFF]), "009fff");
        assert_eq!(*decode::<3>("009FfF").unwrap(), [0, 0x9F, 0xFF]);
        assert!(decode::<3>("009ff").is_none());
        assert!(decode::<3>("009fff0").is_none());
        assert!(decode::<3>("00 9ff").is_none());
        assert!(decode::<3>("00９f").is_none());
    }
}
