//! The issuer's half: draws the codes of a delivery and what each party is to hold of them.

use super::check::{Check, CodeHash, Cost, Slot};
use super::stop::Stop;
use super::tag::{ScanSecret, Tag};
use super::{BUDGET, Subject};
use crate::code::{Code, Shape};
use crate::id::{DeliveryId, IssuerId};
use crate::odds;
use crate::secret::Secret;
use crate::time::Window;
use alloc::string::String;
use alloc::vec::Vec;
use hmac::{Hmac, KeyInit, Mac};
use rand_core::CryptoRng;
use sha2::Sha256;

/// What the codes of one generation are to be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Who issues them.
    pub issuer: IssuerId,
    /// The delivery.
    pub delivery: DeliveryId,
    /// One above the delivery's last generation.
    pub generation: u32,
    /// When it may be handed over; at most [`super::LONGEST_WINDOW`] long.
    pub window: Window,
    /// How much of them the device can check, and their shape.
    pub check: Checked,
    /// The business's own name for the delivery.
    pub reference: String,
    /// What the driver sees.
    pub label: String,
    /// How many slots: the recipients and one spare.
    pub slots: u8,
    /// The fingerprint of the device's key.
    pub device: [u8; 16],
}

/// How much of the codes the device is to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// A few bits of codes of this shape: the device's owner may search it.
    Split(Shape),
    /// All of them, at this cost: for managed devices. Their shape is [`Shape::CROCKFORD_10`].
    Full(Cost),
}

impl Checked {
    /// The shape of the codes.
    #[must_use]
    pub const fn shape(self) -> Shape {
        match self {
            Self::Split(shape) => shape,
            Self::Full(_) => Shape::CROCKFORD_10,
        }
    }
}

/// One making of a delivery's codes: the device's part and the holders' parts, to be kept apart.
#[derive(Debug)]
pub struct Generation {
    /// For the device.
    pub stop: Stop,
    /// For the holders, one per slot.
    pub holders: Vec<Holder>,
}

/// What one holder is sent.
#[derive(Debug)]
pub struct Holder {
    /// The slot.
    pub slot: u8,
    /// To be typed.
    pub code: Code,
    /// To be scanned.
    pub scan: ScanSecret,
}

/// Draws the codes, secrets and salts of one generation.
pub fn make(order: &Order, rng: &mut (impl CryptoRng + ?Sized)) -> Generation {
    let shape = order.check.shape();
    let mut holders = Vec::new();
    let check = match order.check {
        Checked::Split(shape) => {
            let bits = odds::tag_bits(shape);
            let slots = draw(order, &mut holders, rng, |salt, subject, code| {
                Tag::derive(salt, bits, subject, code)
            });
            Check::Split { bits, slots }
        }
        Checked::Full(cost) => {
            let slots = draw(order, &mut holders, rng, |salt, subject, code| {
                // Where none can be made, no code is right: a device compares only what it can make.
                CodeHash::derive(cost, salt, subject, code).unwrap_or(CodeHash::from_bytes([0; 32]))
            });
            Check::Full { cost, slots }
        }
    };
    let stop = Stop {
        delivery: order.delivery,
        generation: order.generation,
        window: order.window,
        budget: BUDGET,
        shape,
        reference: order.reference.clone(),
        label: order.label.clone(),
        check,
    };
    Generation { stop, holders }
}

fn draw<C>(
    order: &Order,
    holders: &mut Vec<Holder>,
    rng: &mut (impl CryptoRng + ?Sized),
    held: impl Fn(&[u8; 16], &Subject, &Code) -> C,
) -> Vec<Slot<C>> {
    let mut slots = Vec::new();
    for number in 0..order.slots {
        let subject = Subject {
            issuer: order.issuer,
            delivery: order.delivery,
            generation: order.generation,
            slot: number,
            device: order.device,
        };
        let code = Code::make(order.check.shape(), rng);
        let scan = ScanSecret::new(Secret::make(rng));
        let mut salt = [0; 16];
        rng.fill_bytes(&mut salt);
        let scan_hash = scan.hash(&subject);
        slots.push(Slot { number, salt, code: held(&salt, &subject, &code), scan: scan_hash });
        holders.push(Holder { slot: number, code, scan });
    }
    slots
}

