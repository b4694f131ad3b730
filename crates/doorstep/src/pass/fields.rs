//! The claims of all documents as they are written: a CBOR map with ascending integer keys (RFC 8392).

use super::cbor::{MAP, Reader, Writer, write};
use super::claims::{Audience, HolderKey, Pass, PassId, Scope, Uses};
use super::document::{Content, Header, Kind};
use super::rider::{Bulletin, MAX_REVOKED, Revoked, Rider, Rotation, Token};
use crate::bytes::Short;
use crate::time::{Timestamp, Window};
use core::num::NonZeroU32;

/// The most bytes of claims: those of a full bulletin.
pub(super) const MAX_PAYLOAD: usize = 48 + MAX_REVOKED * 4;

const AUDIENCE: i32 = 3;
const UNTIL: i32 = 4;
const FROM: i32 = 5;
const ISSUED_AT: i32 = 6;
const ID: i32 = 7;
const HOLDER: i32 = 8;
const SCOPE: i32 = 9;
const NONCE: i32 = 10;
const LASTS: i32 = 40;
const REVOKED: i32 = -65_537;
const SEQUENCE: i32 = -65_538;

const ONCE: u8 = 0x01;
const PASSAGE: u8 = 0x04;
const EXACT: u8 = 0x08;

/// A `cnf` claim (RFC 8747) with a COSE_Key: its type, its curve, and the head of its 32 bytes.
const ED25519_KEY: [u8; 10] = [0xA1, 1, 0xA3, 1, 1, 0x20, 6, 0x21, 0x58, 32];
/// The same on P-256, where the sign of y follows.
const P256_KEY: [u8; 10] = [0xA1, 1, 0xA4, 1, 2, 0x20, 1, 0x21, 0x58, 32];
const P256_EVEN: [u8; 2] = [0x22, 0xF4];
const P256_ODD: [u8; 2] = [0x22, 0xF5];

/// Claims as they stand in a document, of whatever kind it is. Times are 32 bits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fields<'a> {
    pub(super) audience: Option<Audience>,
    until: Option<u32>,
    from: Option<u32>,
    issued_at: Option<u32>,
    id: Option<PassId>,
    key: Option<HolderKey>,
    scope: Option<Scope>,
    nonce: Option<[u8; 16]>,
    lasts: Option<NonZeroU32>,
    revoked: Option<&'a [u8]>,
    sequence: Option<u32>,
}

fn at(seconds: u32) -> Timestamp {
    Timestamp::from_seconds(u64::from(seconds))
}

fn seconds(at: Timestamp) -> Option<u32> {
    u32::try_from(at.seconds()).ok()
}

impl<'a> Fields<'a> {
    /// Reads the claims of one kind of document, and which it is; `None` when one is unknown, of another
    /// shape, out of order, missing, or said in another way than the one. Whether the key in a rotation is one
    /// costs as much as a signature, and is for [`Fields::rider`] to say.
    pub(super) fn parse(payload: &'a [u8], header: &Header) -> Option<(Self, Kind)> {
        let (mut from, mut fields) = (Reader::new(payload), Self::default());
        let count = from.argument(MAP)?;
        let mut last = None;
        for _ in 0..count {
            let label = from.integer()?;
            // As their encodings ascend: those below zero come last, the nearest first, -1 as 2^31.
            let place = if label < 0 { label ^ i32::MAX } else { label }.cast_unsigned();
            if last.is_some_and(|last| place <= last) {
                return None;
            }
            last = Some(place);
            fields.read(label, &mut from)?;
        }
        let fields = from.end(fields).filter(|_| payload.len() <= MAX_PAYLOAD)?;
        let kind = fields.kind(count, header)?;
        Some((fields, kind))
    }

