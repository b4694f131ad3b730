//! What a pass says: for which lock, when, how often, and whose it is.

use crate::bytes::Layout;
#[cfg(any(feature = "handover", feature = "esp256"))]
use crate::cose::keys::PublicKey;
use crate::cose::keys::{IssuerPublicKey, Signer};
use crate::id::LockId;
use crate::time::{Timestamp, Window};
use core::fmt;
use core::num::{NonZeroU8, NonZeroU32};

/// Text of 1 to 16 bytes that names a lock, or a group of locks, in a document.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Audience {
    bytes: [u8; Self::MAX],
    length: u8,
}

impl Audience {
    /// The longest, in bytes.
    pub const MAX: usize = 16;

    const GROUP: &str = "g-";

    /// Reads a name: 1 to 16 characters of `a`-`z`, `0`-`9`, `_`, `-`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::from_bytes(text.as_bytes())
    }

    /// The same of bytes.
    #[must_use]
    pub fn from_bytes(source: &[u8]) -> Option<Self> {
        let plain = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        let fits = (1..=Self::MAX).contains(&source.len()) && source.iter().all(plain);
        let mut bytes = [0; Self::MAX];
        bytes.get_mut(..source.len())?.copy_from_slice(source);
        let length = u8::try_from(source.len()).ok()?;
        fits.then_some(Self { bytes, length })
    }

    /// The name of one lock: its id, or the last 8 characters of an id that is longer than 16. An issuer
    /// makes no two locks with one name.
    #[must_use]
    pub fn of_lock(id: &LockId) -> Self {
        let id = id.as_str();
        let short = id.len().checked_sub(8).and_then(|at| id.get(at..)).unwrap_or(id);
        // An id is of the same characters, so that one of the two always fits.
        Self::parse(id).or_else(|| Self::parse(short)).unwrap_or(Self { bytes: [0; 16], length: 0 })
    }

    /// The name of a group of locks, from the 1 to 14 characters that people know it by. No lock has such a
    /// name.
    #[must_use]
    pub fn of_group(name: &str) -> Option<Self> {
        let length = Self::GROUP.len().checked_add(name.len())?;
        let mut bytes = [0; Self::MAX];
        let (begin, rest) = bytes.get_mut(..length)?.split_at_mut_checked(Self::GROUP.len())?;
        begin.copy_from_slice(Self::GROUP.as_bytes());
        rest.copy_from_slice(name.as_bytes());
        Self::from_bytes(bytes.get(..length)?).filter(|_| !name.is_empty())
    }

    /// What people know a group of locks by; `None` for the name of one lock.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        self.as_str().strip_prefix(Self::GROUP)
    }

    /// The name as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl fmt::Debug for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// 4 to 16 bytes that name a pass, unique at its issuer: what is spent and what is revoked is kept under it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PassId {
    bytes: [u8; Self::MAX],
    length: u8,
}

impl PassId {
    /// The longest, in bytes.
    pub const MAX: usize = 16;

    /// Reads an id; `None` when it has not 4 to 16 bytes.
    #[must_use]
    pub fn from_bytes(source: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::MAX];
        bytes.get_mut(..source.len())?.copy_from_slice(source);
        let length = u8::try_from(source.len()).ok()?;
        (source.len() >= 4).then_some(Self { bytes, length })
    }

    /// The name of nothing.
    pub(super) const BLANK: Self = Self { bytes: [0; Self::MAX], length: 0 };

    /// `u8 length || id`, then zeros.
    pub(super) fn fields(&mut self, layout: &mut Layout<'_>) {
        layout.byte(&mut self.length);
        layout.bytes(&mut self.bytes);
        *self = Self::from_bytes(self.as_bytes()).unwrap_or(Self::BLANK);
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Its first four bytes, by which bulletins name it.
    #[must_use]
    pub const fn prefix(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.bytes;
        [a, b, c, d]
    }
}

impl fmt::Debug for PassId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The public key of a holder, as it stands in a pass. Phones keep theirs in hardware, which often knows P-256
/// alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolderKey {
    /// Ed25519.
    Ed25519([u8; 32]),
    /// P-256, a compressed point.
    P256([u8; 33]),
}

impl HolderKey {
    /// The key as it stands in a document.
    #[must_use]
    pub fn of(key: &Signer) -> Self {
        match key {
            Signer::Ed25519(key) => Self::Ed25519(key.to_bytes()),
            #[cfg(any(feature = "handover", feature = "esp256"))]
            Signer::P256(key) => Self::P256(key.to_bytes()),
        }
    }

    /// The bytes of the key alone, 32 or 33.
    pub(crate) const fn bytes(&self) -> &[u8] {
        match self {
            Self::Ed25519(bytes) => bytes,
            Self::P256(bytes) => bytes,
        }
    }

    /// The key of so many bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let long = || bytes.try_into().ok().map(Self::P256);
        bytes.try_into().ok().map(Self::Ed25519).or_else(long)
    }

    /// The key, if it is one, and of a kind that this build verifies.
    #[must_use]
    pub fn signer(&self) -> Option<Signer> {
        match self {
            Self::Ed25519(bytes) => IssuerPublicKey::from_bytes(bytes).ok().map(Signer::Ed25519),
            #[cfg(any(feature = "handover", feature = "esp256"))]
            Self::P256(bytes) => PublicKey::from_bytes(bytes).ok().map(Signer::P256),
            #[cfg(not(any(feature = "handover", feature = "esp256")))]
            Self::P256(_) => None,
        }
    }
}

/// How often a pass opens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Uses {
    /// As often as wanted.
    #[default]
    Many,
    /// Once.
    Once,
    /// So often; at least twice.
    Times(NonZeroU8),
}

impl Uses {
    /// So many; `None` for none.
    #[must_use]
    pub const fn times(count: u8) -> Option<Self> {
        match NonZeroU8::new(count) {
            None => None,
            Some(NonZeroU8::MIN) => Some(Self::Once),
            Some(count) => Some(Self::Times(count)),
        }
    }

    /// The most uses; `None` without a limit.
    #[must_use]
    pub const fn most(self) -> Option<u8> {
        match self {
            Self::Many => None,
            Self::Once => Some(1),
            Self::Times(count) => Some(count.get()),
        }
    }
}

/// What a pass allows beyond opening in its window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// How often it opens.
    pub uses: Uses,
    /// Whether the door may be held open.
    pub passage: bool,
    /// Whether the lock must know the time within a quarter of an hour.
    pub exact: bool,
}

/// A pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Where it opens. A pass under a lock's own key may go without.
    pub audience: Option<Audience>,
    /// When it opens, before grace.
    pub window: Window,
    /// When it was made. A pass under a lock's own key may go without.
    pub issued_at: Option<Timestamp>,
    /// Its name.
    pub id: PassId,
    /// Whose it is; whoever shows it, without.
    pub holder: Option<HolderKey>,
    /// What it allows.
    pub scope: Scope,
    /// For how many seconds from its first use it opens, if not for its whole window.
    pub lasts: Option<NonZeroU32>,
}

impl Pass {
    /// Whether a lock has to remember its uses. Such a pass opens one lock only, since no other one would
    /// know of them.
    #[must_use]
    pub const fn is_counted(&self) -> bool {
        self.scope.uses.most().is_some() || self.lasts.is_some()
    }
}
