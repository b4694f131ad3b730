//! One delivery as a driver's device holds it, and what can be presented at its door.

use super::tag::{ScanSecret, Tag};
use super::{LONGEST_WINDOW, MAX_SLOTS, Subject};
use crate::code::{Alphabet, Code, Mistyped, Shape};
use crate::crockford;
use crate::id::{DeliveryId, IssuerId};
use crate::secret::Secret;
use crate::time::{Timestamp, Window};
use crate::verifier::{Compare, Means};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// The check numbered 1: a split check. (2 is kept for the full check of managed devices.)
const CHECK_SPLIT: u8 = 1;

/// The longest label in bytes.
pub const MAX_LABEL_LENGTH: usize = 200;

/// What a device is handed for one generation of one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Which making of its codes.
    pub generation: u32,
    /// When it may be handed over.
    pub window: Window,
    /// Typed attempts over all slots.
    pub budget: u8,
    /// The shape of the codes.
    pub shape: Shape,
    /// How many bits of a code the device can check.
    pub bits: u8,
    /// What the driver sees: whom and where. At most [`MAX_LABEL_LENGTH`] bytes.
    pub label: String,
    /// 1 to [`MAX_SLOTS`] slots.
    pub slots: Vec<Slot>,
}

/// One recipient's check, or the spare's. Whoever sees all of it can search for its code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// The slot's number.
    pub number: u8,
    /// Fresh for each slot and generation.
    pub salt: [u8; 16],
    /// Of the code.
    pub tag: Tag,
    /// Of the scanned secret.
    pub scan: [u8; 32],
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({}, ..)", self.number)
    }
}

impl Stop {
    /// What a slot's code is for, on this device.
    #[must_use]
    pub const fn subject(&self, issuer: IssuerId, device: [u8; 16], slot: u8) -> Subject {
        Subject { issuer, delivery: self.delivery, generation: self.generation, slot, device }
    }

    fn is_well_formed(&self) -> bool {
        (1..=MAX_SLOTS).contains(&self.slots.len())
            && self.label.len() <= MAX_LABEL_LENGTH
            && self.window.length() <= LONGEST_WINDOW
            && (1..=32).contains(&self.bits)
            && self.slots.is_sorted_by(|a, b| a.number < b.number)
    }
}

/// What was presented at the door, in canonical form.
#[derive(Clone, Debug)]
pub enum Presented {
    /// A code, typed.
    Typed(Code),
    /// A link's secret, scanned.
    Scanned(ScanSecret),
}

impl Presented {
    /// How it was presented.
    #[must_use]
    pub const fn means(&self) -> Means {
        match self {
            Self::Typed(_) => Means::Typed,
            Self::Scanned(_) => Means::Scanned,
        }
    }

    /// The bytes that the issuer judges: the canonical code, or the 16 secret bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        match self {
            Self::Typed(code) => code.expose(),
            Self::Scanned(secret) => secret.expose(),
        }
    }
}

/// A presentation at the door of one stop.
#[derive(Clone, Debug)]
pub struct AtDoor {
    pub(crate) stop: Stop,
    pub(crate) presented: Presented,
    pub(crate) issuer: IssuerId,
    pub(crate) device: [u8; 16],
}

impl Compare for AtDoor {
    type Found = u8;

    fn compare(&self) -> Option<u8> {
        let mut found = Choice::from(0);
        let mut number = 0_u8;
        for slot in &self.stop.slots {
            let subject = self.stop.subject(self.issuer, self.device, slot.number);
            let same = match &self.presented {
                Presented::Typed(code) => {
                    slot.tag.ct_eq(&Tag::derive(&slot.salt, self.stop.bits, &subject, code))
                }
                Presented::Scanned(secret) => slot.scan.ct_eq(&secret.hash(&subject)),
            };
            number.conditional_assign(&slot.number, same & !found);
            found |= same;
        }
        bool::from(found).then_some(number)
    }
}

/// The text of a link's fragment or a QR code: it names its delivery, so a scan needs no selection.
///
/// `HO1:<delivery>:<generation>:<slot>:<secret>`, the secret as 26 Crockford symbols.
#[derive(Clone, Debug)]
pub struct ScanText {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Which making of its codes.
    pub generation: u32,
    /// Which recipient, or the spare.
    pub slot: u8,
    /// The secret.
    pub secret: ScanSecret,
}

impl ScanText {
    /// Reads a scanned text; everything up to a `#` is a link and is dropped.
    ///
    /// # Errors
    /// [`Mistyped`] for anything that is not exactly such a text.
    pub fn parse(text: &str) -> Result<Self, Mistyped> {
        if text.len() > 300 {
            return Err(Mistyped::TooLong);
        }
        let text = text.rsplit_once('#').map_or(text, |(_, fragment)| fragment);
        let mut parts = text.trim_ascii().split(':');
        let mut next = || parts.next().ok_or(Mistyped::TooShort { missing: 1 });
        if next()? != "HO1" {
            return Err(Mistyped::Symbol);
        }
        let delivery = DeliveryId::parse(next()?).map_err(|_| Mistyped::Symbol)?;
        let (generation, slot, secret) = (next()?, next()?, next()?);
        let number = |text: &str| {
            text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0') || text == "0"
        };
        if parts.next().is_some() || !number(generation) || !number(slot) {
            return Err(Mistyped::Symbol);
        }
        Ok(Self {
            delivery,
            generation: generation.parse().map_err(|_| Mistyped::Symbol)?,
            slot: slot.parse().map_err(|_| Mistyped::Symbol)?,
            secret: ScanSecret::new(Secret::from_bytes(parse_secret(secret)?)),
        })
    }

