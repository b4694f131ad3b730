//! Receipts: the issuer's signed word on how a delivery ended, for whoever asks later and has only
//! the issuer's public key.

use super::{Issued, read_issued, sign_issued};
use crate::cose::keys::{IssuerKey, IssuerPublicKey};
use crate::cose::{Invalid, Kind};
use crate::id::{DeliveryId, DeviceId, IssuerId};
use crate::ledger::Head;
use crate::time::Timestamp;
use crate::verifier::Means;
use alloc::string::String;
use alloc::vec::Vec;
use minicbor::{Decode, Encode};

/// Whose code was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Holder {
    /// One of the recipients.
    #[n(1)]
    Recipient,
    /// Whoever had the spare code: a neighbour, or a recipient who lost the first.
    #[n(2)]
    Spare,
}

/// What a receipt rests on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Basis {
    /// A device's claim, with the right code in it.
    #[n(1)]
    Claim(#[n(0)] Claimed),
    /// The issuer checked the code itself, while the driver stood at the door.
    #[n(2)]
    Issuer,
    /// An operator ended a dispute this way.
    #[n(3)]
    Operator,
}

/// What is known of the claim that a receipt rests on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Claimed {
    /// Whose claim it is.
    #[n(0)]
    pub device: DeviceId,
    /// Whose code it was.
    #[n(1)]
    pub holder: Holder,
    /// Typed or scanned.
    #[n(2)]
    pub means: Means,
    /// It was not before this: the last time of the issuer's that the device knew.
    #[n(3)]
    pub not_before: Timestamp,
    /// It was not after this: the issuer had the claim.
    #[n(4)]
    pub not_after: Timestamp,
    /// Of the issuer's database, raised when it was set back: in this one the log is as it says.
    #[n(5)]
    pub epoch: u64,
    /// The issuer's log right after the claim.
    #[n(6)]
    pub log: Head,
}

/// A delivery was handed over.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct DeliveryReceipt {
    /// Who says so.
    #[n(0)]
    pub issuer: IssuerId,
    /// The delivery.
    #[n(1)]
    pub delivery: DeliveryId,
    /// The business's own name for it.
    #[n(2)]
    pub reference: String,
    /// Which making of its codes.
    #[n(3)]
    pub generation: u32,
    /// When: by the device's clock, or the issuer's.
    #[n(4)]
    pub at: Timestamp,
    /// How the issuer knows.
    #[n(5)]
    pub basis: Basis,
    /// When this was written.
    #[n(6)]
    pub issued: Timestamp,
}

impl Issued for DeliveryReceipt {
    const KIND: Kind = Kind::Receipt;

    fn issuer(&self) -> IssuerId {
        self.issuer
    }
}

impl DeliveryReceipt {
    /// Signs the receipt.
    #[must_use]
    pub fn issue(&self, issuer: &IssuerKey) -> Vec<u8> {
        sign_issued(self, issuer)
    }

    /// Reads a receipt that this issuer signed.
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn verify(
        document: &[u8],
        issuer: IssuerId,
        key: IssuerPublicKey,
    ) -> Result<Self, Invalid> {
        read_issued(document, issuer, key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn receipt(basis: Basis) -> DeliveryReceipt {
        DeliveryReceipt {
            issuer: IssuerId::parse("iss_1").unwrap(),
            delivery: DeliveryId::parse("dlv_1").unwrap(),
            reference: "A-17".into(),
            generation: 2,
            at: Timestamp::from_seconds(1_800_000_000),
            basis,
            issued: Timestamp::from_seconds(1_800_000_900),
        }
    }

    fn claimed() -> Basis {
        Basis::Claim(Claimed {
            device: DeviceId::parse("dev_1").unwrap(),
            holder: Holder::Spare,
            means: Means::Scanned,
            not_before: Timestamp::from_seconds(1_799_999_000),
            not_after: Timestamp::from_seconds(1_800_000_800),
            epoch: 1_700_000_000,
            log: Head::EMPTY.then(b"claim"),
        })
    }

    #[test]
    fn only_the_issuer_s_own_receipt_is_read() {
        let key = IssuerKey::from_seed(&Secret::from_bytes([1; 32]));
        let issuer = IssuerId::parse("iss_1").unwrap();
        for basis in [claimed(), Basis::Issuer, Basis::Operator] {
            let receipt = receipt(basis);
            let document = receipt.issue(&key);
            assert_eq!(DeliveryReceipt::verify(&document, issuer, key.public()), Ok(receipt));
            let other = IssuerKey::from_seed(&Secret::from_bytes([2; 32])).public();
            assert_eq!(DeliveryReceipt::verify(&document, issuer, other), Err(Invalid::Signature));
            let elsewhere = IssuerId::parse("iss_2").unwrap();
            assert_eq!(
                DeliveryReceipt::verify(&document, elsewhere, key.public()),
                Err(Invalid::Key)
            );
            for index in 0..document.len() {
                let mut changed = document.clone();
                changed[index] ^= 1;
                let read = DeliveryReceipt::verify(&changed, issuer, key.public());
                assert!(read.is_err(), "byte {index}");
            }
        }
    }
}
