//! The claims of all documents as they are written: a CBOR map with ascending integer keys (RFC 8392).

use super::claims::{Audience, HolderKey, Pass, PassId, Scope, Uses};
use super::document::{Content, Header, is_written, write};
use super::rider::{Bulletin, MAX_REVOKED, Revoked, Rider, Rotation, Token};
use crate::bytes::Short;
use crate::time::{Timestamp, Window};
use core::fmt;
use core::num::NonZeroU32;
use minicbor::encode::Write;
use minicbor::{Decoder, Encoder, decode, encode};

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

const KEY_TYPE: u8 = 1;
const CURVE: i8 = -1;
const X: i8 = -2;
const Y: i8 = -3;
const OKP: u8 = 1;
const EC2: u8 = 2;
const CURVE_P256: u8 = 1;
const CURVE_ED25519: u8 = 6;

/// Claims as they stand in a document, of whatever kind it is. Times are 32 bits.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Fields<'a> {
    audience: Option<Audience>,
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

fn missing() -> decode::Error {
    decode::Error::message("claim")
}

impl<'a> Fields<'a> {
    /// Reads claims; `None` when one is unknown, of another shape, out of order, or said in another way than
    /// the one.
    pub(super) fn parse(payload: &'a [u8]) -> Option<Self> {
        let fields = Self::decode(&mut Decoder::new(payload)).ok()?;
        let one = payload.len() <= MAX_PAYLOAD && is_written(payload, |e| fields.write(e));
        one.then_some(fields)
    }

    fn decode(d: &mut Decoder<'a>) -> Result<Self, decode::Error> {
        let mut fields = Self::default();
        for _ in 0..d.map()?.ok_or_else(missing)? {
            match d.i32()? {
                AUDIENCE => fields.audience = Some(Audience::parse(d.str()?).ok_or_else(missing)?),
                UNTIL => fields.until = Some(d.u32()?),
                FROM => fields.from = Some(d.u32()?),
                ISSUED_AT => fields.issued_at = Some(d.u32()?),
                ID => fields.id = Some(PassId::from_bytes(d.bytes()?).ok_or_else(missing)?),
                HOLDER => fields.key = Some(read_key(d)?),
                SCOPE => fields.scope = Some(scope_of(d.bytes()?).ok_or_else(missing)?),
                NONCE => fields.nonce = Some(d.bytes()?.try_into().map_err(|_| missing())?),
                LASTS => fields.lasts = Some(NonZeroU32::new(d.u32()?).ok_or_else(missing)?),
                REVOKED => fields.revoked = Some(d.bytes()?),
                SEQUENCE => fields.sequence = Some(d.u32()?),
                _ => return Err(missing()),
            }
        }
        Ok(fields)
    }

    /// The one encoding of these claims; `None` when they are more than a document takes.
    pub(super) fn encode(&self) -> Option<Short<MAX_PAYLOAD>> {
        write(|e| self.write(e))
    }

    fn write<W: Write<Error = fmt::Error>>(
        &self,
        e: &mut Encoder<W>,
    ) -> Result<(), encode::Error<fmt::Error>> {
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
        e.map(there.into_iter().map(u64::from).sum())?;
        if let Some(audience) = &self.audience {
            e.i32(AUDIENCE)?.str(audience.as_str())?;
        }
        for (label, time) in [(UNTIL, self.until), (FROM, self.from), (ISSUED_AT, self.issued_at)] {
            if let Some(time) = time {
                e.i32(label)?.u32(time)?;
            }
        }
        if let Some(id) = &self.id {
            e.i32(ID)?.bytes(id.as_bytes())?;
        }
        if let Some(key) = &self.key {
            e.i32(HOLDER)?;
            write_key(e, key)?;
        }
        if let Some(scope) = &self.scope {
            e.i32(SCOPE)?.bytes(scope_bytes(scope).as_ref())?;
        }
        if let Some(nonce) = &self.nonce {
            e.i32(NONCE)?.bytes(nonce)?;
        }
        if let Some(lasts) = self.lasts {
            e.i32(LASTS)?.u32(lasts.get())?;
        }
        if let Some(revoked) = self.revoked {
            e.i32(REVOKED)?.bytes(revoked)?;
        }
        if let Some(sequence) = self.sequence {
            e.i32(SEQUENCE)?.u32(sequence)?;
        }
        Ok(())
    }

