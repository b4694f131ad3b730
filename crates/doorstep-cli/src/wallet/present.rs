//! What is held to a lock: a bearer pass as it is, any other with the proof of the wallet's key.

use super::key::HolderKey;
use super::pass::HeldPass;
use doorstep::pass::claims::Audience;
use doorstep::pass::document::Document;
use doorstep::pass::presented::{with_proof, with_timed_proof};
use doorstep::pass::proof::{Transcript, timed_transcript, transcript};
use zeroize::Zeroizing;

/// The pass as the answer to what the lock of this name sent.
pub(crate) fn answering(
    key: &HolderKey,
    held: &HeldPass,
    lock: &Audience,
    nonce: &[u8; 16],
) -> Zeroizing<Vec<u8>> {
    prove(
        key,
        held,
        |document| transcript(document, lock, nonce),
        |proof| with_proof(held.document(), proof),
    )
}

/// The pass for a lock of this name that can only look, proven by the phone's time.
pub(crate) fn by_time(
    key: &HolderKey,
    held: &HeldPass,
    lock: &Audience,
    time: u32,
) -> Zeroizing<Vec<u8>> {
    prove(
        key,
        held,
        |document| timed_transcript(document, lock, time),
        |proof| with_timed_proof(held.document(), time, proof),
    )
}

fn prove<Proven: AsRef<[u8]>>(
    key: &HolderKey,
    held: &HeldPass,
    transcript: impl FnOnce(&Document<'_>) -> Transcript,
    join: impl FnOnce(&[u8; 64]) -> Option<Proven>,
) -> Zeroizing<Vec<u8>> {
    let proven = (!held.is_bearer()).then(|| Document::parse(held.document()).ok()).flatten();
    let proven = proven.and_then(|document| join(&key.sign(transcript(&document).as_ref())));
    // What is kept is a document, and all of them have room for a proof.
    let bytes = proven.map_or_else(|| held.document().to_vec(), |proven| proven.as_ref().to_vec());
    Zeroizing::new(bytes)
}
