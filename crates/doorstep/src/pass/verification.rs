//! The comparison of the pipeline: whether a key that the lock trusts made what was presented.

use super::claims::{Audience, Pass};
use super::document::{Check, Document, Header};
use super::key::{PassKey, TrustedKeys};
use super::proof::{Challenge, PROOF_LIFETIME, Proof, timed_transcript, timely, transcript};
use crate::clock::Interval;
use crate::cose::keys::Signer;
use crate::refusal::Refusal;
use crate::time::Timestamp;
use crate::verifier::Compare;

/// All that is said of what could not be proven: nobody learns how far it came.
pub(super) const UNPROVEN: Refusal = Refusal::WrongCode { left: None };

/// The keys that a document is verified with: those of its name and algorithm.
#[derive(Debug)]
pub(super) enum Keys {
    None,
    Own(PassKey),
    Issuers(TrustedKeys),
}

impl Keys {
    /// Of these keys the ones whose algorithm the document names and whose window it was issued in.
    pub(super) fn of(keys: TrustedKeys, header: &Header, issued_at: Option<Timestamp>) -> Self {
        let keys = keys.filter(|known| {
            let algorithm = matches!((known.key, header), (Signer::Ed25519(_), Header::Ed25519(_)));
            #[cfg(any(feature = "handover", feature = "esp256"))]
            let algorithm =
                algorithm || matches!((known.key, header), (Signer::P256(_), Header::Esp256(_)));
            let inside =
                issued_at.is_none_or(|at| known.window.from() <= at && at < known.window.until());
            algorithm && inside
        });
        if keys.iter().next().is_some() { Self::Issuers(keys) } else { Self::None }
    }

    fn verify(&self, document: &Document<'_>) -> bool {
        let message = document.message();
        match (self, document.check()) {
            (Self::Own(key), Check::Mac(mac)) => key.fits(message.as_ref(), mac),
            (Self::Issuers(keys), Check::Signature(signature)) => {
                keys.iter().any(|known| known.key.verify(message.as_ref(), signature).is_ok())
            }
            _ => false,
        }
    }
}

/// Something that was presented, and the keys that may have made it.
#[derive(Debug)]
pub struct Verification<'a, C> {
    pub(super) document: Document<'a>,
    pub(super) keys: Keys,
    pub(super) content: C,
    pub(super) proof: Option<Proof<'a>>,
    pub(super) challenge: Option<Challenge>,
}

impl<C: Copy> Compare for Verification<'_, C> {
    type Found = C;

    fn compare(&self) -> Option<C> {
        self.keys.verify(&self.document).then_some(self.content)
    }
}

impl Verification<'_, Pass> {
    /// The phone's time, if the holder of a pass proved by time to have the key.
    pub(super) fn proven_at(&self) -> Option<Timestamp> {
        self.content.holder.and(self.proof)?.time()
    }

    /// Whether whoever presents a pass to the lock of this name has the key of its holder, if it has one.
    /// `last` is the last proof by time.
    pub(super) fn prove(
        &self,
        lock: &Audience,
        now: &Interval,
        last: Option<Timestamp>,
    ) -> Result<(), Refusal> {
        let Some(holder) = &self.content.holder else { return Ok(()) };
        let (message, signature) = match (self.proof, &self.challenge) {
            (Some(Proof::Answer(signature)), Some(challenge))
                if challenge.age() <= PROOF_LIFETIME =>
            {
                (transcript(&self.document, lock, challenge.nonce()), signature)
            }
            (Some(Proof::Timed(time, signature)), _) => {
                (timed_transcript(&self.document, lock, time), signature)
            }
            _ => return Err(UNPROVEN),
        };
        let fits = |key: Signer| key.verify(message.as_ref(), signature).is_ok();
        if !holder.signer().is_some_and(fits) {
            return Err(UNPROVEN);
        }
        self.proven_at().map_or(Ok(()), |time| timely(time, now, last))
    }
}
