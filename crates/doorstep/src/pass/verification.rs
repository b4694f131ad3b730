//! The comparison of the pipeline: whether a key that the lock trusts made what was presented.

use super::claims::{Audience, Pass};
use super::document::{Check, Envelope, Header};
#[cfg(feature = "encrypt")]
use super::encrypt::open;
use super::key::{MAX_KEYS, TrustedKey, TrustedKeys};
use super::presented::{PresentedPass, PresentedRider};
use super::proof::{Challenge, Fresh, PROOF_LIFETIME, Proof, timely};
use super::reader::Reader;
use super::rider::Rider;
use crate::clock::Interval;
use crate::cose::keys::Signer;
use crate::refusal::Refusal;
use crate::time::Timestamp;
use crate::verifier::Compare;

/// All that is said of what could not be proven: nobody learns how far it came.
pub(super) const UNPROVEN: Refusal = Refusal::WrongCode { left: None };

/// The keys that a document is verified with: those of its name and algorithm. They are copied, since the state that
/// they are from changes before they are used.
#[derive(Debug)]
#[cfg_attr(
    any(feature = "handover", feature = "esp256"),
    expect(clippy::large_enum_variant, reason = "a lock has no allocator to box them with")
)]
pub(super) enum Keys {
    None,
    /// The lock's own of this epoch. What is encrypted is for whom, only the claims in it say.
    Own(u32),
    Issuers([Option<Signer>; MAX_KEYS]),
}

impl Keys {
    /// Of the issuer's keys those of the document's name and algorithm, in whose window it was issued, and that
    /// are not over at the trusted floor.
    pub(super) fn of(
        keys: &TrustedKeys,
        header: &Header,
        issued_at: Option<Timestamp>,
        floor: Timestamp,
    ) -> Self {
        let fits = |known: &TrustedKey| {
            let inside =
                issued_at.is_none_or(|at| known.window.from() <= at && at < known.window.until());
            known.window.until() > floor && known.is_named(header) && inside
        };
        let fitting = keys.signers(fits);
        if fitting.iter().any(Option::is_some) { Self::Issuers(fitting) } else { Self::None }
    }
}

/// Something that was presented to a reader, and the keys that may have made it.
#[derive(Debug)]
pub struct Verification<'a, P> {
    pub(super) reader: &'a Reader,
    pub(super) presented: &'a P,
    pub(super) keys: Keys,
    pub(super) challenge: Option<Challenge>,
}

impl<P> Verification<'_, P> {
    // Apart, so that passes and riders share it: it does not depend on what was presented.
    #[inline(never)]
    fn fits(&self, document: &Envelope<'_>) -> bool {
        let message = document.message();
        let message = &message.parts();
        match (&self.keys, document.check) {
            (Keys::Own(epoch), Check::Mac(mac)) => self.reader.fits(*epoch, message, mac),
            (Keys::Issuers(keys), Check::Signature(signature)) => {
                let fits = |key: &Signer| key.verify(message, signature).is_ok();
                keys.iter().filter_map(Option::as_ref).any(fits)
            }
            _ => false,
        }
    }
}

impl Compare for Verification<'_, PresentedPass<'_>> {
    type Found = Pass;

    fn compare(&self) -> Option<Pass> {
        let PresentedPass { envelope, pass, .. } = self.presented;
        match (pass, &self.keys) {
            (Some(pass), _) if self.fits(envelope) => Some(*pass),
            #[cfg(feature = "encrypt")]
            (None, Keys::Own(epoch)) => {
                let pass = open(&self.reader.encryption_key(*epoch), envelope)?;
                self.reader.is_meant(pass.audience.as_ref()).then_some(pass)
            }
            _ => None,
        }
    }
}

impl Compare for Verification<'_, PresentedRider<'_>> {
    type Found = Rider;

    fn compare(&self) -> Option<Rider> {
        let PresentedRider { envelope, claims } = self.presented;
        self.fits(envelope).then(|| claims.rider())?
    }
}

impl Verification<'_, PresentedPass<'_>> {
    /// The phone's time, if the holder of a pass proved by time to have the key.
    pub(super) fn proven_at(&self, pass: &Pass) -> Option<Timestamp> {
        pass.holder.and(self.presented.proof)?.time()
    }

    /// Whether whoever presents a pass to the lock of this name has the key of its holder, if it has one.
    /// `last` is the last proof by time.
    pub(super) fn prove(
        &self,
        pass: &Pass,
        lock: &Audience,
        now: &Interval,
        last: Option<Timestamp>,
    ) -> Result<(), Refusal> {
        let Some(holder) = &pass.holder else { return Ok(()) };
        let (fresh, signature) = match (self.presented.proof, &self.challenge) {
            (Some(Proof::Answer(signature)), Some(challenge))
                if challenge.age() <= PROOF_LIFETIME =>
            {
                (Fresh::Nonce(challenge.nonce()), signature)
            }
            (Some(Proof::Timed(time, signature)), _) => (Fresh::Time(time), signature),
            _ => return Err(UNPROVEN),
        };
        let message = self.presented.envelope.transcript(lock, &fresh);
        let fits = |key: Signer| key.verify(&[message.as_ref()], signature).is_ok();
        if !holder.signer().is_some_and(fits) {
            return Err(UNPROVEN);
        }
        self.proven_at(pass).map_or(Ok(()), |time| timely(time, now, last))
    }
}
