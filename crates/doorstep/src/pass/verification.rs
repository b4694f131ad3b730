//! The comparison of the pipeline: whether a key that the lock trusts made what was presented.

use super::claims::{Audience, Pass};
use super::document::{Check, Document, Header};
use super::key::{PassKey, TrustedKeys};
use super::proof::{Challenge, PROOF_LIFETIME, transcript};
use crate::cose::keys::Signer;
use crate::time::Timestamp;
use crate::verifier::Compare;

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
    pub(super) proof: Option<&'a [u8; 64]>,
    pub(super) challenge: Option<Challenge>,
}

impl<C: Copy> Compare for Verification<'_, C> {
    type Found = C;

    fn compare(&self) -> Option<C> {
        self.keys.verify(&self.document).then_some(self.content)
    }
}

impl Verification<'_, Pass> {
    /// Whether whoever presents a pass to the lock of this name has the key of its holder, if it has one.
    pub(super) fn is_proven(&self, lock: &Audience) -> bool {
        let Some(holder) = &self.content.holder else { return true };
        let (Some(proof), Some(challenge)) = (self.proof, &self.challenge) else { return false };
        let fresh = challenge.age() <= PROOF_LIFETIME;
        let message = transcript(&self.document, lock, challenge.nonce());
        let fits = |key: Signer| key.verify(message.as_ref(), proof).is_ok();
        fresh && holder.signer().is_some_and(fits)
    }
}
