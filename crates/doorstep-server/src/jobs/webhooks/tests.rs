//! Webhooks against real receivers on this machine.

use crate::standard_webhooks::WebhookSecret;
use crate::test_server::TestServer;
use doorstep::time::Timestamp;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What a receiver was sent.
#[derive(Clone)]
struct Request {
    id: String,
    timestamp: String,
    signature: String,
    body: Vec<u8>,
}

/// Takes requests and answers each with the status that is said at that time; with 0 it keeps them
/// waiting.
struct Receiver {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<Request>>>,
    status: Arc<Mutex<u16>>,
}

impl Receiver {
    fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (taken, status) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(status)));
        let own = (Arc::clone(&taken), Arc::clone(&status));
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = read(&mut stream);
                own.0.lock().unwrap().push(request);
                let status = *own.1.lock().unwrap();
                if status == 0 {
                    kept.push(stream);
                    continue;
                }
                let answer = format!(
                    "HTTP/1.1 {status} x\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                );
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { address, taken, status }
    }

    fn url(&self) -> String {
        format!("http://{}/in", self.address)
    }

    fn taken(&self) -> Vec<Request> {
        self.taken.lock().unwrap().clone()
    }

    fn types(&self) -> Vec<String> {
        let types = self.taken().into_iter().map(|request| {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            body["type"].as_str().unwrap().to_owned()
        });
        types.collect()
    }

    fn answer(&self, status: u16) {
        *self.status.lock().unwrap() = status;
    }
}

fn read(stream: &mut TcpStream) -> Request {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}:")));
        line.and_then(|line| line.split_once(':')).unwrap().1.trim().to_owned()
    };
    let mut body = vec![0; header("content-length").parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    Request {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
        body,
    }
}

async fn server() -> TestServer {
    TestServer::with(|config| {
        config.webhooks.allow_private = true;
        config.webhooks.allow_http = true;
        config.webhooks.timeout = std::time::Duration::from_secs(2);
    })
    .await
}

/// A webhook, and its secret.
async fn webhook(server: &TestServer, body: Value) -> (String, WebhookSecret) {
    let (status, made) = server.post("/v1/webhooks", body).await;
    assert_eq!(status, 201, "{made}");
    let secret = WebhookSecret::parse(made["secret"].as_str().unwrap()).unwrap();
    (made["id"].as_str().unwrap().to_owned(), secret)
}

fn verifies(secret: &WebhookSecret, request: &Request, now: Timestamp) -> bool {
    let head = (request.id.as_str(), request.timestamp.as_str(), request.signature.as_str());
    secret.verify(head, &request.body, now).is_ok()
}

