//! The holder's key: what a phone keeps in its hardware. It can be asked for its public half and to sign, and
//! for nothing else; the private half leaves this module only into the sealed file.

use crate::text::{base64url, from_base64url};
use doorstep::cose::keys::{IssuerKey, Signer, SoftwareKey};
use doorstep::pass::claims;
use doorstep::secret::Secret;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// What kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Algorithm {
    /// ECDSA on P-256 with SHA-256: what the hardware of phones has
    P256,
    /// Ed25519
    Ed25519,
}

/// The holder's key.
#[derive(Clone, Deserialize, Serialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub(crate) struct HolderKey(Private);

#[derive(Clone)]
enum Private {
    P256(SoftwareKey),
    Ed25519(Secret<32>),
}

impl HolderKey {
    /// Draws a key.
    pub(crate) fn make(algorithm: Algorithm, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        Self(match algorithm {
            Algorithm::P256 => Private::P256(SoftwareKey::make(rng)),
            Algorithm::Ed25519 => Private::Ed25519(Secret::make(rng)),
        })
    }

    /// The public half.
    pub(crate) fn public(&self) -> claims::HolderKey {
        claims::HolderKey::of(&match &self.0 {
            Private::P256(key) => Signer::P256(key.public()),
            Private::Ed25519(seed) => Signer::Ed25519(IssuerKey::from_seed(seed).public()),
        })
    }

    /// Signs.
    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        match &self.0 {
            Private::P256(key) => key.sign(message),
            Private::Ed25519(seed) => IssuerKey::from_seed(seed).sign(message),
        }
    }
}

/// A holder's public key as people and the service write it.
pub(crate) fn text(key: &claims::HolderKey) -> String {
    match key {
        claims::HolderKey::P256(point) => format!("p256:{}", base64url(point)),
        claims::HolderKey::Ed25519(key) => format!("ed25519:{}", base64url(key)),
    }
}

/// Reads a holder's public key.
pub(super) fn parse(text: &str) -> Option<claims::HolderKey> {
    let (algorithm, key) = text.split_once(':')?;
    let key = from_base64url(key).ok()?;
    match algorithm {
        "p256" => key.try_into().ok().map(claims::HolderKey::P256),
        "ed25519" => key.try_into().ok().map(claims::HolderKey::Ed25519),
        _ => None,
    }
}

/// The private half as it is sealed: base64url of 32 bytes.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Stored {
    P256(Zeroizing<String>),
    Ed25519(Zeroizing<String>),
}

impl From<HolderKey> for Stored {
    fn from(key: HolderKey) -> Self {
        let write = |secret: &Secret<32>| Zeroizing::new(base64url(secret.expose()));
        match key.0 {
            Private::P256(key) => Self::P256(write(&key.secret())),
            Private::Ed25519(seed) => Self::Ed25519(write(&seed)),
        }
    }
}

impl TryFrom<Stored> for HolderKey {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let read = |text: &str| {
            let bytes = from_base64url(text).ok().map(Zeroizing::new)?;
            Some(Secret::from_bytes(*bytes.first_chunk::<32>().filter(|_| bytes.len() == 32)?))
        };
        let private = match stored {
            Stored::P256(text) => read(&text)
                .and_then(|secret| SoftwareKey::from_secret(&secret).ok())
                .map(Private::P256),
            Stored::Ed25519(text) => read(&text).map(Private::Ed25519),
        };
        private.map(Self).ok_or("not a key")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    #[test]
    fn a_key_is_the_same_when_it_was_stored_and_proves_its_public_half() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for (algorithm, prefix, length) in
            [(Algorithm::P256, "p256:", 44), (Algorithm::Ed25519, "ed25519:", 43)]
        {
            let key = HolderKey::make(algorithm, &mut rng);
            let stored = serde_json::to_string(&key).unwrap();
            let read: HolderKey = serde_json::from_str(&stored).unwrap();
            assert_eq!(read.public(), key.public());
            let signer = key.public().signer().unwrap();
            assert_eq!(signer.verify(&[b"message"], &read.sign(b"message")), Ok(()));
            assert!(signer.verify(&[b"another"], &read.sign(b"message")).is_err());
            let text = text(&key.public());
            assert_eq!(parse(&text), Some(key.public()));
            assert!(text.starts_with(prefix) && text.len() == prefix.len() + length, "{text}");
        }
    }

    #[test]
    fn what_is_no_key_is_not_read_as_one() {
        let zero = "A".repeat(43);
        for bad in [
            format!(r#"{{"p256":"{zero}"}}"#),
            r#"{"p256":"AAAA"}"#.to_owned(),
            r#"{"ed25519":""}"#.to_owned(),
            format!(r#"{{"ed25519":"{zero}AAAA"}}"#),
            format!(r#"{{"rsa":"{zero}"}}"#),
            r#"{"p256":"???"}"#.to_owned(),
        ] {
            assert!(serde_json::from_str::<HolderKey>(&bad).is_err(), "{bad}");
        }
    }
}