    // A lock's program is smaller with it apart; elsewhere that costs a third of the time.
    #[cfg_attr(target_os = "none", inline(never))]
    fn read(&mut self, label: i32, from: &mut Reader<'a>) -> Option<()> {
        match label {
            AUDIENCE => self.audience = Some(Audience::from_bytes(from.text()?)?),
            UNTIL => self.until = Some(from.word()?),
            FROM => self.from = Some(from.word()?),
            ISSUED_AT => self.issued_at = Some(from.word()?),
            ID => self.id = Some(PassId::from_bytes(from.bytes()?)?),
            HOLDER => self.key = Some(read_key(from)?),
            SCOPE => self.scope = Some(scope_of(from.bytes()?)?),
            NONCE => self.nonce = Some(*from.chunk()?),
            LASTS => self.lasts = Some(NonZeroU32::new(from.word()?)?),
            REVOKED => self.revoked = Some(from.bytes()?),
            SEQUENCE => self.sequence = Some(from.word()?),
            _ => return None,
        }
        Some(())
    }

    /// Of which kind a document with so many claims is: it has all of one kind, and no other.
    fn kind(&self, count: u64, header: &Header) -> Option<Kind> {
        let (kind, claims) = match self {
            Self { nonce: Some(_), .. } => (Kind::TimeToken, 2),
            Self { revoked: Some(_), .. } => (Kind::Bulletin, 4),
            Self { sequence: Some(_), .. } => (Kind::KeyRotation, 5),
            Self { .. } => {
                let pass = self.pass()?;
                // Without them it would be a pass for every lock, and for keys that are over.
                let named = pass.audience.is_some() && pass.issued_at.is_some();
                return (header.is_of_the_lock() || named).then_some(Kind::Pass);
            }
        };
        let whole = match kind {
            Kind::KeyRotation => {
                self.issued_at.is_some() && self.key.is_some() && self.window().is_some()
            }
            _ => self.rider().is_some(),
        };
        (whole && count == claims).then_some(kind)
    }

    /// The one encoding of these claims; `None` when they are more than a document takes.
    pub(super) fn encode(&self) -> Option<Short<MAX_PAYLOAD>> {
        write(|w| self.write(w))
    }

    fn write(&self, w: &mut Writer<'_>) {
        let there = [
            self.audience.is_some(),
            self.until.is_some(),
            self.from.is_some(),
            self.issued_at.is_some(),
            self.id.is_some(),
            self.key.is_some(),
            self.scope.is_some(),
            self.nonce.is_some(),
            self.lasts.is_some(),
            self.revoked.is_some(),
            self.sequence.is_some(),
        ];
        w.map(there.into_iter().map(u64::from).sum());
        if let Some(audience) = &self.audience {
            w.integer(AUDIENCE).text(audience.as_bytes());
        }
        for (label, time) in [(UNTIL, self.until), (FROM, self.from), (ISSUED_AT, self.issued_at)] {
            if let Some(time) = time {
                w.integer(label).unsigned(time);
            }
        }
        if let Some(id) = &self.id {
            w.integer(ID).bytes(id.as_bytes());
        }
        if let Some(key) = &self.key {
            write_key(w.integer(HOLDER), key);
        }
        if let Some(scope) = &self.scope {
            w.integer(SCOPE).bytes(scope_bytes(scope).as_ref());
        }
        if let Some(nonce) = &self.nonce {
            w.integer(NONCE).bytes(nonce);
        }
        if let Some(lasts) = self.lasts {
            w.integer(LASTS).unsigned(lasts.get());
        }
        if let Some(revoked) = self.revoked {
            w.integer(REVOKED).bytes(revoked);
        }
        if let Some(sequence) = self.sequence {
            w.integer(SEQUENCE).unsigned(sequence);
        }
    }

    /// When the document was made, if it says so.
    pub(super) fn issued_at(&self) -> Option<Timestamp> {
        self.issued_at.map(at)
    }

    fn window(&self) -> Option<Window> {
        Window::new(at(self.from?), at(self.until?))
    }

    /// What the claims say, of whatever kind they are.
    pub(super) fn content(&self, kind: Kind) -> Option<Content> {
        match kind {
            Kind::Pass => self.pass().map(Content::Pass),
            _ => self.rider().map(Content::Rider),
        }
    }

    /// The pass of which these are the claims.
    pub(super) fn pass(&self) -> Option<Pass> {
        Some(Pass {
            audience: self.audience,
            window: self.window()?,
            issued_at: self.issued_at(),
            id: self.id?,
            holder: self.key,
            scope: self.scope.unwrap_or_default(),
            lasts: self.lasts,
        })
    }

