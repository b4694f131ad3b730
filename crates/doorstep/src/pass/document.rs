//! The envelope: COSE_Sign1, COSE_Mac0 or COSE_Encrypt0 (RFC 9052), and exactly one encoding.

use super::cbor::{ARRAY, BYTES, MAP, Reader, TAG, Writer, write};
use super::claims::Pass;
use super::fields::{Fields, MAX_PAYLOAD};
use super::key::{KeyName, MAC_LENGTH};
use super::rider::Rider;
use crate::bytes::Short;
use crate::cose::keys::{ED25519, ESP256};
use core::fmt;
use core::ops::RangeInclusive;
use sha2::{Digest as _, Sha256};

/// The most bytes of a document.
pub const MAX_LENGTH: usize = 320;

const SIGN1: u64 = 18;
const MAC0: u64 = 17;
const ENCRYPT0: u64 = 16;
const HEADER_ALGORITHM: u8 = 1;
const HEADER_KEY_ID: u8 = 4;
const HEADER_IV: u8 = 5;
const A256GCM: i8 = 3;
const HMAC_256_64: i8 = 4;

/// By how many bytes what is encrypted is longer.
pub const SEAL_TAG: usize = 16;

/// A document as it is carried.
pub type Bytes = Short<MAX_LENGTH>;

/// What stands before the claims in what is signed, or what is put under a MAC.
pub(super) const MAX_BEFORE: usize = 32;

/// What is signed, or what is put under a MAC. The claims stay where they are.
pub(super) struct Message<'a> {
    before: Short<MAX_BEFORE>,
    claims: &'a [u8],
}

impl Message<'_> {
    /// Its bytes, in two parts.
    pub(super) fn parts(&self) -> [&[u8]; 2] {
        [self.before.as_ref(), self.claims]
    }
}

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

    /// The tag of a document, and how many parts it has.
    const fn shape(&self) -> (u64, u64) {
        match self {
            Self::Ed25519(_) | Self::Esp256(_) => (SIGN1, 4),
            Self::Mac { .. } => (MAC0, 4),
            Self::Encrypted { .. } => (ENCRYPT0, 3),
        }
    }

    /// The protected header. The epoch is written without leading zeros, at least one byte.
    pub(super) fn encode(&self) -> Option<Short<10>> {
        write(|w| {
            w.map(2).put(&[HEADER_ALGORITHM]).integer(i32::from(self.algorithm()));
            w.put(&[HEADER_KEY_ID]);
            match self {
                Self::Ed25519(name) | Self::Esp256(name) => w.bytes(name),
                Self::Mac { epoch } | Self::Encrypted { epoch } => {
                    let bytes = epoch.to_be_bytes();
                    let zeros = bytes.iter().take(3).take_while(|byte| **byte == 0).count();
                    w.bytes(bytes.get(zeros..).unwrap_or_default())
                }
            };
        })
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader::new(bytes);
        from.exactly(&[MAP | 2, HEADER_ALGORITHM])?;
        let algorithm = i8::try_from(from.integer()?).ok()?;
        from.exactly(&[HEADER_KEY_ID])?;
        let name = from.bytes()?;
        from.end(match algorithm {
            ED25519 => Self::Ed25519(name.try_into().ok()?),
            ESP256 => Self::Esp256(name.try_into().ok()?),
            HMAC_256_64 => Self::Mac { epoch: epoch(name)? },
            A256GCM => Self::Encrypted { epoch: epoch(name)? },
            _ => return None,
        })
    }
}

/// The number of an epoch, which has as few bytes as it needs.
fn epoch(bytes: &[u8]) -> Option<u32> {
    match bytes {
        [] | [0, _, ..] | [_, _, _, _, _, ..] => None,
        _ => Some(bytes.iter().fold(0, |epoch, byte| (epoch << 8) | u32::from(*byte))),
    }
}

