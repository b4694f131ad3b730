//! Keys of issuers: Ed25519, the cheapest to verify for a small lock.

use super::curves;
use crate::cose::Invalid;
use crate::secret::Secret;
use core::fmt;
use ed25519_dalek::{Signer as _, VerifyingKey};

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
    /// [`Invalid::Key`] when the bytes are no point, one of small order, or not its only encoding (RFC 8032
    /// section 5.1.3), which not all libraries look at.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Invalid> {
        let key = Self(bytes.try_into().map_err(|_| Invalid::Key)?);
        let is_point = VerifyingKey::from_bytes(&key.0).is_ok();
        let is_taken =
            is_point && is_below(&without_sign(&key.0), &PRIME) && !is_of_small_order(&key.0);
        is_taken.then_some(key).ok_or(Invalid::Key)
    }

    /// The key's bytes.
    #[must_use]
    pub const fn to_bytes(&self) -> [u8; 32] {
        self.0
    }

    /// Checks a signature of a message in parts, strictly (RFC 8032 section 5.1.7): no small-order points, no
    /// malleable encodings.
    ///
    /// # Errors
    /// [`Invalid::Signature`] when it does not fit.
    pub(super) fn verify(&self, message: &[&[u8]], signature: &[u8; 64]) -> Result<(), Invalid> {
        let (Some(r), Some(s)) = (signature.first_chunk(), signature.last_chunk()) else {
            return Err(Invalid::Signature);
        };
        // The libraries look at S as well, but for one of them where anything in a build has switched on its
        // `legacy_compatibility`, as the firmware of `checks/bare-metal` does to be small: there nothing else does.
        if is_of_small_order(r) || !is_below(s, &ORDER) {
            return Err(Invalid::Signature);
        }
        // The key is of no small order, and both libraries compare R as bytes with the one encoding of what it must
        // be: a strict check has no more than that, and unpacks R for it.
        let fits = curves::ed25519_fits(&self.0, message, signature);
        fits.then_some(()).ok_or(Invalid::Signature)
    }
}

/// The y of the points whose order divides 8, little-endian: 1, -1, 0, and the two of order 8.
const SMALL_ORDER: [[u8; 32]; 5] = [
    with_ends(0x01, 0x00, 0x00),
    with_ends(0xEC, 0xFF, 0x7F),
    with_ends(0x00, 0x00, 0x00),
    [
        0x26, 0xE8, 0x95, 0x8F, 0xC2, 0xB2, 0x27, 0xB0, 0x45, 0xC3, 0xF4, 0x89, 0xF2, 0xEF, 0x98,
        0xF0, 0xD5, 0xDF, 0xAC, 0x05, 0xD3, 0xC6, 0x33, 0x39, 0xB1, 0x38, 0x02, 0x88, 0x6D, 0x53,
        0xFC, 0x05,
    ],
    [
        0xC7, 0x17, 0x6A, 0x70, 0x3D, 0x4D, 0xD8, 0x4F, 0xBA, 0x3C, 0x0B, 0x76, 0x0D, 0x10, 0x67,
        0x0F, 0x2A, 0x20, 0x53, 0xFA, 0x2C, 0x39, 0xCC, 0xC6, 0x4E, 0xC7, 0xFD, 0x77, 0x92, 0xAC,
        0x03, 0x7A,
    ],
];

const fn with_ends(first: u8, between: u8, last: u8) -> [u8; 32] {
    let mut bytes = [between; 32];
    (bytes[0], bytes[31]) = (first, last);
    bytes
}

/// Whether this is the encoding of a point whose order divides 8.
#[inline(never)]
fn is_of_small_order(point: &[u8; 32]) -> bool {
    SMALL_ORDER.contains(&without_sign(point))
}

/// The y of a point's encoding, whose last bit is the sign of x.
fn without_sign(point: &[u8; 32]) -> [u8; 32] {
    let mut y = *point;
    let [.., last] = &mut y;
    *last &= 0x7F;
    y
}

/// 2^255 - 19, of which the field has as many elements (RFC 8032 section 5.1), little-endian.
const PRIME: [u8; 32] = with_ends(0xED, 0xFF, 0x7F);

