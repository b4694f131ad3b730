//! The envelope: COSE_Sign1, COSE_Mac0 or COSE_Encrypt0 (RFC 9052), and exactly one encoding.

use super::claims::Pass;
use super::fields::{Fields, MAX_PAYLOAD};
use super::key::KeyName;
use super::rider::Rider;
use crate::bytes::Short;
use crate::cose::Kind;
use crate::cose::keys::{ED25519, ESP256};
use core::fmt;
use minicbor::data::Tag;
use minicbor::encode::Write;
use minicbor::{Decoder, Encoder, decode, encode};
use sha2::{Digest as _, Sha256};

/// The most bytes of a document.
pub const MAX_LENGTH: usize = 320;

/// The most bytes of what is signed.
const MAX_SIGNED: usize = MAX_PAYLOAD + 48;

const SIGN1: u64 = 18;
const MAC0: u64 = 17;
const ENCRYPT0: u64 = 16;
const HEADER_ALGORITHM: u8 = 1;
const HEADER_KEY_ID: u8 = 4;
const HEADER_IV: u8 = 5;
const A256GCM: i8 = 3;
const HMAC_256_64: i8 = 4;

/// By how many bytes what is encrypted is longer.
pub(super) const TAG: usize = 16;

/// A document as it is carried.
pub type Bytes = Short<MAX_LENGTH>;

/// What is signed, or what is put under a MAC.
pub(super) type Message = Short<MAX_SIGNED>;

/// The part that is not as the format has it. For those who make documents: a lock says nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed {}", self.0)
    }
}

impl core::error::Error for Malformed {}

/// Who is said to have made a document, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// Signed with Ed25519.
    Ed25519(KeyName),
    /// Signed with ECDSA on P-256.
    Esp256(KeyName),
    /// Under the lock's key of an epoch.
    Mac {
        /// The epoch.
        epoch: u32,
    },
    /// Encrypted under the lock's key of an epoch, for the lock's eyes only.
    Encrypted {
        /// The epoch.
        epoch: u32,
    },
}

impl Header {
    const fn algorithm(&self) -> i8 {
        match self {
            Self::Ed25519(_) => ED25519,
            Self::Esp256(_) => ESP256,
            Self::Mac { .. } => HMAC_256_64,
            Self::Encrypted { .. } => A256GCM,
        }
    }

    /// Whether it is made with a key of the lock, which goes to no other one.
    pub(super) const fn is_of_the_lock(&self) -> bool {
        matches!(self, Self::Mac { .. } | Self::Encrypted { .. })
    }

    const fn tag(&self) -> u64 {
        match self {
            Self::Ed25519(_) | Self::Esp256(_) => SIGN1,
            Self::Mac { .. } => MAC0,
            Self::Encrypted { .. } => ENCRYPT0,
        }
    }

    /// The protected header. The epoch is written without leading zeros, at least one byte.
    pub(super) fn encode(&self) -> Option<Short<10>> {
        let mut e = Encoder::new(Short::EMPTY);
        e.map(2).ok()?.u8(HEADER_ALGORITHM).ok()?.i8(self.algorithm()).ok()?;
        e.u8(HEADER_KEY_ID).ok()?;
        match self {
            Self::Ed25519(name) | Self::Esp256(name) => e.bytes(name).ok()?,
            Self::Mac { epoch } | Self::Encrypted { epoch } => {
                let bytes = epoch.to_be_bytes();
                let zeros = bytes.iter().take(3).take_while(|byte| **byte == 0).count();
                e.bytes(bytes.get(zeros..)?).ok()?
            }
        };
        Some(e.into_writer())
    }

    /// Reads the fields only, as [`Parts::decode`] does.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut d = Decoder::new(bytes);
        if d.map().ok()? != Some(2) || d.u8().ok()? != HEADER_ALGORITHM {
            return None;
        }
        let algorithm = d.i8().ok()?;
        if d.u8().ok()? != HEADER_KEY_ID {
            return None;
        }
        let name = d.bytes().ok()?;
        Some(match algorithm {
            ED25519 => Self::Ed25519(name.try_into().ok()?),
            ESP256 => Self::Esp256(name.try_into().ok()?),
            HMAC_256_64 | A256GCM if name.len() <= 4 => {
                let epoch = name.iter().fold(0_u32, |epoch, byte| (epoch << 8) | u32::from(*byte));
                if algorithm == A256GCM { Self::Encrypted { epoch } } else { Self::Mac { epoch } }
            }
            _ => return None,
        })
    }
}

