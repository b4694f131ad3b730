//! Riders: documents that anybody's phone brings to a lock without a network, and that change what it
//! believes.

use super::claims::Audience;
use super::document::Kind;
use crate::bytes::Layout;
use crate::cose::keys::Signer;
use crate::time::{Timestamp, Window};

/// The most passes that a bulletin revokes.
pub const MAX_REVOKED: usize = 48;

/// By how much a sequence may advance at once: a mistaken or stolen key must not push it to its end.
pub const MAX_ADVANCE: u32 = 1_000;

/// Whether `new` may follow `known`.
#[must_use]
pub const fn advances(known: u32, new: u32) -> bool {
    new > known && new.saturating_sub(known) <= MAX_ADVANCE
}

/// Whether a rotation is the one after the last: whoever left one out would keep a key alive that it ends.
#[must_use]
pub const fn follows(known: u32, new: u32) -> bool {
    new > known && new.saturating_sub(known) == 1
}

/// The first four bytes of the ids of revoked passes, ascending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    prefixes: [[u8; 4]; MAX_REVOKED],
    count: u8,
}

impl Revoked {
    /// None.
    pub const NONE: Self = Self { prefixes: [[0; 4]; MAX_REVOKED], count: 0 };

    /// Reads a list; `None` when it is not strictly ascending, or too long.
    #[must_use]
    pub fn from_prefixes(source: &[[u8; 4]]) -> Option<Self> {
        let mut prefixes = [[0; 4]; MAX_REVOKED];
        prefixes.get_mut(..source.len())?.copy_from_slice(source);
        let count = u8::try_from(source.len()).ok()?;
        source.is_sorted_by(|a, b| a < b).then_some(Self { prefixes, count })
    }

    /// The list as it stands in a bulletin; `None` when that is none.
    #[must_use]
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (prefixes, rest) = bytes.as_chunks();
        rest.is_empty().then(|| Self::from_prefixes(prefixes))?
    }

    /// Bytes in a snapshot.
    pub(super) const LENGTH: usize = 1 + MAX_REVOKED * 4;

    /// `u8 count || prefixes`, then zeros.
    pub(super) fn fields(&mut self, layout: &mut Layout<'_>) {
        layout.byte(&mut self.count);
        layout.bytes(self.prefixes.as_flattened_mut());
        *self = Self::from_prefixes(self.prefixes()).unwrap_or(Self::NONE);
    }

    /// The prefixes.
    #[must_use]
    pub fn prefixes(&self) -> &[[u8; 4]] {
        self.prefixes.get(..usize::from(self.count)).unwrap_or_default()
    }
}

/// Which passes are revoked. The newest one counts; an issuer lists what would still open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bulletin {
    /// For which lock or group.
    pub audience: Audience,
    /// When it was made.
    pub issued_at: Timestamp,
    /// All bulletins that a lock takes are numbered in one series, from 1.
    pub sequence: u32,
    /// Which passes.
    pub revoked: Revoked,
}

/// The issuer's answer to a lock's challenge: fresh time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// The time when it was made.
    pub issued_at: Timestamp,
    /// The challenge.
    pub nonce: [u8; 16],
}

/// A key of the issuer, under the issuer's root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// When it was made.
    pub issued_at: Timestamp,
    /// Rotations are numbered, from 1.
    pub sequence: u32,
    /// The key.
    pub key: Signer,
    /// Between which times documents are issued under it.
    pub window: Window,
}

impl Rotation {
    /// Whether it says that the key is over. Then no lock waits until its own floor is there: that may be
    /// far behind.
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.window.until() <= self.issued_at
    }
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rider {
    /// Which passes are revoked.
    Bulletin(Bulletin),
    /// Fresh time.
    Token(Token),
    /// Another key of the issuer.
    Rotation(Rotation),
}

impl Rider {
    /// What a document of this rider is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Bulletin(_) => Kind::Bulletin,
            Self::Token(_) => Kind::TimeToken,
            Self::Rotation(_) => Kind::KeyRotation,
        }
    }

    /// When it was made.
    #[must_use]
    pub const fn issued_at(&self) -> Timestamp {
        match self {
            Self::Bulletin(bulletin) => bulletin.issued_at,
            Self::Token(token) => token.issued_at,
            Self::Rotation(rotation) => rotation.issued_at,
        }
    }
}
