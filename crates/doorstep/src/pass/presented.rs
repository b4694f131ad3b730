//! What is held to a lock: a document, or a pass with its holder's proof.

use super::cbor::{Reader, write};
use super::claims::Pass;
use super::document::{Envelope, Kind, MAX_LENGTH, Malformed};
use super::fields::Fields;
use super::proof::Proof;
use crate::bytes::Short;
use core::fmt;

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
    pub(super) envelope: Envelope<'a>,
    /// What it says; `None` when only the lock can read it.
    pub(super) pass: Option<Pass>,
    pub(super) proof: Option<Proof<'a>>,
}

impl fmt::Debug for PresentedPass<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (header, proof) = (&self.envelope.header, self.proof.is_some());
        write!(f, "PresentedPass({header:?}, {:?}, proof: {proof})", self.pass)
    }
}

/// A rider.
#[derive(Clone, Copy)]
pub struct PresentedRider<'a> {
    pub(super) envelope: Envelope<'a>,
    pub(super) claims: Fields<'a>,
}

impl fmt::Debug for PresentedRider<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PresentedRider({:?}, {:?})", self.envelope.header, self.envelope.kind)
    }
}

impl<'a> Presented<'a> {
    /// Takes a presentation apart: a document, or an array of a pass and a proof, or of a pass, the phone's time
    /// and a proof by it.
    ///
    /// # Errors
    /// [`Malformed`] names the part, for those who make documents.
    // Apart, so that its part of the stack is given back before a signature needs all of it.
    #[inline(never)]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        // Arrays of two and of three; documents begin with a tag.
        let (shown, rest) = match bytes {
            [ANSWERED, rest @ ..] => (Some(false), rest),
            [TIMED, rest @ ..] => (Some(true), rest),
            _ => (None, bytes),
        };
        let mut from = Reader::new(rest);
        let (envelope, claims) = Envelope::read(&mut from)?;
        let proof = match shown {
            None => None,
            Some(timed) => Some(proof(timed, &mut from).ok_or(Malformed("proof"))?),
        };
        from.end(()).ok_or(Malformed("end"))?;
        match (envelope.kind, claims) {
            (Kind::Pass, claims) => {
                let pass = claims.and_then(|claims| claims.pass());
                Ok(Self::Pass(PresentedPass { envelope, pass, proof }))
            }
            (_, Some(claims)) if proof.is_none() => {
                Ok(Self::Rider(PresentedRider { envelope, claims }))
            }
            _ => Err(Malformed("rider")),
        }
    }
}

const ANSWERED: u8 = 0x82;
const TIMED: u8 = 0x83;

/// What follows the pass.
fn proof<'a>(timed: bool, from: &mut Reader<'a>) -> Option<Proof<'a>> {
    if timed {
        return Some(Proof::Timed(from.word()?, from.chunk()?));
    }
    from.chunk().map(Proof::Answer)
}

/// A pass with its holder's proof, as it is held to a lock; `None` when it is too long for a pass.
#[must_use]
pub fn with_proof(pass: &[u8], proof: &[u8; 64]) -> Option<Short<MAX_PRESENTED>> {
    let mut bytes = Short::EMPTY;
    bytes.push(&[ANSWERED])?;
    bytes.push(pass)?;
    let proof: Short<66> = write(|w| {
        w.bytes(proof);
    })?;
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
    let proof: Short<71> = write(|w| {
        w.unsigned(time).bytes(proof);
    })?;
    bytes.push(proof.as_ref())?;
    Some(bytes)
}
