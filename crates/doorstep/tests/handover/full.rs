//! Whole codes on a managed device, and codes that a driver says are a recipient's or a neighbour's.

use crate::bench::{Issuer, NOON, Phone, Scene, delivery, rng, text};
use doorstep::code::Shape;
use doorstep::cose::Invalid;
use doorstep::handover::check::{Check, CodeHash, Cost};
use doorstep::handover::claim::Outcome;
use doorstep::handover::device::RouteRefused;
use doorstep::handover::issue::{Checked, Generation, make};
use doorstep::handover::stop::{Stop, Whose};
use doorstep::refusal::Refusal;

fn cheap() -> Cost {
    Cost::new(8, 1).unwrap()
}

fn made(issuer: &Issuer, phone: &Phone) -> Generation {
    let mut order = issuer.order(phone, delivery("dlv_1"), 1);
    order.check = Checked::Full(cheap());
    order.slots = 3;
    make(&order, &mut rng(5))
}

/// A managed device with one stop.
fn managed() -> (Issuer, Phone, Generation) {
    let issuer = Issuer::new("iss_1", 1);
    let mut phone = issuer.enrol_managed("dev_1", 2);
    let made = made(&issuer, &phone);
    issuer.hand_out(&mut phone, 1, &[&made.stop]);
    (issuer, phone, made)
}

#[test]
fn a_whole_code_is_granted_once_and_one_symbol_off_is_not() {
    let (_, mut phone, made) = managed();
    let code = text(&made.holders[1].code);
    for place in 0..3 {
        let mut near = code.clone().into_bytes();
        near[place] = if near[place] == b'0' { b'1' } else { b'0' };
        let near = String::from_utf8(near).unwrap();
        let answer = phone.type_in(made.stop.delivery, &near, NOON).map(drop);
        assert!(matches!(answer, Err(Refusal::WrongCode { left: Some(_) })), "{place}");
    }
    let spoken = format!("{}-{}", &code[..5], &code[5..]).to_lowercase();
    assert_eq!(phone.type_in(made.stop.delivery, &spoken, NOON).unwrap().slot(), 1);
    let again = phone.type_in(made.stop.delivery, &code, NOON).map(drop);
    assert_eq!(again, Err(Refusal::AlreadyUsed { at: NOON }));
}

#[test]
fn a_device_that_is_not_managed_takes_no_full_check() {
    let issuer = Issuer::new("iss_1", 1);
    let phone = issuer.enrol("dev_1", 2);
    let made = made(&issuer, &phone);
    let route = phone.open(&issuer.seal(&phone, &issuer.route(&phone, 1, &[&made.stop], &[])));
    let refused = phone.device().take_in(route.unwrap(), NOON).map(drop);
    assert_eq!(refused, Err(RouteRefused::NotManaged { delivery: made.stop.delivery }));
}

/// What a route asks of memory and time is bounded, and a full check of codes that a search would
/// find is none.
#[test]
fn a_full_check_that_is_too_costly_or_too_short_spoils_its_route() {
    let (issuer, phone, made) = managed();
    let sealed = |change: &dyn Fn(&mut Stop)| {
        let mut stop = made.stop.clone();
        change(&mut stop);
        phone.open(&issuer.seal(&phone, &issuer.route(&phone, 2, &[&stop], &[])))
    };
    assert!(sealed(&|_| ()).is_ok());
    let malformed = Err(Invalid::Malformed("document"));
    for shape in [Shape::DIGITS_10, Shape::CROCKFORD_8, Shape::DIGITS_8] {
        assert_eq!(sealed(&|stop| stop.shape = shape), malformed);
    }
    let slots = |stop: &Stop| match &stop.check {
        Check::Full { slots, .. } => slots.clone(),
        Check::Split { .. } => panic!("full"),
    };
    let none = |stop: &mut Stop| stop.check = Check::Full { cost: cheap(), slots: Vec::new() };
    assert_eq!(sealed(&none), malformed);
    let four = |stop: &mut Stop| {
        let mut slots = slots(stop);
        let mut more = slots[2];
        more.number = 3;
        slots.push(more);
        stop.check = Check::Full { cost: cheap(), slots };
    };
    assert_eq!(sealed(&four), malformed);
    for (memory, passes) in [(7, 1), (8, 0), (64 * 1024 + 1, 1), (8, 5), (u32::MAX, u32::MAX)] {
        assert_eq!(Cost::new(memory, passes), None, "{memory} KiB, {passes}");
    }
    assert!(Cost::new(Cost::MAX_MEMORY, Cost::MAX_PASSES).is_some());
    // What cannot be made here is refused as it is read, too.
    let plain = minicbor::to_vec(&made.stop).unwrap();
    let check = [0x85, 2, 0x18, 32, 10, 8, 1];
    let place = plain.windows(7).position(|bytes| bytes == check).unwrap();
    for cost in [[7, 1], [8, 0], [8, 5]] {
        let mut bytes = plain.clone();
        bytes[place + 5..place + 7].copy_from_slice(&cost);
        assert!(minicbor::decode::<Stop>(&bytes).is_err(), "{cost:?}");
    }
    assert!(minicbor::decode::<Stop>(&plain).is_ok());
}

#[test]
fn debug_prints_no_hash() {
    let (_, phone, made) = managed();
    let Check::Full { slots, .. } = &made.stop.check else { panic!("full") };
    let printed = format!("{:?} {:?} {:?}", made.stop, slots[0], phone.device());
    assert!(!printed.contains(&format!("{:?}", slots[0].salt)));
    let subject = made.stop.subject(Issuer::new("iss_1", 1).id, phone.fingerprint(), 0);
    let hash = CodeHash::derive(cheap(), &slots[0].salt, &subject, &made.holders[0].code).unwrap();
    assert_eq!(format!("{hash:?}"), "CodeHash(..)");
}

#[test]
fn a_neighbour_s_code_is_the_spare_s_and_no_other() {
    for (whose, slot, granted) in [
        (Whose::Anybody, 0, true),
        (Whose::Anybody, 1, true),
        (Whose::Recipient, 0, true),
        (Whose::Recipient, 1, false),
        (Whose::Neighbour, 0, false),
        (Whose::Neighbour, 1, true),
    ] {
        let mut scene = Scene::new();
        let code = scene.code(slot);
        let (record, attempt) =
            scene.phone.device().attempt_typed(scene.delivery, &code, whose, NOON).unwrap();
        let receipt = scene.phone.journal.append(&record).unwrap();
        let compared = attempt.counted(receipt).unwrap().compare();
        match compared {
            Ok(matched) => {
                assert!(granted, "{whose:?}, slot {slot}");
                assert_eq!(usize::from(matched.slot()), slot);
            }
            Err(refusal) => {
                assert!(!granted, "{whose:?}, slot {slot}");
                assert_eq!(refusal, Refusal::WrongCode { left: Some(4) }, "it is counted");
            }
        }
    }
}

#[test]
fn a_neighbour_s_claim_names_the_spare_s_slot() {
    let (_, mut phone, made) = managed();
    let code = text(&made.holders[2].code);
    phone.type_in(made.stop.delivery, &code, NOON).unwrap();
    let claim = phone.claims().remove(0);
    assert!(matches!(claim.outcome, Outcome::Granted { slot: 2, .. }));
    assert_eq!(made.stop.check.spare(), Some(2));
}
