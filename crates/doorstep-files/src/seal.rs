//! Secrets that are stored are sealed, each to its own place, so that a leaked database or state
//! file gives none away and no sealed value can be moved to another row.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

const NONCE_LENGTH: usize = 12;

/// Where a sealed value stands; it opens nowhere else.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// What kind of thing it belongs to.
    pub table: &'static str,
    /// Which of its values it is.
    pub column: &'static str,
    /// Which of the things.
    pub row: &'a str,
}

impl Place<'_> {
    fn to_bytes(self) -> Vec<u8> {
        // The first two are names of this program and hold no slash.
        format!("{}/{}/{}", self.table, self.column, self.row).into_bytes()
    }
}

/// Seals and opens stored values with AES-256-GCM.
pub struct SealKey(Aes256Gcm);

impl SealKey {
    /// Takes over the key.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Aes256Gcm::new(key.into()))
    }

    /// Seals `content` for `place`: a random nonce, then the ciphertext with its tag.
    ///
    /// # Errors
    /// [`SealError`] only for content beyond the cipher's 64 GiB.
    pub fn seal(
        &self,
        place: Place<'_>,
        content: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LENGTH];
        rng.fill_bytes(&mut nonce);
        let payload = Payload { msg: content, aad: &place.to_bytes() };
        let ciphertext = self.0.encrypt(&nonce.into(), payload).map_err(|_| SealError)?;
        Ok([nonce.as_slice(), &ciphertext].concat())
    }

    /// Opens what was sealed for `place`.
    ///
    /// # Errors
    /// [`SealError`] when it was sealed elsewhere, under another key, or changed.
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_LENGTH>().ok_or(SealError)?;
        let payload = Payload { msg: ciphertext, aad: &place.to_bytes() };
        self.0.decrypt(&(*nonce).into(), payload).map(Zeroizing::new).map_err(|_| SealError)
    }
}

/// A sealed value that does not open; says nothing of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed value does not open with these keys in this place")]
pub struct SealError;

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    const PLACE: Place<'static> = Place { table: "messages", column: "sealed", row: "dlv_1/1/0" };

    #[test]
    fn opens_in_its_place_only() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let key = SealKey::new(&[1; 32]);
        let sealed = key.seal(PLACE, b"48291635", &mut rng).unwrap();
        assert_eq!(key.open(PLACE, &sealed).unwrap().as_slice(), b"48291635");
        let elsewhere = [
            Place { row: "dlv_1/1/1", ..PLACE },
            Place { column: "provider", ..PLACE },
            Place { table: "generations", ..PLACE },
        ];
        for place in elsewhere {
            assert_eq!(key.open(place, &sealed), Err(SealError), "{place:?}");
        }
        assert_eq!(SealKey::new(&[2; 32]).open(PLACE, &sealed), Err(SealError));
    }

    #[test]
    fn every_change_and_cut_is_seen() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let key = SealKey::new(&[1; 32]);
        let sealed = key.seal(PLACE, b"48291635", &mut rng).unwrap();
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(key.open(PLACE, &changed), Err(SealError));
            assert_eq!(key.open(PLACE, &sealed[..index]), Err(SealError));
        }
    }
}
