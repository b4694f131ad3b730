//! A driver, online, takes a delivery on: says which, and when.

use super::{decode_exact, encode};
use crate::cose::keys::PublicKey;
use crate::cose::sign1::{Signed, Signer, Unsigned};
use crate::cose::{Invalid, Kind};
use crate::id::DeviceId;
use crate::time::Timestamp;
use alloc::string::String;
use minicbor::{Decode, Encode};

/// The longest name of a delivery in bytes.
pub const MAX_NAME_LENGTH: usize = 200;

/// A device asks to be given a delivery. Its stop comes with the next route.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Take {
    /// Who asks.
    #[n(0)]
    pub device: DeviceId,
    /// The nonce of the acknowledgement it got last, so that an old request asks for nothing.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub nonce: [u8; 16],
    /// The delivery's id, or the business's own name for it. At most [`MAX_NAME_LENGTH`] bytes.
    #[n(2)]
    pub delivery: String,
    /// When the driver means to be there.
    #[n(3)]
    pub expected_at: Timestamp,
    /// How many minutes earlier or later that may be; the issuer's usual when it is missing.
    #[cbor(n(4), encode_with = "or_null::encode", is_nil = "or_null::never_left_out")]
    pub variance_minutes: Option<u16>,
}

/// A missing number is written down as such: a field that may be left out would have two encodings.
mod or_null {
    use minicbor::Encoder;
    use minicbor::encode::{Error, Write};

    pub(super) fn encode<C, W: Write>(
        number: &Option<u16>,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), Error<W::Error>> {
        e.encode(number)?.ok()
    }

    pub(super) const fn never_left_out(_: &Option<u16>) -> bool {
        false
    }
}

impl Take {
    /// The request, waiting for the device's signature.
    #[must_use]
    pub fn unsigned(&self, device: &PublicKey) -> Unsigned {
        Unsigned::new(Kind::Take, &Signer::P256(*device), self.device.as_str(), encode(self))
    }

    /// Reads a request that `device` signed.
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn verify(signed: &Signed<'_>, device: &PublicKey) -> Result<Self, Invalid> {
        let take: Self = decode_exact(signed.verify(&Signer::P256(*device), Kind::Take)?)?;
        if take.device.as_str() != signed.key_id() {
            return Err(Invalid::Key);
        }
        if take.delivery.len() > MAX_NAME_LENGTH {
            return Err(Invalid::Malformed("take"));
        }
        Ok(take)
    }
}
