//! The outbox with a server in this process, and providers that do as they are told.

mod reports;

use crate::config::messages::{Messages, Provider};
use crate::test_server::{TestDevice, TestServer};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// A delivery whose code is due.
async fn due(server: &TestServer) -> (TestDevice, String) {
    let mut device = server.device("Marta").await;
    let delivery = server.delivery("A").await;
    server.plan(&delivery, device.id()).await;
    device.sync(server).await;
    server.clock.advance(95 * 60);
    (device, delivery)
}

/// The message to the recipient, with its tries.
async fn shown(server: &TestServer, delivery: &str) -> Value {
    let (_, list) = server.get(&format!("/v1/messages?delivery={delivery}")).await;
    let id =
        list["data"].as_array().unwrap().iter().find(|m| m["slot"] == 0).unwrap()["id"].clone();
    let (status, shown) = server.get(&format!("/v1/messages/{}", id.as_str().unwrap())).await;
    assert_eq!(status, 200, "{shown}");
    shown
}

fn outcomes(shown: &Value) -> Vec<&str> {
    let history = shown["history"].as_array().unwrap();
    history.iter().map(|made| made["outcome"].as_str().unwrap()).collect()
}

/// A program that does as the file `verdict` beside it says.
fn program(dir: &Path, verdict: &str) -> Messages {
    let path = dir.join("send");
    let script = format!("#!/bin/sh\ncat >>'{0}/got'; . '{0}/verdict'\n", dir.display());
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    says(dir, verdict);
    Messages { provider: Provider::Exec, exec_program: Some(path), ..Messages::default() }
}

fn says(dir: &Path, verdict: &str) {
    std::fs::write(dir.join("verdict"), verdict).unwrap();
}

#[tokio::test]
async fn a_message_waits_for_its_time_and_for_the_device() {
    let server = TestServer::new().await;
    let mut device = server.device("Marta").await;
    let delivery = server.delivery("A").await;
    server.plan(&delivery, device.id()).await;
    server.clock.advance(95 * 60);
    server.run_jobs().await;
    assert!(server.messages().is_empty(), "its time came, the device has no route");
    device.sync(&server).await;
    server.run_jobs().await;
    assert_eq!(server.messages().len(), 1);

    let early = server.delivery("B").await;
    server.plan_at(&early, device.id(), "2027-01-15T14:00:00Z").await;
    device.sync(&server).await;
    server.run_jobs().await;
    assert_eq!(server.messages().len(), 1, "the device has its route, the time did not come");
}

#[tokio::test]
async fn a_sending_that_was_cut_off_is_repeated_and_says_so_by_its_id() {
    let server = TestServer::new().await;
    let mut device = server.device("Marta").await;
    let delivery = server.delivery("A").await;
    server.plan(&delivery, device.id()).await;
    device.sync(&server).await;
    server.clock.advance(95 * 60);
    // As a power cut after the provider took it and before that was noted leaves it.
    server.execute("CREATE TRIGGER cut BEFORE UPDATE OF sent_at ON messages BEGIN SELECT RAISE(ABORT, 'cut'); END");
    server.run_jobs().await;
    server.execute("DROP TRIGGER cut");
    server.run_jobs().await;
    server.run_jobs().await;
    assert_eq!(server.messages().len(), 1, "it is not repeated in a hurry");
    let cut = shown(&server, &delivery).await;
    assert_eq!((&cut["state"], &cut["maybe_sent"]), (&json!("waiting"), &json!(true)), "{cut}");
    server.clock.advance(12);
    server.run_jobs().await;
    server.run_jobs().await;
    let messages = server.messages();
    assert_eq!(messages.len(), 2);
    assert_eq!(
        (&messages[0]["id"], &messages[0]["text"]),
        (&messages[1]["id"], &messages[1]["text"])
    );
    assert!(!messages[1]["text"].as_str().unwrap().contains("replaces"));
    let sent = shown(&server, &delivery).await;
    assert_eq!(outcomes(&sent), ["unknown", "taken"]);
    assert_eq!((&sent["state"], &sent["maybe_sent"]), (&json!("sent"), &json!(true)));
    assert_eq!(server.query("SELECT count(*) FROM messages WHERE state = 'sending'"), 0);
}

