//! One delivery as a driver's device holds it, and what can be presented at its door.

use super::check::{Check, CodeHash, Slot};
use super::tag::{ScanSecret, Tag};
use super::{LONGEST_WINDOW, MAX_SLOTS, Subject};
use crate::code::{Alphabet, Code, Mistyped, Shape};
use crate::crockford;
use crate::id::{DeliveryId, IssuerId};
use crate::secret::Secret;
use crate::time::{Timestamp, Window};
use crate::verifier::{Compare, Means};
use alloc::string::String;
use core::fmt;
use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// The longest label in bytes.
pub const MAX_LABEL_LENGTH: usize = 200;

/// The longest reference in bytes.
pub const MAX_REFERENCE_LENGTH: usize = 256;

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
    /// The business's own name for the delivery, as it stands on the parcel. At most
    /// [`MAX_REFERENCE_LENGTH`] bytes.
    pub reference: String,
    /// What the driver sees: whom and where. At most [`MAX_LABEL_LENGTH`] bytes.
    pub label: String,
    /// What its codes are checked with: 1 to [`MAX_SLOTS`] slots.
    pub check: Check,
}

impl Stop {
    /// What a slot's code is for, on this device.
    #[must_use]
    pub const fn subject(&self, issuer: IssuerId, device: [u8; 16], slot: u8) -> Subject {
        Subject { issuer, delivery: self.delivery, generation: self.generation, slot, device }
    }

    fn is_well_formed(&self) -> bool {
        let slots = self.check.scans();
        (1..=MAX_SLOTS).contains(&slots.len())
            && self.reference.len() <= MAX_REFERENCE_LENGTH
            && self.label.len() <= MAX_LABEL_LENGTH
            && self.window.length() <= LONGEST_WINDOW
            && self.check.fits(self.shape)
            && slots.is_sorted_by(|a, b| a.0 < b.0)
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

/// Whose code a driver says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Any holder's.
    Anybody,
    /// A recipient's: the spare is not compared.
    Recipient,
    /// A neighbour's, who was given the spare: nothing else is compared.
    Neighbour,
}

/// A presentation at the door of one stop.
#[derive(Clone, Debug)]
pub struct AtDoor {
    pub(crate) stop: Stop,
    pub(crate) presented: Presented,
    pub(crate) whose: Whose,
    pub(crate) issuer: IssuerId,
    pub(crate) device: [u8; 16],
}

impl AtDoor {
    /// The slots that are compared.
    fn asked<'a, C>(&self, slots: &'a [Slot<C>]) -> &'a [Slot<C>] {
        match (self.whose, slots.split_last()) {
            (Whose::Anybody, _) | (_, None) => slots,
            (Whose::Recipient, Some((_, recipients))) => recipients,
            (Whose::Neighbour, Some((spare, _))) => core::slice::from_ref(spare),
        }
    }
}

impl Compare for AtDoor {
    type Found = u8;

    fn compare(&self) -> Option<u8> {
        let subject = |slot| self.stop.subject(self.issuer, self.device, slot);
        match (&self.presented, &self.stop.check) {
            (Presented::Scanned(secret), check) => {
                let scans = check.scans().into_iter();
                first(scans.map(|(slot, scan)| (slot, scan.ct_eq(&secret.hash(&subject(slot))))))
            }
            (Presented::Typed(code), Check::Split { bits, slots }) => {
                first(self.asked(slots).iter().map(|slot| {
                    let tag = Tag::derive(&slot.salt, *bits, &subject(slot.number), code);
                    (slot.number, slot.code.ct_eq(&tag))
                }))
            }
            (Presented::Typed(code), Check::Full { cost, slots }) => {
                first(self.asked(slots).iter().map(|slot| {
                    let hash = CodeHash::derive(*cost, &slot.salt, &subject(slot.number), code);
                    (
                        slot.number,
                        hash.map_or_else(|| Choice::from(0), |hash| slot.code.ct_eq(&hash)),
                    )
                }))
            }
        }
    }
}

/// The first slot that is the same. All are looked at.
pub(super) fn first(slots: impl Iterator<Item = (u8, Choice)>) -> Option<u8> {
    let mut found = Choice::from(0);
    let mut number = 0_u8;
    for (slot, same) in slots {
        number.conditional_assign(&slot, same & !found);
        found |= same;
    }
    bool::from(found).then_some(number)
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
        e.array(9)?
            .encode_with(self.delivery, ctx)?
            .u32(self.generation)?
            .u64(self.window.from().seconds())?
            .u64(self.window.until().seconds())?
            .u8(self.budget)?;
        self.check.encode_kind(self.shape, e)?;
        e.str(&self.reference)?.str(&self.label)?;
        self.check.encode_slots(e)
    }
}

impl<'b, C> Decode<'b, C> for Stop {
    fn decode(d: &mut Decoder<'b>, ctx: &mut C) -> Result<Self, decode::Error> {
        let wrong = |what| decode::Error::message(what);
        if d.array()? != Some(9) {
            return Err(wrong("array length"));
        }
        let delivery = DeliveryId::decode(d, ctx)?;
        let generation = d.u32()?;
        let (from, until) = (Timestamp::from_seconds(d.u64()?), Timestamp::from_seconds(d.u64()?));
        let window = Window::new(from, until).ok_or_else(|| wrong("window"))?;
        let budget = d.u8()?;
        let (kind, size, length) = Check::decode_kind(d)?;
        let alphabet = match size {
            10 => Alphabet::Digits,
            32 => Alphabet::Crockford,
            _ => return Err(wrong("alphabet")),
        };
        let shape = Shape::new(alphabet, length).ok_or_else(|| wrong("code length"))?;
        let reference = String::from(d.str()?);
        let label = String::from(d.str()?);
        let check = kind.decode_slots(d, MAX_SLOTS)?;
        let stop = Self { delivery, generation, window, budget, shape, reference, label, check };
        if stop.is_well_formed() { Ok(stop) } else { Err(wrong("stop")) }
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