/// What a document is, or a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A pass for a lock.
    Pass,
    /// The holder of a pass proves to have its key.
    HolderProof,
    /// Which passes are revoked.
    Bulletin,
    /// The issuer's answer to a lock that asked for the time.
    TimeToken,
    /// Another key of the issuer.
    KeyRotation,
}

impl Kind {
    /// The text that separates this kind from all others. It is short, since a lock hashes it.
    #[must_use]
    pub const fn context(self) -> &'static str {
        match self {
            Self::Pass => "dp1",
            Self::HolderProof => "dp-h",
            Self::Bulletin => "dp-r",
            Self::TimeToken => "dp-t",
            Self::KeyRotation => "dp-k",
        }
    }
}

/// A document that nobody has verified yet.
#[derive(Clone, Copy)]
pub struct Document<'a> {
    envelope: Envelope<'a>,
    content: Option<Content>,
}

/// What proves a document, and what is proven: as it is carried, without what it says.
#[derive(Clone, Copy)]
pub(super) struct Envelope<'a> {
    pub(super) header: Header,
    pub(super) kind: Kind,
    bytes: &'a [u8],
    protected: &'a [u8],
    payload: &'a [u8],
    pub(super) check: Check<'a>,
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
    Mac(&'a [u8; MAC_LENGTH]),
    /// What was encrypted ends with its tag; here is its initialisation vector.
    Encrypted(&'a [u8; 12]),
}

impl fmt::Debug for Envelope<'_> {
    /// Without what proves it, since a pass is as good as its bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Envelope({:?}, {:?})", self.header, self.kind)
    }
}

impl fmt::Debug for Document<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({:?}, {:?})", self.envelope.header, self.content)
    }
}

impl<'a> Document<'a> {
    /// Takes a document apart.
    ///
    /// # Errors
    /// [`Malformed`] names the part. Of each document exactly one encoding is accepted.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut from = Reader::new(bytes);
        let (envelope, claims) = Envelope::read(&mut from)?;
        from.end(()).ok_or(Malformed("end"))?;
        let content = match claims {
            None => None,
            Some(claims) => Some(claims.content(envelope.kind).ok_or(Malformed("claims"))?),
        };
        Ok(Self { envelope, content })
    }

    /// Who is said to have made it. Only a way to find the key.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.envelope.header
    }

    /// What it says; `None` when only its lock can read it, and then it is said to be a pass. Nothing is proven
    /// yet: for those who look at documents, not for locks.
    #[must_use]
    pub const fn content(&self) -> Option<&Content> {
        self.content.as_ref()
    }

    pub(super) const fn envelope(&self) -> &Envelope<'a> {
        &self.envelope
    }
}

impl<'a> Envelope<'a> {
    /// Reads a document that others may follow, and its claims unless only the lock can read them.
    pub(super) fn read(from: &mut Reader<'a>) -> Result<(Self, Option<Fields<'a>>), Malformed> {
        let start = from.rest();
        let parts = Parts::read(from).ok_or(Malformed("envelope"))?;
        let header = Header::parse(parts.protected).ok_or(Malformed("protected header"))?;
        if parts.shape != header.shape() {
            return Err(Malformed("envelope"));
        }
        let check = match header {
            Header::Mac { .. } => parts.check.try_into().map(Check::Mac),
            Header::Ed25519(_) | Header::Esp256(_) => parts.check.try_into().map(Check::Signature),
            Header::Encrypted { .. } => parts.check.try_into().map(Check::Encrypted),
        };
        let (check, payload) = (check.map_err(|_| Malformed("signature"))?, parts.payload);
        let length = start.len().saturating_sub(from.rest().len());
        let bytes = start.get(..length).unwrap_or_default();
        if length > MAX_LENGTH {
            return Err(Malformed("length"));
        }
        let (claims, kind) = match header {
            Header::Encrypted { .. } if SEALED.contains(&payload.len()) => (None, Kind::Pass),
            Header::Encrypted { .. } => return Err(Malformed("ciphertext")),
            _ => {
                let read = Fields::parse(payload, &header).ok_or(Malformed("claims"))?;
                (Some(read.0), read.1)
            }
        };
        let protected = parts.protected;
        Ok((Self { header, kind, bytes, protected, payload, check }, claims))
    }

