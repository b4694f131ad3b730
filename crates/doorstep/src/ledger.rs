//! What must be written down before anything is compared or opened, and the proof that it was.
//!
//! A ledger is a chain: each record's hash covers its content and the record before it. The core
//! never writes. It names the [`Place`] a record must take; the caller appends the record by
//! compare-and-swap on the chain's head (a lock file, a transaction, an SQL `WHERE`) and answers
//! with a [`Receipt`]. A receipt fits only the record it was given for, because the head after the
//! record covers the record.

use core::fmt;
use sha2::{Digest, Sha256};

/// The end of a chain: how many records it has, and the hash over all of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Records so far.
    pub seq: u64,
    /// SHA-256 over the domain, the hash before, the number and the last record.
    pub hash: [u8; 32],
}

impl Head {
    /// The head of a chain without records.
    pub const EMPTY: Self = Self { seq: 0, hash: [0; 32] };

    /// The head once `record` follows.
    #[must_use]
    pub fn then(&self, record: &[u8]) -> Self {
        let seq = self.seq.saturating_add(1);
        let mut hash = Sha256::new();
        for part in [b"doorstep/ledger/v1", &self.hash[..], &seq.to_be_bytes(), record] {
            hash.update(part);
        }
        Self { seq, hash: hash.finalize().into() }
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.hash;
        write!(f, "{}:{a:02x}{b:02x}{c:02x}{d:02x}", self.seq)
    }
}

/// Where one record belongs: right after `before`, making the head `after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The head that the chain must still have when the record is appended.
    pub before: Head,
    /// The head that the chain has from then on.
    pub after: Head,
}

impl Place {
    /// The place of `record` after `before`.
    #[must_use]
    pub fn of(before: Head, record: &[u8]) -> Self {
        Self { before, after: before.then(record) }
    }

    /// The caller's word that the record now stands durably at this place: the append found the
    /// chain's head to be `before`, and what was written survives a power cut.
    ///
    /// This is the one promise the types cannot check. Say it after `fsync` or `COMMIT` returned,
    /// never earlier.
    #[must_use]
    pub const fn appended(&self) -> Receipt {
        Receipt { head: self.after }
    }
}

/// The answer to an append that took its place; see [`Place::appended`].
#[derive(Clone, Copy, Debug)]
pub struct Receipt {
    head: Head,
}

impl Receipt {
    /// Whether this receipt was given for the record at `place`.
    #[must_use]
    pub fn fits(&self, place: &Place) -> bool {
        self.head == place.after
    }
}

#[cfg(feature = "handover")]
mod cbor {
    use super::Head;
    use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

    impl<C> Encode<C> for Head {
        fn encode<W: encode::Write>(
            &self,
            e: &mut Encoder<W>,
            _: &mut C,
        ) -> Result<(), encode::Error<W::Error>> {
            e.array(2)?.u64(self.seq)?.bytes(&self.hash)?.ok()
        }
    }

    impl<'b, C> Decode<'b, C> for Head {
        fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
            let wrong = || decode::Error::message("head");
            if d.array()? != Some(2) {
                return Err(wrong());
            }
            Ok(Self { seq: d.u64()?, hash: d.bytes()?.try_into().map_err(|_| wrong())? })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_fits_only_its_own_record() {
        let first = Place::of(Head::EMPTY, b"one");
        let other = Place::of(Head::EMPTY, b"two");
        let later = Place::of(first.after, b"one");
        assert!(first.appended().fits(&first));
        assert!(!other.appended().fits(&first));
        assert!(!later.appended().fits(&first));
        assert!(!first.appended().fits(&later));
    }
}
