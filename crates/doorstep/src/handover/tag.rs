//! What a device holds of a code: a few bits of a keyed hash, and the hash of the scanned secret.

use super::Subject;
use crate::code::Code;
use crate::secret::Secret;
use core::fmt;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// The top bits of HMAC-SHA-256 over a code and everything it is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tag(u32);

impl Tag {
    /// The tag of `code` in `bits` bits (1 to 32) under a slot's salt:
    /// `HMAC(salt, "doorstep/HO1/tag/v1" || u8 bits || u8 alphabet || u8 length || subject || code)`.
    #[must_use]
    pub fn derive(salt: &[u8; 16], bits: u8, subject: &Subject, code: &Code) -> Self {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(salt) else {
            // HMAC takes keys of any length.
            return Self(0);
        };
        let shape = code.shape();
        mac.update(b"doorstep/HO1/tag/v1");
        mac.update(&[bits, shape.alphabet().size(), shape.length()]);
        subject.feed(|bytes| mac.update(bytes));
        mac.update(code.expose());
        let hash: [u8; 32] = mac.finalize().into_bytes().into();
        let [a, b, c, d, ..] = hash;
        let unused = 32_u32.saturating_sub(u32::from(bits));
        Self(u32::from_be_bytes([a, b, c, d]).checked_shr(unused).unwrap_or(0))
    }

    /// The tag with this value, as it stands in a route.
    #[must_use]
    pub const fn from_value(value: u32) -> Self {
        Self(value)
    }

    /// The tag as a number below `2^bits`.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tag(..)")
    }
}

impl ConstantTimeEq for Tag {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

/// The 128-bit secret of a link or QR code. It is drawn independently of the typed code.
#[derive(Clone)]
pub struct ScanSecret(Secret<16>);

impl ScanSecret {
    /// Takes over secret bytes.
    #[must_use]
    pub const fn new(secret: Secret<16>) -> Self {
        Self(secret)
    }

    /// The bytes, to be written into a link or sealed.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 16] {
        self.0.expose()
    }

    /// What the device and the issuer hold of it:
    /// `SHA-256("doorstep/HO1/scan/v1" || subject || secret)`.
    #[must_use]
    pub fn hash(&self, subject: &Subject) -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix(b"doorstep/HO1/scan/v1");
        subject.feed(|bytes| hash.update(bytes));
        hash.update(self.expose());
        hash.finalize().into()
    }
}

impl fmt::Debug for ScanSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScanSecret(..)")
    }
}
