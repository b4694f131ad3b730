//! Whose documents a lock takes: the issuer's root and keys, and the key of the lock itself.

use super::claims::HolderKey;
use super::document::Header;
use crate::bytes::Layout;
use crate::cose::keys::Signer;
use crate::time::{Timestamp, Window};
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

/// How many keys of its issuer a lock holds.
pub const MAX_KEYS: usize = 4;

/// Bytes of the longest key, and of a place in a snapshot.
const LONGEST: usize = 33;
const KEY: usize = 1 + LONGEST + 8 + 8 + 4;

/// The first four bytes of `SHA-256("dp1-kid" || public key)`, by which documents name a key. Two keys may
/// share a name; both are then tried.
pub type KeyName = [u8; 4];

/// The name of a key.
#[must_use]
pub fn name_of(key: &Signer) -> KeyName {
    let hash = Sha256::new().chain_update(b"dp1-kid");
    let hash: [u8; 32] = match key {
        Signer::Ed25519(key) => hash.chain_update(key.to_bytes()),
        #[cfg(any(feature = "handover", feature = "esp256"))]
        Signer::P256(key) => hash.chain_update(key.to_bytes()),
    }
    .finalize()
    .into();
    let [a, b, c, d, ..] = hash;
    [a, b, c, d]
}

/// Whether a header names a key of this name, and its algorithm.
pub(super) fn is_named(key: &Signer, name: KeyName, header: &Header) -> bool {
    match (key, header) {
        (Signer::Ed25519(_), Header::Ed25519(named)) => *named == name,
        #[cfg(any(feature = "handover", feature = "esp256"))]
        (Signer::P256(_), Header::Esp256(named)) => *named == name,
        _ => false,
    }
}

/// A key of the issuer that a lock trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    /// The key.
    pub key: Signer,
    /// It signs what is issued in there, and nothing once the trusted floor is past its end.
    pub window: Window,
    /// The number of the rotation that brought it; 0 for those that the lock was provisioned with.
    pub sequence: u32,
    name: KeyName,
}

impl TrustedKey {
    /// A key that is trusted in this window.
    #[must_use]
    pub fn new(key: Signer, window: Window, sequence: u32) -> Self {
        Self { key, window, sequence, name: name_of(&key) }
    }

    /// Whether a document with this header may be signed with it: the key settles the algorithm.
    pub(super) fn is_named(&self, header: &Header) -> bool {
        is_named(&self.key, self.name, header)
    }
}

/// The keys of its issuer that a lock trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedKeys([Option<TrustedKey>; MAX_KEYS]);

impl TrustedKeys {
    /// None, for a lock that takes no signed passes.
    pub const NONE: Self = Self([None; MAX_KEYS]);

    /// Those that a lock is provisioned with, each with its window; `None` when they are too many.
    #[must_use]
    pub fn provisioned<'a>(keys: impl IntoIterator<Item = &'a (Signer, Window)>) -> Option<Self> {
        let (mut trusted, mut keys) = (Self::NONE, keys.into_iter());
        for place in &mut trusted.0 {
            *place = keys.next().map(|(key, window)| TrustedKey::new(*key, *window, 0));
        }
        keys.next().is_none().then_some(trusted)
    }

    /// The keys.
    pub fn iter(&self) -> impl Iterator<Item = &TrustedKey> {
        self.0.iter().filter_map(Option::as_ref)
    }

    /// Those of which `good` holds, to verify with.
    pub(super) fn signers(&self, good: impl Fn(&TrustedKey) -> bool) -> [Option<Signer>; MAX_KEYS] {
        let good = |known: &TrustedKey| good(known).then_some(known.key);
        self.0.each_ref().map(|known| known.as_ref().and_then(good))
    }

    /// Bytes in a snapshot.
    pub(super) const LENGTH: usize = MAX_KEYS * KEY;

    /// For each place `u8 length of the key || key, zeros to 33 || u64 begin || u64 end || u32 sequence`, or
    /// zeros.
    pub(super) fn fields(&mut self, layout: &mut Layout<'_>) {
        for place in &mut self.0 {
            let (mut length, mut key) = (0, [0; LONGEST]);
            let (mut from, mut until) = (Timestamp::from_seconds(0), Timestamp::from_seconds(0));
            let mut sequence = 0;
            if let Some(known) = place {
                let holder = HolderKey::of(&known.key);
                let bytes = holder.bytes().iter();
                length = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
                key.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
                (from, until) = (known.window.from(), known.window.until());
                sequence = known.sequence;
            }
            layout.byte(&mut length);
            layout.bytes(&mut key);
            layout.time(&mut from);
            layout.time(&mut until);
            layout.word(&mut sequence);
            // A key is not unpacked in order to write it.
            if layout.is_read() {
                let key = key.get(..usize::from(length)).and_then(HolderKey::from_bytes);
                let key = key.and_then(|key| key.signer()).zip(Window::new(from, until));
                *place = key.map(|(key, window)| TrustedKey::new(key, window, sequence));
            }
        }
    }

    /// Takes a key out.
    pub(super) fn remove(&mut self, key: &Signer) {
        for place in &mut self.0 {
            *place = place.filter(|known| known.key != *key);
        }
    }

    /// Takes a key in: in its own place if it is known, so that its window can be ended, else in a free one,
    /// else in that of the oldest.
    pub(super) fn insert(&mut self, new: TrustedKey) {
        let rank = |place: &&mut Option<TrustedKey>| {
            let of = |known: TrustedKey| {
                if known.key == new.key { 0 } else { u64::from(known.sequence).saturating_add(2) }
            };
            place.map_or(1, of)
        };
        if let Some(place) = self.0.iter_mut().min_by_key(rank) {
            *place = Some(new);
        }
    }
}

