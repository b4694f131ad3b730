//! Deliveries that could not be handed over: claimed like the others, and nothing is spent.

use crate::bench::{HOUR, MORNING, NOON, Scene, at, delivery};
use doorstep::cose::Invalid;
use doorstep::handover::claim::{Claim, Evidence, Outcome};
use doorstep::handover::device::Device;
use doorstep::handover::event::{Event, Record};
use doorstep::handover::failure::{Note, Reason};
use doorstep::refusal::Refusal;
use doorstep::time::Timestamp;

fn note(text: &str) -> Note {
    Note::new(text.to_owned()).unwrap()
}

fn failed(scene: &Scene, reason: Reason, clock: Timestamp) -> Result<Record, Refusal> {
    let failing = scene.phone.device().fail(scene.delivery, reason, note("nobody"), clock)?;
    let signature = scene.phone.key.sign(&failing.to_be_signed());
    Ok(failing.signed(&signature))
}

fn fail(scene: &mut Scene, reason: Reason, clock: Timestamp) {
    let record = failed(scene, reason, clock).unwrap();
    scene.phone.append(&record);
}

#[test]
fn a_failure_is_claimed_and_spends_nothing() {
    let mut scene = Scene::new();
    let wrong = scene.wrong();
    scene.phone.type_in(scene.delivery, &wrong[0], NOON).unwrap_err();
    fail(&mut scene, Reason::Absent, NOON);
    let device = scene.phone.device();
    let known = device.stop(scene.delivery).unwrap();
    assert_eq!((known.spent, known.failed), (None, Some((NOON, Reason::Absent))));
    assert_eq!(known.attempts, 1, "no attempt is given back");
    // The customer comes home.
    let code = scene.code(0);
    scene.phone.type_in(scene.delivery, &code, NOON.later(60)).unwrap();
    let claims = scene.phone.claims();
    assert_eq!(claims[0].number, 1);
    assert_eq!(claims[0].outcome, Outcome::Failed { reason: Reason::Absent, note: note("nobody") });
    assert_eq!((claims[1].number, claims[1].previous), (2, claims[0].hash()), "one chain");
    assert!(matches!(claims[1].outcome, Outcome::Granted { .. }));
    let stranger = &scene.issuer.agreement;
    let shape = scene.made.stop.shape;
    let opened = Evidence::open(&claims[0], stranger, shape).unwrap_err();
    assert_eq!(opened, Invalid::Malformed("evidence"), "there is none in it");
}

#[test]
fn what_was_handed_over_withdrawn_or_never_had_cannot_fail() {
    let mut scene = Scene::new();
    let unknown = scene.phone.device().fail(delivery("dlv_0"), Reason::Other, note(""), NOON);
    assert_eq!(unknown.map(drop), Err(Refusal::Unknown));

    let mut taken = Scene::new();
    let route = taken.issuer.route(&taken.phone, 2, &[], &[(taken.delivery, 1)]);
    let document = taken.issuer.seal(&taken.phone, &route);
    taken.phone.take_in(&document, NOON);
    assert_eq!(failed(&taken, Reason::Absent, NOON).map(drop), Err(Refusal::Superseded));

    let code = scene.code(0);
    scene.phone.type_in(scene.delivery, &code, NOON).unwrap();
    let refused = failed(&scene, Reason::Absent, NOON.later(9)).map(drop);
    assert_eq!(refused, Err(Refusal::AlreadyUsed { at: NOON }));
}

/// A journal in which a failure follows the grant was not written by this code.
#[test]
fn a_failure_after_the_grant_makes_the_journal_corrupt() {
    let mut scene = Scene::new();
    let code = scene.code(0);
    scene.phone.type_in(scene.delivery, &code, NOON).unwrap();
    let first = scene.phone.claims().remove(0);
    let claim = Claim {
        number: 2,
        previous: first.hash(),
        outcome: Outcome::Failed { reason: Reason::Absent, note: note("") },
        ..first
    };
    let unsigned = claim.unsigned(&scene.phone.key.public());
    let document = unsigned.signed(&scene.phone.key.sign(&unsigned.to_be_signed()));
    let record = Record::new(&Event::Claimed(document, NOON), scene.phone.device().head());
    let bodies = scene.phone.journal.bodies().chain([record.body()]);
    assert!(Device::replay(bodies).is_err());
}

#[test]
fn a_failure_may_be_told_outside_the_window_and_more_than_once() {
    let mut scene = Scene::new();
    for clock in [MORNING + HOUR, MORNING + 2 * HOUR, MORNING + 40 * HOUR] {
        fail(&mut scene, Reason::NoAccess, at(clock));
    }
    assert_eq!(scene.phone.claims().len(), 3);
    let numbers: Vec<u64> = scene.phone.claims().iter().map(|claim| claim.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

/// Somebody hands it over while somebody else gives up: whoever writes second decides again.
#[test]
fn a_failure_that_lost_to_a_grant_is_refused() {
    let mut scene = Scene::new();
    let overtaken = failed(&scene, Reason::Absent, NOON).unwrap();
    let code = scene.code(0);
    scene.phone.type_in(scene.delivery, &code, NOON).unwrap();
    assert!(scene.phone.journal.append(&overtaken).is_none());
    assert!(matches!(failed(&scene, Reason::Absent, NOON), Err(Refusal::AlreadyUsed { .. })));
}
