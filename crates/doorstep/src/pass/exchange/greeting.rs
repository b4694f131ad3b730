//! What a lock says first: a nonce for whoever proves a pass, and how much it knows, so that a phone brings only what
//! it lacks.

use super::super::claims::Audience;
use super::super::document::{Malformed, write};
use crate::bytes::Short;
use minicbor::Decoder;

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
        let written = write(|e| {
            e.array(6)?.bytes(&self.nonce)?.str(self.lock.as_str())?;
            e.u32(self.rotation)?.u32(self.bulletin)?.u64(self.journal)?;
            match &self.time_nonce {
                Some(nonce) => e.bytes(nonce)?,
                None => e.null()?,
            };
            Ok(())
        });
        // The longest has its room.
        written.unwrap_or(Short::EMPTY)
    }

    /// Reads a greeting.
    ///
    /// # Errors
    /// [`Malformed`] for anything else, and for any other encoding of one.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let greeting = Self::decode(bytes).ok_or(Malformed("greeting"))?;
        if greeting.to_bytes().as_ref() == bytes {
            Ok(greeting)
        } else {
            Err(Malformed("encoding"))
        }
    }

    /// Reads the fields only; that every byte is as it must be is settled by encoding again.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut d = Decoder::new(bytes);
        d.array().ok()?;
        Some(Self {
            nonce: d.bytes().ok()?.try_into().ok()?,
            lock: Audience::parse(d.str().ok()?)?,
            rotation: d.u32().ok()?,
            bulletin: d.u32().ok()?,
            journal: d.u64().ok()?,
            time_nonce: match d.bytes() {
                Ok(nonce) => Some(nonce.try_into().ok()?),
                Err(_) => None,
            },
        })
    }
}
