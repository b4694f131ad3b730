//! The envelopes of every document: COSE (RFC 9052), signed by one party or sealed to one.
//!
//! Two shapes are enough. A [`sign1`] document says who made it; an [`encrypt`] document can be
//! read by one key only. What a document *is* (a route, a claim, ...) is its [`Kind`], which goes
//! into the external data of signatures and into the key derivation of seals, so that a document
//! of one kind never passes for another.
//!
//! Private keys are operations: the core names the bytes to sign or the key to agree with, and is
//! handed the result, so that phone hardware and WebCrypto fit. [`keys::SoftwareKey`] performs
//! them for programs without such hardware.

#[cfg(feature = "handover")]
pub mod encrypt;
pub mod keys;
#[cfg(feature = "handover")]
pub mod sign1;

use core::fmt;

/// What a document is. Those of locks have kinds of their own ([`crate::pass::document::Kind`]).
#[cfg(feature = "handover")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A device proves, at enrolment, that it holds its key.
    Enrolment,
    /// The issuer takes a device in.
    Welcome,
    /// The stops handed to a device.
    Route,
    /// A device asks for its route.
    RouteRequest,
    /// A device takes a delivery on.
    Take,
    /// One outcome at a door.
    Claim,
    /// Several claims on their way to the issuer.
    Upload,
    /// The issuer took claims in, and says the time.
    Acknowledgement,
    /// The code that was presented, readable by the issuer only.
    Evidence,
    /// How a delivery ended, for whoever asks later.
    Receipt,
    /// Everything that was claimed about a delivery, for whoever judges a dispute.
    Bundle,
}

#[cfg(feature = "handover")]
impl Kind {
    /// The text that separates this kind from all others.
    #[must_use]
    pub const fn context(self) -> &'static str {
        match self {
            Self::Enrolment => "doorstep/HO1/enrolment/v1",
            Self::Welcome => "doorstep/HO1/welcome/v1",
            Self::Route => "doorstep/HO1/route/v1",
            Self::RouteRequest => "doorstep/HO1/route-request/v1",
            Self::Take => "doorstep/HO1/take/v1",
            Self::Claim => "doorstep/HO1/claim/v1",
            Self::Upload => "doorstep/HO1/upload/v1",
            Self::Acknowledgement => "doorstep/HO1/acknowledgement/v1",
            Self::Evidence => "doorstep/HO1/evidence/v1",
            Self::Receipt => "doorstep/HO1/receipt/v1",
            Self::Bundle => "doorstep/HO1/bundle/v1",
        }
    }
}

/// Why an envelope was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// Not the bytes of such an envelope; the text names the part.
    Malformed(&'static str),
    /// Another algorithm than the key's own: there is no negotiation.
    Algorithm,
    /// Bytes that are no point of the curve, or no key.
    Key,
    /// The signature is not that of the key over this document and kind.
    Signature,
    /// Not sealed to this key as this kind, or changed since.
    Seal,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(part) => write!(f, "malformed {part}"),
            Self::Algorithm => f.write_str("an algorithm that does not belong to the key"),
            Self::Key => f.write_str("not a public key"),
            Self::Signature => f.write_str("the signature does not fit"),
            Self::Seal => f.write_str("not sealed to this key, or changed on the way"),
        }
    }
}

impl core::error::Error for Invalid {}
