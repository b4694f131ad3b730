//! Routes that are tampered with, replayed, or meant for somebody else; codes handed out again.

use crate::bench::{HOUR, Issuer, MORNING, NOON, Scene, at, delivery, rng};
use doorstep::cose::encrypt::seal;
use doorstep::cose::sign1::{Signer, Unsigned};
use doorstep::cose::{Invalid, Kind};
use doorstep::handover::check::{Check, Slot};
use doorstep::handover::device::RouteRefused;
use doorstep::handover::stop::{MAX_LABEL_LENGTH, Stop};
use doorstep::handover::tag::Tag;
use doorstep::id::DeviceId;

#[test]
fn a_route_with_any_bit_changed_is_refused() {
    let scene = Scene::new();
    let route = scene.issuer.route(&scene.phone, 2, &[], &[]);
    let document = scene.issuer.seal(&scene.phone, &route);
    assert_eq!(scene.phone.open(&document).unwrap(), route);
    for index in 0..document.len() {
        assert!(scene.phone.open(&document[..index]).is_err());
        let mut changed = document.clone();
        changed[index] ^= 1 << (index % 8);
        assert!(scene.phone.open(&changed).is_err(), "byte {index}");
    }
}

#[test]
fn a_route_for_another_device_is_refused() {
    let scene = Scene::new();
    let other = scene.issuer.enrol("dev_2", 3);
    // Sealed to the other device.
    let route = scene.issuer.route(&other, 2, &[], &[]);
    let document = scene.issuer.seal(&other, &route);
    assert_eq!(scene.phone.open(&document).unwrap_err(), Invalid::Seal);
    // Sealed anew to this device by whoever opened the other one: the content still names it.
    let route = scene.issuer.route(&other, 2, &[], &[]);
    let document = scene.issuer.seal(&scene.phone, &route);
    assert_eq!(scene.phone.open(&document).unwrap_err(), Invalid::Seal);
    // The name is right, the key is an older one of the same device.
    let mut route = scene.issuer.route(&scene.phone, 2, &[], &[]);
    route.fingerprint = other.fingerprint();
    let document = scene.issuer.seal(&scene.phone, &route);
    assert_eq!(scene.phone.open(&document).unwrap_err(), Invalid::Seal);
    let mut route = scene.issuer.route(&scene.phone, 2, &[], &[]);
    route.device = DeviceId::parse("dev_2").unwrap();
    let document = scene.issuer.seal(&scene.phone, &route);
    assert_eq!(scene.phone.open(&document).unwrap_err(), Invalid::Seal);
}

#[test]
fn a_route_of_another_issuer_is_refused() {
    let scene = Scene::new();
    // Another key under the same name.
    let forger = Issuer::new("iss_1", 9);
    let route = forger.route(&scene.phone, 2, &[], &[]);
    let document = forger.seal(&scene.phone, &route);
    assert_eq!(scene.phone.open(&document).unwrap_err(), Invalid::Signature);
    // The right key over another issuer's name.
    let mut route = scene.issuer.route(&scene.phone, 2, &[], &[]);
    route.issuer = Issuer::new("iss_2", 1).id;
    let document = scene.issuer.seal(&scene.phone, &route);
    assert_eq!(scene.phone.open(&document).unwrap_err(), Invalid::Key);
}

#[test]
fn another_kind_of_document_is_no_route() {
    let scene = Scene::new();
    let key = scene.phone.key.public();
    let acknowledgement = scene.issuer.acknowledgement(&scene.phone, 0, NOON);
    let signed = acknowledgement.issue(&scene.issuer.signing);
    let sealed = seal(Kind::Route, &key, &signed, &mut rng(1)).unwrap();
    assert_eq!(scene.phone.open(&sealed).unwrap_err(), Invalid::Signature);
    let sealed = seal(Kind::Evidence, &key, &signed, &mut rng(1)).unwrap();
    assert_eq!(scene.phone.open(&sealed).unwrap_err(), Invalid::Seal);
    assert!(matches!(scene.phone.open(&signed).unwrap_err(), Invalid::Malformed(_)));
    // Signed by the device itself, whose algorithm is another.
    let unsigned = Unsigned::new(Kind::Route, &Signer::P256(key), "iss_1", vec![]);
    let signed = unsigned.signed(&scene.phone.key.sign(&unsigned.to_be_signed()));
    let sealed = seal(Kind::Route, &key, &signed, &mut rng(1)).unwrap();
    assert_eq!(scene.phone.open(&sealed).unwrap_err(), Invalid::Algorithm);
}