#[tokio::test]
async fn a_provider_that_fails_loses_nothing() {
    let server = TestServer::new().await;
    let mut device = server.device("Marta").await;
    let delivery = server.delivery("A").await;
    server.plan(&delivery, device.id()).await;
    device.sync(&server).await;
    server.clock.advance(95 * 60);
    std::fs::create_dir(server.dir.path().join("messages.jsonl")).unwrap();
    server.run_jobs().await;
    assert_eq!(server.query("SELECT count(*) FROM messages WHERE sent_at IS NOT NULL"), 0);
    std::fs::remove_dir(server.dir.path().join("messages.jsonl")).unwrap();
    server.clock.advance(12);
    server.run_jobs().await;
    assert_eq!(server.messages().len(), 1);
    let sent = shown(&server, &delivery).await;
    assert_eq!((outcomes(&sent), &sent["maybe_sent"]), (vec!["failed", "taken"], &json!(false)));
}

#[tokio::test]
async fn a_message_is_tried_by_the_schedule_given_up_visibly_and_sent_again_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let mut messages = program(dir.path(), "echo 'no network for 00' >&2; exit 1");
    messages.retry = "10s 1m".to_owned();
    let server = TestServer::with(|config| config.messages = messages).await;
    let (_device, delivery) = due(&server).await;
    for (wait, state) in [
        (0, "waiting"),
        (9, "waiting"),
        (3, "waiting"),
        (59, "waiting"),
        (14, "failed"),
        (600, "failed"),
    ] {
        server.clock.advance(wait);
        server.run_jobs().await;
        assert_eq!(shown(&server, &delivery).await["state"], state, "{wait}");
    }
    let failed = shown(&server, &delivery).await;
    assert_eq!(outcomes(&failed), ["failed", "failed", "failed"]);
    assert_eq!(failed["history"][0]["error"], "exit status: 1: no network for 00");
    let (_, events) = server.get(&format!("/v1/events?delivery={delivery}")).await;
    let told: Vec<&Value> = events["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|e| e["type"] == "message.failed")
        .collect();
    assert_eq!((told.len(), &told[0]["data"]["message"]), (1, &failed["id"]), "{events}");
    let (_, list) = server.get("/v1/messages?state=failed").await;
    assert_eq!(list["data"][0]["id"], failed["id"]);

    says(dir.path(), "echo gw-1");
    let path = format!("/v1/messages/{}/resend", failed["id"].as_str().unwrap());
    let (status, sent) = server.post(&path, json!({})).await;
    assert_eq!((status, &sent["state"]), (200, &json!("sent")), "{sent}");
    assert_eq!(sent["history"][3]["provider_id"], "gw-1");
    assert_eq!(
        server.query("SELECT count(*) FROM messages WHERE slot = 0 AND sealed IS NOT NULL"),
        0
    );
    let detail = server.shown(&delivery).await;
    assert_eq!(detail["state"], "notified");
    let (status, problem) = server.post(&path, json!({})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("already_sent")));
}

#[tokio::test]
async fn asked_for_again_a_message_has_all_its_tries_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut messages = program(dir.path(), "exit 1");
    messages.retry = "10s".to_owned();
    let server = TestServer::with(|config| config.messages = messages).await;
    let (_device, delivery) = due(&server).await;
    server.run_jobs().await;
    server.clock.advance(12);
    server.run_jobs().await;
    let failed = shown(&server, &delivery).await;
    assert_eq!(failed["state"], "failed");
    let path = format!("/v1/messages/{}/resend", failed["id"].as_str().unwrap());
    let (_, again) = server.post(&path, json!({})).await;
    assert_eq!((&again["state"], &again["tries"]), (&json!("waiting"), &json!(3)));
}