    /// The rider of which these are the claims; `None` when the key in a rotation is none.
    pub(super) fn rider(&self) -> Option<Rider> {
        let issued_at = self.issued_at()?;
        Some(match self {
            Self { nonce: Some(nonce), .. } => Rider::Token(Token { issued_at, nonce: *nonce }),
            Self { revoked: Some(revoked), .. } => Rider::Bulletin(Bulletin {
                audience: self.audience?,
                issued_at,
                sequence: self.sequence?,
                revoked: Revoked::from_bytes(revoked)?,
            }),
            Self { .. } => Rider::Rotation(Rotation {
                issued_at,
                sequence: self.sequence?,
                key: self.key?.signer()?,
                window: self.window()?,
            }),
        })
    }

    pub(super) fn of_pass(pass: &Pass) -> Option<Self> {
        Some(Self {
            audience: pass.audience,
            until: Some(seconds(pass.window.until())?),
            from: Some(seconds(pass.window.from())?),
            issued_at: pass.issued_at.map(|at| seconds(at).ok_or(())).transpose().ok()?,
            id: Some(pass.id),
            key: pass.holder,
            scope: (pass.scope != Scope::default()).then_some(pass.scope),
            lasts: pass.lasts,
            ..Self::default()
        })
    }

    pub(super) fn of_rider(rider: &'a Rider) -> Option<Self> {
        let issued_at = Some(seconds(rider.issued_at())?);
        Some(match rider {
            Rider::Token(token) => Self { issued_at, nonce: Some(token.nonce), ..Self::default() },
            Rider::Bulletin(bulletin) => Self {
                audience: Some(bulletin.audience),
                issued_at,
                revoked: Some(bulletin.revoked.prefixes().as_flattened()),
                sequence: Some(bulletin.sequence),
                ..Self::default()
            },
            Rider::Rotation(rotation) => Self {
                until: Some(seconds(rotation.window.until())?),
                from: Some(seconds(rotation.window.from())?),
                issued_at,
                key: Some(HolderKey::of(&rotation.key)),
                sequence: Some(rotation.sequence),
                ..Self::default()
            },
        })
    }
}

/// Flags, then the uses if they are more than one.
fn scope_bytes(scope: &Scope) -> Short<2> {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    let mut bytes = Short::EMPTY;
    let flags = flag(scope.uses == Uses::Once, ONCE)
        | flag(scope.passage, PASSAGE)
        | flag(scope.exact, EXACT);
    let _ = bytes.push(&[flags]);
    if let Uses::Times(count) = scope.uses {
        let _ = bytes.push(&[count.get()]);
    }
    bytes
}

/// A scope that says nothing is left out, and so is a count that is none.
fn scope_of(bytes: &[u8]) -> Option<Scope> {
    let (flags, uses) = match *bytes {
        [flags] if flags & ONCE != 0 => (flags, Uses::Once),
        [flags] if flags != 0 => (flags, Uses::Many),
        [flags, count] if flags & ONCE == 0 && count > 1 => (flags, Uses::times(count)?),
        _ => return None,
    };
    let known = flags & !(ONCE | PASSAGE | EXACT) == 0;
    known.then_some(Scope { uses, passage: flags & PASSAGE != 0, exact: flags & EXACT != 0 })
}

fn write_key(w: &mut Writer<'_>, key: &HolderKey) {
    match key {
        HolderKey::Ed25519(x) => w.put(&ED25519_KEY).put(x),
        // A compressed point starts with 2 for an even y and 3 for an odd one.
        HolderKey::P256([sign, x @ ..]) => {
            w.put(&P256_KEY).put(x).put(if *sign == 3 { &P256_ODD } else { &P256_EVEN })
        }
    };
}

fn read_key(from: &mut Reader<'_>) -> Option<HolderKey> {
    let kind: &[u8; 10] = from.take()?;
    let x: [u8; 32] = *from.take()?;
    if *kind == ED25519_KEY {
        return Some(HolderKey::Ed25519(x));
    }
    let sign = match from.take()? {
        even if *even == P256_EVEN => 2,
        odd if *odd == P256_ODD => 3,
        _ => return None,
    };
    let mut point = [sign; 33];
    let [_, to @ ..] = &mut point;
    *to = x;
    (*kind == P256_KEY).then_some(HolderKey::P256(point))
}
