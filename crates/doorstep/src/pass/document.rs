//! The envelope: COSE_Sign1 or COSE_Mac0 (RFC 9052) with two headers, and exactly one encoding.

use super::claims::Pass;
use super::fields::{Fields, MAX_PAYLOAD};
use super::key::KeyName;
use super::rider::Rider;
use crate::bytes::Short;
use crate::cose::Kind;
use crate::cose::keys::{ED25519, ESP256};
use core::fmt;
use minicbor::data::Tag;
use minicbor::{Decoder, Encoder, decode};

/// The most bytes of a document.
pub const MAX_LENGTH: usize = 320;

/// The most bytes of what is signed.
const MAX_SIGNED: usize = MAX_PAYLOAD + 48;

const SIGN1: u64 = 18;
const MAC0: u64 = 17;
const HEADER_ALGORITHM: u8 = 1;
const HEADER_KEY_ID: u8 = 4;
const HMAC_256_64: i8 = 4;

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
}

impl Header {
    const fn algorithm(&self) -> i8 {
        match self {
            Self::Ed25519(_) => ED25519,
            Self::Esp256(_) => ESP256,
            Self::Mac { .. } => HMAC_256_64,
        }
    }

    /// The protected header. The epoch is written without leading zeros, at least one byte.
    fn encode(&self) -> Option<Short<10>> {
        let mut e = Encoder::new(Short::EMPTY);
        e.map(2).ok()?.u8(HEADER_ALGORITHM).ok()?.i8(self.algorithm()).ok()?;
        e.u8(HEADER_KEY_ID).ok()?;
        match self {
            Self::Ed25519(name) | Self::Esp256(name) => e.bytes(name).ok()?,
            Self::Mac { epoch } => {
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
            HMAC_256_64 if name.len() <= 4 => {
                let epoch = name.iter().fold(0_u32, |epoch, byte| (epoch << 8) | u32::from(*byte));
                Self::Mac { epoch }
            }
            _ => return None,
        })
    }
}

/// A document that nobody has verified yet.
#[derive(Clone, Copy)]
pub struct Document<'a> {
    header: Header,
    content: Content,
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
}

impl Check<'_> {
    const fn bytes(&self) -> &[u8] {
        match self {
            Self::Signature(bytes) => *bytes,
            Self::Mac(bytes) => *bytes,
        }
    }
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
        };
        let check = check.map_err(|_| Malformed("signature"))?;
        let again = encode(&header, parts.payload, &check).ok_or(Malformed("length"))?;
        if bytes.get(start..d.position()) != Some(again.as_ref()) {
            return Err(Malformed("encoding"));
        }
        let fields = Fields::parse(parts.payload).ok_or(Malformed("claims"))?;
        let content = fields.content(&header).ok_or(Malformed("claims"))?;
        Ok(Self { header, content, payload: parts.payload, check })
    }

    /// Who is said to have made it. Only a way to find the key.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// What it says. Nothing is proven yet: for those who look at documents, not for locks.
    #[must_use]
    pub const fn content(&self) -> &Content {
        &self.content
    }

    pub(super) const fn check(&self) -> Check<'a> {
        self.check
    }

    /// The bytes that its signature or MAC is over.
    pub(super) fn message(&self) -> Message {
        message(&self.header, self.content.kind(), self.payload).unwrap_or(Message::EMPTY)
    }
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
        d.array()?;
        let protected = d.bytes()?;
        d.map()?;
        Ok(Self { protected, payload: d.bytes()?, check: d.bytes()? })
    }
}

/// A whole document.
pub(super) fn encode(header: &Header, payload: &[u8], check: &Check<'_>) -> Option<Bytes> {
    let tag = match header {
        Header::Mac { .. } => MAC0,
        Header::Ed25519(_) | Header::Esp256(_) => SIGN1,
    };
    let protected = header.encode()?;
    write(|e| {
        e.tag(Tag::new(tag))?.array(4)?.bytes(protected.as_ref())?.map(0)?;
        e.bytes(payload)?.bytes(check.bytes())?;
        Ok(())
    })
}

/// The Sig_structure or MAC_structure (RFC 9052, sections 4.4 and 6.3).
pub(super) fn message(header: &Header, kind: Kind, payload: &[u8]) -> Option<Message> {
    let context = match header {
        Header::Mac { .. } => "MAC0",
        Header::Ed25519(_) | Header::Esp256(_) => "Signature1",
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
    write: impl FnOnce(&mut Encoder<Short<N>>) -> Result<(), minicbor::encode::Error<fmt::Error>>,
) -> Option<Short<N>> {
    let mut encoder = Encoder::new(Short::EMPTY);
    write(&mut encoder).ok()?;
    Some(encoder.into_writer())
}