#[tokio::test]
async fn what_the_provider_will_never_have_is_not_tried_again_nor_what_comes_too_late() {
    let dir = tempfile::tempdir().unwrap();
    let messages = program(dir.path(), "exit 65");
    let server = TestServer::with(|config| config.messages = messages).await;
    let (_device, delivery) = due(&server).await;
    server.run_jobs().await;
    let refused = shown(&server, &delivery).await;
    assert_eq!((&refused["state"], outcomes(&refused)), (&json!("failed"), vec!["refused"]));

    says(dir.path(), "exit 1");
    // The window ends at eleven; nine seconds before, there is no other try.
    server.clock.set(1_800_000_000 + 3 * 3600 - 9);
    let path = format!("/v1/messages/{}/resend", refused["id"].as_str().unwrap());
    let (status, late) = server.post(&path, json!({})).await;
    assert_eq!((status, &late["state"]), (200, &json!("failed")), "{late}");
    server.clock.advance(9);
    let (status, problem) = server.post(&path, json!({})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("not_planned")), "{problem}");
    server.run_jobs().await;
    let (status, problem) = server.post(&path, json!({})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("message_over")), "{problem}");
    assert_eq!(shown(&server, &delivery).await["state"], "expired");
}

#[tokio::test]
async fn errors_that_are_kept_hold_no_code() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!("cat '{}/got' >&2; exit 1", dir.path().display());
    let messages = program(dir.path(), &script);
    let server = TestServer::with(|config| config.messages = messages).await;
    let (_device, delivery) = due(&server).await;
    server.run_jobs().await;
    let got: Value =
        serde_json::from_str(&std::fs::read_to_string(dir.path().join("got")).unwrap()).unwrap();
    let text = got["text"].as_str().unwrap();
    let code = text.split_once("code is ").unwrap().1.split_once('.').unwrap().0;
    let failed = shown(&server, &delivery).await;
    let error = failed["history"][0]["error"].as_str().unwrap();
    assert!(error.contains("msg_") && !error.contains(code), "{error}");
}

#[tokio::test]
async fn quiet_hours_and_limits_of_a_number_hold_what_nobody_asked_for() {
    let server = TestServer::with(|config| {
        config.messages.zone = Some("UTC".to_owned());
        config.messages.quiet_hours = Some("09:00-09:45".to_owned());
        config.messages.per_phone_per_day = Some(1);
    })
    .await;
    // 09:35; the driver is expected at 10:00.
    let (mut device, delivery) = due(&server).await;
    server.run_jobs().await;
    assert!(server.messages().is_empty());
    assert_eq!(shown(&server, &delivery).await["next_at"], "2027-01-15T09:45:00Z");
    server.clock.advance(10 * 60);
    server.run_jobs().await;
    assert_eq!(server.messages().len(), 1);

    let second = server.delivery("B").await;
    server.plan_at(&second, device.id(), "2027-01-15T10:00:00Z").await;
    device.sync(&server).await;
    server.run_jobs().await;
    assert_eq!(server.messages().len(), 1);
    let held = shown(&server, &second).await;
    assert_eq!((&held["state"], outcomes(&held)), (&json!("failed"), vec!["refused"]));
    assert_eq!(
        held["history"][0]["error"],
        "not sent: this number had 1 messages in the last 24 hours"
    );
    // A day after the first one there is room again.
    server.clock.advance(24 * 3600);
    let third = server.delivery("C").await;
    server.plan_at(&third, device.id(), "2027-01-16T10:00:00Z").await;
    device.sync(&server).await;
    server.run_jobs().await;
    assert_eq!(server.messages().len(), 2);
}

#[tokio::test]
async fn the_limit_of_a_number_counts_what_is_under_way_and_what_may_have_arrived() {
    let dir = tempfile::tempdir().unwrap();
    let mut messages = program(dir.path(), "kill -9 $$");
    messages.per_phone_per_day = Some(1);
    let server = TestServer::with(|config| config.messages = messages).await;
    let mut device = server.device("Marta").await;
    for reference in ["A", "B", "C"] {
        let delivery = server.delivery(reference).await;
        server.plan(&delivery, device.id()).await;
    }
    device.sync(&server).await;
    server.clock.advance(95 * 60);
    let handed_over = || {
        let got = std::fs::read_to_string(dir.path().join("got")).unwrap();
        got.lines().count()
    };
    server.run_jobs().await;
    assert_eq!(handed_over(), 1, "all three fell due at once");
    // Nobody knows whether it arrived.
    server.clock.advance(12);
    server.run_jobs().await;
    assert_eq!(handed_over(), 1);
}