async fn log(server: &TestServer, id: &str) -> Vec<Value> {
    let (_, log) = server.get(&format!("/v1/webhooks/{id}/log")).await;
    log["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn what_happens_is_told_signed_and_nothing_private_is_in_it() {
    let server = server().await;
    server.delivery("before").await;
    let receiver = Receiver::start(204);
    let (id, secret) = webhook(&server, json!({"url": receiver.url()})).await;
    let delivery = server.delivery("A").await;
    server.run_jobs().await;
    let taken = receiver.taken();
    assert_eq!(taken.len(), 1, "what happened before is not told");
    assert!(verifies(&secret, &taken[0], server.clock.now()));
    let body: Value = serde_json::from_slice(&taken[0].body).unwrap();
    assert_eq!(body["id"], taken[0].id.as_str());
    assert_eq!(body["type"], "delivery.created");
    assert_eq!(body["data"], json!({"delivery": delivery, "reference": "A"}));
    let mut other = taken[0].clone();
    other.body.push(b' ');
    assert!(!verifies(&secret, &other, server.clock.now()), "every byte is signed");
    server.run_jobs().await;
    assert_eq!(receiver.taken().len(), 1, "once");
    let log = log(&server, &id).await;
    assert_eq!(
        (&log[0]["state"], &log[0]["last_status"], &log[0]["tries"]),
        (&json!("sent"), &json!(204), &json!(1))
    );
}

#[tokio::test]
async fn only_the_wanted_types_are_told_and_a_test_always() {
    let server = server().await;
    let receiver = Receiver::start(200);
    let body = json!({"url": receiver.url(), "types": ["device.enrolled", "delivery.disputed"]});
    let (id, _) = webhook(&server, body).await;
    server.disputed().await;
    server.run_jobs().await;
    let mut types = receiver.types();
    types.sort();
    assert_eq!(types, ["delivery.disputed", "device.enrolled", "device.enrolled"]);
    let (status, event) = server.post(&format!("/v1/webhooks/{id}/test"), json!({})).await;
    assert_eq!((status, &event["type"]), (200, &json!("webhook.test")));
    server.run_jobs().await;
    assert_eq!(receiver.types().last().unwrap(), "webhook.test");
}

#[tokio::test]
async fn a_receiver_that_fails_is_tried_again_for_days_and_given_up_visibly() {
    let server = server().await;
    let receiver = Receiver::start(500);
    let (id, secret) = webhook(&server, json!({"url": receiver.url()})).await;
    server.delivery("A").await;
    // The schedule of Standard Webhooks, and a day more for what is given up; each a tenth more or less.
    let waits = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400, 86_400];
    for (tries, wait) in (1..).zip(waits) {
        server.run_jobs().await;
        let taken = receiver.taken();
        assert_eq!(taken.len(), tries);
        assert!(verifies(&secret, &taken[tries - 1], server.clock.now()), "signed as of this try");
        let log = log(&server, &id).await;
        let state = if tries == waits.len() { "failed" } else { "waiting" };
        assert_eq!((&log[0]["state"], &log[0]["tries"]), (&json!(state), &json!(tries)));
        server.clock.advance(wait * 9 / 10 - 1);
        server.run_jobs().await;
        assert_eq!(receiver.taken().len(), tries, "not before its time");
        server.clock.advance(wait / 5 + 2);
    }
    let ids: std::collections::BTreeSet<_> = receiver.taken().into_iter().map(|r| r.id).collect();
    assert_eq!(ids.len(), 1, "one id, so that a receiver can tell");
    receiver.answer(200);
    let replay = format!("/v1/webhooks/{id}/replay");
    let (_, none) = server.post(&replay, json!({"failed_since": "2027-01-15T09:00:00Z"})).await;
    assert_eq!(none["events"], 0, "it happened before");
    let (_, replayed) = server.post(&replay, json!({"failed_since": "2027-01-15T08:00:00Z"})).await;
    assert_eq!(replayed["events"], 1);
    server.run_jobs().await;
    assert_eq!(log(&server, &id).await[0]["state"], "sent");
    let event = log(&server, &id).await[0]["event"].clone();
    server.post(&replay, json!({"event": event})).await;
    server.run_jobs().await;
    assert_eq!(receiver.taken().len(), 12, "what was taken can be replayed too");
    for (body, code) in [
        (json!({"event": "evt_0_999"}), "event_not_found"),
        (json!({"event": "evt_1_1"}), "event_not_found"),
        (json!({"event": "evt_0_01"}), "event_not_found"),
        (json!({}), "invalid_fields"),
        (json!({"event": "evt_0_1", "failed_since": "2027-01-15T08:00:00Z"}), "invalid_fields"),
    ] {
        assert_eq!(server.post(&replay, body).await.1["code"], code);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_410_ends_it() {
    let server = server().await;
    let receiver = Receiver::start(302);
    let (id, _) = webhook(&server, json!({"url": receiver.url()})).await;
    server.delivery("A").await;
    server.run_jobs().await;
    let line = &log(&server, &id).await[0];
    assert_eq!((&line["state"], &line["last_status"]), (&json!("waiting"), &json!(302)));
    receiver.answer(410);
    server.clock.advance(10);
    server.run_jobs().await;
    let (_, shown) = server.get(&format!("/v1/webhooks/{id}")).await;
    assert_eq!(shown["state"], "gone");
    server.delivery("B").await;
    server.run_jobs().await;
    assert_eq!((receiver.taken().len(), log(&server, &id).await.len()), (2, 1));
}

#[tokio::test]
async fn a_rotated_secret_signs_beside_the_old_one_for_a_while() {
    let server = server().await;
    let receiver = Receiver::start(200);
    let (id, old) = webhook(&server, json!({"url": receiver.url()})).await;
    let path = format!("/v1/webhooks/{id}/rotate");
    let (status, rotated) = server.post(&path, json!({"overlap_hours": 1})).await;
    assert_eq!(status, 200, "{rotated}");
    let new = WebhookSecret::parse(rotated["secret"].as_str().unwrap()).unwrap();
    server.delivery("A").await;
    server.run_jobs().await;
    server.clock.advance(3600);
    server.delivery("B").await;
    server.run_jobs().await;
    let taken = receiver.taken();
    let at = server.clock.now();
    let before = at.earlier(3600);
    assert!(verifies(&old, &taken[0], before) && verifies(&new, &taken[0], before));
    assert!(!verifies(&old, &taken[1], at) && verifies(&new, &taken[1], at));
    let (status, _) = server.post(&path, json!({"overlap_hours": 169})).await;
    assert_eq!(status, 422);
}

#[tokio::test]
async fn a_slow_receiver_keeps_no_other_up() {
    let server = server().await;
    let (slow, quick) = (Receiver::start(0), Receiver::start(200));
    let (id, _) = webhook(&server, json!({"url": slow.url()})).await;
    webhook(&server, json!({"url": quick.url()})).await;
    server.delivery("A").await;
    crate::jobs::once(&server.context).await;
    // The slow one is still being told when the quick one has everything, twice.
    while quick.taken().is_empty() || slow.taken().is_empty() {
        tokio::task::yield_now().await;
    }
    server.delivery("B").await;
    while quick.taken().len() < 2 {
        crate::jobs::once(&server.context).await;
    }
    assert_eq!(slow.taken().len(), 1);
    assert_eq!(log(&server, &id).await[1]["last_status"], Value::Null, "and has not answered");
    server.context.telling.idle().await;
    assert!(log(&server, &id).await[1]["last_error"].as_str().unwrap().contains("no answer"));
}

#[tokio::test]
async fn a_paused_receiver_is_told_later_and_a_removed_one_never() {
    let server = server().await;
    let receiver = Receiver::start(200);
    let (id, _) = webhook(&server, json!({"url": receiver.url()})).await;
    let change = format!("/v1/webhooks/{id}/change");
    server.post(&change, json!({"state": "paused"})).await;
    server.delivery("A").await;
    server.run_jobs().await;
    assert_eq!(receiver.taken().len(), 0);
    server.post(&change, json!({"state": "active"})).await;
    server.run_jobs().await;
    assert_eq!(receiver.taken().len(), 1);
    assert_eq!(server.post(&change, json!({"state": "gone"})).await.0, 422);
    server.delivery("B").await;
    server.post(&format!("/v1/webhooks/{id}/remove"), json!({})).await;
    server.run_jobs().await;
    assert_eq!(receiver.taken().len(), 1);
    assert_eq!(server.get(&format!("/v1/webhooks/{id}")).await.0, 404);
    assert_eq!(server.query("SELECT count(*) FROM webhook_sendings"), 0);
}

#[tokio::test]
async fn private_addresses_are_not_reached_unless_that_is_allowed() {
    let server = TestServer::with(|config| config.webhooks.allow_http = true).await;
    let receiver = Receiver::start(200);
    let (id, _) = webhook(&server, json!({"url": receiver.url()})).await;
    server.delivery("A").await;
    server.run_jobs().await;
    assert_eq!(receiver.taken().len(), 0);
    let line = &log(&server, &id).await[0];
    assert!(line["last_error"].as_str().unwrap().contains("not on the public internet"));
}

#[tokio::test]
async fn what_was_under_way_when_the_server_ended_is_sent_again() {
    let server = server().await;
    let receiver = Receiver::start(200);
    let (id, _) = webhook(&server, json!({"url": receiver.url()})).await;
    server.delivery("A").await;
    // As a power cut after the receiver took it and before that was noted leaves it.
    server.execute("CREATE TRIGGER cut BEFORE UPDATE OF last_status ON webhook_sendings BEGIN SELECT RAISE(ABORT, 'cut'); END");
    server.run_jobs().await;
    server.execute("DROP TRIGGER cut");
    server.clock.advance(60);
    server.run_jobs().await;
    let ids: Vec<_> = receiver.taken().into_iter().map(|request| request.id).collect();
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]), "the same event");
    let line = &log(&server, &id).await[0];
    assert_eq!((&line["state"], &line["tries"]), (&json!("sent"), &json!(2)));
}
