//! Outcomes on their way to the issuer: signed one by one, chained and numbered, uploaded in
//! batches, acknowledged before they are judged.

use super::failure::{Note, Reason};
use super::stop::Presented;
use super::tag::ScanSecret;
use super::{Issued, decode_exact, encode, read_issued, sign_issued};
use crate::code::{Code, Shape};
use crate::cose::encrypt::{Sealed, seal};
use crate::cose::keys::{IssuerKey, IssuerPublicKey, PublicKey, SoftwareKey};
use crate::cose::sign1::{Signed, Signer, Unsigned};
use crate::cose::{Invalid, Kind};
use crate::id::{DeliveryId, DeviceId, IssuerId};
use crate::ledger::Head;
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::verifier::Means;
use alloc::vec::Vec;
use minicbor::{Decode, Encode};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The most claims in one upload.
pub const MAX_UPLOAD: usize = 500;

/// A device says what came of a delivery at its door.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Claim {
    /// Whose delivery it was.
    #[n(0)]
    pub issuer: IssuerId,
    /// Who says so.
    #[n(1)]
    pub device: DeviceId,
    /// 1, 2, ... for each device, without gaps.
    #[n(2)]
    pub number: u64,
    /// The [hash](Claim::hash) of the claim before; zero for the first.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub previous: [u8; 32],
    /// The delivery.
    #[n(4)]
    pub delivery: DeliveryId,
    /// Its generation.
    #[n(5)]
    pub generation: u32,
    /// When, by the device's clock.
    #[n(6)]
    pub at: Timestamp,
    /// The last time signed by the issuer that the device had seen: it was not earlier than this.
    #[n(7)]
    pub signed_time: Timestamp,
    /// What came of it.
    #[n(8)]
    pub outcome: Outcome,
}

/// What came of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Outcome {
    /// Something was presented and fitted: the parcel was handed over.
    #[n(0)]
    Granted {
        /// The slot that fitted.
        #[n(0)]
        slot: u8,
        /// Typed or scanned.
        #[n(1)]
        means: Means,
        /// What was presented, [sealed](Evidence) to the issuer.
        #[cbor(n(2), with = "minicbor::bytes")]
        evidence: Vec<u8>,
    },
    /// It was not handed over. Its code goes on to be valid.
    #[n(1)]
    Failed {
        /// Why.
        #[n(0)]
        reason: Reason,
        /// What the driver adds.
        #[n(1)]
        note: Note,
    },
}

impl Claim {
    /// The claim's identity and the link of the next one. It covers the payload and never the
    /// signature, which can be written in more than one way.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::new_with_prefix(Kind::Claim.context()).chain_update(encode(self)).finalize().into()
    }

    /// The claim, waiting for the device's signature.
    #[must_use]
    pub fn unsigned(&self, device: &PublicKey) -> Unsigned {
        Unsigned::new(Kind::Claim, &Signer::P256(*device), self.device.as_str(), encode(self))
    }

    /// Reads a claim that `device` signed.
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn verify(document: &[u8], device: &PublicKey) -> Result<Self, Invalid> {
        let signed = Signed::parse(document)?;
        let payload = signed.verify(&Signer::P256(*device), Kind::Claim)?;
        Self::read(&signed, payload)
    }

    /// Reads a claim that was [verified](Self::verify) when it was taken in, by the [hash](Self::hash) that it had
    /// then. That covers all that was signed, and costs a thousandth of the signature, which is not looked at.
    ///
    /// # Errors
    /// [`Invalid`], when it is not that claim any more.
    pub fn stored(document: &[u8], hash: &[u8; 32]) -> Result<Self, Invalid> {
        let signed = Signed::parse(document)?;
        let claim = Self::read(&signed, signed.unverified_payload())?;
        if claim.hash() == *hash { Ok(claim) } else { Err(Invalid::Malformed("claim")) }
    }

    fn read(signed: &Signed<'_>, payload: &[u8]) -> Result<Self, Invalid> {
        let claim: Self = decode_exact(payload)?;
        if claim.device.as_str() == signed.key_id() { Ok(claim) } else { Err(Invalid::Key) }
    }
}

/// What was presented, with what it was presented for, readable by the issuer only.
#[derive(Encode, Decode)]
#[cbor(array)]
pub struct Evidence {
    #[n(0)]
    delivery: DeliveryId,
    #[n(1)]
    generation: u32,
    #[n(2)]
    slot: u8,
    #[n(3)]
    means: Means,
    #[cbor(n(4), with = "minicbor::bytes")]
    presented: Vec<u8>,
}