#[tokio::test]
async fn test_messages_count_among_those_of_a_number() {
    let server = TestServer::with(|config| config.messages.per_phone_per_day = Some(2)).await;
    let test = async |phone: &str| {
        let (status, sent) = server.post("/v1/messages/test", json!({ "phone": phone })).await;
        assert_eq!(status, 200, "{sent}");
        sent["outcome"].as_str().unwrap().to_owned()
    };
    assert_eq!(test("+34 612 345 678").await, "taken");
    let _due = due(&server).await;
    server.run_jobs().await;
    assert_eq!(server.messages().len(), 2, "its code, and the test");
    let (_, refused) = server.post("/v1/messages/test", json!({"phone": "612345678"})).await;
    assert_eq!(
        (&refused["outcome"], &refused["error"]),
        (&json!("refused"), &json!("not sent: this number had 2 messages in the last 24 hours"))
    );
    assert_eq!(server.messages().len(), 2);
    assert_eq!(test("+34 612 345 679").await, "taken", "another number");
    server.clock.advance(24 * 3600);
    for outcome in ["taken", "taken", "refused"] {
        assert_eq!(test("+34 612 345 678").await, outcome);
    }
}

#[tokio::test]
async fn a_test_message_that_nobody_took_is_not_counted() {
    let dir = tempfile::tempdir().unwrap();
    for (script, outcome, counted) in
        [("exit 1", "failed", 0), ("kill -9 $$", "unknown", 1), ("true", "taken", 1)]
    {
        let messages = program(dir.path(), script);
        let server = TestServer::with(|config| config.messages = messages).await;
        let (_, sent) = server.post("/v1/messages/test", json!({"phone": "+34612345678"})).await;
        assert_eq!(sent["outcome"], outcome, "{script}: {sent}");
        assert_eq!(server.query("SELECT count(*) FROM test_messages"), counted, "{script}");
    }
}

#[tokio::test]
async fn the_limit_of_a_number_does_not_count_what_never_arrived() {
    let dir = tempfile::tempdir().unwrap();
    let mut messages = program(dir.path(), "exit 1");
    messages.per_phone_per_day = Some(1);
    let server = TestServer::with(|config| config.messages = messages).await;
    let (_device, delivery) = due(&server).await;
    server.run_jobs().await;
    says(dir.path(), "exit 0");
    server.clock.advance(12);
    server.run_jobs().await;
    assert_eq!(outcomes(&shown(&server, &delivery).await), ["failed", "taken"]);
}

#[tokio::test]
async fn what_failed_together_is_not_tried_together() {
    let dir = tempfile::tempdir().unwrap();
    let mut messages = program(dir.path(), "exit 1");
    messages.retry = "1h".to_owned();
    let server = TestServer::with(|config| config.messages = messages).await;
    let mut device = server.device("Marta").await;
    for reference in ["A", "B", "C"] {
        let delivery = server.delivery(reference).await;
        server.plan(&delivery, device.id()).await;
    }
    device.sync(&server).await;
    server.clock.advance(95 * 60);
    server.run_jobs().await;
    let now = server.clock.now().seconds();
    let spread = format!(
        "SELECT count(DISTINCT next_at) FROM messages
         WHERE state = 'waiting' AND next_at - {now} BETWEEN 3600 AND 4320"
    );
    assert_eq!(server.query(&spread), 3, "up to a fifth later each");
}

#[tokio::test]
async fn who_asks_for_a_message_is_not_held_by_quiet_hours() {
    let server = TestServer::with(|config| {
        config.messages.zone = Some("UTC".to_owned());
        config.messages.quiet_hours = Some("09:00-09:45".to_owned());
    })
    .await;
    let (_device, delivery) = due(&server).await;
    let (_, sent) = server.post(&format!("/v1/deliveries/{delivery}/send"), json!({})).await;
    assert_eq!(sent["messages"][0]["state"], "sent");
}

