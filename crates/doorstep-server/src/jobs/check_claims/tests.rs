//! What claims are worth, from the door to the verdict, and what damage to them is worth.

use crate::test_server::{TestDevice, TestServer, verdicts};
use doorstep::handover::claim::Upload;
use serde_json::json;

#[tokio::test]
async fn the_right_code_makes_it_delivered_after_the_job_and_not_before() {
    let (server, mut device, delivery, _, code) = TestServer::at_the_door().await;
    device.present(&delivery, &code, server.clock.now()).unwrap();
    device.sync(&server).await;
    let reported = server.shown(&delivery).await;
    assert_eq!((&reported["state"], verdicts(&reported)), (&json!("reported"), vec!["-"]));
    server.run_jobs().await;
    let delivered = server.shown(&delivery).await;
    assert_eq!((&delivered["state"], verdicts(&delivered)), (&json!("delivered"), vec!["match"]));
    assert_eq!(delivered["claims"][0]["late_possible"], false);
    assert_eq!(
        server.query("SELECT count(*) FROM messages WHERE sealed IS NOT NULL"),
        0,
        "the spare is erased"
    );
}

#[tokio::test]
async fn a_forged_claim_is_disputed_and_its_answer_looks_like_any_other() {
    let (server, mut device, delivery, stop, code) = TestServer::at_the_door().await;
    let forged = device.forged(&stop, &code);
    device.present(&delivery, &forged, server.clock.now()).unwrap();
    let (status, answer) = device.upload(&server).await;
    assert_eq!((status, answer.as_object().unwrap().len()), (200, 1));
    assert_eq!(server.shown(&delivery).await["state"], "reported");
    server.run_jobs().await;
    let disputed = server.shown(&delivery).await;
    assert_eq!((&disputed["state"], verdicts(&disputed)), (&json!("disputed"), vec!["mismatch"]));
    let (status, problem) = server.plan(&delivery, device.id()).await;
    assert_eq!((status, &problem["code"]), (409, &json!("delivery_closed")));
}

/// A stop given to a second driver while the first is offline, and handed over twice.
async fn reassigned() -> (TestServer, [TestDevice; 2], String) {
    let (server, mut old, delivery, _, old_code) = TestServer::at_the_door().await;
    let mut new = server.device("Leo").await;
    server.plan_at(&delivery, new.id(), "2027-01-15T10:30:00Z").await;
    new.sync(&server).await;
    server.run_jobs().await;
    assert!(server.messages()[1]["text"].as_str().unwrap().contains("replaces"));
    assert!(
        new.present(&delivery, &old_code, server.clock.now()).is_err(),
        "the new device refuses the old code"
    );
    old.present(&delivery, &old_code, server.clock.now()).unwrap();
    new.present(&delivery, &server.code(1), server.clock.now()).unwrap();
    (server, [old, new], delivery)
}

#[tokio::test]
async fn a_claim_on_a_reassigned_stop_is_void_and_kept() {
    let (server, [mut old, _], delivery) = reassigned().await;
    old.sync(&server).await;
    server.run_jobs().await;
    let disputed = server.shown(&delivery).await;
    assert_eq!((&disputed["state"], verdicts(&disputed)), (&json!("disputed"), vec!["superseded"]));
    assert_eq!(disputed["claims"][0]["generation"], 1);
}

#[tokio::test]
async fn a_claim_is_concluded_once() {
    for damage in ["", "UPDATE claims SET document = x'00'"] {
        let (server, [mut old, _], delivery) = reassigned().await;
        old.sync(&server).await;
        server.execute(damage);
        // As if a run was given up while its write was on the way, and another one began.
        let first = super::examine_after(&server.context, 0).await.unwrap();
        let second = super::examine_after(&server.context, 0).await.unwrap();
        super::conclude_all(&server.context, first).await.unwrap();
        assert_eq!(server.shown(&delivery).await["state"], "disputed");
        let third = server.device("Zoe").await;
        server.plan_at(&delivery, third.id(), "2027-01-15T10:30:00Z").await;
        super::conclude_all(&server.context, second).await.unwrap();
        assert_eq!(server.shown(&delivery).await["state"], "planned", "{damage}");
    }
}