/// What the issuer keeps of a code once it is sent: a hash under a key outside the database,
/// `HMAC(pepper, "doorstep/HO1/code/v1" || u8 length || delivery || u32 generation || u8 slot || code)`.
#[must_use]
pub fn code_mac(
    pepper: &Secret<32>,
    delivery: &DeliveryId,
    generation: u32,
    slot: u8,
    code: &Code,
) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(pepper.expose()) else {
        // HMAC takes keys of any length.
        return [0; 32];
    };
    mac.update(b"doorstep/HO1/code/v1");
    mac.update(&[u8::try_from(delivery.as_str().len()).unwrap_or(u8::MAX)]);
    mac.update(delivery.as_str().as_bytes());
    mac.update(&generation.to_be_bytes());
    mac.update(&[slot]);
    mac.update(code.expose());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;
    use rand_chacha::rand_core::SeedableRng as _;
    use std::collections::BTreeSet;

    fn order(generation: u32) -> Order {
        Order {
            issuer: IssuerId::parse("iss_1").unwrap(),
            delivery: DeliveryId::parse("dlv_1").unwrap(),
            generation,
            window: Window::new(Timestamp::from_seconds(1), Timestamp::from_seconds(2)).unwrap(),
            check: Checked::Split(Shape::DIGITS_8),
            reference: String::from("A-17"),
            label: String::from("5 Long Lane"),
            slots: 3,
            device: [7; 16],
        }
    }

    #[test]
    fn every_slot_of_every_generation_is_drawn_anew() {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
        let (mut codes, mut secrets, mut salts) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for generation in 1..=20 {
            let made = make(&order(generation), &mut rng);
            let Check::Split { slots, .. } = &made.stop.check else { panic!("split") };
            for (slot, holder) in slots.iter().zip(&made.holders) {
                assert_eq!(slot.number, holder.slot);
                assert_ne!(slot.salt, [0; 16]);
                codes.insert(holder.code.expose().to_vec());
                secrets.insert(*holder.scan.expose());
                salts.insert(slot.salt);
            }
        }
        assert_eq!((codes.len(), secrets.len(), salts.len()), (60, 60, 60));
    }

    #[test]
    fn a_stop_is_checked_with_what_its_holders_are_sent() {
        let order = order(4);
        let made = make(&order, &mut rand_chacha::ChaCha20Rng::seed_from_u64(2));
        let Check::Split { bits, slots } = &made.stop.check else { panic!("split") };
        assert_eq!((made.stop.generation, *bits, made.stop.budget), (4, 13, BUDGET));
        for (slot, holder) in slots.iter().zip(&made.holders) {
            let subject = made.stop.subject(order.issuer, order.device, slot.number);
            assert_eq!(slot.code, Tag::derive(&slot.salt, 13, &subject, &holder.code));
            assert_eq!(slot.scan, holder.scan.hash(&subject));
            let elsewhere = made.stop.subject(order.issuer, [8; 16], slot.number);
            assert_ne!(slot.scan, holder.scan.hash(&elsewhere), "another device");
        }
    }

    #[test]
    fn a_full_check_is_of_the_whole_code_for_its_slot_and_device() {
        let cost = Cost::new(8, 1).unwrap();
        let order = Order { check: Checked::Full(cost), ..order(1) };
        let made = make(&order, &mut rand_chacha::ChaCha20Rng::seed_from_u64(3));
        assert_eq!(made.stop.shape, Shape::CROCKFORD_10);
        let Check::Full { cost: made_at, slots } = &made.stop.check else { panic!("full") };
        assert_eq!((*made_at, slots.len()), (cost, 3));
        for (slot, holder) in slots.iter().zip(&made.holders) {
            let hash = |device, slot_number| {
                let subject = made.stop.subject(order.issuer, device, slot_number);
                CodeHash::derive(cost, &slot.salt, &subject, &holder.code)
            };
            assert_eq!(Some(slot.code), hash(order.device, slot.number));
            assert_ne!(Some(slot.code), hash([8; 16], slot.number), "another device");
            assert_ne!(Some(slot.code), hash(order.device, slot.number + 1), "another slot");
        }
    }
}
