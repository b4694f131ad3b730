//! At the door: what is granted, what is refused, and what each answer costs.

use crate::bench::{
    HOUR, Issuer, MORNING, NOON, Scene, at, delivery, passes, rng, scan_text, text,
};
use doorstep::code::{Alphabet, Shape};
use doorstep::handover::issue::{Checked, make};
use doorstep::refusal::Refusal;
use doorstep::time::Window;

#[test]
fn the_right_code_is_granted_once() {
    let mut scene = Scene::new();
    let code = scene.code(0);
    let grant = scene.phone.type_in(scene.delivery, &code, NOON).unwrap();
    assert_eq!((grant.slot(), grant.at()), (0, NOON));
    let again = Err(Refusal::AlreadyUsed { at: NOON });
    let later = at(MORNING + 4 * HOUR);
    let spare = scene.code(1);
    for code in [code, spare] {
        assert_eq!(scene.phone.type_in(scene.delivery, &code, later).map(drop), again);
    }
    for slot in [0, 1] {
        let text = scene.scan_text(slot);
        assert_eq!(scene.phone.scan(&text, later).map(drop), again);
    }
    assert_eq!(scene.phone.claims().len(), 1);
}

// CVE-2025-6014: a space in the code missed the list of used codes, so it was taken again.
#[test]
fn another_spelling_of_a_used_code_is_used() {
    let mut scene = Scene::new();
    let code = scene.code(0);
    scene.phone.type_in(scene.delivery, &code, NOON).unwrap();
    for spelling in [format!(" {code}"), format!("{}-{}", &code[..4], &code[4..])] {
        let answer = scene.phone.type_in(scene.delivery, &spelling, NOON).map(drop);
        assert_eq!(answer, Err(Refusal::AlreadyUsed { at: NOON }));
    }
}

// CVE-2025-6015: the same trick on the limit of attempts.
#[test]
fn the_budget_does_not_depend_on_the_spelling() {
    let mut scene = Scene::new();
    let wrong = scene.wrong()[0].clone();
    let mut spaced = wrong.clone();
    for left in (0..5).rev() {
        let answer = scene.phone.type_in(scene.delivery, &spaced, NOON).map(drop);
        assert_eq!(answer, Err(Refusal::WrongCode { left: Some(left) }));
        spaced.insert(0, ' ');
    }
    let answer = scene.phone.type_in(scene.delivery, &wrong, NOON).map(drop);
    assert_eq!(answer, Err(Refusal::Throttled { until: None }));
}

#[test]
fn one_budget_is_shared_by_all_slots_and_stops_no_scan() {
    let mut scene = Scene::new();
    for code in &scene.wrong()[..5] {
        scene.phone.type_in(scene.delivery, code, NOON).unwrap_err();
    }
    for slot in [0, 1] {
        let code = scene.code(slot);
        let answer = scene.phone.type_in(scene.delivery, &code, NOON).map(drop);
        assert_eq!(answer, Err(Refusal::Throttled { until: None }), "slot {slot}");
    }
    assert_eq!(scene.attempts(), 5);
    let spare = scene.scan_text(1);
    assert_eq!(scene.phone.scan(&spare, NOON).unwrap().slot(), 1);
    assert_eq!(scene.attempts(), 5, "a scan takes nothing");
}

#[test]
fn the_spare_is_granted_like_any_slot() {
    let mut scene = Scene::new();
    let spare = scene.code(1);
    assert_eq!(scene.phone.type_in(scene.delivery, &spare, NOON).unwrap().slot(), 1);
}

#[test]
fn what_is_no_code_costs_nothing() {
    let mut scene = Scene::new();
    let before = scene.phone.journal.len();
    let huge = "1".repeat(10_000_000);
    let full_width: String = scene.code(0).chars().map(wide).collect();
    for bad in [
        "",
        " ",
        "1234567",
        "123456789",
        "1234567a",
        "+1234567",
        "１２３４５６７８",
        &huge,
        &full_width,
    ] {
        let answer = scene.phone.type_in(scene.delivery, bad, NOON).map(drop);
        assert_eq!(answer, Err(Refusal::Mistyped));
        assert_eq!(scene.phone.scan(bad, NOON).map(drop), Err(Refusal::Mistyped));
    }
    assert_eq!(scene.phone.journal.len(), before, "nothing is written down");
    assert_eq!(scene.attempts(), 0);
}

fn wide(digit: char) -> char {
    char::from_u32(u32::from(digit) - u32::from('0') + u32::from('０')).unwrap()
}

