//! Signatures checked by libraries in Rust alone, which build for any processor: what a lock has.

use ed25519_dalek::VerifyingKey;
use ed25519_dalek::ed25519::signature::MultipartVerifier as _;

/// Whether an Ed25519 signature fits (RFC 8032 section 5.1.7, without the cofactor).
pub(super) fn ed25519_fits(key: &[u8; 32], message: &[&[u8]], signature: &[u8; 64]) -> bool {
    let signature = ed25519_dalek::Signature::from_bytes(signature);
    unpacked(key).is_some_and(|key| key.multipart_verify(message, &signature).is_ok())
}

// Apart, so that its part of the stack is given back before a signature needs all of it.
#[inline(never)]
fn unpacked(key: &[u8; 32]) -> Option<VerifyingKey> {
    VerifyingKey::from_bytes(key).ok()
}

/// Whether an ECDSA signature (`r || s`, SHA-256) on P-256 fits (FIPS 186-5 section 6.4.2).
#[cfg(any(feature = "handover", feature = "esp256"))]
pub(super) fn p256_fits(key: &p256::PublicKey, message: &[&[u8]], signature: &[u8; 64]) -> bool {
    use p256::ecdsa::{Signature, VerifyingKey};
    let Ok(signature) = Signature::from_slice(signature) else { return false };
    VerifyingKey::from(key).multipart_verify(message, &signature).is_ok()
}
