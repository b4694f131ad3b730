//! No bytes make a reader panic: random ones, and valid documents with a few bytes changed.

use crate::bench::{NOON, Scene, rng, scan_text};
use doorstep::code::{Alphabet, Code, Shape};
use doorstep::cose::encrypt::Sealed;
use doorstep::cose::keys::PublicKey;
use doorstep::cose::sign1::{Signed, key_id_of};
use doorstep::handover::claim::{Acknowledgement, Claim, Upload};
use doorstep::handover::device::Device;
use doorstep::handover::event::{Event, Identity};
use doorstep::handover::issue::{Order, make};
use doorstep::handover::route::RouteRequest;
use doorstep::handover::stop::{ScanText, Whose};
use doorstep::id::DeliveryId;
use proptest::prelude::*;
use std::sync::LazyLock;

/// What is valid before it is changed.
struct Valid {
    /// One of each.
    documents: Vec<Vec<u8>>,
    /// With each of the events.
    journal: Vec<Vec<u8>>,
}

static VALID: LazyLock<Valid> = LazyLock::new(|| {
    let mut scene = Scene::new();
    let code = scene.code(0);
    scene.phone.type_in(scene.delivery, &code, NOON).unwrap();
    scene.issuer.acknowledge(&mut scene.phone, 0, NOON, NOON);
    scene.phone.tick(NOON.later(60));
    let key = scene.phone.key.public();
    let device = scene.phone.device();
    let sign = |unsigned: doorstep::cose::sign1::Unsigned| {
        unsigned.signed(&scene.phone.key.sign(&unsigned.to_be_signed()))
    };
    let upload = device.upload(9);
    let documents = vec![
        scene
            .issuer
            .seal(&scene.phone, &scene.issuer.route(&scene.phone, 2, &[&scene.made.stop], &[])),
        upload.claims[0].to_vec(),
        sign(upload.unsigned(&key)),
        sign(device.request_route().unwrap().unsigned(&key)),
        scene.issuer.acknowledgement(&scene.phone, 1, NOON).issue(&scene.issuer.signing),
    ];
    Valid { documents, journal: scene.phone.journal.bodies().map(<[u8]>::to_vec).collect() }
});

static ORDER: LazyLock<Order> = LazyLock::new(|| {
    let scene = Scene::new();
    scene.issuer.order(&scene.phone, scene.delivery, 1)
});

static KEYS: LazyLock<(Identity, PublicKey)> = LazyLock::new(|| {
    let phone = Scene::new().phone;
    (phone.device().identity().clone(), phone.key.public())
});

/// Reads bytes as everything they might be taken for.
fn read(bytes: &[u8]) {
    let _ = Event::decode(bytes);
    let _ = Sealed::parse(bytes);
    let _ = key_id_of(bytes);
    let _ = Device::replay([bytes]);
    if let Ok(signed) = Signed::parse(bytes) {
        let (identity, key) = &*KEYS;
        let _ = Claim::verify(bytes, key);
        let _ = Upload::verify(&signed, key);
        let _ = RouteRequest::verify(&signed, key);
        let issuer = identity.issuer_key().unwrap();
        let _ = Acknowledgement::verify(bytes, identity.issuer, issuer, identity.device);
    }
}

