//! Delivery codes checked offline (HO1; `docs/ho1.md`): one parcel, one door, one yes.
//!
//! The issuer makes a [generation](issue::Generation) of a delivery: for each slot (a recipient, or
//! the spare) a code for typing and a secret for scanning. A driver's device is handed a
//! [`Stop`](stop::Stop), which holds only a short [tag](tag::Tag) of each code: enough to refuse
//! wrong ones, not enough to know the right one. (A managed device may be handed a
//! [check](check::Check) of the whole code.) What the device accepted travels back as a
//! [claim](claim::Claim), and the issuer [judges](judge) it with the whole code. For those who were not
//! there it writes [receipts](receipt), and [bundles](bundle) of everything that was claimed.

pub mod bundle;
pub mod check;
pub mod claim;
pub mod device;
pub mod enrolment;
pub mod event;
pub mod failure;
pub mod issue;
pub mod judge;
pub mod receipt;
pub mod route;
pub mod stop;
pub mod tag;
pub mod take;

use crate::cose::keys::{IssuerKey, IssuerPublicKey};
use crate::cose::sign1::{Signed, Signer, Unsigned};
use crate::cose::{Invalid, Kind};
use crate::id::{DeliveryId, IssuerId};
use alloc::vec::Vec;
use minicbor::{Decode, Encode};

/// Typed attempts per delivery and generation, over all slots.
pub const BUDGET: u8 = 5;

/// The most slots a delivery has: two recipients and the spare.
pub const MAX_SLOTS: usize = 3;

/// The longest window of an offline code, in seconds.
pub const LONGEST_WINDOW: u64 = 24 * 60 * 60;

/// How long a code lives that the server checks itself, in seconds.
pub const ONLINE_LIFETIME: u64 = 15 * 60;

/// What exactly a code is for. It goes into every keyed hash, so that nothing made for one
/// delivery, generation, slot or device fits another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Who issued it.
    pub issuer: IssuerId,
    /// The delivery.
    pub delivery: DeliveryId,
    /// Which making of the delivery's codes: 1, 2, ... and never reused.
    pub generation: u32,
    /// Which recipient, or the spare.
    pub slot: u8,
    /// The [fingerprint](crate::cose::keys::PublicKey::fingerprint) of the device's key.
    pub device: [u8; 16],
}

impl Subject {
    /// Feeds the subject in its one encoding: `u8 length || issuer || u8 length || delivery ||
    /// u32 generation || u8 slot || device`.
    fn feed(&self, mut sink: impl FnMut(&[u8])) {
        for id in [self.issuer.as_str(), self.delivery.as_str()] {
            // Ids have at most 40 bytes.
            sink(&[u8::try_from(id.len()).unwrap_or(u8::MAX)]);
            sink(id.as_bytes());
        }
        sink(&self.generation.to_be_bytes());
        sink(&[self.slot]);
        sink(&self.device);
    }
}

/// Decodes a whole document that has exactly one encoding.
pub(crate) fn decode_exact<'b, T>(bytes: &'b [u8]) -> Result<T, Invalid>
where
    T: Decode<'b, ()> + Encode<()>,
{
    let malformed = Invalid::Malformed("document");
    let value: T = minicbor::decode(bytes).map_err(|_| malformed)?;
    let again = crate::cose::sign1::to_bytes(|e| e.encode(&value)?.ok());
    if again == bytes { Ok(value) } else { Err(malformed) }
}

/// Encodes a document; its bytes are deterministic.
pub(crate) fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    crate::cose::sign1::to_bytes(|e| e.encode(value)?.ok())
}

/// A document that an issuer signs with its own name in it.
pub(crate) trait Issued: Encode<()> {
    /// What the document is.
    const KIND: Kind;

    /// Who says so.
    fn issuer(&self) -> IssuerId;
}

/// Signs a document.
pub(crate) fn sign_issued<T: Issued>(document: &T, key: &IssuerKey) -> Vec<u8> {
    let signer = Signer::Ed25519(key.public());
    let name = document.issuer();
    let unsigned = Unsigned::new(T::KIND, &signer, name.as_str(), encode(document));
    unsigned.signed(&key.sign(&unsigned.to_be_signed()))
}

/// Reads a document that this issuer signed.
pub(crate) fn read_issued<T>(
    document: &[u8],
    issuer: IssuerId,
    key: IssuerPublicKey,
) -> Result<T, Invalid>
where
    T: Issued + for<'b> Decode<'b, ()>,
{
    let signed = Signed::parse(document)?;
    let document: T = decode_exact(signed.verify(&Signer::Ed25519(key), T::KIND)?)?;
    if document.issuer() == issuer { Ok(document) } else { Err(Invalid::Key) }
}
