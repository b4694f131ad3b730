//! `http` and `twilio` against an HTTP receiver.

use super::*;
use crate::config::messages::Provider as Name;
use crate::standard_webhooks::WebhookSecret;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A request as it came in.
#[derive(Clone)]
struct Seen {
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// Answers all requests alike and remembers them.
#[derive(Clone)]
struct Receiver {
    seen: Arc<Mutex<Vec<Seen>>>,
    answer: (u16, &'static str),
}

impl Receiver {
    async fn start(status: u16, body: &'static str) -> (Self, String) {
        let receiver = Self { seen: Arc::default(), answer: (status, body) };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let take = |State(receiver): State<Self>, uri: Uri, headers: HeaderMap, body: Bytes| async move {
            let (path, body) = (uri.path().to_owned(), body.to_vec());
            receiver.seen.lock().unwrap().push(Seen { path, headers, body });
            (StatusCode::from_u16(receiver.answer.0).unwrap(), receiver.answer.1)
        };
        let router = Router::new().fallback(take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, format!("http://{address}"))
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn file(dir: &Path, name: &str, text: &str) -> Option<PathBuf> {
    let path = dir.join(name);
    doorstep_files::private::create(&path, text.as_bytes()).unwrap();
    Some(path)
}

fn http(dir: &Path, url: &str) -> Messenger {
    open(Messages {
        provider: Name::Http,
        http_url: Some(format!("{url}/send?a=b")),
        http_secret_file: file(dir, "http.secret", SECRET),
        allow_private: true,
        allow_http: true,
        ..Messages::default()
    })
}

fn twilio(dir: &Path, url: &str) -> Messenger {
    open(Messages {
        provider: Name::Twilio,
        twilio_url: url.to_owned(),
        twilio_account: Some("AC12".to_owned()),
        twilio_token_file: file(dir, "token", "s3cret"),
        twilio_from: Some("+15005550006".to_owned()),
        status_url: Some("https://codes.example.org".to_owned()),
        allow_private: true,
        allow_http: true,
        ..Messages::default()
    })
}

async fn send(messenger: &Messenger) -> Outcome {
    messenger.provider.send(&[message(messenger)]).await.pop().unwrap()
}

#[tokio::test]
async fn a_post_is_signed_and_has_the_same_id_in_every_try() {
    let dir = tempfile::tempdir().unwrap();
    let (receiver, url) = Receiver::start(202, r#"{"id": "gw-7", "more": 1}"#).await;
    let messenger = http(dir.path(), &url);
    assert_eq!(send(&messenger).await, Outcome::Taken(Some("gw-7".to_owned())));
    assert_eq!(send(&messenger).await, Outcome::Taken(Some("gw-7".to_owned())));
    let seen = receiver.seen();
    assert_eq!(seen.len(), 2);
    for request in &seen {
        let header = |name: &str| request.headers[name].to_str().unwrap();
        let signed =
            (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
        assert_eq!(signed.0, "msg_1");
        let at = Timestamp::from_seconds(1_800_000_000);
        WebhookSecret::parse(SECRET).unwrap().verify(signed, &request.body, at).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["type"], "message.send");
        assert_eq!(
            (&body["data"]["to"], &body["data"]["reference"]),
            (&"+34612345678".into(), &"A-1".into())
        );
        assert!(body["data"]["text"].as_str().unwrap().contains("0029 1635"));
    }
}

#[tokio::test]
async fn answers_mean_what_they_say() {
    for (status, body, outcome) in [
        (200, "fine", Outcome::Taken(None)),
        (200, "{\"id\": \"a\\nb\"}", Outcome::Taken(None)),
        (
            400,
            "{\"detail\": \"no such number\"}",
            Outcome::Refused("answered 400: no such number".to_owned()),
        ),
        (422, "<html>", Outcome::Refused("answered 422".to_owned())),
        (401, "", Outcome::Failed("answered 401".to_owned())),
        (404, "", Outcome::Failed("answered 404".to_owned())),
        (302, "", Outcome::Failed("answered 302".to_owned())),
        (429, "", Outcome::Failed("answered 429".to_owned())),
        (500, "", Outcome::Failed("answered 500".to_owned())),
        (502, "", Outcome::Unknown("answered 502".to_owned())),
        (504, "", Outcome::Unknown("answered 504".to_owned())),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (_, url) = Receiver::start(status, body).await;
        assert_eq!(send(&http(dir.path(), &url)).await, outcome, "{status}");
    }
}

#[tokio::test]
async fn a_gateway_inside_is_reached_only_where_that_is_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let (receiver, url) = Receiver::start(200, "").await;
    let messenger = open(Messages {
        provider: Name::Http,
        http_url: Some(url),
        http_secret_file: file(dir.path(), "http.secret", SECRET),
        allow_http: true,
        ..Messages::default()
    });
    let outcome = send(&messenger).await;
    assert_eq!(
        outcome,
        Outcome::Failed("not reached: the host is not on the public internet".to_owned())
    );
    assert!(receiver.seen().is_empty());
}

#[tokio::test]
async fn twilio_is_asked_in_its_own_words() {
    let dir = tempfile::tempdir().unwrap();
    let (receiver, url) = Receiver::start(201, r#"{"sid": "SM9", "status": "queued"}"#).await;
    let messenger = twilio(dir.path(), &url);
    assert_eq!(send(&messenger).await, Outcome::Taken(Some("SM9".to_owned())));
    let [request] = receiver.seen().try_into().ok().unwrap();
    assert_eq!(request.path, "/2010-04-01/Accounts/AC12/Messages.json");
    // "AC12:s3cret"
    assert_eq!(request.headers["authorization"], "Basic QUMxMjpzM2NyZXQ=");
    let form: Vec<(String, String)> = form_urlencoded::parse(&request.body).into_owned().collect();
    let field = |name: &str| form.iter().find(|(known, _)| known == name).unwrap().1.clone();
    assert_eq!(
        (field("To"), field("From")),
        ("+34612345678".to_owned(), "+15005550006".to_owned())
    );
    assert!(field("Body").contains("your delivery code is 0029 1635"));
    assert_eq!(
        field("StatusCallback"),
        "https://codes.example.org/v1/messages/status/twilio?message=msg_1"
    );
    assert_eq!(form.len(), 4);
}

#[tokio::test]
async fn what_twilio_refuses_is_said_with_its_code_and_no_secret_of_ours() {
    let dir = tempfile::tempdir().unwrap();
    let (_, url) = Receiver::start(
        400,
        r#"{"code": 21211, "message": "The 'To' number is not valid", "status": 400}"#,
    )
    .await;
    let outcome = send(&twilio(dir.path(), &url)).await;
    let said = "answered 400: 21211 The 'To' number is not valid".to_owned();
    assert_eq!(outcome, Outcome::Refused(said));
    // Its address is not there at all.
    let dir = tempfile::tempdir().unwrap();
    let Outcome::Failed(error) = send(&twilio(dir.path(), "http://127.0.0.1:1")).await else {
        panic!("it was not reached");
    };
    assert!(!error.contains("s3cret") && !error.contains("0029"), "{error}");
}
