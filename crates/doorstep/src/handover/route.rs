//! What a driver's device is handed: a numbered delta of stops, signed by the issuer, then sealed
//! to the device's key.

use super::stop::Stop;
use super::{Issued, decode_exact, encode, read_issued, sign_issued};
use crate::cose::encrypt::{Sealed, seal};
use crate::cose::keys::{IssuerKey, PublicKey, Shared};
use crate::cose::sign1::{Signed, Signer, Unsigned};
use crate::cose::{Invalid, Kind};
use crate::handover::event::Identity;
use crate::id::{DeliveryId, DeviceId, IssuerId};
use crate::ledger::Head;
use crate::time::Timestamp;
use alloc::vec::Vec;
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;

/// A delta of one device's stops.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Route {
    /// Who signed it.
    #[n(0)]
    pub issuer: IssuerId,
    /// Whom it is for.
    #[n(1)]
    pub device: DeviceId,
    /// The fingerprint of the device's key.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub fingerprint: [u8; 16],
    /// 1, 2, ... for each device; a device takes only a newer one.
    #[n(3)]
    pub version: u64,
    /// The issuer's clock.
    #[n(4)]
    pub time: Timestamp,
    /// Stops that the device has never seen.
    #[n(5)]
    pub stops: Vec<Stop>,
    /// Stops that the device is to give up.
    #[n(6)]
    pub withdrawn: Vec<Withdrawn>,
}

/// A generation that was given to somebody else, or to nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Withdrawn {
    /// The delivery.
    #[n(0)]
    pub delivery: DeliveryId,
    /// The generation that no longer counts.
    #[n(1)]
    pub generation: u32,
}

impl Issued for Route {
    const KIND: Kind = Kind::Route;

    fn issuer(&self) -> IssuerId {
        self.issuer
    }
}

impl Route {
    /// Signs the route and seals it to the device.
    ///
    /// # Errors
    /// As [`seal`].
    pub fn issue(
        &self,
        issuer: &IssuerKey,
        device: &PublicKey,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Vec<u8>, Invalid> {
        let signed = sign_issued(self, issuer);
        seal(Kind::Route, device, &signed, rng)
    }

    /// Opens a route, given what the device's key and [`Sealed::ephemeral`] agree on, and checks
    /// that this issuer made it for this device.
    ///
    /// # Errors
    /// [`Invalid`] for anything else.
    pub fn open(
        sealed: &Sealed<'_>,
        shared: &Shared,
        identity: &Identity,
    ) -> Result<Self, Invalid> {
        let device = PublicKey::from_bytes(&identity.device_key)?;
        let content = sealed.open(Kind::Route, &device, shared)?;
        let route: Self = read_issued(&content, identity.issuer, identity.issuer_key()?)?;
        if route.device != identity.device || route.fingerprint != device.fingerprint() {
            return Err(Invalid::Seal);
        }
        Ok(route)
    }
}

/// A device asks for its route and proves that its journal is whole: it names its head, and its
/// hash at the record the issuer saw last. A device that was set back cannot name that.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct RouteRequest {
    /// Who asks.
    #[n(0)]
    pub device: DeviceId,
    /// The newest route it has; 0 for none.
    #[n(1)]
    pub version: u64,
    /// The nonce of the acknowledgement it got last.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub nonce: [u8; 16],
    /// The journal's head at the record that the acknowledgement asked for.
    #[n(3)]
    pub proof: Head,
    /// The journal's head now.
    #[n(4)]
    pub head: Head,
}

impl RouteRequest {
    /// The request, waiting for the device's signature.
    #[must_use]
    pub fn unsigned(&self, device: &PublicKey) -> Unsigned {
        Unsigned::new(
            Kind::RouteRequest,
            &Signer::P256(*device),
            self.device.as_str(),
            encode(self),
        )
    }

    /// Reads a request that `device` signed.
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn verify(signed: &Signed<'_>, device: &PublicKey) -> Result<Self, Invalid> {
        let request: Self =
            decode_exact(signed.verify(&Signer::P256(*device), Kind::RouteRequest)?)?;
        if request.device.as_str() == signed.key_id() { Ok(request) } else { Err(Invalid::Key) }
    }
}