/// How many points the base point generates, 2^252 and more (RFC 8032 section 5.1), little-endian.
const ORDER: [u8; 32] = [
    0xED, 0xD3, 0xF5, 0x5C, 0x1A, 0x63, 0x12, 0x58, 0xD6, 0x9C, 0xF7, 0xA2, 0xDE, 0xF9, 0xDE, 0x14,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10,
];

/// Whether a number is below another, both little-endian.
#[inline(never)]
fn is_below(number: &[u8; 32], bound: &[u8; 32]) -> bool {
    number.iter().rev().lt(bound.iter().rev())
}

#[cfg(test)]
mod tests {
    use super::*;
    use curve25519_dalek::constants::EIGHT_TORSION;
    use curve25519_dalek::{EdwardsPoint, Scalar};
    use ed25519_dalek::Verifier as _;
    use sha2::{Digest as _, Sha512};
    use std::vec::Vec;

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

    /// The field's prime is 2^255 - 19: above it there is room for 19 second encodings.
    #[test]
    fn a_point_has_one_encoding() {
        let encoded = |first| with_ends(first, 0xFF, 0x7F);
        let point = |bytes: &[u8; 32]| VerifyingKey::from_bytes(bytes).ok();
        let second: Vec<_> = (0xED..=0xFF).map(encoded).filter(|y| point(y).is_some()).collect();
        assert!(second.iter().any(|y| !point(y).unwrap().is_weak()));
        assert!(second.iter().all(|y| IssuerPublicKey::from_bytes(y) == Err(Invalid::Key)));
    }

    /// Whoever makes a key with a part of small order can also make signatures that fit, but whose R is of
    /// small order: they say nothing about a message.
    #[test]
    fn a_signature_with_a_point_of_small_order_fits_nothing() {
        let torsion = EIGHT_TORSION.map(|point| point.compress().to_bytes());
        assert!(torsion.iter().all(is_of_small_order));
        let scalar = Scalar::from(0x1234_5678_9ABC_DEF0_u64);
        let (key, point) = {
            let point = EdwardsPoint::mul_base(&scalar) + EIGHT_TORSION[1];
            let bytes = point.compress().to_bytes();
            (IssuerPublicKey::from_bytes(&bytes).unwrap(), bytes)
        };
        let library = VerifyingKey::from_bytes(&point).unwrap();
        for r in torsion {
            // The signature of 0, until the part of small order is what R must be.
            let forged = (0..=u8::MAX).find_map(|message| {
                let hash = Sha512::new().chain_update(r).chain_update(point);
                let hash = hash.chain_update([message]).finalize();
                let s = Scalar::from_bytes_mod_order_wide(&hash.into()) * scalar;
                let signature: [u8; 64] = [r, s.to_bytes()].concat().try_into().unwrap();
                let fits = library.verify(&[message], &signature.into()).is_ok();
                fits.then_some((message, signature))
            });
            let (message, signature) = forged.unwrap();
            assert!(library.verify_strict(&[message], &signature.into()).is_err());
            assert_eq!(key.verify(&[&[message]], &signature), Err(Invalid::Signature), "{r:02x?}");
        }
    }

    // That nothing but this looks at it, where the library does not, is seen by the firmware, which answers the vector
    // "a signature beyond the group's order".
    #[test]
    fn a_scalar_that_is_not_reduced_fits_nothing() {
        assert!(!is_below(&ORDER, &ORDER));
        assert!(is_below(&(-Scalar::ONE).to_bytes(), &ORDER));
        assert!(is_below(&[0; 32], &ORDER));
        for bit in 253..256 {
            let mut high = [0; 32];
            high[bit / 8] = 1 << (bit % 8);
            assert!(!is_below(&high, &ORDER), "{bit}");
        }
        let key = IssuerKey::from_seed(&Secret::from_bytes([7; 32]));
        let mut signature = key.sign(b"a pass");
        assert_eq!(key.public().verify(&[b"a pass"], &signature), Ok(()));
        let mut carry = 0;
        for (byte, order) in signature[32..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
        }
        assert_eq!(key.public().verify(&[b"a pass"], &signature), Err(Invalid::Signature));
    }
}
