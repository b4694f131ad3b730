//! The public key of a pass's holder as text: `ed25519:` or `p256:`, and its bytes in base64url.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorstep::pass::claims::HolderKey;

/// Writes a key.
#[must_use]
pub fn write(key: &HolderKey) -> String {
    match key {
        HolderKey::Ed25519(bytes) => format!("ed25519:{}", URL_SAFE_NO_PAD.encode(bytes)),
        HolderKey::P256(bytes) => format!("p256:{}", URL_SAFE_NO_PAD.encode(bytes)),
    }
}

/// Reads a key; `None` for anything that no signature can be verified with.
#[must_use]
pub fn read(text: &str) -> Option<HolderKey> {
    let (kind, bytes) = text.split_once(':')?;
    // The longest is 33 bytes.
    let bytes = (bytes.len() <= 44).then(|| URL_SAFE_NO_PAD.decode(bytes).ok()).flatten()?;
    let key = match kind {
        "ed25519" => HolderKey::Ed25519(bytes.try_into().ok()?),
        "p256" => HolderKey::P256(bytes.try_into().ok()?),
        _ => return None,
    };
    key.signer().map(|_| key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorstep::cose::keys::{IssuerKey, Signer, SoftwareKey};
    use doorstep::secret::Secret;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    #[test]
    fn reads_what_it_writes_and_nothing_else() {
        let p256 = SoftwareKey::make(&mut ChaCha20Rng::seed_from_u64(1)).public();
        let ed25519 = IssuerKey::from_seed(&Secret::from_bytes([1; 32])).public();
        for key in [Signer::P256(p256), Signer::Ed25519(ed25519)] {
            let key = HolderKey::of(&key);
            let text = write(&key);
            assert_eq!(read(&text), Some(key));
            assert_eq!(read(&format!("{text}=")), None);
            assert_eq!(read(&text[..text.len() - 2]), None, "cut");
            assert_eq!(read(&text.to_uppercase()), None);
            assert_eq!(read(text.split_once(':').unwrap().1), None, "of no kind");
        }
        let other = write(&HolderKey::P256(p256.to_bytes())).replace("p256", "ed25519");
        assert_eq!(read(&other), None, "of the other kind");
        assert_eq!(read(&write(&HolderKey::P256([5; 33]))), None, "no point of the curve");
        let mut neutral = [0; 32];
        neutral[0] = 1;
        assert_eq!(read(&write(&HolderKey::Ed25519(neutral))), None, "everybody's key");
        assert_eq!(read(""), None);
    }
}
