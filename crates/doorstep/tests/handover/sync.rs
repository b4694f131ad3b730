//! What a device sends, what it is told, and what it proves.

use crate::bench::{Issuer, MORNING, NOON, Phone, Scene, at, delivery, text};
use doorstep::cose::Invalid;
use doorstep::cose::sign1::Signed;
use doorstep::handover::claim::{Acknowledgement, Claim, Evidence, Outcome, Upload};
use doorstep::handover::issue::code_mac;
use doorstep::handover::judge::{Held, Verdict, judge};
use doorstep::handover::route::RouteRequest;
use doorstep::handover::stop::Presented;
use doorstep::ledger::Head;
use doorstep::secret::Secret;
use doorstep::verifier::Means;

/// A device that granted three deliveries.
fn three() -> (Issuer, Phone) {
    let issuer = Issuer::new("iss_1", 1);
    let mut phone = issuer.enrol("dev_1", 2);
    let made: Vec<_> =
        ["dlv_1", "dlv_2", "dlv_3"].map(|name| issuer.generation(&phone, delivery(name), 1)).into();
    let stops: Vec<_> = made.iter().map(|made| &made.stop).collect();
    issuer.hand_out(&mut phone, 1, &stops);
    for made in &made {
        phone.type_in(made.stop.delivery, &text(&made.holders[0].code), NOON).unwrap();
    }
    (issuer, phone)
}

fn numbers(phone: &Phone) -> Vec<u64> {
    phone.claims().iter().map(|claim| claim.number).collect()
}

#[test]
fn claims_are_numbered_chained_and_signed() {
    let (issuer, phone) = three();
    let claims = phone.claims();
    let mut previous = [0; 32];
    for (claim, number) in claims.iter().zip(1..) {
        assert_eq!((claim.number, claim.previous), (number, previous));
        assert_eq!(claim.issuer, issuer.id);
        assert!(matches!(claim.outcome, Outcome::Granted { slot: 0, means: Means::Typed, .. }));
        assert_eq!((claim.at, claim.signed_time), (NOON, at(MORNING + 1)));
        previous = claim.hash();
    }
    let other = issuer.enrol("dev_1", 3);
    for document in phone.device().upload(9).claims {
        assert_eq!(
            Claim::verify(&document, &other.key.public()).unwrap_err(),
            Invalid::Signature,
            "another key"
        );
    }
}

#[test]
fn a_stored_claim_is_read_by_the_hash_that_it_had() {
    let (_, phone) = three();
    let [first, second, ..] = &phone.device().upload(9).claims[..] else { panic!("three") };
    let claims = phone.claims();
    let hash = claims[0].hash();
    assert_eq!(Claim::stored(first, &hash).as_ref(), Ok(&claims[0]));
    let changed = Invalid::Malformed("claim");
    assert_eq!(Claim::stored(second, &hash), Err(changed), "another claim");
    assert_eq!(Claim::stored(first, &[0; 32]), Err(changed), "another hash");
    // The signature (the last 64 bytes, and its algorithm) is not covered: it may be written in more than one way.
    let signature = |index| index == 5 || index >= first.len() - 64;
    for index in 0..first.len() {
        let mut document = first.to_vec();
        document[index] ^= 1;
        assert_eq!(Claim::stored(&document, &hash).is_ok(), signature(index), "byte {index}");
        assert!(Claim::stored(&first[..index], &hash).is_err(), "cut at {index}");
    }
}

#[test]
fn an_upload_begins_after_what_was_received() {
    let (issuer, mut phone) = three();
    assert_eq!(numbers(&phone), [1, 2, 3]);
    assert_eq!(phone.device().upload(2).claims.len(), 2, "oldest first");
    issuer.acknowledge(&mut phone, 2, NOON, NOON);
    assert_eq!(numbers(&phone), [3]);
    issuer.acknowledge(&mut phone, 2, NOON, NOON);
    assert_eq!(numbers(&phone), [3], "the same again changes nothing");
    issuer.acknowledge(&mut phone, 3, NOON, NOON);
    assert!(numbers(&phone).is_empty());
}

#[test]
fn a_server_that_was_set_back_gets_its_claims_again() {
    let (issuer, mut phone) = three();
    issuer.acknowledge(&mut phone, 3, NOON, NOON);
    issuer.acknowledge(&mut phone, 1, NOON.later(5), NOON.later(5));
    assert_eq!(numbers(&phone), [2, 3]);
    issuer.acknowledge(&mut phone, 0, NOON.later(6), NOON.later(6));
    assert_eq!(numbers(&phone), [1, 2, 3]);
}

