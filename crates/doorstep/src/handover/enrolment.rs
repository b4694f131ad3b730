//! How a device and an issuer that have never met come to trust each other, by a ticket that the
//! driver was handed: its secret proves the device, the keys it names prove the issuer.

use super::event::Identity;
use super::{Issued, decode_exact, read_issued, sign_issued};
use crate::cose::keys::{IssuerKey, IssuerPublicKey, PublicKey};
use crate::cose::sign1::{Signed, Signer, Unsigned};
use crate::cose::{Invalid, Kind};
use crate::id::{DeviceId, IssuerId};
use crate::secret::Secret;
use crate::time::Timestamp;
use alloc::string::String;
use alloc::vec::Vec;
use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

/// The key id of a device that has no id yet.
const NAMELESS: &str = "enrolment";

fn request_payload(ticket: &Secret<16>, device: &PublicKey) -> Vec<u8> {
    [ticket.expose().as_slice(), &device.to_bytes()].concat()
}

/// A device's proof that it holds both the ticket and the key, waiting for its signature. It holds
/// the ticket's secret.
#[must_use]
pub fn request(ticket: &Secret<16>, device: &PublicKey) -> Unsigned {
    let payload = request_payload(ticket, device);
    Unsigned::new(Kind::Enrolment, &Signer::P256(*device), NAMELESS, payload)
}

/// Checks such a proof.
///
/// # Errors
/// [`Invalid`] when it is not signed with this key over this ticket and key.
pub fn verify_request(
    document: &[u8],
    ticket: &Secret<16>,
    device: &PublicKey,
) -> Result<(), Invalid> {
    let expected = Zeroizing::new(request_payload(ticket, device));
    let signed = Signed::parse(document)?.verify(&Signer::P256(*device), Kind::Enrolment)?;
    if signed == expected.as_slice() { Ok(()) } else { Err(Invalid::Signature) }
}

/// What the issuer tells a device that it took in, signed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Welcome {
    /// The issuer.
    #[n(0)]
    pub issuer: IssuerId,
    /// Its signing key (Ed25519).
    #[cbor(n(1), with = "minicbor::bytes")]
    pub signing_key: [u8; 32],
    /// Its agreement key (P-256, compressed).
    #[cbor(n(2), with = "minicbor::bytes")]
    pub agreement_key: [u8; 33],
    /// The device's id from now on.
    #[n(3)]
    pub device: DeviceId,
    /// The device's key.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub device_key: [u8; 33],
    /// The issuer's clock.
    #[n(5)]
    pub time: Timestamp,
    /// Whether the issuer's data is marked as test, for ever.
    #[n(6)]
    pub test: bool,
    /// Whether the issuer manages the device.
    #[n(7)]
    pub managed: bool,
}

impl Issued for Welcome {
    const KIND: Kind = Kind::Welcome;

    fn issuer(&self) -> IssuerId {
        self.issuer
    }
}

impl Welcome {
    /// Signs the welcome.
    #[must_use]
    pub fn issue(&self, issuer: &IssuerKey) -> Vec<u8> {
        sign_issued(self, issuer)
    }

    /// Reads a welcome for `device`. The document names the keys it is signed with, so it is worth
    /// as much as `trusted`, which is asked whether the ticket names them too.
    ///
    /// # Errors
    /// [`Invalid::Key`] for keys that are not trusted or another device's welcome, [`Invalid`] for
    /// anything else that is wrong.
    pub fn verify(
        document: &[u8],
        device: &PublicKey,
        trusted: impl FnOnce(&[u8; 32], &[u8; 33]) -> bool,
    ) -> Result<Self, Invalid> {
        let signed = Signed::parse(document)?;
        let welcome: Self = decode_exact(signed.unverified_payload())?;
        if !trusted(&welcome.signing_key, &welcome.agreement_key)
            || welcome.device_key != device.to_bytes()
        {
            return Err(Invalid::Key);
        }
        PublicKey::from_bytes(&welcome.agreement_key)?;
        let signer = Signer::Ed25519(IssuerPublicKey::from_bytes(&welcome.signing_key)?);
        signed.verify(&signer, Kind::Welcome)?;
        Ok(welcome)
    }

    /// Reads the welcome of any device that this issuer signed.
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn read(document: &[u8], issuer: IssuerId, key: IssuerPublicKey) -> Result<Self, Invalid> {
        let welcome: Self = read_issued(document, issuer, key)?;
        if welcome.signing_key == key.to_bytes() { Ok(welcome) } else { Err(Invalid::Key) }
    }

    /// Who the device is from now on, at a server with this address.
    #[must_use]
    pub fn identity(&self, server: String) -> Identity {
        Identity {
            issuer: self.issuer,
            issuer_signing_key: self.signing_key,
            issuer_agreement_key: self.agreement_key,
            device: self.device,
            device_key: self.device_key,
            server,
            test: self.test,
            managed: self.managed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cose::keys::SoftwareKey;

    fn key(byte: u8) -> SoftwareKey {
        SoftwareKey::from_secret(&Secret::from_bytes([byte; 32])).unwrap()
    }

    fn issuer(byte: u8) -> IssuerKey {
        IssuerKey::from_seed(&Secret::from_bytes([byte; 32]))
    }

    fn welcome() -> Welcome {
        Welcome {
            issuer: IssuerId::parse("iss_1").unwrap(),
            signing_key: issuer(1).public().to_bytes(),
            agreement_key: key(2).public().to_bytes(),
            device: DeviceId::parse("dev_1").unwrap(),
            device_key: key(3).public().to_bytes(),
            time: Timestamp::from_seconds(1_800_000_000),
            test: false,
            managed: false,
        }
    }

    #[test]
    fn a_device_proves_ticket_and_key_at_once() {
        let ticket = Secret::from_bytes([9; 16]);
        let unsigned = request(&ticket, &key(3).public());
        let proof = unsigned.signed(&key(3).sign(&unsigned.to_be_signed()));
        assert_eq!(verify_request(&proof, &ticket, &key(3).public()), Ok(()));
        let other = Secret::from_bytes([8; 16]);
        assert!(verify_request(&proof, &other, &key(3).public()).is_err(), "another ticket");
        assert!(verify_request(&proof, &ticket, &key(4).public()).is_err(), "another key");
        let stolen = unsigned.signed(&key(4).sign(&unsigned.to_be_signed()));
        assert!(
            verify_request(&stolen, &ticket, &key(3).public()).is_err(),
            "not the key's holder"
        );
        assert!(!std::format!("{unsigned:?}").contains("9, 9"), "the ticket is not printed");
    }

    #[test]
    fn a_welcome_is_worth_what_the_ticket_says_of_its_keys() {
        let document = welcome().issue(&issuer(1));
        let device = key(3).public();
        let read = Welcome::verify(&document, &device, |_, _| true);
        assert_eq!(read, Ok(welcome()));
        assert_eq!(Welcome::verify(&document, &device, |_, _| false), Err(Invalid::Key));
        let other = key(4).public();
        assert_eq!(Welcome::verify(&document, &other, |_, _| true), Err(Invalid::Key));
        let forged = welcome().issue(&issuer(5));
        assert_eq!(Welcome::verify(&forged, &device, |_, _| true), Err(Invalid::Signature));
        for index in 0..document.len() {
            let mut changed = document.clone();
            changed[index] ^= 1;
            let trusts = |signing: &[u8; 32], agreement: &[u8; 33]| {
                (*signing, *agreement) == (welcome().signing_key, welcome().agreement_key)
            };
            assert!(Welcome::verify(&changed, &device, trusts).is_err(), "byte {index}");
        }
    }
}
