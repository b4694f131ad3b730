//! Making documents: what the issuer signs, and what it hands out then. The private key is an operation.
//!
//! ```
//! # use doorstep::cose::keys::{IssuerKey, Signer};
//! # use doorstep::pass::claims::{Audience, Pass, PassId, Scope};
//! # use doorstep::pass::issue::Unsigned;
//! # use doorstep::pass::document::Content;
//! # use doorstep::{secret::Secret, time::{Timestamp, Window}};
//! # let key = IssuerKey::from_seed(&Secret::from_bytes([7; 32]));
//! # let now = Timestamp::from_seconds(1_800_000_000);
//! # let window = Window::new(now, now.later(3600)).ok_or("window")?;
//! let pass = Pass {
//!     audience: Audience::parse("court-3"),
//!     window,
//!     issued_at: Some(now),
//!     id: PassId::from_bytes(&[1, 2, 3, 4, 5, 6, 7, 8]).ok_or("id")?,
//!     holder: None,
//!     scope: Scope::default(),
//!     lasts: None,
//! };
//! let unsigned = Unsigned::new(&Content::Pass(pass), &Signer::Ed25519(key.public()))?;
//! let pass = unsigned.signed(&key.sign(unsigned.to_be_signed()));
//! assert!(pass.as_ref().len() < 123);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::document::{Bytes, Check, Content, Header, MAX_BEFORE, Malformed, message, whole};
#[cfg(feature = "encrypt")]
use super::encrypt::seal;
use super::fields::{Fields, MAX_PAYLOAD};
#[cfg(feature = "encrypt")]
use super::key::EncryptionKey;
use super::key::{PassKey, name_of};
use super::rider::Rider;
use crate::bytes::Short;
use crate::cose::keys::Signer;

/// The longest window that issuers give a pass, in seconds: more than a year, so that a yearly one can be renewed.
pub const LONGEST_WINDOW: u64 = 400 * 86_400;

/// A document that waits for its signature.
#[derive(Debug)]
pub struct Unsigned {
    header: Header,
    payload: Short<MAX_PAYLOAD>,
    message: Short<{ MAX_BEFORE + MAX_PAYLOAD }>,
}

impl Unsigned {
    /// A document that is to be signed with this key. Rotations are signed with the issuer's root.
    ///
    /// # Errors
    /// [`Malformed`] when a lock would not take it: a claim is missing, or a time is beyond 32 bits.
    pub fn new(content: &Content, key: &Signer) -> Result<Self, Malformed> {
        let name = name_of(key);
        Self::with(
            content,
            match key {
                Signer::Ed25519(_) => Header::Ed25519(name),
                #[cfg(any(feature = "handover", feature = "esp256"))]
                Signer::P256(_) => Header::Esp256(name),
            },
        )
    }

    fn with(content: &Content, header: Header) -> Result<Self, Malformed> {
        let payload = payload(content, &header).ok_or(Malformed("claims"))?;
        let protected = header.encode().ok_or(Malformed("length"))?;
        let mut whole = Short::EMPTY;
        let message = message(&header, protected.as_ref(), content.kind(), payload.as_ref());
        let joined = message.parts().iter().try_for_each(|part| whole.push(part));
        joined.ok_or(Malformed("length"))?;
        Ok(Self { header, payload, message: whole })
    }

    /// The bytes that the key's holder signs.
    #[must_use]
    pub fn to_be_signed(&self) -> &[u8] {
        self.message.as_ref()
    }

    /// The document with its signature.
    #[must_use]
    pub fn signed(&self, signature: &[u8; 64]) -> Bytes {
        let check = Check::Signature(signature);
        whole(&self.header, self.payload.as_ref(), &check).unwrap_or(Bytes::EMPTY)
    }
}

/// The document under a lock's key of this epoch.
///
/// # Errors
/// [`Malformed`] when a lock would not take it. Rotations cannot be made under a lock's key.
pub fn maced(content: &Content, epoch: u32, key: &PassKey) -> Result<Bytes, Malformed> {
    let unsigned = Unsigned::with(content, Header::Mac { epoch })?;
    let mac = key.mac(&[unsigned.message.as_ref()]);
    let document = whole(&unsigned.header, unsigned.payload.as_ref(), &Check::Mac(&mac));
    document.ok_or(Malformed("length"))
}

/// The pass that only a lock can read, under its key of this epoch. `iv` is 12 random bytes, drawn for this
/// document alone.
///
/// # Errors
/// [`Malformed`] when a lock would not take it. Riders are not encrypted.
#[cfg(feature = "encrypt")]
pub fn encrypted(
    content: &Content,
    epoch: u32,
    key: &EncryptionKey,
    iv: [u8; 12],
) -> Result<Bytes, Malformed> {
    let header = Header::Encrypted { epoch };
    let payload = payload(content, &header).ok_or(Malformed("claims"))?;
    let sealed = seal(key, &header, &iv, payload.as_ref());
    let document =
        sealed.and_then(|sealed| whole(&header, sealed.as_ref(), &Check::Encrypted(&iv)));
    document.ok_or(Malformed("length"))
}

/// The claims, if whoever reads them would find the same content.
fn payload(content: &Content, header: &Header) -> Option<Short<MAX_PAYLOAD>> {
    let fields = match content {
        Content::Pass(pass) => Fields::of_pass(pass)?,
        Content::Rider(rider) => Fields::of_rider(rider)?,
    };
    let refused = matches!(
        (header, content),
        (Header::Mac { .. }, Content::Rider(Rider::Rotation(_)))
            | (Header::Encrypted { .. }, Content::Rider(_))
    );
    let payload = fields.encode()?;
    let (claims, kind) = Fields::parse(payload.as_ref(), header)?;
    (!refused && claims.content(kind)? == *content).then_some(payload)
}
