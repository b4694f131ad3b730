//! Keys of devices and phones: P-256, which is what their hardware has.

use super::curves;
use crate::cose::Invalid;
use crate::secret::Secret;
use core::fmt;
use p256::ecdsa::signature::Signer as _;
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};

/// A P-256 public key: a device's, or the one that evidence is sealed to.
///
/// It is held as the point itself: to find y again takes longer than to read all else of a document.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(p256::PublicKey);

impl PublicKey {
    /// Reads a compressed SEC 1 point (33 bytes).
    ///
    /// # Errors
    /// [`Invalid::Key`] when it is not a point of the curve.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Invalid> {
        let bytes: [u8; 33] = bytes.try_into().map_err(|_| Invalid::Key)?;
        // SEC 1 readers know more first bytes than these two; a point must have one encoding here,
        // because a key is named by the hash of it.
        if !matches!(bytes, [2 | 3, ..]) {
            return Err(Invalid::Key);
        }
        p256::PublicKey::from_sec1_bytes(&bytes).map(Self).map_err(|_| Invalid::Key)
    }

    /// The compressed SEC 1 point.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 33] {
        p256::CompressedPoint::from(self.0).into()
    }

    /// The first 16 bytes of SHA-256 over the point: how formats name a device's key.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 16] {
        let hash: [u8; 32] = Sha256::digest(self.to_bytes()).into();
        let mut short = [0; 16];
        short.copy_from_slice(hash.first_chunk::<16>().unwrap_or(&[0; 16]));
        short
    }

    /// Checks an ECDSA signature (SHA-256, `r || s`) of a message in parts.
    ///
    /// # Errors
    /// [`Invalid::Signature`] when it does not fit.
    pub(super) fn verify(&self, message: &[&[u8]], signature: &[u8; 64]) -> Result<(), Invalid> {
        let fits = curves::p256_fits(&self.0, message, signature);
        fits.then_some(()).ok_or(Invalid::Signature)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(")?;
        self.fingerprint().iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// What two P-256 keys agree on: the x coordinate of the shared point.
pub type Shared = Secret<32>;

/// A P-256 key held in memory, for devices without key hardware and for the issuer's own seal.
#[derive(Clone)]
pub struct SoftwareKey {
    scalar: p256::SecretKey,
    public: PublicKey,
}

impl SoftwareKey {
    /// Draws a key.
    pub fn make(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        loop {
            // Outside the group's order with a chance of 2^-32: draw again.
            if let Ok(key) = Self::from_secret(&Secret::make(rng)) {
                return key;
            }
        }
    }

    /// The key with this scalar.
    ///
    /// # Errors
    /// [`Invalid::Key`] when the scalar is zero or not below the group's order.
    pub fn from_secret(scalar: &Secret<32>) -> Result<Self, Invalid> {
        let scalar = p256::SecretKey::from_slice(scalar.expose()).map_err(|_| Invalid::Key)?;
        let public = PublicKey(scalar.public_key());
        Ok(Self { scalar, public })
    }

    /// The scalar, for sealed or protected storage.
    #[must_use]
    pub fn secret(&self) -> Secret<32> {
        Secret::from_bytes(self.scalar.to_bytes().into())
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs with ECDSA and SHA-256; deterministic (RFC 6979), so it needs no randomness.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let key = p256::ecdsa::SigningKey::from(&self.scalar);
        let signature: p256::ecdsa::Signature = key.sign(message);
        signature.to_bytes().into()
    }

    /// Agrees with another key (ECDH).
    #[must_use]
    pub fn agree(&self, other: &PublicKey) -> Shared {
        // Which needs memory, and the other one does not.
        #[cfg(feature = "aws-lc")]
        if let Some(shared) = curves::p256_agree(&self.scalar, &other.0) {
            return shared;
        }
        Secret::from_bytes((*self.scalar.diffie_hellman(&other.0).raw_secret_bytes()).into())
    }
}

impl fmt::Debug for SoftwareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SoftwareKey({:?})", self.public())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_has_one_encoding() {
        let key = SoftwareKey::from_secret(&Secret::from_bytes([7; 32])).unwrap().public();
        assert_eq!(PublicKey::from_bytes(&key.to_bytes()), Ok(key));
        let mut bytes = key.to_bytes();
        for first in (0..=u8::MAX).filter(|first| !matches!(first, 2 | 3)) {
            bytes[0] = first;
            assert_eq!(PublicKey::from_bytes(&bytes), Err(Invalid::Key), "{first}");
        }
        assert!(PublicKey::from_bytes(&key.to_bytes()[..32]).is_err());
        assert!(PublicKey::from_bytes(&[&[2][..], &[0xFF; 32]].concat()).is_err(), "no point");
    }
}
