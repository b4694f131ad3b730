//! Key pairs of issuers (Ed25519) and of devices and phones (P-256), and the operations on them.

#[cfg(feature = "aws-lc")]
mod aws_lc;
#[cfg(any(feature = "handover", feature = "esp256"))]
mod device;
mod issuer;
#[cfg(any(test, not(feature = "aws-lc")))]
mod portable;

#[cfg(feature = "aws-lc")]
use aws_lc as curves;
#[cfg(not(feature = "aws-lc"))]
use portable as curves;

#[cfg(any(feature = "handover", feature = "esp256"))]
pub use device::{PublicKey, Shared, SoftwareKey};
pub use issuer::{IssuerKey, IssuerPublicKey};

use super::Invalid;

/// A public key that documents are signed with; it settles the algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// Ed25519, COSE algorithm -19.
    Ed25519(IssuerPublicKey),
    /// ECDSA on P-256 with SHA-256, COSE algorithm -9 (ESP256).
    #[cfg(any(feature = "handover", feature = "esp256"))]
    P256(PublicKey),
}

impl Signer {
    /// The algorithm's number at COSE, fully specified (RFC 9864).
    #[must_use]
    pub const fn algorithm(&self) -> i8 {
        match self {
            Self::Ed25519(_) => ED25519,
            #[cfg(any(feature = "handover", feature = "esp256"))]
            Self::P256(_) => ESP256,
        }
    }

    /// Checks a signature of a message, which may come in parts.
    ///
    /// # Errors
    /// [`Invalid::Signature`] when it does not fit.
    pub fn verify(&self, message: &[&[u8]], signature: &[u8; 64]) -> Result<(), Invalid> {
        match self {
            Self::Ed25519(key) => key.verify(message, signature),
            #[cfg(any(feature = "handover", feature = "esp256"))]
            Self::P256(key) => key.verify(message, signature),
        }
    }
}

/// Ed25519 at COSE (RFC 9864).
pub(crate) const ED25519: i8 = -19;

/// ECDSA on P-256 with SHA-256 at COSE (RFC 9864).
#[cfg(any(feature = "handover", feature = "pass"))]
pub(crate) const ESP256: i8 = -9;