#[test]
fn an_unknown_stop_is_refused_before_anything_is_compared() {
    let mut scene = Scene::new();
    let before = scene.phone.journal.len();
    let code = scene.code(0);
    let other = delivery("dlv_2");
    assert_eq!(scene.phone.type_in(other, &code, NOON).map(drop), Err(Refusal::Unknown));
    for text in
        [scene.scan_text(0).replace("dlv_1", "dlv_2"), scene.scan_text(0).replace(":1:0:", ":2:0:")]
    {
        assert_eq!(scene.phone.scan(&text, NOON).map(drop), Err(Refusal::Unknown), "{text}");
    }
    assert_eq!(scene.phone.journal.len(), before);
}

#[test]
fn a_code_of_an_older_generation_is_superseded_or_wrong() {
    let mut scene = Scene::new();
    let newer = scene.issuer.generation(&scene.phone, scene.delivery, 2);
    scene.issuer.hand_out(&mut scene.phone, 2, &[&newer.stop]);
    let old = &scene.made.holders[0].code;
    let fingerprint = scene.phone.fingerprint();
    assert!(!passes(&newer.stop, scene.issuer.id, fingerprint, old), "by the seed");
    let (old, scan) = (text(old), scene.scan_text(0));
    let answer = scene.phone.type_in(scene.delivery, &old, NOON).map(drop);
    assert_eq!(answer, Err(Refusal::WrongCode { left: Some(4) }));
    assert_eq!(scene.phone.scan(&scan, NOON).map(drop), Err(Refusal::Superseded));
    let new = text(&newer.holders[0].code);
    scene.phone.type_in(scene.delivery, &new, NOON).unwrap();
}

#[test]
fn a_match_of_an_older_generation_is_not_spent_once_a_newer_one_is_here() {
    let mut scene = Scene::new();
    let attempt = scene.typed(&scene.code(0)).attempt(&scene.phone.device(), NOON);
    let (record, attempt) = attempt.unwrap();
    let receipt = scene.phone.journal.append(&record).unwrap();
    let matched = attempt.counted(receipt).unwrap().compare().unwrap();
    let newer = scene.issuer.generation(&scene.phone, scene.delivery, 2);
    scene.issuer.hand_out(&mut scene.phone, 2, &[&newer.stop]);
    let claim = scene.phone.device().claim(&matched, NOON, &mut rng(1)).unwrap();
    assert_eq!(claim.map(drop).unwrap_err(), Refusal::Superseded);
}

#[test]
fn a_withdrawn_stop_is_superseded_even_for_a_match_in_flight() {
    let mut scene = Scene::new();
    let attempt = scene.typed(&scene.code(0)).attempt(&scene.phone.device(), NOON);
    let (record, attempt) = attempt.unwrap();
    let receipt = scene.phone.journal.append(&record).unwrap();
    let matched = attempt.counted(receipt).unwrap().compare().unwrap();
    let route = scene.issuer.route(&scene.phone, 2, &[], &[(scene.delivery, 1)]);
    let document = scene.issuer.seal(&scene.phone, &route);
    scene.phone.take_in(&document, NOON);
    let claim = scene.phone.device().claim(&matched, NOON, &mut rng(1)).unwrap();
    assert_eq!(claim.map(drop).unwrap_err(), Refusal::Superseded);
    let (code, scan) = (scene.code(0), scene.scan_text(0));
    let typed = scene.phone.type_in(scene.delivery, &code, NOON).map(drop);
    assert_eq!(typed, Err(Refusal::Superseded));
    assert_eq!(scene.phone.scan(&scan, NOON).map(drop), Err(Refusal::Superseded));
}

#[test]
fn a_withdrawn_stop_that_was_handed_over_stays_used() {
    let mut scene = Scene::new();
    let code = scene.code(0);
    scene.phone.type_in(scene.delivery, &code, NOON).unwrap();
    let route = scene.issuer.route(&scene.phone, 2, &[], &[(scene.delivery, 1)]);
    let document = scene.issuer.seal(&scene.phone, &route);
    scene.phone.take_in(&document, NOON);
    let answer = scene.phone.type_in(scene.delivery, &code, NOON).map(drop);
    assert_eq!(answer, Err(Refusal::AlreadyUsed { at: NOON }));
    assert_eq!(scene.phone.claims().len(), 1, "and its claim is still to be uploaded");
}