    /// Writes the text, which carries the secret: for a message, never for a log.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        write!(out, "HO1:{}:{}:{}:", self.delivery, self.generation, self.slot)?;
        let secret = crockford::encode(u128::from_be_bytes(*self.secret.expose()));
        secret.iter().try_for_each(|symbol| out.write_char(char::from(*symbol)))
    }
}

fn parse_secret(text: &str) -> Result<[u8; 16], Mistyped> {
    let missing = crockford::LENGTH.saturating_sub(text.len());
    if missing > 0 {
        return Err(Mistyped::TooShort { missing: u8::try_from(missing).unwrap_or(u8::MAX) });
    }
    if text.len() > crockford::LENGTH {
        return Err(Mistyped::TooLong);
    }
    crockford::decode(text).map(u128::to_be_bytes).ok_or(Mistyped::Symbol)
}

impl<C> Encode<C> for Stop {
    fn encode<W: encode::Write>(
        &self,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        e.array(8)?
            .encode_with(self.delivery, ctx)?
            .u32(self.generation)?
            .u64(self.window.from().seconds())?
            .u64(self.window.until().seconds())?
            .u8(self.budget)?;
        e.array(4)?
            .u8(CHECK_SPLIT)?
            .u8(self.shape.alphabet().size())?
            .u8(self.shape.length())?
            .u8(self.bits)?;
        e.str(&self.label)?.array(u64::try_from(self.slots.len()).unwrap_or(u64::MAX))?;
        for slot in &self.slots {
            e.array(4)?
                .u8(slot.number)?
                .bytes(&slot.salt)?
                .u32(slot.tag.value())?
                .bytes(&slot.scan)?;
        }
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for Stop {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, decode::Error> {
        let wrong = |what| decode::Error::message(what);
        let array = |d: &mut Decoder<'b>, n| match d.array()? {
            Some(length) if length == n => Ok(()),
            _ => Err(wrong("array length")),
        };
        array(d, 8)?;
        let delivery = DeliveryId::decode(d, ctx)?;
        let generation = d.u32()?;
        let (from, until) = (Timestamp::from_seconds(d.u64()?), Timestamp::from_seconds(d.u64()?));
        let window = Window::new(from, until).ok_or_else(|| wrong("window"))?;
        let budget = d.u8()?;
        array(d, 4)?;
        if d.u8()? != CHECK_SPLIT {
            return Err(wrong("unknown check"));
        }
        let alphabet = match d.u8()? {
            10 => Alphabet::Digits,
            32 => Alphabet::Crockford,
            _ => return Err(wrong("alphabet")),
        };
        let shape = Shape::new(alphabet, d.u8()?).ok_or_else(|| wrong("code length"))?;
        let bits = d.u8()?;
        let label = String::from(d.str()?);
        let slots = d
            .array_iter_with::<C, Slot>(ctx)?
            .take(MAX_SLOTS.saturating_add(1))
            .collect::<Result<_, _>>()?;
        let stop = Self { delivery, generation, window, budget, shape, bits, label, slots };
        if stop.is_well_formed() { Ok(stop) } else { Err(wrong("stop")) }
    }
}

impl<'b, C> Decode<'b, C> for Slot {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        let wrong = |_| decode::Error::message("slot");
        if d.array()? != Some(4) {
            return Err(decode::Error::message("slot"));
        }
        Ok(Self {
            number: d.u8()?,
            salt: d.bytes()?.try_into().map_err(wrong)?,
            tag: Tag::from_value(d.u32()?),
            scan: d.bytes()?.try_into().map_err(wrong)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_text_reads_back_and_has_one_spelling() {
        let text = ScanText {
            delivery: DeliveryId::parse("dlv_1").unwrap(),
            generation: 2,
            slot: 1,
            secret: ScanSecret::new(Secret::from_bytes([0xFE; 16])),
        };
        let mut written = String::new();
        text.write(&mut written).unwrap();
        let link = std::format!("https://example.com/d#{written}");
        for good in [written.as_str(), link.as_str()] {
            let read = ScanText::parse(good).unwrap();
            assert_eq!((read.generation, read.slot), (2, 1));
            assert_eq!(read.secret.expose(), &[0xFE; 16]);
        }
        for bad in [
            "",
            "HO1",
            "HO2:dlv_1:2:1:00000000000000000000000000",
            &written.replace(":2:", ":02:"),
            &written.replace(":2:", ":+2:"),
            &written.replace(":2:", ":4294967296:"),
            &std::format!("{written}0"),
            &std::format!("{written}:"),
            &written[..written.len() - 1],
            &written.to_lowercase(),
            "HO1:dlv_1:2:1:ZZZZZZZZZZZZZZZZZZZZZZZZZZ",
        ] {
            assert!(ScanText::parse(bad).is_err(), "{bad}");
        }
    }
}
