//! What is held to a lock: a document, or a pass with its holder's proof.

use super::claims::Pass;
use super::document::{Content, Document, MAX_LENGTH, Malformed, write};
use super::rider::Rider;
use crate::bytes::Short;
use minicbor::Decoder;

/// The most bytes of a presentation.
pub const MAX_PRESENTED: usize = MAX_LENGTH + 67;

/// A presentation, taken apart. Nothing of it is proven.
#[derive(Clone, Copy, Debug)]
pub enum Presented<'a> {
    /// A pass.
    Pass(PresentedPass<'a>),
    /// A rider.
    Rider(PresentedRider<'a>),
}

/// A pass, and its holder's proof if one came along.
#[derive(Clone, Copy)]
pub struct PresentedPass<'a> {
    pub(super) document: Document<'a>,
    pub(super) pass: Pass,
    pub(super) proof: Option<&'a [u8; 64]>,
}

impl core::fmt::Debug for PresentedPass<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "PresentedPass({:?}, proof: {})", self.document, self.proof.is_some())
    }
}

/// A rider.
#[derive(Clone, Copy, Debug)]
pub struct PresentedRider<'a> {
    pub(super) document: Document<'a>,
    pub(super) rider: Rider,
}

impl<'a> Presented<'a> {
    /// Takes a presentation apart: a document, or an array of a pass and a proof.
    ///
    /// # Errors
    /// [`Malformed`] names the part, for those who make documents.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        // An array of two; documents begin with a tag.
        let Some(rest) = bytes.strip_prefix(&[0x82]) else {
            let document = Document::parse(bytes)?;
            return Ok(match *document.content() {
                Content::Pass(pass) => Self::Pass(PresentedPass { document, pass, proof: None }),
                Content::Rider(rider) => Self::Rider(PresentedRider { document, rider }),
            });
        };
        let mut d = Decoder::new(rest);
        let document = Document::read(&mut d)?;
        let Content::Pass(pass) = *document.content() else { return Err(Malformed("rider")) };
        let proof = rest.get(d.position()..).and_then(|rest| rest.strip_prefix(&[0x58, 64]));
        let proof = proof.and_then(|proof| proof.try_into().ok()).ok_or(Malformed("proof"))?;
        Ok(Self::Pass(PresentedPass { document, pass, proof: Some(proof) }))
    }
}

/// A pass with its holder's proof, as it is held to a lock; `None` when it is too long for a pass.
#[must_use]
pub fn with_proof(pass: &[u8], proof: &[u8; 64]) -> Option<Short<MAX_PRESENTED>> {
    let mut bytes = Short::EMPTY;
    bytes.push(&[0x82])?;
    bytes.push(pass)?;
    let proof: Short<66> = write(|e| e.bytes(proof).map(|_| ()))?;
    bytes.push(proof.as_ref())?;
    Some(bytes)
}
