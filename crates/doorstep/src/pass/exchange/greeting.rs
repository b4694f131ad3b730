//! What a lock says first: a nonce for whoever proves a pass, and how much it knows, so that a phone brings only what
//! it lacks.

use super::super::cbor::{ARRAY, NULL, Reader, write};
use super::super::claims::Audience;
use super::super::document::Malformed;
use crate::bytes::Short;

/// The most bytes of a greeting.
pub const MAX_GREETING: usize = 71;

/// What a lock says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// What a proof has to answer.
    pub nonce: [u8; 16],
    /// What the lock is called in passes.
    pub lock: Audience,
    /// The number of the last rotation that it knows, 0 for none.
    pub rotation: u32,
    /// The number of its bulletin, 0 for none.
    pub bulletin: u32,
    /// How many records its journal has.
    pub journal: u64,
    /// What a time token has to answer, if the lock wants one.
    pub time_nonce: Option<[u8; 16]>,
}

impl Greeting {
    /// The greeting as it is sent: an array of six in deterministic CBOR.
    #[must_use]
    pub fn to_bytes(&self) -> Short<MAX_GREETING> {
        let written = write(|w| {
            w.array(6).bytes(&self.nonce).text(self.lock.as_bytes());
            w.unsigned(self.rotation).unsigned(self.bulletin).unsigned(self.journal);
            match &self.time_nonce {
                Some(nonce) => w.bytes(nonce),
                None => w.put(&[NULL]),
            };
        });
        // The longest has its room.
        written.unwrap_or(Short::EMPTY)
    }

    /// Reads a greeting.
    ///
    /// # Errors
    /// [`Malformed`] for anything else, and for any other encoding of one.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::read(&mut Reader::new(bytes)).ok_or(Malformed("greeting"))
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let items = from.argument(ARRAY)?;
        let greeting = Self {
            nonce: *from.chunk()?,
            lock: Audience::from_bytes(from.text()?)?,
            rotation: from.word()?,
            bulletin: from.word()?,
            journal: from.unsigned()?,
            time_nonce: match from.rest() {
                [NULL, ..] => from.exactly(&[NULL]).map(|()| None)?,
                _ => Some(*from.chunk()?),
            },
        };
        from.end(greeting).filter(|_| items == 6)
    }
}
