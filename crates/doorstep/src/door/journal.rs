//! A door's journal on its way home: what happened, under a key that only the lock and its issuer have.
//!
//! ```text
//! "DSJRNL1" || u8 length || lock id || u32 lock generation
//!   || snapshot || u64 number || 32 bytes hash      the state and the chain's head before the first record
//!   || u32 records || (u8 length || record) ...
//!   || HMAC-SHA-256 over all of that
//! ```
//!
//! The key is `HKDF-SHA-256(salt none, key lock root, info "kp1-journal")`. Heads are those of
//! [`crate::ledger`]. A journal is the lock's own word, and that of whoever opened the lock: it tells what
//! happened, and may never make a code valid.
//! It travels as it is, or sealed ([`super::sealed`]).

use super::record::Record;
use super::state::State;
use super::{Door, MARKS};
use crate::ledger::Head;
use core::fmt;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

const MAGIC: &[u8; 7] = b"DSJRNL1";
const MAC_LENGTH: usize = 32;

/// Bytes of a snapshot.
pub const SNAPSHOT_LENGTH: usize = State::<MARKS>::LENGTH;

/// Why bytes are no journal of a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalError {
    /// They do not begin as a journal does, or end too early.
    Malformed,
    /// Of another lock, or of another provisioning of this one.
    Foreign,
    /// Not made with this lock's key, or changed since.
    Forged,
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "this is no journal of a lock, or a part of one",
            Self::Foreign => {
                "this journal is another lock's, or from before it was provisioned anew"
            }
            Self::Forged => "this journal was not made by this lock, or was changed since",
        })
    }
}

impl core::error::Error for JournalError {}

/// Writes a journal piece by piece.
pub struct Writer<W> {
    mac: Hmac<Sha256>,
    out: W,
}

impl<W: FnMut(&[u8])> Writer<W> {
    /// Begins with the state and the head before the first of so many records.
    pub fn new(door: &Door, before: &State<MARKS>, head: Head, records: u32, out: W) -> Self {
        let mut this = Self { mac: door.lock.root().journal(), out };
        let id = door.id.as_str().as_bytes();
        let mut snapshot = [0; SNAPSHOT_LENGTH];
        // The length is the state's own.
        let _ = before.write(&mut snapshot);
        this.put(MAGIC);
        this.put(&u8::try_from(id.len()).unwrap_or(u8::MAX).to_be_bytes());
        this.put(id);
        this.put(&door.generation.to_be_bytes());
        this.put(&snapshot);
        this.put(&head.seq.to_be_bytes());
        this.put(&head.hash);
        this.put(&records.to_be_bytes());
        this
    }

    /// The next record, as it was appended.
    pub fn record(&mut self, record: &[u8]) {
        self.put(&u8::try_from(record.len()).unwrap_or(u8::MAX).to_be_bytes());
        self.put(record);
    }

    /// Ends the journal.
    pub fn finish(mut self) {
        let mac: [u8; MAC_LENGTH] = self.mac.finalize().into_bytes().into();
        (self.out)(&mac);
    }

    fn put(&mut self, bytes: &[u8]) {
        self.mac.update(bytes);
        (self.out)(bytes);
    }
}

/// A journal that came home, whole and from the lock.
#[derive(Clone, Copy, Debug)]
pub struct Journal<'a> {
    /// The state before its first record.
    pub before: State<MARKS>,
    /// The chain's head before its first record.
    pub head: Head,
    records: &'a [u8],
    count: u32,
}

impl<'a> Journal<'a> {
    /// Reads the journal of a door.
    ///
    /// # Errors
    /// [`JournalError`]. Nothing of a journal is believed before its MAC fits.
    pub fn read(door: &Door, bytes: &'a [u8]) -> Result<Self, JournalError> {
        let (content, mac) =
            bytes.split_last_chunk::<MAC_LENGTH>().ok_or(JournalError::Malformed)?;
        let mut from = crate::bytes::Reader::new(content);
        if from.take() != Some(*MAGIC) {
            return Err(JournalError::Malformed);
        }
        let id = from.take().and_then(|[length]| from.slice(usize::from(length)));
        let generation = from.take().map(u32::from_be_bytes);
        if id != Some(door.id.as_str().as_bytes()) || generation != Some(door.generation) {
            return Err(JournalError::Foreign);
        }
        let known = door.lock.root().journal().chain_update(content);
        known.verify_slice(mac).map_err(|_| JournalError::Forged)?;
        let rest = |from: &mut crate::bytes::Reader<'a>| {
            let before = State::read(door.clock, from.slice(SNAPSHOT_LENGTH)?)?;
            let seq = u64::from_be_bytes(from.take()?);
            let head = Head { seq, hash: from.take()? };
            let count = u32::from_be_bytes(from.take()?);
            Some((before, head, count))
        };
        let (before, head, count) = rest(&mut from).ok_or(JournalError::Malformed)?;
        let journal = Self { before, head, records: from.rest(), count };
        let (mut read, mut records) = (0_u32, journal.raw());
        while records.next().is_some() {
            read = read.saturating_add(1);
        }
        let whole = read == count && records.rest.is_empty();
        whole.then_some(journal).ok_or(JournalError::Malformed)
    }

    /// How many records it has.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The records in their order, each with the state and the head after it.
    pub fn steps(&self, door: &'a Door) -> impl Iterator<Item = (Record, State<MARKS>, Head)> + 'a {
        let (mut state, mut head) = (self.before, self.head);
        self.raw().map(move |(bytes, record)| {
            state = door.then(&state, &record);
            head = head.then(bytes);
            (record, state, head)
        })
    }

    const fn raw(&self) -> Raw<'a> {
        Raw { rest: self.records }
    }
}

struct Raw<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Raw<'a> {
    type Item = (&'a [u8], Record);

    fn next(&mut self) -> Option<Self::Item> {
        let (length, rest) = self.rest.split_first()?;
        let (bytes, rest) = rest.split_at_checked(usize::from(*length))?;
        let record = Record::from_bytes(bytes)?;
        self.rest = rest;
        Some((bytes, record))
    }
}
