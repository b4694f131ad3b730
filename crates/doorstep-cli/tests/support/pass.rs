//! Passes and riders for a court, made without a server: an issuer who has the court's keys.

use super::court::{Court, HOUR, issuer, issuer_root};
use doorstep::cose::keys::{IssuerKey, Signer};
use doorstep::pass::claims::{Audience, HolderKey, Pass, PassId, Scope, Uses};
use doorstep::pass::document::{Content, Document};
use doorstep::pass::issue::{Unsigned, maced};
use doorstep::pass::presented::{with_proof, with_timed_proof};
use doorstep::pass::proof::{timed_transcript, transcript};
use doorstep::pass::rider::{Bulletin, Revoked, Rider, Rotation, Token};
use doorstep::secret::Secret;
use doorstep::time::{Timestamp, Window};

/// The phone of a holder.
pub(crate) fn phone() -> IssuerKey {
    IssuerKey::from_seed(&Secret::from_bytes([3; 32]))
}

/// A key that the court's lock does not know yet.
pub(crate) fn next_key() -> IssuerKey {
    IssuerKey::from_seed(&Secret::from_bytes([4; 32]))
}

pub(crate) fn name(court: &Court) -> Audience {
    Audience::of_lock(&court.bundle.lock)
}

fn now(court: &Court) -> Timestamp {
    Timestamp::from_seconds(court.now())
}

/// An hour from now on, for whoever has the pass, as often as wanted.
pub(crate) fn booking(court: &Court, id: u8) -> Pass {
    let now = now(court);
    Pass {
        audience: Some(name(court)),
        window: Window::new(now, now.later(HOUR)).unwrap(),
        issued_at: Some(now),
        id: PassId::from_bytes(&[id, 1, 2, 3, 4, 5, 6, 7]).unwrap(),
        holder: None,
        scope: Scope::default(),
        lasts: None,
    }
}

/// The same, once.
pub(crate) fn once(court: &Court, id: u8) -> Pass {
    Pass { scope: Scope { uses: Uses::Once, ..Scope::default() }, ..booking(court, id) }
}

/// The same, for the holder of the phone.
pub(crate) fn bound(court: &Court, id: u8) -> Pass {
    let holder = HolderKey::of(&Signer::Ed25519(phone().public()));
    Pass { holder: Some(holder), ..booking(court, id) }
}

pub(crate) fn sign(key: &IssuerKey, content: &Content) -> Vec<u8> {
    let unsigned = Unsigned::new(content, &Signer::Ed25519(key.public())).unwrap();
    unsigned.signed(&key.sign(unsigned.to_be_signed())).as_ref().to_vec()
}

pub(crate) fn signed(pass: Pass) -> Vec<u8> {
    sign(&issuer(), &Content::Pass(pass))
}

/// Under the key of the court's lock.
pub(crate) fn mac(court: &Court, pass: Pass) -> Vec<u8> {
    let key = court.bundle.root.passes(court.bundle.epoch);
    maced(&Content::Pass(pass), court.bundle.epoch, &key).unwrap().as_ref().to_vec()
}

/// A pass, and the proof that its holder answers the lock's nonce.
pub(crate) fn proven(court: &Court, pass: &[u8], nonce: &[u8; 16]) -> Vec<u8> {
    let message = transcript(&Document::parse(pass).unwrap(), &name(court), nonce);
    with_proof(pass, &phone().sign(message.as_ref())).unwrap().as_ref().to_vec()
}

/// A pass, and the proof that its holder shows at a time of the phone's.
pub(crate) fn timed(court: &Court, pass: &[u8], time: u64) -> Vec<u8> {
    let time = u32::try_from(time).unwrap();
    let message = timed_transcript(&Document::parse(pass).unwrap(), &name(court), time);
    let proof = phone().sign(message.as_ref());
    with_timed_proof(pass, time, &proof).unwrap().as_ref().to_vec()
}

/// Which passes are revoked.
pub(crate) fn bulletin(court: &Court, sequence: u32, revoked: &[Pass]) -> Vec<u8> {
    let mut prefixes: Vec<_> = revoked.iter().map(|pass| pass.id.prefix()).collect();
    prefixes.sort_unstable();
    let revoked = Revoked::from_prefixes(&prefixes).unwrap();
    let (audience, issued_at) = (name(court), now(court));
    let bulletin = Bulletin { audience, issued_at, sequence, revoked };
    sign(&issuer(), &Content::Rider(Rider::Bulletin(bulletin)))
}

/// The next key, from a day ago on for a year.
pub(crate) fn rotation(court: &Court, sequence: u32) -> Vec<u8> {
    let (issued_at, key) = (now(court), Signer::Ed25519(next_key().public()));
    let window = Window::new(issued_at.earlier(24 * HOUR), issued_at.later(365 * 24 * HOUR));
    let rotation = Rotation { issued_at, sequence, key, window: window.unwrap() };
    sign(&issuer_root(), &Content::Rider(Rider::Rotation(rotation)))
}

/// What time it is, for a lock that asked with this nonce.
pub(crate) fn token(court: &Court, nonce: [u8; 16]) -> Vec<u8> {
    let token = Token { issued_at: now(court), nonce };
    sign(&issuer(), &Content::Rider(Rider::Token(token)))
}

pub(crate) fn text(presented: &[u8]) -> String {
    let mut text = String::new();
    doorstep::pass::text::write(presented, &mut text).unwrap();
    text
}
