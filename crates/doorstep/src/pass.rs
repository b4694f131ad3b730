//! Passes (DP1, `docs/dp1.md`): a signed token that its holder carries to a lock without a network, and that
//! also carries the time, revocations and keys there.
//!
//! [`issue`] makes documents: passes, and *riders* (bulletins of revoked passes, answers to a lock that asked
//! for the time, further keys of the issuer), which anybody's phone may bring. [`presented::Presented`] takes
//! apart what was held to a lock; [`reader::Reader`] judges it over the crate's one pipeline, and
//! [`state::State`] is what it remembers. [`text`] is the form for QR codes, and [`exchange`] is how a lock and a
//! phone speak over NFC and BLE.
//!
//! A document is a COSE_Sign1, COSE_Mac0 or COSE_Encrypt0 around CWT claims in deterministic CBOR, and is read
//! without a heap. Everything that is remembered of a pass is kept under its [`claims::PassId`], never under a
//! signature: signatures can be changed by whoever holds them and still fit.

mod cbor;
pub mod claims;
pub mod document;
#[cfg(feature = "encrypt")]
mod encrypt;
pub mod exchange;
mod fields;
pub mod issue;
pub mod key;
pub mod mark;
pub mod presented;
pub mod proof;
pub mod reader;
pub mod record;
#[cfg(all(test, feature = "esp256"))]
mod rfc;
pub mod rider;
pub mod starts;
pub mod state;
pub mod text;
pub mod verification;

use crate::refusal::Refusal;

/// What whoever stands at the door with a pass can do about a refusal.
#[must_use]
pub const fn hint(refusal: &Refusal) -> &'static str {
    exchange::answer::Answer::of(refusal).hint()
}