#[tokio::test]
async fn a_third_driver_can_deliver_what_an_old_device_disputed() {
    let (server, [mut old, mut second], delivery) = reassigned().await;
    old.sync(&server).await;
    server.run_jobs().await;
    assert_eq!(server.shown(&delivery).await["state"], "disputed");
    let mut third = server.device("Zoe").await;
    let (status, planned) = server.plan_at(&delivery, third.id(), "2027-01-15T10:30:00Z").await;
    assert_eq!((status, &planned["state"]), (200, &json!("planned")), "{planned}");
    third.sync(&server).await;
    server.run_jobs().await;
    let code = server.code(2);
    third.present(&delivery, &code, server.clock.now()).unwrap();
    // The second driver's claim was superseded too, and disputes once more.
    second.sync(&server).await;
    server.run_jobs().await;
    third.sync(&server).await;
    server.run_jobs().await;
    let delivered = server.shown(&delivery).await;
    assert_eq!(delivered["state"], "delivered");
    assert_eq!(verdicts(&delivered), ["superseded", "superseded", "match"]);
    let (status, problem) = server.plan(&delivery, third.id()).await;
    assert_eq!((status, &problem["code"]), (409, &json!("delivery_closed")));
}

#[tokio::test]
async fn a_claim_that_waits_for_its_verdict_keeps_a_plan_out() {
    let (server, [mut old, mut new], delivery) = reassigned().await;
    old.sync(&server).await;
    server.run_jobs().await;
    new.sync(&server).await;
    let (status, problem) = server.plan(&delivery, new.id()).await;
    assert_eq!((status, &problem["code"]), (409, &json!("delivery_closed")), "{problem}");
}

#[tokio::test]
async fn the_order_in_which_two_drivers_sync_decides_nothing() {
    for order in [[0, 1], [1, 0]] {
        let (server, mut devices, delivery) = reassigned().await;
        for index in order {
            devices[index].sync(&server).await;
            server.run_jobs().await;
        }
        let delivered = server.shown(&delivery).await;
        assert_eq!(delivered["state"], "delivered");
        let mut verdicts = verdicts(&delivered);
        verdicts.sort_unstable();
        assert_eq!(verdicts, ["match", "superseded"]);
    }
}

#[tokio::test]
async fn a_device_that_syncs_gives_up_a_reassigned_stop() {
    let (server, mut old, delivery, _, old_code) = TestServer::at_the_door().await;
    let new = server.device("Leo").await;
    server.plan_at(&delivery, new.id(), "2027-01-15T10:30:00Z").await;
    old.sync(&server).await;
    let refused = old.present(&delivery, &old_code, server.clock.now()).unwrap_err();
    assert_eq!(refused.code(), "superseded");
    old.sync(&server).await;
    assert_eq!(server.query("SELECT count(*) FROM generations WHERE withdrawn"), 1);
}

#[tokio::test]
async fn an_outcome_that_comes_after_the_window_counts_and_is_marked() {
    let (server, mut device, delivery, _, code) = TestServer::at_the_door().await;
    device.present(&delivery, &code, server.clock.now()).unwrap();
    server.clock.advance(24 * 3600);
    server.run_jobs().await;
    assert_eq!(server.shown(&delivery).await["state"], "expired");
    device.sync(&server).await;
    server.run_jobs().await;
    let late = server.shown(&delivery).await;
    assert_eq!((&late["state"], verdicts(&late)), (&json!("delivered"), vec!["match"]));
    assert_eq!(late["claims"][0]["late_possible"], true);
}

