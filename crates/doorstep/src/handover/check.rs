//! How much of a code a device can check: a few bits of it, or the whole.
//!
//! A split check is for devices whose owner may search them. A full check is for managed devices:
//! it is final at the door, and is worth what the device's own protection is worth.

use super::Subject;
use super::tag::Tag;
use crate::code::{Code, Shape};
use alloc::vec::Vec;
use argon2::{Algorithm, Argon2, Params, Version};
use core::fmt;
use minicbor::{Decoder, Encoder, decode, encode};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

/// The check numbered 1.
const SPLIT: u8 = 1;
/// The check numbered 2.
const FULL: u8 = 2;

/// What a device checks codes with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// A few bits of each code: whoever searches the device does not learn the code.
    Split {
        /// How many bits of a code.
        bits: u8,
        /// One for each holder.
        slots: Vec<Slot<Tag>>,
    },
    /// The whole code, hashed slowly. Its shape is [`Shape::CROCKFORD_10`].
    Full {
        /// What each hash costs.
        cost: Cost,
        /// One for each holder.
        slots: Vec<Slot<CodeHash>>,
    },
}

/// One recipient's part of a check, or the spare's. Whoever sees all of it can search for its code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Slot<C> {
    /// The slot's number.
    pub number: u8,
    /// Fresh for each slot and generation.
    pub salt: [u8; 16],
    /// What the device holds of the code.
    pub code: C,
    /// Of the scanned secret.
    pub scan: [u8; 32],
}

impl<C> fmt::Debug for Slot<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({}, ..)", self.number)
    }
}

impl Check {
    /// The slots' numbers, each with the hash of its scanned secret.
    #[must_use]
    pub fn scans(&self) -> Vec<(u8, [u8; 32])> {
        match self {
            Self::Split { slots, .. } => {
                slots.iter().map(|slot| (slot.number, slot.scan)).collect()
            }
            Self::Full { slots, .. } => slots.iter().map(|slot| (slot.number, slot.scan)).collect(),
        }
    }

    /// The number of the spare's slot, which is the last.
    #[must_use]
    pub fn spare(&self) -> Option<u8> {
        self.scans().last().map(|(number, _)| *number)
    }

    /// Whether codes of this shape can be checked so. A shorter code would be found by a search of
    /// a full check.
    pub(super) fn fits(&self, shape: Shape) -> bool {
        match self {
            Self::Split { bits, .. } => (1..=32).contains(bits),
            Self::Full { .. } => shape == Shape::CROCKFORD_10,
        }
    }

    pub(super) fn encode_kind<W: encode::Write>(
        &self,
        shape: Shape,
        e: &mut Encoder<W>,
    ) -> Result<(), encode::Error<W::Error>> {
        let (size, length) = (shape.alphabet().size(), shape.length());
        match self {
            Self::Split { bits, .. } => {
                e.array(4)?.u8(SPLIT)?.u8(size)?.u8(length)?.u8(*bits)?;
            }
            Self::Full { cost, .. } => {
                e.array(5)?.u8(FULL)?.u8(size)?.u8(length)?.u32(cost.memory)?.u32(cost.passes)?;
            }
        }
        Ok(())
    }

    pub(super) fn encode_slots<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
    ) -> Result<(), encode::Error<W::Error>> {
        fn slots<C, W: encode::Write>(
            slots: &[Slot<C>],
            e: &mut Encoder<W>,
            code: impl Fn(&C, &mut Encoder<W>) -> Result<(), encode::Error<W::Error>>,
        ) -> Result<(), encode::Error<W::Error>> {
            e.array(u64::try_from(slots.len()).unwrap_or(u64::MAX))?;
            for slot in slots {
                e.array(4)?.u8(slot.number)?.bytes(&slot.salt)?;
                code(&slot.code, e)?;
                e.bytes(&slot.scan)?;
            }
            Ok(())
        }
        match self {
            Self::Split { slots: all, .. } => {
                slots(all, e, |tag, e| e.u32(tag.value()).map(|_| ()))
            }
            Self::Full { slots: all, .. } => slots(all, e, |hash, e| e.bytes(&hash.0).map(|_| ())),
        }
    }

    /// Reads the kind of check; its slots follow later in a stop.
    pub(super) fn decode_kind(d: &mut Decoder<'_>) -> Result<(Kind, u8, u8), decode::Error> {
        let length = d.array()?;
        let number = d.u8()?;
        let (size, symbols) = (d.u8()?, d.u8()?);
        let kind = match (number, length) {
            (SPLIT, Some(4)) => Kind::Split { bits: d.u8()? },
            (FULL, Some(5)) => {
                let cost = Cost::new(d.u32()?, d.u32()?);
                Kind::Full { cost: cost.ok_or_else(|| decode::Error::message("cost"))? }
            }
            _ => return Err(decode::Error::message("unknown check")),
        };
        Ok((kind, size, symbols))
    }
}