/// Changes, cuts and inserts bytes where `edits` says.
fn mutate(bytes: &[u8], edits: &[(prop::sample::Index, u8, u8)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (place, what, value) in edits {
        if bytes.is_empty() {
            break;
        }
        let index = place.index(bytes.len());
        match what % 4 {
            0 => bytes[index] = *value,
            1 => bytes.insert(index, *value),
            2 => drop(bytes.remove(index)),
            _ => bytes.truncate(index),
        }
    }
    bytes
}

fn edits() -> impl Strategy<Value = Vec<(prop::sample::Index, u8, u8)>> {
    prop::collection::vec(any::<(prop::sample::Index, u8, u8)>(), 1..4)
}

/// Lengths and depths that a careless reader would believe.
#[test]
fn giant_lengths_and_deep_nesting_are_refused() {
    let mut hostile: Vec<Vec<u8>> = Vec::new();
    for head in [0x5B, 0x7B, 0x9B, 0xBB, 0xDB, 0x1B] {
        let mut bytes = vec![head];
        bytes.extend([0xFF; 8]);
        hostile.push(bytes);
    }
    hostile.push(vec![0x81; 100_000]);
    hostile.push(vec![0x9F; 100_000]);
    hostile.push(vec![0xD2; 100_000]);
    for bytes in &hostile {
        read(bytes);
        // As the content of an event, of a signed document, of a stop list.
        for start in [&[0x82, 0x01, 0x82][..], &[0x82, 0x05, 0x81], &[0xD2, 0x84, 0x43]] {
            read(&[start, bytes].concat());
        }
        // As a record among records.
        let journal = &VALID.journal;
        let mut bodies: Vec<&[u8]> = journal.iter().map(Vec::as_slice).collect();
        bodies.push(bytes);
        assert!(Device::replay(bodies).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read(&bytes);
    }

    #[test]
    fn valid_documents_changed(which in any::<prop::sample::Index>(), edits in edits()) {
        let Valid { documents, journal } = &*VALID;
        let all: Vec<_> = documents.iter().chain(journal).collect();
        read(&mutate(all[which.index(all.len())], &edits));
    }

    #[test]
    fn a_changed_journal_replays_to_an_answer(
        which in any::<prop::sample::Index>(),
        edits in edits(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let journal = &VALID.journal;
        let mut bodies = journal.clone();
        let index = which.index(bodies.len());
        bodies[index] = mutate(&bodies[index], &edits);
        for place in order {
            let from = place.index(bodies.len());
            let body = bodies.remove(from);
            bodies.insert(from / 2, body);
        }
        if let Ok(device) = Device::replay(bodies.iter().map(Vec::as_slice)) {
            let _ = device.attempt_typed(DeliveryId::parse("dlv_1").unwrap(), "12345678", Whose::Anybody, NOON);
            let _ = device.upload(10);
            let _ = device.request_route();
        }
    }

    #[test]
    fn any_text_is_a_code_or_not(text in any::<String>(), digits in "[0-9A-Za-z +_-]{0,40}") {
        for text in [text, digits] {
            for alphabet in [Alphabet::Digits, Alphabet::Crockford] {
                for length in 4..=10 {
                    let shape = Shape::new(alphabet, length).unwrap();
                    if let Ok(code) = Code::parse(&text, shape) {
                        let canonical = String::from_utf8(code.expose().to_vec()).unwrap();
                        let again = Code::parse(&canonical, shape).unwrap();
                        prop_assert_eq!(again.expose(), code.expose());
                    }
                }
            }
            let _ = ScanText::parse(&text);
        }
    }

    #[test]
    fn a_changed_scan_text_is_read_or_refused(edits in edits(), seed in any::<u64>()) {
        let text = scan_text(&make(&ORDER, &mut rng(seed)), 0);
        let changed = String::from_utf8_lossy(&mutate(text.as_bytes(), &edits)).into_owned();
        if let Ok(read) = ScanText::parse(&changed) {
            let mut written = String::new();
            read.write(&mut written).unwrap();
            // One spelling, but for a link in front and white space around.
            let bare = changed.rsplit_once('#').map_or(changed.as_str(), |(_, end)| end);
            prop_assert_eq!(written, bare.trim_ascii());
        }
    }

    #[test]
    fn a_made_code_reads_back(seed in any::<u64>(), length in 4_u8..=10, letters in any::<bool>()) {
        let alphabet = if letters { Alphabet::Crockford } else { Alphabet::Digits };
        let shape = Shape::new(alphabet, length).unwrap();
        let code = Code::make(shape, &mut rng(seed));
        let mut grouped = String::new();
        code.write_grouped(&mut grouped).unwrap();
        for spelling in [grouped.clone(), grouped.to_lowercase(), grouped.replace(' ', "-")] {
            let read = Code::parse(&spelling, shape).unwrap();
            prop_assert_eq!(read.expose(), code.expose());
        }
    }
}
