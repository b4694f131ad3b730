//! Passes for their lock's eyes only: COSE_Encrypt0 (RFC 9052, section 5.2) with A256GCM, in place and without a
//! heap.

use super::cbor::write;
use super::claims::Pass;
use super::document::{Check, Envelope, Header, Kind, SEAL_TAG};
use super::fields::{Fields, MAX_PAYLOAD};
use super::key::EncryptionKey;
use crate::bytes::Short;
use aes_gcm::aead::AeadInOut as _;
use aes_gcm::{Aes256Gcm, KeyInit as _, Tag};

/// What is encrypted, with its tag.
type Ciphertext = Short<{ MAX_PAYLOAD + SEAL_TAG }>;

/// Encrypts the claims of a pass.
pub(super) fn seal(
    key: &EncryptionKey,
    header: &Header,
    iv: &[u8; 12],
    payload: &[u8],
) -> Option<Ciphertext> {
    let mut sealed = Ciphertext::EMPTY;
    sealed.push(payload)?;
    let (data, place) = (data(header)?, sealed.as_mut().into());
    let tag = cipher(key).encrypt_inout_detached(&(*iv).into(), data.as_ref(), place).ok()?;
    sealed.push(&tag)?;
    Some(sealed)
}

/// The pass, if it was encrypted under this key and not changed since.
pub(super) fn open(key: &EncryptionKey, document: &Envelope<'_>) -> Option<Pass> {
    let Check::Encrypted(iv) = document.check else { return None };
    let (sealed, tag) = document.payload().split_last_chunk::<SEAL_TAG>()?;
    let mut payload: Short<MAX_PAYLOAD> = Short::EMPTY;
    payload.push(sealed)?;
    let (data, place) = (data(&document.header)?, payload.as_mut().into());
    let tag = Tag::from(*tag);
    cipher(key).decrypt_inout_detached(&(*iv).into(), data.as_ref(), place, &tag).ok()?;
    let (claims, kind) = Fields::parse(payload.as_ref(), &document.header)?;
    claims.pass().filter(|_| kind == Kind::Pass)
}

fn cipher(key: &EncryptionKey) -> Aes256Gcm {
    Aes256Gcm::new(&(*key.0.expose()).into())
}

/// The Enc_structure (RFC 9052, section 5.3).
fn data(header: &Header) -> Option<Short<32>> {
    let protected = header.encode()?;
    write(|w| {
        w.array(3).text(b"Encrypt0").bytes(protected.as_ref());
        w.bytes(Kind::Pass.context().as_bytes());
    })
}