/// The kind of a check whose slots are still to be read.
pub(super) enum Kind {
    Split { bits: u8 },
    Full { cost: Cost },
}

impl Kind {
    /// Reads at most `most` slots and one.
    pub(super) fn decode_slots(
        self,
        d: &mut Decoder<'_>,
        most: usize,
    ) -> Result<Check, decode::Error> {
        fn slots<'b, C>(
            d: &mut Decoder<'b>,
            most: usize,
            code: impl Fn(&mut Decoder<'b>) -> Result<C, decode::Error>,
        ) -> Result<Vec<Slot<C>>, decode::Error> {
            let wrong = |_| decode::Error::message("slot");
            let count = d.array()?.and_then(|count| usize::try_from(count).ok());
            let count = count.filter(|count| *count <= most);
            let count = count.ok_or_else(|| decode::Error::message("slots"))?;
            (0..count)
                .map(|_| {
                    if d.array()? != Some(4) {
                        return Err(decode::Error::message("slot"));
                    }
                    Ok(Slot {
                        number: d.u8()?,
                        salt: d.bytes()?.try_into().map_err(wrong)?,
                        code: code(d)?,
                        scan: d.bytes()?.try_into().map_err(wrong)?,
                    })
                })
                .collect()
        }
        Ok(match self {
            Self::Split { bits } => {
                let slots = slots(d, most, |d| Ok(Tag::from_value(d.u32()?)))?;
                Check::Split { bits, slots }
            }
            Self::Full { cost } => {
                let hash = |d: &mut Decoder<'_>| {
                    let bytes = d.bytes()?.try_into();
                    bytes.map(CodeHash).map_err(|_| decode::Error::message("slot"))
                };
                Check::Full { cost, slots: slots(d, most, hash)? }
            }
        })
    }
}

/// What one Argon2id hash costs, with one lane. It is bounded, so that no route makes a device work
/// for minutes or ask for more memory than it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    memory: u32,
    passes: u32,
}

impl Cost {
    /// What codes are made with: 19 MiB, twice.
    pub const STANDARD: Self = Self { memory: 19 * 1024, passes: 2 };
    /// The most memory, in KiB: 64 MiB.
    pub const MAX_MEMORY: u32 = 64 * 1024;
    /// The most passes over it.
    pub const MAX_PASSES: u32 = 4;

    /// This many KiB of memory (8 to [`Cost::MAX_MEMORY`]), passed over so often (1 to
    /// [`Cost::MAX_PASSES`]); `None` beyond.
    #[must_use]
    pub fn new(memory: u32, passes: u32) -> Option<Self> {
        let fits =
            (8..=Self::MAX_MEMORY).contains(&memory) && (1..=Self::MAX_PASSES).contains(&passes);
        fits.then_some(Self { memory, passes })
    }

    /// Bytes of memory that one hash moves: each pass reads two blocks and writes one for each block that
    /// there is. It is what a search for codes is limited by.
    #[must_use]
    pub fn moved(self) -> u64 {
        u64::from(self.memory)
            .saturating_mul(1024)
            .saturating_mul(u64::from(self.passes))
            .saturating_mul(3)
    }
}

/// Argon2id of a whole code and everything it is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CodeHash([u8; 32]);

impl CodeHash {
    /// The hash of `code` under a slot's salt: Argon2id (RFC 9106, version 1.3, one lane, 32 bytes) of
    /// `"doorstep/HO1/full/v1" || u8 alphabet || u8 length || subject || code`. `None` if it cannot be
    /// made, which the bounds of a cost rule out; then no code is right.
    #[must_use]
    pub fn derive(cost: Cost, salt: &[u8; 16], subject: &Subject, code: &Code) -> Option<Self> {
        let shape = code.shape();
        let mut input = Zeroizing::new(Vec::with_capacity(160));
        input.extend_from_slice(b"doorstep/HO1/full/v1");
        input.extend_from_slice(&[shape.alphabet().size(), shape.length()]);
        subject.feed(|bytes| input.extend_from_slice(bytes));
        input.extend_from_slice(code.expose());
        let mut hash = [0; 32];
        let params = Params::new(cost.memory, cost.passes, 1, Some(hash.len())).ok()?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_into(&input, salt, &mut hash).ok()?;
        Some(Self(hash))
    }

    /// The hash with these bytes, as it stands in a route.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for CodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeHash(..)")
    }
}

impl ConstantTimeEq for CodeHash {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}