impl Evidence {
    /// Seals what was presented to the issuer's agreement key.
    ///
    /// # Errors
    /// As [`seal`].
    pub fn seal(
        delivery: DeliveryId,
        generation: u32,
        slot: u8,
        presented: &Presented,
        issuer: &PublicKey,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Vec<u8>, Invalid> {
        let evidence = Self {
            delivery,
            generation,
            slot,
            means: presented.means(),
            presented: presented.expose().to_vec(),
        };
        let content = Zeroizing::new(encode(&evidence));
        seal(Kind::Evidence, issuer, &content, rng)
    }

    /// Opens the evidence of a claim.
    ///
    /// # Errors
    /// [`Invalid::Seal`] when it cannot be opened, or was sealed for another delivery, generation,
    /// slot or means than the claim says; [`Invalid::Malformed`] when no code of this shape is in it,
    /// or the claim is of a failure.
    pub fn open(claim: &Claim, issuer: &SoftwareKey, shape: Shape) -> Result<Presented, Invalid> {
        let Outcome::Granted { slot, means, evidence } = &claim.outcome else {
            return Err(Invalid::Malformed("evidence"));
        };
        let sealed = Sealed::parse(evidence)?;
        let shared = issuer.agree(sealed.ephemeral());
        let content = sealed.open(Kind::Evidence, &issuer.public(), &shared)?;
        let evidence: Self = decode_exact(&content)?;
        if (evidence.delivery, evidence.generation, evidence.slot, evidence.means)
            != (claim.delivery, claim.generation, *slot, *means)
        {
            return Err(Invalid::Seal);
        }
        let malformed = Invalid::Malformed("evidence");
        match evidence.means {
            Means::Typed => {
                let text = core::str::from_utf8(&evidence.presented).map_err(|_| malformed)?;
                Code::parse(text, shape).map(Presented::Typed).map_err(|_| malformed)
            }
            Means::Scanned => {
                let secret = evidence.presented.as_slice().try_into().map_err(|_| malformed)?;
                Ok(Presented::Scanned(ScanSecret::new(Secret::from_bytes(secret))))
            }
        }
    }
}

impl Drop for Evidence {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.presented);
    }
}

impl core::fmt::Debug for Evidence {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Evidence(..)")
    }
}

/// Claims on their way, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Upload {
    /// Who sends them.
    #[n(0)]
    pub device: DeviceId,
    /// Signed claims, at most [`MAX_UPLOAD`].
    #[n(1)]
    pub claims: Vec<minicbor::bytes::ByteVec>,
}

impl Upload {
    /// The upload, waiting for the device's signature.
    #[must_use]
    pub fn unsigned(&self, device: &PublicKey) -> Unsigned {
        Unsigned::new(Kind::Upload, &Signer::P256(*device), self.device.as_str(), encode(self))
    }

    /// Reads an upload that `device` signed. The claims in it are not verified yet.
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn verify(signed: &Signed<'_>, device: &PublicKey) -> Result<Self, Invalid> {
        let upload: Self = decode_exact(signed.verify(&Signer::P256(*device), Kind::Upload)?)?;
        if upload.device.as_str() != signed.key_id() {
            return Err(Invalid::Key);
        }
        if upload.claims.len() > MAX_UPLOAD {
            return Err(Invalid::Malformed("upload"));
        }
        Ok(upload)
    }
}

/// The issuer took claims in. It says nothing of whether they are right.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Acknowledgement {
    /// Who says so.
    #[n(0)]
    pub issuer: IssuerId,
    /// To whom.
    #[n(1)]
    pub device: DeviceId,
    /// The number of the last claim that is stored; the device sends those after it.
    #[n(2)]
    pub received: u64,
    /// Raised whenever the issuer's database was set back.
    #[n(3)]
    pub epoch: u64,
    /// The head of the issuer's log of claims.
    #[n(4)]
    pub log: Head,
    /// The issuer's clock.
    #[n(5)]
    pub time: Timestamp,
    /// The journal record whose hash the next [route request](super::route::RouteRequest) must
    /// name.
    #[n(6)]
    pub prove: u64,
    /// To be repeated in that request.
    #[cbor(n(7), with = "minicbor::bytes")]
    pub nonce: [u8; 16],
}

impl Issued for Acknowledgement {
    const KIND: Kind = Kind::Acknowledgement;

    fn issuer(&self) -> IssuerId {
        self.issuer
    }
}

impl Acknowledgement {
    /// Signs the acknowledgement.
    #[must_use]
    pub fn issue(&self, issuer: &IssuerKey) -> Vec<u8> {
        sign_issued(self, issuer)
    }

    /// Reads an acknowledgement that this issuer signed for this device.
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn verify(
        document: &[u8],
        issuer: IssuerId,
        key: IssuerPublicKey,
        device: DeviceId,
    ) -> Result<Self, Invalid> {
        let acknowledgement: Self = read_issued(document, issuer, key)?;
        if acknowledgement.device == device { Ok(acknowledgement) } else { Err(Invalid::Key) }
    }
}
