//! The comparison of the pipeline: whether a key that the lock trusts made what was presented.

use super::claims::{Audience, Pass};
use super::document::{Check, Envelope, Header};
#[cfg(feature = "encrypt")]
use super::encrypt::open;
use super::fields::Fields;
#[cfg(feature = "encrypt")]
use super::key::EncryptionKey;
use super::key::{MAX_KEYS, PassKey, TrustedKey, TrustedKeys};
use super::proof::{Challenge, PROOF_LIFETIME, Proof, timely};
#[cfg(feature = "encrypt")]
use super::reader::Names;
use super::rider::Rider;
use crate::clock::Interval;
use crate::cose::keys::Signer;
use crate::refusal::Refusal;
use crate::time::Timestamp;
use crate::verifier::Compare;
use core::marker::PhantomData;

/// All that is said of what could not be proven: nobody learns how far it came.
pub(super) const UNPROVEN: Refusal = Refusal::WrongCode { left: None };

/// The keys that a document is verified with: those of its name and algorithm.
#[derive(Debug)]
pub(super) enum Keys {
    None,
    Own(PassKey),
    /// What is encrypted is for whom, only the claims in it say.
    #[cfg(feature = "encrypt")]
    Encryption(EncryptionKey, Names),
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

    fn verify(&self, document: &Envelope<'_>) -> bool {
        let message = document.message();
        match (self, document.check) {
            (Self::Own(key), Check::Mac(mac)) => key.fits(message.as_ref(), mac),
            (Self::Issuers(keys), Check::Signature(signature)) => {
                keys.iter().flatten().any(|key| key.verify(message.as_ref(), signature).is_ok())
            }
            _ => false,
        }
    }

    /// The pass in an encrypted document, if it is for this lock.
    #[cfg_attr(not(feature = "encrypt"), expect(unused_variables, reason = "nothing is decrypted"))]
    fn open(&self, document: &Envelope<'_>) -> Option<Pass> {
        match self {
            #[cfg(feature = "encrypt")]
            Self::Encryption(key, names) => {
                open(key, document).filter(|pass| names.are_meant(pass.audience.as_ref()))
            }
            _ => None,
        }
    }
}

/// Something that was presented, and the keys that may have made it.
#[derive(Debug)]
pub struct Verification<'a, C> {
    pub(super) document: Envelope<'a>,
    pub(super) keys: Keys,
    /// What it says, of which nothing is proven; `None` until it is decrypted.
    pub(super) claims: Option<Fields<'a>>,
    pub(super) proof: Option<Proof<'a>>,
    pub(super) challenge: Option<Challenge>,
    pub(super) content: PhantomData<C>,
}

impl Compare for Verification<'_, Pass> {
    type Found = Pass;

    fn compare(&self) -> Option<Pass> {
        match &self.claims {
            Some(claims) => self.keys.verify(&self.document).then(|| claims.pass())?,
            None => self.keys.open(&self.document),
        }
    }
}

impl Compare for Verification<'_, Rider> {
    type Found = Rider;

    fn compare(&self) -> Option<Rider> {
        self.keys.verify(&self.document).then(|| self.claims.as_ref()?.rider())?
    }
}

impl Verification<'_, Pass> {
    /// The phone's time, if the holder of a pass proved by time to have the key.
    pub(super) fn proven_at(&self, pass: &Pass) -> Option<Timestamp> {
        pass.holder.and(self.proof)?.time()
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
        let (message, signature) = match (self.proof, &self.challenge) {
            (Some(Proof::Answer(signature)), Some(challenge))
                if challenge.age() <= PROOF_LIFETIME =>
            {
                (self.document.transcript(lock, challenge.nonce()), signature)
            }
            (Some(Proof::Timed(time, signature)), _) => {
                (self.document.timed_transcript(lock, time), signature)
            }
            _ => return Err(UNPROVEN),
        };
        let fits = |key: Signer| key.verify(message.as_ref(), signature).is_ok();
        if !holder.signer().is_some_and(fits) {
            return Err(UNPROVEN);
        }
        self.proven_at(pass).map_or(Ok(()), |time| timely(time, now, last))
    }
}