#[test]
fn a_replayed_route_is_stale() {
    let mut scene = Scene::new();
    let route = scene.issuer.route(&scene.phone, 5, &[], &[]);
    let document = scene.issuer.seal(&scene.phone, &route);
    scene.phone.take_in(&document, NOON);
    for offered in [5, 4, 0] {
        let mut old = route.clone();
        old.version = offered;
        assert_eq!(
            scene.phone.device().take_in(old, NOON).unwrap_err(),
            RouteRefused::Stale { offered, held: 5 }
        );
    }
    let mut next = route;
    next.version = 6;
    scene.phone.device().take_in(next, NOON).unwrap();
}

#[test]
fn a_generation_is_taken_once_and_never_backward() {
    let mut scene = Scene::new();
    let third = scene.issuer.generation(&scene.phone, scene.delivery, 3);
    scene.issuer.hand_out(&mut scene.phone, 2, &[&third.stop]);
    for number in [1, 2, 3] {
        let again = scene.issuer.generation(&scene.phone, scene.delivery, number);
        let route = scene.issuer.route(&scene.phone, 3, &[&again.stop], &[]);
        assert_eq!(
            scene.phone.device().take_in(route, NOON).unwrap_err(),
            RouteRefused::Seen { delivery: scene.delivery },
            "generation {number}"
        );
    }
}

#[test]
fn a_route_names_a_delivery_once() {
    let scene = Scene::new();
    let two = scene.issuer.generation(&scene.phone, scene.delivery, 2);
    let three = scene.issuer.generation(&scene.phone, scene.delivery, 3);
    for stops in [[&two.stop, &two.stop], [&two.stop, &three.stop], [&three.stop, &two.stop]] {
        let route = scene.issuer.route(&scene.phone, 2, &stops, &[]);
        assert_eq!(
            scene.phone.device().take_in(route, NOON).unwrap_err(),
            RouteRefused::Seen { delivery: scene.delivery }
        );
    }
}

#[test]
fn a_spent_stop_is_remembered_for_thirty_days_after_its_window() {
    let mut scene = Scene::new();
    let code = scene.code(0);
    scene.phone.type_in(scene.delivery, &code, NOON).unwrap();
    let end = MORNING + 6 * HOUR;
    let day = 24 * HOUR;
    let mut version = 1;
    let mut route_at = |scene: &mut Scene, time: u64| {
        version += 1;
        let mut route = scene.issuer.route(&scene.phone, version, &[], &[]);
        route.time = at(time);
        let document = scene.issuer.seal(&scene.phone, &route);
        scene.phone.take_in(&document, at(time));
    };
    route_at(&mut scene, end + 30 * day - 1);
    let mut again = scene.issuer.route(&scene.phone, 9, &[&scene.made.stop], &[]);
    again.time = at(end + 31 * day);
    assert!(scene.phone.device().take_in(again.clone(), NOON).is_err());
    route_at(&mut scene, end + 30 * day);
    assert_eq!(scene.phone.device().stops().count(), 0);
    assert_eq!(scene.phone.claims().len(), 1, "the outcome is not forgotten");
    // Were it handed out again after that, it has expired for a month.
    let record = scene.phone.device().take_in(again, NOON).unwrap();
    scene.phone.append(&record);
    assert!(scene.phone.type_in(scene.delivery, &code, NOON).is_err());
}

fn split_mut(stop: &mut Stop) -> (&mut u8, &mut Vec<Slot<Tag>>) {
    let Check::Split { bits, slots } = &mut stop.check else { panic!("a split check") };
    (bits, slots)
}

#[test]
fn a_stop_that_no_device_can_hold_spoils_its_route() {
    let scene = Scene::new();
    let fresh = || scene.issuer.generation(&scene.phone, delivery("dlv_2"), 1).stop;
    let refused = |change: fn(&mut Stop)| {
        let mut stop = fresh();
        change(&mut stop);
        let route = scene.issuer.route(&scene.phone, 2, &[&stop], &[]);
        scene.phone.open(&scene.issuer.seal(&scene.phone, &route)).unwrap_err()
    };
    let malformed = Invalid::Malformed("document");
    assert_eq!(refused(|stop| split_mut(stop).1.clear()), malformed);
    assert_eq!(refused(|stop| split_mut(stop).1.extend_from_within(..)), malformed);
    assert_eq!(refused(|stop| split_mut(stop).1.reverse()), malformed);
    assert_eq!(refused(|stop| stop.label = "x".repeat(MAX_LABEL_LENGTH + 1)), malformed);
    assert_eq!(refused(|stop| *split_mut(stop).0 = 0), malformed);
    assert_eq!(refused(|stop| *split_mut(stop).0 = 33), malformed);
    assert_eq!(
        refused(|stop| {
            let window = doorstep::time::Window::new(at(MORNING), at(MORNING + 24 * HOUR + 1));
            stop.window = window.unwrap();
        }),
        malformed
    );
}