/// A document that nobody has verified yet.
#[derive(Clone, Copy)]
pub struct Document<'a> {
    header: Header,
    content: Option<Content>,
    /// As it is carried.
    bytes: &'a [u8],
    payload: &'a [u8],
    check: Check<'a>,
}

/// What a document is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A pass.
    Pass(Pass),
    /// A rider.
    Rider(Rider),
}

impl Content {
    pub(super) const fn kind(&self) -> Kind {
        match self {
            Self::Pass(_) => Kind::Pass,
            Self::Rider(rider) => rider.kind(),
        }
    }
}

/// What proves a document.
#[derive(Clone, Copy)]
pub(super) enum Check<'a> {
    Signature(&'a [u8; 64]),
    Mac(&'a [u8; 8]),
    /// What was encrypted ends with its tag; here is its initialisation vector.
    Encrypted(&'a [u8; 12]),
}

impl fmt::Debug for Document<'_> {
    /// Without what proves it, since a pass is as good as its bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({:?}, {:?})", self.header, self.content)
    }
}

impl<'a> Document<'a> {
    /// Takes a document apart.
    ///
    /// # Errors
    /// [`Malformed`] names the part. Of each document exactly one encoding is accepted.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut d = Decoder::new(bytes);
        let document = Self::read(&mut d)?;
        if d.position() == bytes.len() { Ok(document) } else { Err(Malformed("end")) }
    }

    /// Reads a document that others may follow.
    pub(super) fn read(d: &mut Decoder<'a>) -> Result<Self, Malformed> {
        let (start, bytes) = (d.position(), d.input());
        let parts = Parts::decode(d).map_err(|_| Malformed("envelope"))?;
        let header = Header::decode(parts.protected).ok_or(Malformed("protected header"))?;
        let check = match header {
            Header::Mac { .. } => parts.check.try_into().map(Check::Mac),
            Header::Ed25519(_) | Header::Esp256(_) => parts.check.try_into().map(Check::Signature),
            Header::Encrypted { .. } => parts.check.try_into().map(Check::Encrypted),
        };
        let (check, payload) = (check.map_err(|_| Malformed("signature"))?, parts.payload);
        let bytes = bytes.get(start..d.position()).unwrap_or_default();
        if bytes.len() > MAX_LENGTH {
            return Err(Malformed("length"));
        }
        if !is_written(bytes, |e| write_parts(e, &header, payload, &check)) {
            return Err(Malformed("encoding"));
        }
        let content = match header {
            Header::Encrypted { .. } if (TAG..=MAX_PAYLOAD + TAG).contains(&payload.len()) => None,
            Header::Encrypted { .. } => return Err(Malformed("ciphertext")),
            _ => Some(content(payload, &header).ok_or(Malformed("claims"))?),
        };
        Ok(Self { header, content, bytes, payload, check })
    }

    /// Who is said to have made it. Only a way to find the key.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// What it says; `None` when only its lock can read it, and then it is said to be a pass. Nothing is proven
    /// yet: for those who look at documents, not for locks.
    #[must_use]
    pub const fn content(&self) -> Option<&Content> {
        self.content.as_ref()
    }

    /// What is encrypted, with its tag; or what is signed, without what is said of it.
    #[cfg(feature = "encrypt")]
    pub(super) const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    pub(super) const fn check(&self) -> Check<'a> {
        self.check
    }

    /// The bytes that its signature or MAC is over.
    pub(super) fn message(&self) -> Message {
        let message = self
            .content
            .as_ref()
            .map(|content| message(&self.header, content.kind(), self.payload));
        message.flatten().unwrap_or(Message::EMPTY)
    }

    /// What names it in proofs: SHA-256 of what the issuer signed, without the signature, since that can be
    /// changed and still fit. What is encrypted cannot, and is named as it is carried.
    pub(super) fn digest(&self) -> [u8; 32] {
        match self.content {
            Some(_) => Sha256::digest(self.message().as_ref()).into(),
            None => Sha256::digest(self.bytes).into(),
        }
    }
}

