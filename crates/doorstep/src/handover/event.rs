//! The records of a device's journal, and the one encoding that its chain covers.

use super::route::Route;
use super::{decode_exact, encode};
use crate::cose::Invalid;
use crate::cose::keys::{IssuerPublicKey, PublicKey};
use crate::id::{DeliveryId, DeviceId, IssuerId};
use crate::ledger::{Head, Place};
use crate::time::Timestamp;
use crate::verifier::Means;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use minicbor::{Decode, Encode};

/// Who a device is, and whom it trusts: fixed at enrolment.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Identity {
    /// The issuer.
    #[n(0)]
    pub issuer: IssuerId,
    /// The key that routes and acknowledgements are signed with (Ed25519).
    #[cbor(n(1), with = "minicbor::bytes")]
    pub issuer_signing_key: [u8; 32],
    /// The key that evidence is sealed to (P-256, compressed).
    #[cbor(n(2), with = "minicbor::bytes")]
    pub issuer_agreement_key: [u8; 33],
    /// The device.
    #[n(3)]
    pub device: DeviceId,
    /// Its own key (P-256, compressed).
    #[cbor(n(4), with = "minicbor::bytes")]
    pub device_key: [u8; 33],
    /// Where the issuer's server is.
    #[n(5)]
    pub server: String,
    /// Whether the issuer's data is marked as test, for ever.
    #[n(6)]
    pub test: bool,
    /// Whether the issuer manages the device, which may then check whole codes.
    #[n(7)]
    pub managed: bool,
}

impl Identity {
    /// The issuer's signing key.
    ///
    /// # Errors
    /// [`Invalid::Key`].
    pub fn issuer_key(&self) -> Result<IssuerPublicKey, Invalid> {
        IssuerPublicKey::from_bytes(&self.issuer_signing_key)
    }

    /// The issuer's agreement key.
    ///
    /// # Errors
    /// [`Invalid::Key`].
    pub fn agreement_key(&self) -> Result<PublicKey, Invalid> {
        PublicKey::from_bytes(&self.issuer_agreement_key)
    }

    /// The device's own key.
    ///
    /// # Errors
    /// [`Invalid::Key`].
    pub fn key(&self) -> Result<PublicKey, Invalid> {
        PublicKey::from_bytes(&self.device_key)
    }
}

/// Something that happened to a device and must not be forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Event {
    /// The first record: the device belongs to an issuer.
    #[n(0)]
    Enrolled(#[n(0)] Identity, #[n(1)] Timestamp),
    /// A route was taken in.
    #[n(1)]
    Routed(#[n(0)] Route, #[n(1)] Timestamp),
    /// Something is about to be compared.
    #[n(2)]
    Attempted(#[n(0)] Attempted, #[n(1)] Timestamp),
    /// A delivery was granted, or failed; the signed claim is the record.
    #[n(3)]
    Claimed(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>, #[n(1)] Timestamp),
    /// The issuer's signed acknowledgement.
    #[n(4)]
    Acknowledged(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>, #[n(1)] Timestamp),
    /// Time passed.
    #[n(5)]
    Ticked(#[n(0)] Timestamp),
}

/// One presentation, counted before it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Attempted {
    /// The delivery.
    #[n(0)]
    pub delivery: DeliveryId,
    /// Its generation.
    #[n(1)]
    pub generation: u32,
    /// What it costs.
    #[n(2)]
    pub means: Means,
}

impl Event {
    /// When, by the device's own reckoning.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Enrolled(_, at)
            | Self::Routed(_, at)
            | Self::Attempted(_, at)
            | Self::Claimed(_, at)
            | Self::Acknowledged(_, at)
            | Self::Ticked(at) => *at,
        }
    }

    /// The bytes that stand in the journal.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`Invalid::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Invalid> {
        decode_exact(bytes)
    }
}

/// A record that wants to be appended, with its place.
#[derive(Clone)]
pub struct Record {
    body: Vec<u8>,
    place: Place,
}

impl fmt::Debug for Record {
    /// Without the body: a route's holds what its codes are checked with.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({:?}, ..)", self.place)
    }
}

impl Record {
    /// The event as the next record after `head`.
    #[must_use]
    pub fn new(event: &Event, head: Head) -> Self {
        let body = event.encode();
        let place = Place::of(head, &body);
        Self { body, place }
    }

    /// The bytes to append.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Where.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }
}