#[tokio::test]
async fn who_got_a_code_is_told_that_none_is_needed_and_nobody_else() {
    let server = TestServer::new().await;
    let (mut device, delivery) = due(&server).await;
    let other = server.delivery("B").await;
    server.plan_at(&other, device.id(), "2027-01-15T14:00:00Z").await;
    device.sync(&server).await;
    server.run_jobs().await;
    assert_eq!(server.messages().len(), 1);
    for delivery in [&delivery, &other, &delivery] {
        let (status, _) =
            server.post(&format!("/v1/deliveries/{delivery}/cancel"), json!({})).await;
        assert_eq!(status, 200);
    }
    server.run_jobs().await;
    server.run_jobs().await;
    let messages = server.messages();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert_eq!(
        (&messages[1]["kind"], &messages[1]["reference"]),
        (&json!("cancelled"), &json!("A"))
    );
    assert_eq!(messages[1]["text"], "A: the delivery is cancelled. No code is needed any more.");
}

#[tokio::test]
async fn who_may_have_a_code_is_told_as_if_he_had_it() {
    let dir = tempfile::tempdir().unwrap();
    let messages = program(dir.path(), "kill -9 $$");
    let server = TestServer::with(|config| config.messages = messages).await;
    let (mut device, delivery) = due(&server).await;
    server.run_jobs().await;
    assert_eq!(outcomes(&shown(&server, &delivery).await), ["unknown"]);
    says(dir.path(), "exit 0");
    server.plan(&delivery, device.id()).await;
    device.sync(&server).await;
    server.run_jobs().await;
    server.post(&format!("/v1/deliveries/{delivery}/cancel"), json!({})).await;
    server.run_jobs().await;
    let got = std::fs::read_to_string(dir.path().join("got")).unwrap();
    let got: Vec<Value> = got.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(got.len(), 3, "{got:?}");
    assert!(!got[0]["text"].as_str().unwrap().contains("replaces"));
    assert!(got[1]["text"].as_str().unwrap().contains("This code replaces the earlier one."));
    assert_eq!(got[2]["kind"], "cancelled");
}

#[tokio::test]
async fn who_may_have_a_code_and_nothing_newer_is_told_that_none_is_needed() {
    let dir = tempfile::tempdir().unwrap();
    let messages = program(dir.path(), "kill -9 $$");
    let server = TestServer::with(|config| config.messages = messages).await;
    let (_device, delivery) = due(&server).await;
    server.run_jobs().await;
    says(dir.path(), "exit 0");
    server.post(&format!("/v1/deliveries/{delivery}/cancel"), json!({})).await;
    server.run_jobs().await;
    let got = std::fs::read_to_string(dir.path().join("got")).unwrap();
    assert_eq!(got.lines().count(), 2, "{got}");
    assert!(got.lines().last().unwrap().contains("\"kind\":\"cancelled\""), "{got}");
}

#[tokio::test]
async fn a_test_message_has_no_code_and_is_kept_for_a_day() {
    let server = TestServer::new().await;
    let (status, sent) = server
        .post("/v1/messages/test", json!({"phone": "+34 612 345 678", "language": "es"}))
        .await;
    assert_eq!(
        (status, &sent["outcome"], &sent["provider"]),
        (200, &json!("taken"), &json!("log"))
    );
    let message = &server.messages()[0];
    assert_eq!((&message["kind"], &message["id"]), (&json!("test"), &sent["id"]));
    assert!(message["text"].as_str().unwrap().contains("mensaje de prueba"));
    assert_eq!(server.query("SELECT count(*) FROM messages"), 0);
    for (later, kept) in [(0, 1), (24 * 3600, 1), (1, 0)] {
        server.clock.advance(later);
        server.run_jobs().await;
        assert_eq!(server.query("SELECT count(*) FROM test_messages"), kept);
    }
    for body in
        [json!({"phone": "12"}), json!({"phone": "+34612345678", "language": "../en"}), json!({})]
    {
        let (status, _) = server.post("/v1/messages/test", body).await;
        assert_eq!(status, 422);
    }
    for query in ["state=lost", "delivery=x%20y", "cursor=!", "limit=0", "phone=1"] {
        let (status, problem) = server.get(&format!("/v1/messages?{query}")).await;
        assert_eq!((status, &problem["code"]), (400, &json!("invalid_query")), "{query}");
    }
    let (status, problem) = server.get("/v1/messages/msg_1").await;
    assert_eq!((status, &problem["code"]), (404, &json!("message_not_found")));
}