#[test]
fn more_received_than_was_ever_sent_leaves_nothing_out() {
    let (issuer, mut phone) = three();
    issuer.acknowledge(&mut phone, u64::MAX, NOON, NOON);
    assert_eq!((phone.device().received(), numbers(&phone).len()), (3, 0));
    let made = issuer.generation(&phone, delivery("dlv_4"), 1);
    issuer.hand_out(&mut phone, 2, &[&made.stop]);
    phone.type_in(made.stop.delivery, &text(&made.holders[0].code), NOON).unwrap();
    assert_eq!(numbers(&phone), [4], "the next outcome is sent");
}

#[test]
fn an_acknowledgement_is_taken_from_the_issuer_for_this_device_only() {
    let (issuer, phone) = three();
    let other = issuer.enrol("dev_2", 3);
    let forger = Issuer::new("iss_1", 9);
    let stranger = Issuer::new("iss_2", 1);
    let device = phone.device();
    let refused = |document: &[u8]| device.acknowledge(document, NOON).unwrap_err();
    let genuine = issuer.acknowledgement(&phone, 3, NOON);
    assert_eq!(refused(&genuine.issue(&forger.signing)), Invalid::Signature);
    assert_eq!(
        refused(&issuer.acknowledgement(&other, 3, NOON).issue(&issuer.signing)),
        Invalid::Key
    );
    assert_eq!(
        refused(&stranger.acknowledgement(&phone, 3, NOON).issue(&stranger.signing)),
        Invalid::Key
    );
    let route = issuer.seal(&phone, &issuer.route(&phone, 2, &[], &[]));
    assert!(matches!(refused(&route), Invalid::Malformed(_)));
    let mut document = genuine.issue(&issuer.signing);
    let index = document.len() / 2;
    document[index] ^= 1;
    refused(&document);
    assert_eq!(
        Acknowledgement::verify(
            &genuine.issue(&issuer.signing),
            issuer.id,
            issuer.signing.public(),
            device.identity().device
        ),
        Ok(genuine)
    );
}

#[test]
fn a_route_request_names_the_head_that_the_issuer_asked_for() {
    let (issuer, mut phone) = three();
    assert!(phone.device().request_route().is_none(), "before the first acknowledgement");
    issuer.acknowledge(&mut phone, 3, NOON, NOON);
    let device = phone.device();
    let request = device.request_route().unwrap();
    assert_eq!(request.proof, device.head_at(1).unwrap());
    assert_eq!((request.version, request.nonce, request.head), (1, [7; 16], device.head()));
    let unsigned = request.unsigned(&phone.key.public());
    let document = unsigned.signed(&phone.key.sign(&unsigned.to_be_signed()));
    let signed = Signed::parse(&document).unwrap();
    assert_eq!(RouteRequest::verify(&signed, &phone.key.public()), Ok(request));
}

#[test]
fn a_device_that_was_set_back_cannot_name_its_head() {
    let (issuer, mut phone) = three();
    let seen = phone.device().head();
    let backup = Phone { key: phone.key.clone(), journal: phone.journal.cut(3) };
    let mut asked = issuer.acknowledgement(&phone, 3, NOON);
    asked.prove = seen.seq;
    let document = asked.issue(&issuer.signing);
    let prove = |phone: &mut Phone| {
        let record = phone.device().acknowledge(&document, NOON).unwrap();
        phone.append(&record);
        phone.device().request_route().unwrap().proof
    };
    let mut restored = backup;
    let mut own = phone.clone();
    assert_ne!(prove(&mut restored), seen);
    assert_eq!(prove(&mut own), seen);
    // Nor can it reach the number by writing other records.
    for _ in 0..seen.seq {
        let later = restored.device().now(NOON).later(60);
        restored.tick(later);
    }
    assert!(restored.device().head().seq > seen.seq);
    assert_ne!(prove(&mut restored), seen);
    phone.tick(NOON.later(60));
    assert_eq!(prove(&mut phone), seen, "while more records do not disturb the proof");
}

#[test]
fn a_head_beyond_the_journal_is_answered_with_the_empty_one() {
    let (issuer, mut phone) = three();
    for prove in [1_000, u64::MAX] {
        let mut asked = issuer.acknowledgement(&phone, 3, NOON);
        asked.prove = prove;
        let document = asked.issue(&issuer.signing);
        let record = phone.device().acknowledge(&document, NOON).unwrap();
        phone.append(&record);
        assert_eq!(phone.device().request_route().unwrap().proof, Head::EMPTY);
    }
}