    /// What the claims say. A document has the claims of one kind and no other.
    pub(super) fn content(&self, header: &Header) -> Option<Content> {
        let content = match self {
            Self { nonce: Some(nonce), .. } => {
                let token = Token { issued_at: at(self.issued_at?), nonce: *nonce };
                Content::Rider(Rider::Token(token))
            }
            Self { revoked: Some(revoked), .. } => Content::Rider(Rider::Bulletin(Bulletin {
                audience: self.audience?,
                issued_at: at(self.issued_at?),
                sequence: self.sequence?,
                revoked: Revoked::from_bytes(revoked)?,
            })),
            Self { sequence: Some(sequence), .. } => Content::Rider(Rider::Rotation(Rotation {
                issued_at: at(self.issued_at?),
                sequence: *sequence,
                key: self.key?.signer()?,
                window: Window::new(at(self.from?), at(self.until?))?,
            })),
            Self { .. } => Content::Pass(self.pass(header)?),
        };
        let own = match &content {
            Content::Pass(pass) => Fields::of_pass(pass)?,
            Content::Rider(rider) => Fields::of_rider(rider)?,
        };
        (own == *self).then_some(content)
    }

    fn pass(&self, header: &Header) -> Option<Pass> {
        let pass = Pass {
            audience: self.audience,
            window: Window::new(at(self.from?), at(self.until?))?,
            issued_at: self.issued_at.map(at),
            id: self.id?,
            holder: self.key,
            scope: self.scope.unwrap_or_default(),
            lasts: self.lasts,
        };
        (header.is_of_the_lock() || (pass.audience.is_some() && pass.issued_at.is_some()))
            .then_some(pass)
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

fn scope_of(bytes: &[u8]) -> Option<Scope> {
    let (flags, uses) = match *bytes {
        [flags] if flags & ONCE != 0 => (flags, Uses::Once),
        [flags] => (flags, Uses::Many),
        [flags, count] if flags & ONCE == 0 => (flags, Uses::times(count)?),
        _ => return None,
    };
    // A flag that is not known is gone when the scope is encoded again, and refused for that.
    Some(Scope { uses, passage: flags & PASSAGE != 0, exact: flags & EXACT != 0 })
}

/// A `cnf` claim (RFC 8747) with a COSE_Key.
fn write_key<W: Write<Error = fmt::Error>>(
    e: &mut Encoder<W>,
    key: &HolderKey,
) -> Result<(), encode::Error<fmt::Error>> {
    e.map(1)?.u8(1)?;
    match key {
        HolderKey::Ed25519(x) => {
            e.map(3)?.u8(KEY_TYPE)?.u8(OKP)?.i8(CURVE)?.u8(CURVE_ED25519)?.i8(X)?.bytes(x)?;
        }
        HolderKey::P256([sign, x @ ..]) => {
            e.map(4)?.u8(KEY_TYPE)?.u8(EC2)?.i8(CURVE)?.u8(CURVE_P256)?.i8(X)?.bytes(x)?;
            // A compressed point starts with 2 for an even y and 3 for an odd one.
            e.i8(Y)?.bool(*sign == 3)?;
        }
    }
    Ok(())
}

fn read_key(d: &mut Decoder<'_>) -> Result<HolderKey, decode::Error> {
    d.map()?;
    d.u8()?;
    d.map()?;
    d.u8()?;
    let key_type = d.u8()?;
    d.i8()?;
    d.u8()?;
    d.i8()?;
    let x: [u8; 32] = d.bytes()?.try_into().map_err(|_| missing())?;
    match key_type {
        OKP => Ok(HolderKey::Ed25519(x)),
        EC2 => {
            d.i8()?;
            let mut point = [if d.bool()? { 3 } else { 2 }; 33];
            for (to, from) in point.iter_mut().skip(1).zip(x) {
                *to = from;
            }
            Ok(HolderKey::P256(point))
        }
        _ => Err(missing()),
    }
}
