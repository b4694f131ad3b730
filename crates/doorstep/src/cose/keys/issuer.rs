//! Keys of issuers: Ed25519, the cheapest to verify for a small lock.

use crate::cose::Invalid;
use crate::secret::Secret;
use core::fmt;
use ed25519_dalek::Signer as _;

/// An issuer's Ed25519 signing key (RFC 8032).
pub struct IssuerKey(ed25519_dalek::SigningKey);

impl IssuerKey {
    /// The key with this seed.
    #[must_use]
    pub fn from_seed(seed: &Secret<32>) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed.expose()))
    }

    /// The public half, which devices pin at enrolment.
    #[must_use]
    pub fn public(&self) -> IssuerPublicKey {
        IssuerPublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for IssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IssuerKey(..)")
    }
}

/// An issuer's public key (32 bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IssuerPublicKey([u8; 32]);

impl IssuerPublicKey {
    /// Reads a public key.
    ///
    /// # Errors
    /// [`Invalid::Key`] when the bytes are no point, or one of small order.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Invalid> {
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| Invalid::Key)?;
        match ed25519_dalek::VerifyingKey::from_bytes(&bytes) {
            Ok(key) if !key.is_weak() => Ok(Self(bytes)),
            _ => Err(Invalid::Key),
        }
    }

    /// The key's bytes.
    #[must_use]
    pub const fn to_bytes(&self) -> [u8; 32] {
        self.0
    }

    /// Checks a signature, strictly: no small-order points, no malleable encodings.
    ///
    /// # Errors
    /// [`Invalid::Signature`] when it does not fit.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), Invalid> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(&self.0).map_err(|_| Invalid::Key)?;
        key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature))
            .map_err(|_| Invalid::Signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_of_small_order_is_no_key() {
        // The neutral point, and one of order 2: anybody can sign under them.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut second = [0xFF; 32];
        (second[0], second[31]) = (0xEC, 0x7F);
        for weak in [neutral, second, [0; 32]] {
            assert_eq!(IssuerPublicKey::from_bytes(&weak), Err(Invalid::Key));
        }
        let key = IssuerKey::from_seed(&Secret::from_bytes([7; 32])).public();
        assert_eq!(IssuerPublicKey::from_bytes(&key.to_bytes()), Ok(key));
    }
}