    /// What is encrypted, with its tag; or what is signed, without what is said of it.
    #[cfg(feature = "encrypt")]
    pub(super) const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The bytes that its signature or MAC is over.
    pub(super) fn message(&self) -> Message<'a> {
        message(&self.header, self.protected, self.kind, self.payload)
    }

    /// What names it in proofs: SHA-256 of what the issuer signed, without the signature, since that can be
    /// changed and still fit. What is encrypted cannot, and is named as it is carried.
    pub(super) fn digest(&self) -> [u8; 32] {
        match self.header {
            Header::Encrypted { .. } => Sha256::digest(self.bytes).into(),
            _ => {
                let message = self.message();
                let [before, claims] = message.parts();
                Sha256::new().chain_update(before).chain_update(claims).finalize().into()
            }
        }
    }
}

/// How long an encrypted pass may be.
const SEALED: RangeInclusive<usize> = SEAL_TAG..=MAX_PAYLOAD + SEAL_TAG;

/// The parts of an envelope. Whether they are those of its header is not known yet.
struct Parts<'a> {
    shape: (u64, u64),
    protected: &'a [u8],
    payload: &'a [u8],
    check: &'a [u8],
}

impl<'a> Parts<'a> {
    fn read(from: &mut Reader<'a>) -> Option<Self> {
        let shape = (from.argument(TAG)?, from.argument(ARRAY)?);
        let protected = from.bytes()?;
        if shape.0 == ENCRYPT0 {
            from.exactly(&[MAP | 1, HEADER_IV])?;
            let check = from.bytes()?;
            return Some(Self { shape, protected, check, payload: from.bytes()? });
        }
        from.exactly(&[MAP])?;
        Some(Self { shape, protected, payload: from.bytes()?, check: from.bytes()? })
    }
}

/// A whole document.
pub(super) fn whole(header: &Header, payload: &[u8], check: &Check<'_>) -> Option<Bytes> {
    let (protected, (tag, parts)) = (header.encode()?, header.shape());
    write(|w| {
        w.head(TAG, tag).array(parts).bytes(protected.as_ref());
        match check {
            Check::Signature(signature) => w.map(0).bytes(payload).bytes(*signature),
            Check::Mac(mac) => w.map(0).bytes(payload).bytes(*mac),
            Check::Encrypted(iv) => w.map(1).put(&[HEADER_IV]).bytes(*iv).bytes(payload),
        };
    })
}

/// The Sig_structure or MAC_structure (RFC 9052, sections 4.4 and 6.3).
pub(super) fn message<'a>(
    header: &Header,
    protected: &[u8],
    kind: Kind,
    claims: &'a [u8],
) -> Message<'a> {
    let context = match header {
        Header::Mac { .. } => "MAC0",
        Header::Ed25519(_) | Header::Esp256(_) => "Signature1",
        Header::Encrypted { .. } => return Message { before: Short::EMPTY, claims: &[] },
    };
    let external = kind.context().as_bytes();
    let before = write(|w| begin(w, context, protected, external, claims));
    // Texts, headers and heads all have their room.
    Message { before: before.unwrap_or(Short::EMPTY), claims }
}

/// The same in one piece.
pub(super) fn structure<const N: usize>(
    context: &str,
    protected: &[u8],
    external: &[u8],
    payload: &[u8],
) -> Option<Short<N>> {
    write(|w| {
        begin(w, context, protected, external, payload);
        w.put(payload);
    })
}

fn begin(w: &mut Writer<'_>, context: &str, protected: &[u8], external: &[u8], payload: &[u8]) {
    w.array(4).text(context.as_bytes()).bytes(protected).bytes(external);
    w.head(BYTES, u64::try_from(payload.len()).unwrap_or(u64::MAX));
}
