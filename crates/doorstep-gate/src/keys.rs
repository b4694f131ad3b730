//! The gate's one key, kept apart from the state file: who copies the state alone learns no secret
//! and makes no session.

use doorstep::secret::Secret;
use doorstep_files::seal::SealKey;
use doorstep_files::{FileError, private};
use hkdf::Hkdf;
use rand_core::CryptoRng;
use sha2::Sha256;
use std::fmt::Write as _;
use std::path::Path;
use zeroize::Zeroizing;

/// What is derived from the key file, each for one use.
pub(crate) struct Keys {
    /// Seals the secrets in the state file.
    pub(crate) seal: SealKey,
    /// What recovery codes are hashed under.
    pub(crate) pepper: Secret<32>,
    /// What the decoys for names that nobody has are made of.
    pub(crate) decoy: Secret<32>,
    /// Signs session cookies.
    pub(crate) session: Secret<32>,
    /// Ties forms to browsers.
    pub(crate) form: Secret<32>,
    /// Says which key this is, and gives nothing away.
    pub(crate) check: [u8; 32],
}

impl Keys {
    /// Draws a key and writes it to a file that must not exist.
    pub(crate) fn create(
        path: &Path,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Self, FileError> {
        let master = Secret::make(rng);
        let mut text = Zeroizing::new(String::new());
        for byte in master.expose() {
            // Writing to a text never fails.
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
        private::create(path, text.as_bytes())?;
        Ok(Self::derive(&master))
    }

    /// Reads the key file.
    pub(crate) fn open(path: &Path) -> Result<Self, FileError> {
        let text = private::read_secret(path)?;
        let digit =
            |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let mut master = Zeroizing::new([0; 32]);
        let whole = text.len() == 64
            && master.iter_mut().zip(text.as_bytes().chunks_exact(2)).all(|(byte, pair)| {
                let [high, low] = pair else { return false };
                let value = digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low);
                *byte = value.unwrap_or_default();
                value.is_some()
            });
        if !whole {
            return Err(FileError::Damaged {
                path: path.to_owned(),
                what: "it does not hold a key of 32 bytes in hexadecimal".to_owned(),
            });
        }
        Ok(Self::derive(&Secret::from_bytes(*master)))
    }

    fn derive(master: &Secret<32>) -> Self {
        let hkdf = Hkdf::<Sha256>::new(None, master.expose());
        let derive = |info: &str| {
            let mut key = Zeroizing::new([0; 32]);
            // Never fails: HKDF-SHA256 gives up to 8,160 bytes.
            let _ = hkdf.expand(info.as_bytes(), key.as_mut());
            Secret::from_bytes(*key)
        };
        Self {
            seal: SealKey::new(derive("doorstep/gate/seal/v1").expose()),
            pepper: derive("doorstep/gate/pepper/v1"),
            decoy: derive("doorstep/gate/decoy/v1"),
            session: derive("doorstep/gate/session/v1"),
            form: derive("doorstep/gate/form/v1"),
            check: *derive("doorstep/gate/check/v1").expose(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    #[test]
    fn a_key_reads_back_and_half_a_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let made = Keys::create(&path, &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
        assert_eq!(Keys::open(&path).unwrap().check, made.check);
        let text = std::fs::read_to_string(&path).unwrap();
        for bad in [&text[..62], &text.replace(|c: char| c.is_ascii_digit(), "x"), "", "00"] {
            private::write(&path, bad.as_bytes()).unwrap();
            assert!(matches!(Keys::open(&path), Err(FileError::Damaged { .. })), "{}", bad.len());
        }
    }
}
