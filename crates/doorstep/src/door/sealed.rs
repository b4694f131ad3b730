//! A door's journal sealed for the way home, since anybody's phone may carry it and shall not learn who came
//! and when.
//!
//! ```text
//! "DSSEAL1" || u8 length || lock id || u32 lock generation || 12 bytes nonce      the associated data
//!   || AES-256-GCM of the journal || 16 bytes tag
//! ```
//!
//! The key is `HKDF-SHA-256(salt none, key lock root, info "kp1-journal-seal")`.

use super::Door;
use super::journal::JournalError;
use crate::bytes::{Reader, Short};
use crate::id::MAX_ID_LENGTH;
use aes_gcm::aead::AeadInOut as _;
use aes_gcm::{Aes256Gcm, Tag};

const MAGIC: &[u8; 7] = b"DSSEAL1";
const NONCE: usize = 12;
const TAG: usize = 16;

/// What stands before a sealed journal.
pub type Header = Short<{ MAGIC.len() + 1 + MAX_ID_LENGTH + 4 + NONCE }>;

/// Seals a journal in its place, and gives what to put before and behind it. The nonce is drawn for this
/// journal alone.
#[must_use]
pub fn seal(door: &Door, nonce: [u8; NONCE], journal: &mut [u8]) -> (Header, [u8; TAG]) {
    let header = header(door, nonce);
    let tag = cipher(door).encrypt_inout_detached(&nonce.into(), header.as_ref(), journal.into());
    // Only journals of more than 64 GiB are refused.
    (header, tag.map_or([0; TAG], Into::into))
}

/// Opens a sealed journal in its place.
///
/// # Errors
/// [`JournalError`].
pub fn open<'a>(door: &Door, bytes: &'a mut [u8]) -> Result<&'a mut [u8], JournalError> {
    let mut from = Reader::new(bytes);
    if from.take() != Some(*MAGIC) {
        return Err(JournalError::Malformed);
    }
    let id = from.take().and_then(|[length]| from.slice(usize::from(length)));
    let generation = from.take().map(u32::from_be_bytes);
    if id != Some(door.id.as_str().as_bytes()) || generation != Some(door.generation) {
        return Err(JournalError::Foreign);
    }
    let nonce = from.take().ok_or(JournalError::Malformed)?;
    let header = header(door, nonce);
    let rest = bytes.get_mut(header.as_ref().len()..).ok_or(JournalError::Malformed)?;
    let (journal, tag) = rest.split_last_chunk_mut::<TAG>().ok_or(JournalError::Malformed)?;
    let tag = Tag::from(*tag);
    let place = (&mut *journal).into();
    let opened = cipher(door).decrypt_inout_detached(&nonce.into(), header.as_ref(), place, &tag);
    opened.map(|()| journal).map_err(|_| JournalError::Forged)
}

/// Whether bytes begin as a sealed journal does.
#[must_use]
pub fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

fn cipher(door: &Door) -> Aes256Gcm {
    door.lock.root().journal_seal()
}

fn header(door: &Door, nonce: [u8; NONCE]) -> Header {
    let id = door.id.as_str().as_bytes();
    let length = [u8::try_from(id.len()).unwrap_or(u8::MAX)];
    let mut out = Header::EMPTY;
    let parts: [&[u8]; 5] = [MAGIC, &length, id, &door.generation.to_be_bytes(), &nonce];
    // There is room for the longest id.
    let _ = parts.iter().try_for_each(|part| out.push(part));
    out
}