#[test]
fn an_upload_is_signed_by_its_device_and_bounded() {
    let (issuer, phone) = three();
    let key = phone.key.public();
    let sign = |upload: &Upload| {
        let unsigned = upload.unsigned(&key);
        unsigned.signed(&phone.key.sign(&unsigned.to_be_signed()))
    };
    let upload = phone.device().upload(500);
    let document = sign(&upload);
    let signed = Signed::parse(&document).unwrap();
    assert_eq!(Upload::verify(&signed, &key), Ok(upload.clone()));
    let other = issuer.enrol("dev_2", 3);
    assert_eq!(Upload::verify(&signed, &other.key.public()), Err(Invalid::Signature));
    let mut long = upload.clone();
    long.claims = vec![upload.claims[0].clone(); 501];
    let document = sign(&long);
    let signed = Signed::parse(&document).unwrap();
    assert_eq!(Upload::verify(&signed, &key), Err(Invalid::Malformed("upload")));
    // A claim is no upload, though the same key signed it.
    let signed = Signed::parse(&upload.claims[0]).unwrap();
    assert_eq!(Upload::verify(&signed, &key), Err(Invalid::Signature));
}

fn granted(claim: &mut Claim) -> (&mut u8, &mut Means) {
    let Outcome::Granted { slot, means, .. } = &mut claim.outcome else { panic!("granted") };
    (slot, means)
}

/// From the door to the verdict, and what a claim cannot be turned into.
#[test]
fn evidence_belongs_to_its_claim() {
    let mut scene = Scene::new();
    let (code, pepper) = (scene.code(0), Secret::from_bytes([4; 32]));
    scene.phone.type_in(scene.delivery, &code, NOON).unwrap();
    let claim = scene.phone.claims().remove(0);
    let shape = scene.made.stop.shape;
    let agreement = &scene.issuer.agreement;
    let presented = Evidence::open(&claim, agreement, shape).unwrap();
    assert!(matches!(&presented, Presented::Typed(typed) if text(typed) == code));
    let subject = scene.made.stop.subject(scene.issuer.id, scene.phone.fingerprint(), 0);
    let held = Held {
        code_mac: code_mac(&pepper, &scene.delivery, 1, 0, &scene.made.holders[0].code),
        scan: scene.made.holders[0].scan.hash(&subject),
    };
    assert_eq!(judge(&pepper, &subject, &held, &presented), Verdict::Match);
    let forged = doorstep::code::Code::parse(&scene.wrong()[0], shape).unwrap();
    assert_eq!(judge(&pepper, &subject, &held, &Presented::Typed(forged)), Verdict::Mismatch);

    let moved: [fn(&mut Claim); 4] = [
        |claim| claim.delivery = delivery("dlv_2"),
        |claim| claim.generation = 2,
        |claim| *granted(claim).0 = 1,
        |claim| *granted(claim).1 = Means::Scanned,
    ];
    for change in moved {
        let mut claim = claim.clone();
        change(&mut claim);
        assert_eq!(Evidence::open(&claim, agreement, shape).unwrap_err(), Invalid::Seal);
    }
    let stranger = Issuer::new("iss_2", 9);
    assert_eq!(Evidence::open(&claim, &stranger.agreement, shape).unwrap_err(), Invalid::Seal);
    let digits_10 = doorstep::code::Shape::DIGITS_10;
    assert_eq!(
        Evidence::open(&claim, agreement, digits_10).unwrap_err(),
        Invalid::Malformed("evidence")
    );
}

#[test]
fn a_scan_is_judged_by_its_secret() {
    let mut scene = Scene::new();
    let text = scene.scan_text(1);
    scene.phone.scan(&text, NOON).unwrap();
    let claim = scene.phone.claims().remove(0);
    assert!(matches!(claim.outcome, Outcome::Granted { slot: 1, means: Means::Scanned, .. }));
    let presented = Evidence::open(&claim, &scene.issuer.agreement, scene.made.stop.shape).unwrap();
    let pepper = Secret::from_bytes([4; 32]);
    let fingerprint = scene.phone.fingerprint();
    let subject = |slot| scene.made.stop.subject(scene.issuer.id, fingerprint, slot);
    let held = |slot: u8| Held {
        code_mac: [0; 32],
        scan: scene.made.holders[usize::from(slot)].scan.hash(&subject(slot)),
    };
    assert_eq!(judge(&pepper, &subject(1), &held(1), &presented), Verdict::Match);
    assert_eq!(judge(&pepper, &subject(0), &held(0), &presented), Verdict::Mismatch);
    assert_eq!(judge(&pepper, &subject(0), &held(1), &presented), Verdict::Mismatch);
}
