//! The holder's proof: whoever shows a pass with a holder's key also signs the lock's challenge, so that a
//! copied pass is worth nothing; or, where the lock cannot send one, the time, so that a copy soon is.

use super::cbor::write;
use super::claims::Audience;
use super::document::{Document, Envelope, Kind, structure};
use crate::bytes::Short;
use crate::clock::Interval;
use crate::refusal::Refusal;
use crate::time::Timestamp;
use core::fmt;
use hmac::{Hmac, Mac as _};
use rand_core::CryptoRng;
use sha2::Sha256;

/// For how many counted seconds a challenge may be answered with a proof.
pub const PROOF_LIFETIME: u32 = 30;

/// By how many seconds the phone's time in a proof by time may be beyond what the lock believes, on either side.
pub const PHONE_CLOCK: u64 = 60;

/// What a holder's key signs.
pub type Transcript = Short<80>;

/// 16 random bytes that a lock sends before something is presented to it. It is taken along by the one presentation
/// that answers it, whatever comes of that.
#[derive(Debug)]
pub struct Challenge {
    nonce: [u8; 16],
    age: u32,
}

impl Challenge {
    /// Draws a challenge.
    pub fn make(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut nonce = [0; 16];
        rng.fill_bytes(&mut nonce);
        Self { nonce, age: 0 }
    }

    /// The challenge of this number since the lock started so many times; see [`super::starts`].
    pub(super) fn counted(key: &Hmac<Sha256>, starts: u32, number: u32) -> Self {
        let counts = [starts.to_be_bytes(), number.to_be_bytes()];
        let hash = key.clone().chain_update(counts.as_flattened()).finalize().into_bytes();
        Self { nonce: hash.first_chunk().copied().unwrap_or([0; 16]), age: 0 }
    }

    /// The bytes to send.
    #[must_use]
    pub const fn nonce(&self) -> &[u8; 16] {
        &self.nonce
    }

    /// The same once more, for a challenge that only the issuer can answer.
    pub(super) const fn again(&self) -> Self {
        Self { nonce: self.nonce, age: self.age }
    }

    /// The challenge so many counted seconds later.
    #[must_use]
    pub const fn later(self, seconds: u32) -> Self {
        Self { age: self.age.saturating_add(seconds), ..self }
    }

    /// Counted seconds since it was drawn.
    #[must_use]
    pub const fn age(&self) -> u32 {
        self.age
    }
}

/// A proof as it was presented.
#[derive(Clone, Copy)]
pub(super) enum Proof<'a> {
    /// The answer to a challenge.
    Answer(&'a [u8; 64]),
    /// The phone's time, signed where there is no way from the lock to the phone.
    Timed(u32, &'a [u8; 64]),
}

impl Proof<'_> {
    /// The phone's time, in a proof by time.
    pub(super) fn time(&self) -> Option<Timestamp> {
        match self {
            Self::Answer(_) => None,
            Self::Timed(time, _) => Some(Timestamp::from_seconds(u64::from(*time))),
        }
    }
}

impl fmt::Debug for Proof<'_> {
    /// Without the signature: for a while a proof is as good as the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proof({:?})", self.time())
    }
}

/// Whether a lock takes a proof of this time. It must be later than the `last` one of the same pass, so that a
/// copy is worth nothing once the proof, or a newer one, was shown.
pub(super) fn timely(
    time: Timestamp,
    now: &Interval,
    last: Option<Timestamp>,
) -> Result<(), Refusal> {
    if let Some(at) = last.filter(|last| time <= *last) {
        return Err(Refusal::AlreadyUsed { at });
    }
    let (from, until) = (time.earlier(PHONE_CLOCK), time.later(PHONE_CLOCK).later(1));
    if now.latest < from {
        return Err(Refusal::NotYetValid { from });
    }
    if now.earliest >= until { Err(Refusal::Expired { until }) } else { Ok(()) }
}

/// What the holder of a pass signs to answer the challenge of the lock that is called `lock`. It covers what the
/// issuer signed, and no signature; all of what is encrypted.
#[must_use]
pub fn transcript(pass: &Document<'_>, lock: &Audience, nonce: &[u8; 16]) -> Transcript {
    pass.envelope().transcript(lock, &Fresh::Nonce(nonce))
}

/// What the holder of a pass signs to show it one way, in a QR code, to the lock that is called `lock`: the
/// phone's time stands in the place of the nonce, as a number, so that neither proof passes for the other.
#[must_use]
pub fn timed_transcript(pass: &Document<'_>, lock: &Audience, time: u32) -> Transcript {
    pass.envelope().transcript(lock, &Fresh::Time(time))
}

/// What no earlier proof was over.
pub(super) enum Fresh<'a> {
    /// The lock's challenge.
    Nonce(&'a [u8; 16]),
    /// The phone's time.
    Time(u32),
}

impl Envelope<'_> {
    // Apart, so that its part of the stack is given back before a signature needs all of it.
    #[inline(never)]
    pub(super) fn transcript(&self, lock: &Audience, fresh: &Fresh<'_>) -> Transcript {
        let hash = self.digest();
        let payload: Option<Short<52>> = write(|w| {
            w.array(3);
            match fresh {
                Fresh::Nonce(nonce) => w.bytes(*nonce),
                Fresh::Time(time) => w.unsigned(*time),
            };
            w.text(lock.as_bytes()).bytes(hash.first_chunk::<16>().unwrap_or(&[0; 16]));
        });
        let external = Kind::HolderProof.context().as_bytes();
        let signed =
            payload.and_then(|payload| structure("Signature1", &[], external, payload.as_ref()));
        signed.unwrap_or(Transcript::EMPTY)
    }
}