#[tokio::test]
async fn a_delivery_has_a_language_and_a_zone_of_its_own() {
    let server = TestServer::new().await;
    let order = |language: &str, zone: &str| {
        json!({"reference": "A", "address": "Quay 1", "language": language, "zone": zone,
               "recipients": [{"name": "Ana", "phone": "+34 612 345 678"}]})
    };
    for (body, field) in [
        (order("fr", "UTC"), "language"),
        (order("../en", "UTC"), "language"),
        (order("de", "/etc/localtime"), "zone"),
    ] {
        let (status, problem) = server.post("/v1/deliveries", body).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)), "{problem}");
    }
    let (status, made) = server.post("/v1/deliveries", order("de", "Europe/Madrid")).await;
    assert_eq!(status, 201, "{made}");
    let mut device = server.device("Marta").await;
    server.plan(made["id"].as_str().unwrap(), device.id()).await;
    device.sync(&server).await;
    server.clock.advance(95 * 60);
    server.run_jobs().await;
    let text = server.messages()[0]["text"].as_str().unwrap().to_owned();
    assert!(
        text.contains("Ihr Zustellcode ist")
            && text.contains("am 15.1. zwischen 10:00 und 12:00 Uhr"),
        "{text}"
    );
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_set_aside_and_keeps_no_other_up() {
    let server = TestServer::new().await;
    let mut device = server.device("Marta").await;
    let mut deliveries = Vec::new();
    for reference in ["A", "B", "C"] {
        let delivery = server.delivery(reference).await;
        server.plan(&delivery, device.id()).await;
        deliveries.push(delivery);
    }
    device.sync(&server).await;
    server.clock.advance(95 * 60);
    // One that does not open, and one whose phone is not text.
    for (id, damage) in
        [(&deliveries[0], "sealed = x'00'"), (&deliveries[1], "phone = CAST(x'FF' AS TEXT)")]
    {
        server
            .execute(&format!("UPDATE messages SET {damage} WHERE slot = 0 AND delivery = '{id}'"));
    }
    server.run_jobs().await;
    assert_eq!(server.messages().len(), 1);
    assert_eq!(server.messages()[0]["reference"], "C");
    server.run_jobs().await;
    assert_eq!(server.query("SELECT max(tries) FROM messages"), 1, "it is not chosen again");
    let (_, shown) = server.get(&format!("/v1/deliveries/{}", deliveries[0])).await;
    assert_eq!(shown["messages"][0]["state"], "failed");

    let path = format!("/v1/deliveries/{}/send", deliveries[0]);
    let (_, again) = server.post(&path, json!({})).await;
    assert_eq!(again["messages"][0]["state"], "failed", "it is tried when somebody says so");
    assert_eq!(server.query("SELECT max(tries) FROM messages"), 2);
    server.plan(&deliveries[0], device.id()).await;
    assert_eq!(
        server.query("SELECT count(*) FROM messages WHERE generation = 1 AND state = 'failed' AND sealed IS NOT NULL AND delivery = (SELECT delivery FROM messages WHERE generation = 2)"),
        0,
        "a new plan erases it"
    );
}

#[tokio::test]
async fn what_was_superseded_is_never_sent() {
    let server = TestServer::new().await;
    let mut device = server.device("Marta").await;
    let delivery = server.delivery("A").await;
    server.plan(&delivery, device.id()).await;
    device.sync(&server).await;
    server.plan(&delivery, device.id()).await;
    device.sync(&server).await;
    server.clock.advance(95 * 60);
    server.run_jobs().await;
    let messages = server.messages();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0]["generation"], 2);
    assert!(!messages[0]["text"].as_str().unwrap().contains("replaces"), "nobody had the first");
    let shown = server.shown(&delivery).await;
    assert_eq!(shown["state"], json!("notified"));
}