// CVE-2025-64175: a code that was not bound to its user worked for another.
#[test]
fn a_code_is_refused_at_another_stop_device_and_issuer() {
    let scene = Scene::new();
    let mut other_stop = Scene::new();
    let neighbour = other_stop.issuer.generation(&other_stop.phone, delivery("dlv_2"), 1);
    other_stop.issuer.hand_out(&mut other_stop.phone, 2, &[&neighbour.stop]);
    // The same salts and slots, but made for others: only the subject differs.
    for (issuer, seed, stop) in
        [("iss_1", 2, "dlv_2"), ("iss_1", 3, "dlv_1"), ("iss_2", 2, "dlv_1")]
    {
        let issuer = Issuer::new(issuer, 1);
        let mut phone = issuer.enrol("dev_1", seed);
        let mut moved = scene.made.stop.clone();
        moved.delivery = delivery(stop);
        issuer.hand_out(&mut phone, 1, &[&moved]);
        let code = &scene.made.holders[0].code;
        assert!(!passes(&moved, issuer.id, phone.fingerprint(), code), "by the seed");
        let answer = phone.type_in(moved.delivery, &text(code), NOON).map(drop);
        assert_eq!(answer, Err(Refusal::WrongCode { left: Some(4) }));
        let scan = scene.scan_text(0).replace("dlv_1", stop);
        let answer = phone.scan(&scan, NOON).map(drop);
        assert_eq!(answer, Err(Refusal::WrongCode { left: None }));
    }
    let scan = scan_text(&neighbour, 0).replace("dlv_2", "dlv_1");
    let answer = other_stop.phone.scan(&scan, NOON).map(drop);
    assert_eq!(answer, Err(Refusal::WrongCode { left: None }));
}

#[test]
fn a_scan_of_one_slot_under_another_slot_number_is_that_of_its_secret() {
    let mut scene = Scene::new();
    let text = scene.scan_text(0).replace(":1:0:", ":1:1:");
    assert_eq!(scene.phone.scan(&text, NOON).unwrap().slot(), 0);
}

// LinOTP changelog 2.10.5.2: leading zeros were lost in offline lists.
#[test]
fn leading_zeros_are_part_of_a_code() {
    let issuer = Issuer::new("iss_1", 1);
    let mut phone = issuer.enrol("dev_1", 2);
    let order = issuer.order(&phone, delivery("dlv_1"), 1);
    let zero_led = (0..)
        .map(|seed| make(&order, &mut rng(seed)))
        .find(|made| made.holders[0].code.expose().starts_with(b"00"));
    let made = zero_led.unwrap();
    issuer.hand_out(&mut phone, 1, &[&made.stop]);
    let code = text(&made.holders[0].code);
    for short in [&code[1..], &code[2..]] {
        let answer = phone.type_in(made.stop.delivery, short, NOON).map(drop);
        assert_eq!(answer, Err(Refusal::Mistyped));
    }
    phone.type_in(made.stop.delivery, &code, NOON).unwrap();
}

#[test]
fn every_shape_and_three_slots_work() {
    let issuer = Issuer::new("iss_1", 1);
    for shape in [
        Shape::DIGITS_8,
        Shape::DIGITS_10,
        Shape::CROCKFORD_8,
        Shape::new(Alphabet::Digits, 4).unwrap(),
        Shape::CROCKFORD_10,
    ] {
        for slot in 0..3_usize {
            let mut phone = issuer.enrol("dev_1", 2);
            let mut order = issuer.order(&phone, delivery("dlv_1"), 1);
            order.check = Checked::Split(shape);
            order.slots = 3;
            let made = make(&order, &mut rng(5));
            issuer.hand_out(&mut phone, 1, &[&made.stop]);
            let code = text(&made.holders[slot].code).to_lowercase();
            let grant = phone.type_in(made.stop.delivery, &code, NOON).unwrap();
            assert_eq!(usize::from(grant.slot()), slot);
        }
    }
}

#[test]
fn outside_its_window_nothing_is_tried() {
    let mut scene = Scene::new();
    let issuer = &scene.issuer;
    let mut order = issuer.order(&scene.phone, delivery("dlv_2"), 1);
    let (from, until) = (at(MORNING + HOUR), at(MORNING + 2 * HOUR));
    order.window = Window::new(from, until).unwrap();
    let made = make(&order, &mut rng(8));
    issuer.hand_out(&mut scene.phone, 2, &[&made.stop]);
    let code = text(&made.holders[0].code);
    let early = scene.phone.type_in(order.delivery, &code, from.earlier(1)).map(drop);
    assert_eq!(early, Err(Refusal::NotYetValid { from }));
    let late = scene.phone.type_in(order.delivery, &code, until).map(drop);
    assert_eq!(late, Err(Refusal::Expired { until }));
    assert_eq!(scene.phone.device().stop(order.delivery).unwrap().attempts, 0);
    scene.phone.type_in(order.delivery, &code, until.earlier(1)).unwrap();
}