#[tokio::test]
async fn an_outcome_certainly_after_the_window_is_disputed() {
    let (server, mut device, delivery, _, code) = TestServer::at_the_door().await;
    let honest = server.clock.now();
    device.present(&delivery, &code, honest).unwrap();
    // The claim as a device with a turned-back clock would write it after a later sync.
    server.execute(
        "UPDATE generations SET window_from = 1800000000 - 20, window_until = 1800000000 - 10",
    );
    device.sync(&server).await;
    server.run_jobs().await;
    let disputed = server.shown(&delivery).await;
    assert_eq!(
        (&disputed["state"], verdicts(&disputed)),
        (&json!("disputed"), vec!["outside_window"])
    );
}

#[tokio::test]
async fn a_second_claim_on_one_generation_is_not_compared() {
    let (server, mut device, delivery, stop, code) = TestServer::at_the_door().await;
    let mut copy = device.clone();
    let forged = device.forged(&stop, &code);
    device.present(&delivery, &forged, server.clock.now()).unwrap();
    device.upload(&server).await;
    copy.present(&delivery, &code, server.clock.now()).unwrap();
    copy.upload(&server).await;
    server.run_jobs().await;
    let disputed = server.shown(&delivery).await;
    assert_eq!(
        (&disputed["state"], verdicts(&disputed)),
        (&json!("disputed"), vec!["mismatch", "repeated"])
    );
}

#[tokio::test]
async fn a_claim_on_another_drivers_stop_says_nothing_about_it() {
    let (server, mut device, delivery, _, code) = TestServer::at_the_door().await;
    let mut thief = server.device("Theo").await;
    thief.upload(&server).await;
    // The route was copied off the first device by whatever means.
    let claim = thief.claim_for(device.stop_of(&delivery), &code, server.clock.now());
    let upload = Upload { device: thief.device.identity().device, claims: vec![claim.into()] };
    let (status, _) = thief.send(&server, &upload).await;
    assert_eq!(status, 200);
    server.run_jobs().await;
    let untouched = server.shown(&delivery).await;
    assert_eq!((&untouched["state"], verdicts(&untouched)), (&json!("notified"), vec!["void"]));
    device.present(&delivery, &code, server.clock.now()).unwrap();
    device.sync(&server).await;
    server.run_jobs().await;
    assert_eq!(server.shown(&delivery).await["state"], "delivered");
}

#[tokio::test]
async fn claims_that_cannot_be_read_are_set_aside_and_keep_no_other_up() {
    let server = TestServer::new().await;
    let mut device = server.device("Marta").await;
    let references = ["A", "B", "C", "D"];
    let mut deliveries = Vec::new();
    for reference in references {
        let delivery = server.delivery(reference).await;
        server.plan(&delivery, device.id()).await;
        deliveries.push(delivery);
    }
    device.sync(&server).await;
    server.clock.advance(2 * 3600);
    server.run_jobs().await;
    for delivery in &deliveries {
        let sent = server.messages();
        let index = sent.iter().position(|sent| sent["delivery"] == **delivery).unwrap();
        device.present(delivery, &server.code(index), server.clock.now()).unwrap();
    }
    device.upload(&server).await;
    // A document that is none, one in which a byte of the claim is another, and a generation out of bounds.
    let damages = [
        "document = x'00'".to_owned(),
        changed_at("length(document) - 100"),
        "generation = -1".to_owned(),
    ];
    for (number, damage) in (1..).zip(&damages) {
        server.execute(&format!("UPDATE claims SET {damage} WHERE number = {number}"));
    }
    server.run_jobs().await;
    assert_eq!(server.query("SELECT count(*) FROM claims WHERE verdict IS NULL"), 0);
    assert_eq!(server.query("SELECT count(*) FROM claims WHERE verdict = 'unchecked'"), 3);
    for delivery in &deliveries[..3] {
        // What cannot be read cannot be listed either.
        let state = format!("SELECT state = 'disputed' FROM deliveries WHERE id = '{delivery}'");
        assert_eq!(server.query(&state), 1);
    }
    assert_eq!(server.shown(&deliveries[3]).await["state"], "delivered");
}

