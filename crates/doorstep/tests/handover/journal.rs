//! Journals that are not what the device wrote.
//!
//! A body alone does not know its neighbours: a journal on a disk keeps the head after each record
//! beside it, and a reader folds only bodies whose heads still fit.

use crate::bench::{Journal, NOON, Scene};
use doorstep::handover::device::Device;
use doorstep::handover::event::{Event, Record};
use doorstep::ledger::Head;

/// A day with a wrong code, a right one, and a sync.
fn day() -> Scene {
    let mut scene = Scene::new();
    let (wrong, right) = (scene.wrong()[0].clone(), scene.code(0));
    scene.phone.type_in(scene.delivery, &wrong, NOON).unwrap_err();
    scene.phone.type_in(scene.delivery, &right, NOON).unwrap();
    scene.issuer.acknowledge(&mut scene.phone, 1, NOON, NOON);
    scene.phone.tick(NOON.later(100));
    scene
}

fn bodies(journal: &Journal) -> Vec<Vec<u8>> {
    journal.bodies().map(<[u8]>::to_vec).collect()
}

fn replay(bodies: &[Vec<u8>]) -> Result<Device, doorstep::handover::device::Corrupted> {
    Device::replay(bodies.iter().map(Vec::as_slice))
}

/// Every record dropped, doubled, swapped with the next, or changed in one byte.
fn damaged(journal: &Journal) -> Vec<(String, Vec<Vec<u8>>)> {
    let whole = bodies(journal);
    let mut all = Vec::new();
    for index in 0..whole.len() {
        let mut dropped = whole.clone();
        dropped.remove(index);
        all.push((format!("record {index} dropped"), dropped));
        let mut doubled = whole.clone();
        doubled.insert(index, whole[index].clone());
        all.push((format!("record {index} doubled"), doubled));
        if index + 1 < whole.len() && whole[index] != whole[index + 1] {
            let mut swapped = whole.clone();
            swapped.swap(index, index + 1);
            all.push((format!("record {index} swapped"), swapped));
        }
        for byte in 0..whole[index].len() {
            let mut edited = whole.clone();
            edited[index][byte] ^= 1 << (byte % 8);
            all.push((format!("record {index} byte {byte}"), edited));
        }
    }
    all
}

#[test]
fn no_damage_keeps_the_head() {
    let scene = day();
    let whole = scene.phone.device().head();
    for (what, bodies) in damaged(&scene.phone.journal) {
        let head = bodies.iter().fold(Head::EMPTY, |head, body| head.then(body));
        assert_ne!(head, whole, "{what}");
        // What the fold does not refuse by itself still ends elsewhere.
        if let Ok(device) = replay(&bodies) {
            assert_eq!(device.head(), head, "{what}");
        }
    }
}

#[test]
fn the_fold_refuses_what_it_can_see_by_itself() {
    let scene = day();
    let whole = bodies(&scene.phone.journal);
    let names: Vec<_> = whole
        .iter()
        .map(|body| match Event::decode(body).unwrap() {
            Event::Enrolled(..) => 'E',
            Event::Routed(..) => 'R',
            Event::Attempted(..) => 'A',
            Event::Claimed(..) => 'C',
            Event::Acknowledged(..) => 'K',
            Event::Ticked(_) => 'T',
        })
        .collect();
    assert_eq!(names.iter().collect::<String>(), "ERAACKT");
    let refused = |order: &[usize]| {
        let bodies: Vec<_> = order.iter().map(|index| whole[*index].clone()).collect();
        replay(&bodies).unwrap_err()
    };
    assert_eq!(refused(&[]).to_string(), "journal record 1 is missing");
    assert_eq!(refused(&[1]).to_string(), "journal record 1 is no enrolment");
    assert_eq!(refused(&[0, 0]).to_string(), "journal record 2 enrols a second time");
    assert_eq!(refused(&[0, 1, 1]).to_string(), "journal record 3 repeats a route");
    assert_eq!(refused(&[0, 2]).to_string(), "journal record 2 names an unknown stop");
    assert_eq!(refused(&[0, 4]).to_string(), "journal record 2 names an unknown stop");
    assert_eq!(
        refused(&[0, 1, 2, 3, 4, 4]).to_string(),
        "journal record 6 breaks the chain of claims"
    );
    let mut forged = whole.clone();
    let last = forged[5].len() - 10;
    forged[5][last] ^= 1;
    assert!(replay(&forged).is_err(), "an acknowledgement that the issuer did not sign");
}

#[test]
fn bytes_after_a_record_are_not_part_of_it() {
    let scene = day();
    for body in bodies(&scene.phone.journal) {
        let mut longer = body.clone();
        longer.push(0);
        assert!(Event::decode(&longer).is_err());
        assert!(Event::decode(&body[..body.len() - 1]).is_err());
        assert!(Event::decode(&[]).is_err());
    }
}

#[test]
fn another_devices_route_and_acknowledgement_do_not_follow() {
    let scene = day();
    let other = scene.issuer.enrol("dev_2", 3);
    let foreign = scene.issuer.acknowledgement(&other, 1, NOON).issue(&scene.issuer.signing);
    let device = scene.phone.device();
    assert!(device.acknowledge(&foreign, NOON).is_err());
    let mut device = device;
    let record = Record::new(&Event::Acknowledged(foreign, NOON), device.head());
    let error = device.apply(record.body()).unwrap_err();
    assert_eq!(error.to_string(), "journal record 8 is not from the issuer");
}

#[test]
fn a_lost_append_leaves_the_journal_as_it_was() {
    let mut scene = Scene::new();
    let typed = scene.typed(&scene.code(0));
    let (record, _) = typed.attempt(&scene.phone.device(), NOON).unwrap();
    scene.phone.tick(NOON.later(60));
    let before = scene.phone.journal.head();
    assert!(scene.phone.journal.append(&record).is_none());
    assert_eq!(scene.phone.journal.head(), before);
    assert_eq!(scene.attempts(), 0);
}
