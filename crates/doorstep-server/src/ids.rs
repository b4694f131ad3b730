//! Ids that sort by the time they were made and cannot be guessed: 48 bits of milliseconds and 80
//! random ones, as 26 Crockford symbols in lower case behind a prefix that says what they name.

use doorstep::crockford;
use doorstep::time::Timestamp;
use rand_core::CryptoRng;

/// Makes `prefix_` followed by 26 symbols.
pub(crate) fn make_id(prefix: &str, now: Timestamp, rng: &mut (impl CryptoRng + ?Sized)) -> String {
    let mut random = [0; 16];
    rng.fill_bytes(&mut random[..10]);
    let milliseconds = u128::from(now.seconds().saturating_mul(1000)) & 0xFFFF_FFFF_FFFF;
    let value = milliseconds << 80 | u128::from_be_bytes(random) >> 48;
    format!("{prefix}_{}", symbols(value))
}

/// Makes a secret text of `prefix` followed by 26 symbols (128 random bits).
pub(crate) fn make_token(prefix: &str, rng: &mut (impl CryptoRng + ?Sized)) -> String {
    let mut random = [0; 16];
    rng.fill_bytes(&mut random);
    format!("{prefix}{}", symbols(u128::from_be_bytes(random)))
}

/// 26 symbols in lower case.
pub(crate) fn symbols(value: u128) -> String {
    crockford::encode(value).iter().map(|symbol| char::from(symbol.to_ascii_lowercase())).collect()
}

/// Reads back 26 symbols; `None` for any other text and for more than 128 bits.
pub(crate) fn value(text: &str) -> Option<u128> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    crockford::decode(&text.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    #[test]
    fn ids_sort_by_time_and_never_repeat() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let early = make_id("dlv", Timestamp::from_seconds(1_800_000_000), &mut rng);
        let late = make_id("dlv", Timestamp::from_seconds(1_800_000_001), &mut rng);
        let same = make_id("dlv", Timestamp::from_seconds(1_800_000_001), &mut rng);
        assert!(early < late);
        assert_ne!(late, same);
        assert_eq!(early.len(), 30);
        assert_eq!(late[..14], same[..14], "the time part");
        assert!(doorstep::id::DeliveryId::parse(&early).is_ok());
    }

    #[test]
    fn symbols_read_back() {
        for number in [0, 1, u128::MAX, u128::MAX / 3] {
            assert_eq!(value(&symbols(number)), Some(number));
        }
        assert_eq!(value(&"z".repeat(26)), None, "130 bits");
        assert_eq!(value(&"u".repeat(26)), None, "no symbol");
    }
}
