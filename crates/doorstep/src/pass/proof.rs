//! The holder's proof: whoever shows a pass with a holder's key also signs the lock's challenge, so that a
//! copied pass is worth nothing.

use super::claims::Audience;
use super::document::{Document, structure, write};
use crate::bytes::Short;
use crate::cose::Kind;
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};

/// For how many counted seconds a challenge may be answered with a proof.
pub const PROOF_LIFETIME: u32 = 30;

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

    /// The bytes to send.
    #[must_use]
    pub const fn nonce(&self) -> &[u8; 16] {
        &self.nonce
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

/// What the holder of a pass signs to answer the challenge of the lock that is called `lock`. It covers what the
/// issuer signed, and no signature.
#[must_use]
pub fn transcript(pass: &Document<'_>, lock: &Audience, nonce: &[u8; 16]) -> Transcript {
    let hash: [u8; 32] = Sha256::digest(pass.message().as_ref()).into();
    let payload: Option<Short<52>> = write(|e| {
        e.array(3)?.bytes(nonce)?.str(lock.as_str())?;
        e.bytes(hash.first_chunk::<16>().unwrap_or(&[0; 16]))?;
        Ok(())
    });
    payload
        .and_then(|payload| structure("Signature1", &[], Kind::HolderProof, payload.as_ref()))
        .unwrap_or(Transcript::EMPTY)
}
