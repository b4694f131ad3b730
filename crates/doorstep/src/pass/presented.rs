//! What is held to a lock: a document, or a pass with its holder's proof.

use super::claims::Pass;
use super::document::{Content, Document, MAX_LENGTH, Malformed, write};
use super::proof::Proof;
use super::rider::Rider;
use crate::bytes::Short;
use minicbor::Decoder;

/// The most bytes of a presentation.
pub const MAX_PRESENTED: usize = MAX_LENGTH + 72;

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
    /// `None` when only the lock can read it.
    pub(super) pass: Option<Pass>,
    pub(super) proof: Option<Proof<'a>>,
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
    /// Takes a presentation apart: a document, or an array of a pass and a proof, or of a pass, the phone's time
    /// and a proof by it.
    ///
    /// # Errors
    /// [`Malformed`] names the part, for those who make documents.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        // Arrays of two and of three; documents begin with a tag.
        let (timed, rest) = match bytes {
            [ANSWERED, rest @ ..] => (false, rest),
            [TIMED, rest @ ..] => (true, rest),
            _ => return Self::of(Document::parse(bytes)?, None),
        };
        let mut d = Decoder::new(rest);
        let document = Document::read(&mut d)?;
        let proof = rest.get(d.position()..).and_then(|rest| proof(timed, rest));
        Self::of(document, Some(proof.ok_or(Malformed("proof"))?))
    }

    fn of(document: Document<'a>, proof: Option<Proof<'a>>) -> Result<Self, Malformed> {
        let pass = match document.content() {
            None => None,
            Some(Content::Pass(pass)) => Some(*pass),
            Some(Content::Rider(_)) if proof.is_some() => return Err(Malformed("rider")),
            Some(Content::Rider(rider)) => {
                return Ok(Self::Rider(PresentedRider { document, rider: *rider }));
            }
        };
        Ok(Self::Pass(PresentedPass { document, pass, proof }))
    }
}

const ANSWERED: u8 = 0x82;
const TIMED: u8 = 0x83;

/// What follows the pass, to the end.
fn proof(timed: bool, rest: &[u8]) -> Option<Proof<'_>> {
    let mut d = Decoder::new(rest);
    let time = if timed { Some(d.u32().ok()?) } else { None };
    let (stands, signature) = rest.split_at_checked(d.position())?;
    let signature = signature.strip_prefix(&[0x58, 64])?.try_into().ok()?;
    let Some(time) = time else { return Some(Proof::Answer(signature)) };
    let again: Short<5> = write(|e| e.u32(time).map(|_| ()))?;
    (again.as_ref() == stands).then_some(Proof::Timed(time, signature))
}

/// A pass with its holder's proof, as it is held to a lock; `None` when it is too long for a pass.
#[must_use]
pub fn with_proof(pass: &[u8], proof: &[u8; 64]) -> Option<Short<MAX_PRESENTED>> {
    let mut bytes = Short::EMPTY;
    bytes.push(&[ANSWERED])?;
    bytes.push(pass)?;
    let proof: Short<66> = write(|e| e.bytes(proof).map(|_| ()))?;
    bytes.push(proof.as_ref())?;
    Some(bytes)
}

/// A pass with its holder's proof by the phone's time, as a QR code shows it; `None` when it is too long for a
/// pass.
#[must_use]
pub fn with_timed_proof(pass: &[u8], time: u32, proof: &[u8; 64]) -> Option<Short<MAX_PRESENTED>> {
    let mut bytes = Short::EMPTY;
    bytes.push(&[TIMED])?;
    bytes.push(pass)?;
    let proof: Short<71> = write(|e| e.u32(time)?.bytes(proof).map(|_| ()))?;
    bytes.push(proof.as_ref())?;
    Some(bytes)
}
