//! An issuer of passes for tests that need no server: one key, and the core's own documents.

use doorstep::cose::keys::{IssuerKey, Signer};
use doorstep::pass::claims::{Audience, HolderKey, Pass, PassId, Scope};
use doorstep::pass::document::Content;
use doorstep::pass::issue::Unsigned;
use doorstep::pass::rider::{Bulletin, Revoked, Rider};
use doorstep::secret::Secret;
use doorstep::time::{Timestamp, Window};

/// When everything happens, in UTC seconds.
pub(crate) const NOW: u64 = 1_800_057_600;

/// The key that signs.
pub(crate) fn key() -> IssuerKey {
    IssuerKey::from_seed(&Secret::from_bytes([7; 32]))
}

/// A bearer pass of this id for a lock or a group, for the two hours around now.
pub(crate) fn pass(id: u8, audience: &str) -> Pass {
    let now = Timestamp::from_seconds(NOW);
    let from = Timestamp::from_seconds(NOW - 3600);
    Pass {
        audience: Audience::parse(audience),
        window: Window::new(from, now.later(3600)).unwrap(),
        issued_at: Some(from),
        id: PassId::from_bytes(&[id; 8]).unwrap(),
        holder: None,
        scope: Scope::default(),
        lasts: None,
    }
}

/// The same, for whoever has the private key of this one.
pub(crate) fn bound(id: u8, audience: &str, holder: HolderKey) -> Pass {
    Pass { holder: Some(holder), ..pass(id, audience) }
}

/// A bulletin of this number for a lock.
pub(crate) fn bulletin(sequence: u32, audience: &str, revoked: &[[u8; 4]]) -> Rider {
    Rider::Bulletin(Bulletin {
        audience: Audience::parse(audience).unwrap(),
        issued_at: Timestamp::from_seconds(NOW),
        sequence,
        revoked: Revoked::from_prefixes(revoked).unwrap(),
    })
}

/// Signs a pass.
pub(crate) fn signed(pass: Pass) -> Vec<u8> {
    document(&Content::Pass(pass))
}

/// Signs a pass or a rider.
pub(crate) fn document(content: &Content) -> Vec<u8> {
    let key = key();
    let unsigned = Unsigned::new(content, &Signer::Ed25519(key.public())).unwrap();
    unsigned.signed(&key.sign(unsigned.to_be_signed())).as_ref().to_vec()
}

/// A document as the text of a QR code.
pub(crate) fn text(document: &[u8]) -> String {
    let mut text = String::new();
    doorstep::pass::text::write(document, &mut text).unwrap();
    text
}
