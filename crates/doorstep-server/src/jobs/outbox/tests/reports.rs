//! What providers report of messages, signed and not.

use super::{due, shown};
use crate::config::messages::Provider;
use crate::standard_webhooks::WebhookSecret;
use crate::test_server::TestServer;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use doorstep::time::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha1::Sha1;
use std::path::{Path, PathBuf};

fn webhook_secret(dir: &Path) -> PathBuf {
    let path = dir.join("secret");
    doorstep_files::private::create(&path, b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    path
}

#[tokio::test]
async fn a_signed_report_says_whether_a_message_arrived_and_an_unsigned_one_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::with(|config| {
        config.messages.provider = Provider::Http;
        config.messages.http_url = Some("https://gateway.invalid/".to_owned());
        config.messages.http_secret_file = Some(webhook_secret(dir.path()));
    })
    .await;
    let (_device, delivery) = due(&server).await;
    let id = shown(&server, &delivery).await["id"].as_str().unwrap().to_owned();
    let secret = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let report = async |id: &str, status: &str, signature: Option<&str>| {
        let at = Timestamp::from_seconds(1_800_000_000 + 95 * 60);
        let body = json!({"id": id, "status": status}).to_string();
        let (stamp, signed) = (at.seconds().to_string(), secret.sign("rep_1", at, body.as_bytes()));
        let headers = [
            ("webhook-id", "rep_1"),
            ("webhook-timestamp", stamp.as_str()),
            ("webhook-signature", signature.unwrap_or(&signed)),
        ];
        let answer = server.request("POST", "/v1/messages/status/http", &headers, body).await;
        assert_eq!((answer.status, &answer.json), (204, &Value::Null));
        shown(&server, &delivery).await["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(report(&id, "delivered", None).await, "waiting", "it was never sent");
    server.execute("UPDATE messages SET state = 'sending', tries = 1 WHERE slot = 0");
    assert_eq!(report(&id, "undelivered", None).await, "sending", "the answer is still to come");
    server.execute("UPDATE messages SET state = 'sent', sealed = NULL, told = NULL WHERE slot = 0");
    assert_eq!(report(&id, "delivered", Some("v1,AAAA")).await, "sent");
    assert_eq!(report(&id, "queued", None).await, "sent");
    server.clock.advance(301);
    assert_eq!(report(&id, "delivered", None).await, "sent", "five minutes old");
    server.clock.set(1_800_000_000 + 95 * 60);
    assert_eq!(report("msg_0", "delivered", None).await, "sent");
    assert_eq!(report(&id, "undelivered", None).await, "undelivered");
    assert_eq!(report(&id, "delivered", None).await, "delivered");
    assert_eq!(
        report(&id, "undelivered", None).await,
        "delivered",
        "that it arrived is the last word"
    );
    // The provider did not answer in time, and the message arrived.
    for state in ["waiting", "sending", "failed"] {
        server.execute(&format!(
            "UPDATE messages SET state = '{state}', sealed = x'00', told = NULL, sent_at = NULL,
                                 tries = 2, tries_before = 2 WHERE slot = 0"
        ));
        assert_eq!(report(&id, "delivered", None).await, state, "another number had it");
        server.execute("UPDATE messages SET tries_before = 1 WHERE slot = 0");
        assert_eq!(report(&id, "delivered", Some("v1,AAAA")).await, state);
        server.execute("UPDATE deliveries SET state = 'handed_out'");
        assert_eq!(report(&id, "delivered", None).await, "delivered");
        assert_eq!(server.query("SELECT count(*) FROM messages WHERE slot = 0 AND sealed IS NULL AND sent_at IS NOT NULL"), 1);
        assert_eq!(server.query("SELECT count(*) FROM deliveries WHERE state = 'notified'"), 1);
    }
    for (path, body) in
        [("twilio", "{}".to_owned()), ("log", String::new()), ("http", "x".repeat(9000))]
    {
        let path = format!("/v1/messages/status/{path}");
        let answer = server.request("POST", &path, &[], body).await;
        assert_eq!((answer.status, &answer.json), (204, &Value::Null), "{path}");
    }
}

#[tokio::test]
async fn twilios_signed_report_is_about_the_message_in_its_address() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    doorstep_files::private::create(&token, b"12345").unwrap();
    let server = TestServer::with(|config| {
        config.messages.provider = Provider::Twilio;
        config.messages.twilio_account = Some("AC1".to_owned());
        config.messages.twilio_token_file = Some(token);
        config.messages.twilio_from = Some("+15005550006".to_owned());
        config.messages.status_url = Some("https://codes.example.org".to_owned());
    })
    .await;
    let (_device, delivery) = due(&server).await;
    let id = shown(&server, &delivery).await["id"].as_str().unwrap().to_owned();
    server.execute("UPDATE messages SET state = 'sent', sealed = NULL, tries = 1 WHERE slot = 0");
    let report = async |status: &str, signed: &str| {
        let path = format!("/v1/messages/status/twilio?message={id}");
        let text = format!("https://codes.example.org{path}MessageSidSM1MessageStatus{signed}");
        let mut mac = Hmac::<Sha1>::new_from_slice(b"12345").unwrap();
        mac.update(text.as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("x-twilio-signature", signature.as_str()),
        ];
        let body = format!("MessageSid=SM1&MessageStatus={status}");
        let answer = server.request("POST", &path, &headers, body).await;
        assert_eq!((answer.status, &answer.json), (204, &Value::Null));
        shown(&server, &delivery).await["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(report("delivered", "failed").await, "sent", "another status was signed");
    assert_eq!(report("sent", "sent").await, "sent", "that is known");
    assert_eq!(report("failed", "failed").await, "undelivered");
    assert_eq!(report("delivered", "delivered").await, "delivered");
}