/// One byte of a document changed where `at` says, to one that it was not.
fn changed_at(at: &str) -> String {
    let (before, after) =
        (format!("substr(document, 1, {at} - 1)"), format!("substr(document, {at} + 1)"));
    let changed = format!("CASE substr(document, {at}, 1) WHEN x'00' THEN x'01' ELSE x'00' END");
    format!("document = CAST({before} || {changed} || {after} AS BLOB)")
}

/// Wherever a byte of a claim was changed after it was taken in, it is found: nothing is judged by it.
#[tokio::test]
async fn no_byte_of_a_stored_claim_can_be_changed() {
    let (server, mut device, delivery, _, code) = TestServer::at_the_door().await;
    device.present(&delivery, &code, server.clock.now()).unwrap();
    device.upload(&server).await;
    let length = server.query("SELECT length(document) FROM claims");
    server.execute("CREATE TABLE whole AS SELECT document FROM claims");
    let judged = async || {
        let examined = super::examine_after(&server.context, 0).await.unwrap();
        examined[0].as_ref().map(|examined| examined.comparison).ok()
    };
    for at in 1..=length {
        server.execute(&format!("UPDATE claims SET {}", changed_at(&at.to_string())));
        // The signature, the last 64 bytes and the number of its algorithm, was verified before; whoever is
        // handed the claim as evidence verifies it again.
        let expected = (at == 7 || at > length - 64).then_some(super::Verdict::Match);
        assert_eq!(judged().await, expected, "byte {at}");
        server.execute("UPDATE claims SET document = (SELECT document FROM whole)");
    }
    server.execute("UPDATE claims SET hash = zeroblob(32)");
    assert_eq!(judged().await, None, "another hash");
}

/// What stands beside a claim is what it says, or it is not judged at all.
#[tokio::test]
async fn a_claim_in_the_row_of_another_is_set_aside() {
    let (server, [mut old, mut new], delivery) = reassigned().await;
    old.upload(&server).await;
    new.upload(&server).await;
    server.execute("UPDATE claims SET generation = 1 WHERE generation = 2");
    server.execute(&format!("UPDATE claims SET device = '{}'", old.id()));
    server.run_jobs().await;
    let disputed = server.shown(&delivery).await;
    assert_eq!(verdicts(&disputed), ["superseded", "unchecked"]);
    assert_eq!(disputed["state"], "disputed");
}

#[tokio::test]
async fn a_claim_whose_codes_were_erased_is_not_called_wrong() {
    let (server, mut device, delivery, _, code) = TestServer::at_the_door().await;
    device.present(&delivery, &code, server.clock.now()).unwrap();
    server.execute("DELETE FROM held_codes");
    device.sync(&server).await;
    server.run_jobs().await;
    assert_eq!(verdicts(&server.shown(&delivery).await), ["unchecked"]);
}

#[tokio::test]
async fn a_typo_that_passed_the_device_is_disputed_and_said() {
    let (server, mut device, delivery, stop, code) = TestServer::at_the_door().await;
    // A code one symbol off passes the device's 13 bits once in 8,192; the claim is made
    // without asking the device.
    let typo = format!("{}{}", if code.starts_with('1') { '2' } else { '1' }, &code[1..]);
    let claim = device.claim_for(&stop, &typo, server.clock.now());
    let upload = Upload { device: device.device.identity().device, claims: vec![claim.into()] };
    device.send(&server, &upload).await;
    server.run_jobs().await;
    let delivered = server.shown(&delivery).await;
    assert_eq!(
        (&delivered["state"], verdicts(&delivered)),
        (&json!("disputed"), vec!["match_with_typo"])
    );
}