/// The content of claims, if they are written in the one way.
pub(super) fn content(payload: &[u8], header: &Header) -> Option<Content> {
    Fields::parse(payload)?.content(header)
}

struct Parts<'a> {
    protected: &'a [u8],
    payload: &'a [u8],
    check: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Reads the fields only; that every other byte is as it must be is settled by encoding again.
    fn decode(d: &mut Decoder<'a>) -> Result<Self, decode::Error> {
        d.tag()?;
        let parts = d.array()?;
        let protected = d.bytes()?;
        if d.map()? == Some(0) {
            return Ok(Self { protected, payload: d.bytes()?, check: d.bytes()? });
        }
        d.u8()?;
        let check = d.bytes()?;
        if parts != Some(3) {
            return Err(decode::Error::message("parts"));
        }
        Ok(Self { protected, payload: d.bytes()?, check })
    }
}

/// A whole document.
pub(super) fn whole(header: &Header, payload: &[u8], check: &Check<'_>) -> Option<Bytes> {
    write(|e| write_parts(e, header, payload, check))
}

fn write_parts<W: Write<Error = fmt::Error>>(
    e: &mut Encoder<W>,
    header: &Header,
    payload: &[u8],
    check: &Check<'_>,
) -> Result<(), encode::Error<fmt::Error>> {
    let protected = header.encode().ok_or_else(|| encode::Error::message("header"))?;
    e.tag(Tag::new(header.tag()))?;
    match check {
        Check::Signature(signature) => {
            e.array(4)?.bytes(protected.as_ref())?.map(0)?.bytes(payload)?.bytes(*signature)?;
        }
        Check::Mac(mac) => {
            e.array(4)?.bytes(protected.as_ref())?.map(0)?.bytes(payload)?.bytes(*mac)?;
        }
        Check::Encrypted(iv) => {
            e.array(3)?.bytes(protected.as_ref())?.map(1)?.u8(HEADER_IV)?.bytes(*iv)?;
            e.bytes(payload)?;
        }
    }
    Ok(())
}

/// The Sig_structure or MAC_structure (RFC 9052, sections 4.4 and 6.3).
pub(super) fn message(header: &Header, kind: Kind, payload: &[u8]) -> Option<Message> {
    let context = match header {
        Header::Mac { .. } => "MAC0",
        Header::Ed25519(_) | Header::Esp256(_) => "Signature1",
        Header::Encrypted { .. } => return None,
    };
    structure(context, header.encode()?.as_ref(), kind.context().as_bytes(), payload)
}

pub(super) fn structure<const N: usize>(
    context: &str,
    protected: &[u8],
    external: &[u8],
    payload: &[u8],
) -> Option<Short<N>> {
    write(|e| {
        e.array(4)?.str(context)?.bytes(protected)?.bytes(external)?.bytes(payload)?;
        Ok(())
    })
}

/// Writes CBOR; `None` when there is no room for it.
pub(super) fn write<const N: usize>(
    write: impl FnOnce(&mut Encoder<Short<N>>) -> Result<(), encode::Error<fmt::Error>>,
) -> Option<Short<N>> {
    let mut encoder = Encoder::new(Short::EMPTY);
    write(&mut encoder).ok()?;
    Some(encoder.into_writer())
}

/// Whether these bytes are exactly what `write` writes.
pub(super) fn is_written<'a>(
    bytes: &'a [u8],
    write: impl FnOnce(&mut Encoder<Expected<'a>>) -> Result<(), encode::Error<fmt::Error>>,
) -> bool {
    let mut encoder = Encoder::new(Expected(bytes));
    write(&mut encoder).is_ok() && encoder.writer().0.is_empty()
}

/// Takes what is written as long as it is what stands there.
pub(super) struct Expected<'a>(&'a [u8]);

impl Write for Expected<'_> {
    type Error = fmt::Error;

    fn write_all(&mut self, bytes: &[u8]) -> Result<(), fmt::Error> {
        self.0 = self.0.strip_prefix(bytes).ok_or(fmt::Error)?;
        Ok(())
    }
}