/// The key of a lock in an epoch, for passes that nobody else can read.
#[cfg(feature = "encrypt")]
#[derive(Clone, Debug)]
pub struct EncryptionKey(pub(crate) crate::secret::Secret<32>);

/// Bytes of a MAC: as many as nobody guesses at the pace of a reader, in a code that stays short.
pub const MAC_LENGTH: usize = 8;

/// The key of a lock in an epoch, for documents under a MAC.
#[derive(Clone)]
pub struct PassKey(pub(crate) Hmac<Sha256>);

impl PassKey {
    fn over(&self, message: &[&[u8]]) -> Hmac<Sha256> {
        // In place: passed on by value, the state is copied for each part.
        let mut mac = self.0.clone();
        message.iter().for_each(|part| mac.update(part));
        mac
    }

    /// The first 8 bytes of the HMAC over a message, which may come in parts.
    pub(super) fn mac(&self, message: &[&[u8]]) -> [u8; MAC_LENGTH] {
        let hash: [u8; 32] = self.over(message).finalize().into_bytes().into();
        let [first, ..] = hash.as_chunks().0 else { return [0; MAC_LENGTH] };
        *first
    }

    /// Whether these are the bytes of [`PassKey::mac`], in time that does not depend on them.
    pub(super) fn fits(&self, message: &[&[u8]], mac: &[u8; MAC_LENGTH]) -> bool {
        self.over(message).verify_truncated_left(mac).is_ok()
    }
}

impl core::fmt::Debug for PassKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("PassKey(..)")
    }
}

/// What others say of HMAC-SHA-256, as far as passes go: a MAC of theirs is longer, and what is compared here is
/// its first 8 bytes. A tag that was changed only behind them is therefore none of these; nor are keys of more
/// than 32 bytes, which no lock has.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::keypad::key::keyed;
    use crate::secret::Secret;
    use serde_json::Value;
    use std::vec::Vec;

    fn bytes(text: &str) -> Vec<u8> {
        let pairs = (0..text.len()).step_by(2);
        pairs.map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// HMAC fills a shorter key with zeros.
    fn key(bytes: &[u8]) -> PassKey {
        let mut key = [0; 32];
        key[..bytes.len()].copy_from_slice(bytes);
        PassKey(keyed(&Secret::from_bytes(key)))
    }

    /// The right MAC is made and taken, and none that differs from it by a bit.
    fn right(key: &PassKey, message: &[u8], tag: &[u8]) {
        let mac = *tag.first_chunk().unwrap();
        assert_eq!(key.mac(&[message]), mac);
        assert!(key.fits(&[message], &mac));
        for bit in 0..64 {
            let mut changed = mac;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.fits(&[message], &changed), "bit {bit}");
        }
    }

    #[test]
    fn macs_of_wycheproof() {
        let document = include_str!("../../../../vectors/wycheproof/hmac.json");
        let document: Value = serde_json::from_str(document).unwrap();
        let (mut valid, mut refused, mut beyond, mut long) = (0, 0, 0, 0);
        for group in document["groups"].as_array().unwrap() {
            for case in group["cases"].as_array().unwrap() {
                let field = |name: &str| bytes(case[name].as_str().unwrap());
                let (secret, message, tag) = (field("key"), field("message"), field("tag"));
                if secret.len() > 32 {
                    long += 1;
                    continue;
                }
                let key = key(&secret);
                if case["valid"].as_bool().unwrap() {
                    right(&key, &message, &tag);
                    valid += 1;
                } else if key.fits(&[&message], tag.first_chunk().unwrap()) {
                    // Then it is behind the 8 bytes that it was changed.
                    let whole: [u8; 32] =
                        key.0.clone().chain_update(&message).finalize().into_bytes().into();
                    assert!(whole[..8] == tag[..8] && whole[..tag.len()] != tag);
                    beyond += 1;
                } else {
                    refused += 1;
                }
            }
        }
        assert_eq!((valid, refused, beyond, long), (60, 64, 44, 6));
    }

    #[test]
    fn macs_of_rfc_4231() {
        // Section 4.2 to 4.6; the two others have keys of 131 bytes.
        let counted: Vec<u8> = (1..=25).collect();
        let cases: [(&[u8], &[u8], &str); 5] = [
            (&[0x0B; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b"),
            (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c7"),
            (&[0xAA; 20], &[0xDD; 50], "773ea91e36800e46854db8ebd09181a7"),
            (&counted, &[0xCD; 50], "82558a389a443c0ea4cc819899f2083a"),
            (&[0x0C; 20], b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b"),
        ];
        for (secret, message, tag) in cases {
            right(&key(secret), message, &bytes(tag));
        }
    }
}
