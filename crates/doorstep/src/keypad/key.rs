//! The keys of a lock. Opening one lock yields its own root, and so nothing that opens another.

use super::tuple::{BLOCK, Tuple, Word};
use crate::id::LockId;
use crate::secret::Secret;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What a lock is provisioned with, for as long as its generation lasts.
#[derive(Clone, Debug)]
pub struct RootKey(Secret<32>);

impl RootKey {
    /// Derives the root of a lock from the site's key: HKDF-SHA-256 without salt, info
    /// `"doorstep/lock-root/v1" || u8 length || lock id || u32 generation`. Whoever opened a lock
    /// has its root; a new generation of the lock gets another.
    #[must_use]
    pub fn derive(site: &Secret<32>, lock: &LockId, generation: u32) -> Self {
        let id = lock.as_str().as_bytes();
        let length = u8::try_from(id.len()).unwrap_or(u8::MAX).to_be_bytes();
        let info = [b"doorstep/lock-root/v1", &length[..], id, &generation.to_be_bytes()];
        Self(expand(site, &info))
    }

    /// A root as it was provisioned.
    #[must_use]
    pub const fn from_secret(root: Secret<32>) -> Self {
        Self(root)
    }

    /// The root, for the provisioning bundle and sealed storage; never for a log.
    #[must_use]
    pub const fn secret(&self) -> &Secret<32> {
        &self.0
    }

    /// The key of PINs in an epoch.
    #[must_use]
    pub fn pins(&self, epoch: u32) -> PinKey {
        PinKey(keyed(&expand(&self.0, &[b"kp1-pin", &epoch.to_be_bytes()])))
    }

    /// The key of passes under a MAC (DP1) in an epoch.
    #[cfg(feature = "pass")]
    #[must_use]
    pub fn passes(&self, epoch: u32) -> crate::pass::key::PassKey {
        crate::pass::key::PassKey(keyed(&expand(&self.0, &[b"dp1-mac", &epoch.to_be_bytes()])))
    }

    /// The key of encrypted passes (DP1) in an epoch.
    #[cfg(feature = "encrypt")]
    #[must_use]
    pub fn encryption(&self, epoch: u32) -> crate::pass::key::EncryptionKey {
        let key = expand(&self.0, &[b"dp1-encrypt", &epoch.to_be_bytes()]);
        crate::pass::key::EncryptionKey(key)
    }

    /// The key of challenges that are counted (DP1). It has no epoch: a lock counts its starts for ever.
    #[cfg(feature = "pass")]
    pub(crate) fn challenges(&self) -> Hmac<Sha256> {
        keyed(&expand(&self.0, &[b"dp1-nonce"]))
    }

    /// The key under which the lock's journal goes home.
    #[cfg(feature = "otp")]
    pub(crate) fn journal(&self) -> Hmac<Sha256> {
        keyed(&expand(&self.0, &[b"kp1-journal"]))
    }

    /// The key under which a journal is sealed, so that whoever carries it cannot read it.
    #[cfg(all(feature = "otp", feature = "encrypt"))]
    pub(crate) fn journal_seal(&self) -> aes_gcm::Aes256Gcm {
        let key = expand(&self.0, &[b"kp1-journal-seal"]);
        KeyInit::new(&(*key.expose()).into())
    }

    /// The key of control codes in an epoch.
    #[must_use]
    pub fn control(&self, epoch: u32) -> ControlKey {
        ControlKey(keyed(&expand(&self.0, &[b"kp1-control", &epoch.to_be_bytes()])))
    }
}

fn expand(key: &Secret<32>, info: &[&[u8]]) -> Secret<32> {
    let mut out = [0; 32];
    // 32 bytes are one block, which HKDF never refuses.
    let _ = Hkdf::<Sha256>::new(None, key.expose()).expand_multi_info(info, &mut out);
    Secret::from_bytes(out)
}

pub(crate) fn keyed(key: &Secret<32>) -> Hmac<Sha256> {
    let mut block = [0; 64];
    for (place, byte) in block.iter_mut().zip(key.expose()) {
        *place = *byte;
    }
    // HMAC fills keys with zeros itself; a whole block cannot be refused.
    Hmac::new(&block.into())
}

/// Makes the words of tuples in one epoch.
#[derive(Clone)]
pub struct PinKey(Hmac<Sha256>);

impl PinKey {
    /// The four words of a block: lanes `4 * block` to `4 * block + 3`.
    pub(crate) fn block(&self, tuple: &Tuple, block: u8) -> [Word; BLOCK] {
        let mut mac = self.0.clone();
        mac.update(&tuple.message(block));
        let hash: [u8; 32] = mac.finalize().into_bytes().into();
        let mut words = [Word::default(); BLOCK];
        for (word, bytes) in words.iter_mut().zip(hash.as_chunks().0) {
            *word = Word::new(u64::from_be_bytes(*bytes));
        }
        words
    }
}

/// Makes the MACs of control codes in one epoch.
#[derive(Clone)]
pub struct ControlKey(Hmac<Sha256>);

impl ControlKey {
    /// The first 8 bytes of the HMAC over a message.
    pub(crate) fn mac(&self, message: &[u8]) -> u64 {
        let mut mac = self.0.clone();
        mac.update(message);
        let hash: [u8; 32] = mac.finalize().into_bytes().into();
        let [first, ..] = hash.as_chunks().0 else { return 0 };
        u64::from_be_bytes(*first)
    }
}

impl core::fmt::Debug for PinKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("PinKey(..)")
    }
}

impl core::fmt::Debug for ControlKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("ControlKey(..)")
    }
}
