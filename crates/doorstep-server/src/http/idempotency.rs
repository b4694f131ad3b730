//! `Idempotency-Key`: a request that makes something is carried out once, however often a client
//! that heard no answer repeats it.
//!
//! That it began is durable before it is carried out, and the answer is kept after. A crash in
//! between leaves a request of which nobody knows how it ended: its repetition is refused, never
//! carried out a second time.

use super::auth::Caller;
use super::problem::{Code, Problem};
use super::request_id;
use crate::api::LIST_BODY_LIMIT;
use crate::api::access::{Effect, Route};
use crate::context::Context;
use crate::hex;
use crate::seal::Place;
use crate::store::StoreError;
use crate::store::idempotency::{self, Begun, Kept, Name};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rusqlite::Connection;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// Seconds that an answer is kept: a day.
pub(crate) const KEPT: u64 = 24 * 60 * 60;
pub(crate) const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer is an earlier one.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const MAX_LENGTH: usize = 255;

/// Carries a request out, or repeats its answer.
pub(crate) async fn once(
    State(context): State<Arc<Context>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let creates = request
        .extensions()
        .get::<&'static Route>()
        .is_some_and(|route| route.effect == Effect::Creates);
    let caller = request.extensions().get::<Caller>().cloned();
    let (true, Some(caller), Some(key)) = (creates, caller, read_key(request.headers())?) else {
        return Ok(next.run(request).await);
    };
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LIST_BODY_LIMIT).await.map_err(|_| {
        Problem::new(Code::BodyTooLarge, "the body broke off, or is larger than any that is taken")
            .hint("send less at a time")
    })?;
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let fingerprint = fingerprint(&context, parts.method.as_str(), path, &body);
    let name = Name { api_key: caller.key.to_string(), key };
    let now = context.now();
    let noted = name.clone();
    let begun = context
        .store
        .write(move |connection| idempotency::begin(connection, &noted, &fingerprint, now))
        .await?;
    match begun {
        Begun::First => {
            let request = Request::from_parts(parts, Body::from(body));
            // A task of its own: a client who goes away, or a request that takes too long, must not
            // leave it half recorded.
            let task = request_id::carry(carry_out(context, name, request, next));
            tokio::spawn(task).await.unwrap_or_else(|_| Err(StoreError::Stopped.into()))
        }
        Begun::Done(kept) => replay(&context, &name, &kept),
        Begun::Running => Err(Problem::new(
            Code::IdempotencyInFlight,
            "the request with this Idempotency-Key is being carried out",
        )
        .hint("ask again in a second")
        .retry_after(1)),
        Begun::Lost => Err(Problem::new(
            Code::IdempotencyLost,
            "this request was cut off while it was carried out, so its answer is not known",
        )
        .hint("look whether it had its effect; if not, send it with another Idempotency-Key")),
        Begun::Other => Err(Problem::new(
            Code::IdempotencyKeyReused,
            "another request had this Idempotency-Key in the last 24 hours",
        )
        .hint("draw a new key for each request, and repeat a request unchanged")),
    }
}

/// Carries a request out in such a way that, whatever comes between, it does not stay under way.
async fn carry_out(
    context: Arc<Context>,
    name: Name,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let recorded = carry_and_record(Arc::clone(&context), name.clone(), request, next);
    // A task of its own again, whose panic is seen here.
    let ended = tokio::spawn(request_id::carry(recorded)).await;
    let answer = ended.unwrap_or_else(|_| Err(StoreError::Stopped.into()));
    if answer.is_err() {
        let lost = move |connection: &Connection| idempotency::lose(connection, &name);
        context.store.write(lost).await?;
    }
    answer
}

async fn carry_and_record(
    context: Arc<Context>,
    name: Name,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (parts, body) = next.run(request).await.into_parts();
    // An answer of this program, in memory already.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    if is_kept(parts.status, parts.extensions.get::<Code>()) {
        let sealed =
            context.with_rng(|rng| context.keys.seal.seal(place(&row(&name)), &body, rng))?;
        let content_type = parts.headers.get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kept =
            Kept { status: parts.status.as_u16(), content_type: content_type.to_owned(), sealed };
        context
            .store
            .write(move |connection| idempotency::finish(connection, &name, &kept))
            .await?;
    } else {
        context.store.write(move |connection| idempotency::drop_running(connection, &name)).await?;
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// Whether an answer says how the request ended. One that was not carried out, or that failed, may be
/// sent again.
fn is_kept(status: StatusCode, code: Option<&Code>) -> bool {
    let before_execution = code.is_some_and(|code| {
        matches!(
            code,
            Code::BodyTooLarge
                | Code::InvalidFields
                | Code::InvalidQuery
                | Code::MalformedBody
                | Code::Throttled
                | Code::TooManyRequests
                | Code::Unauthorized
                | Code::UnsupportedMediaType
        )
    });
    !status.is_server_error() && !before_execution
}

fn replay(context: &Context, name: &Name, kept: &Kept) -> Result<Response, Problem> {
    let body = context.keys.seal.open(place(&row(name)), &kept.sealed)?;
    let status = StatusCode::from_u16(kept.status).unwrap_or_default();
    let content_type = HeaderValue::from_str(&kept.content_type);
    let mut response = (status, body.to_vec()).into_response();
    let headers = response.headers_mut();
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    if let Ok(content_type) = content_type {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    Ok(response)
}

fn row(name: &Name) -> String {
    format!("{}/{}", name.api_key, hex::encode(&Sha256::digest(name.key.as_bytes())))
}

const fn place(row: &str) -> Place<'_> {
    Place { table: "idempotency", column: "sealed", row }
}

/// Keyed, because a body may hold something short enough to be searched for.
fn fingerprint(context: &Context, method: &str, path: &str, body: &Bytes) -> [u8; 32] {
    // Never fails: HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(context.keys.pepper().expose()) else {
        return [0; 32];
    };
    mac.update(b"doorstep/idempotency/v1");
    for part in [method.as_bytes(), path.as_bytes(), body] {
        mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn read_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if values.next().is_some() || !is_plain || !(1..=MAX_LENGTH).contains(&text.len()) {
        let detail = "the Idempotency-Key is not one text of 1 to 255 visible characters";
        return Err(Problem::new(Code::InvalidHeader, detail).hint("a random UUID will do"));
    }
    Ok(Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use crate::http::problem::Code;
    use crate::test_server::{Answer, TestServer};
    use serde_json::{Value, json};
    use std::sync::Arc;

    const JSON: (&str, &str) = ("content-type", "application/json");

    async fn post(server: &TestServer, path: &str, key: &str, body: &Value) -> Answer {
        let headers = [server.bearer(), JSON, ("idempotency-key", key)];
        server.request("POST", path, &headers, body.to_string()).await
    }

    fn parcel(reference: &str) -> Value {
        json!({"reference": reference, "address": "Quay 1",
               "recipients": [{"name": "Ana", "phone": "+34 612 345 678"}]})
    }

    #[tokio::test]
    async fn a_repetition_makes_nothing_and_gets_the_same_answer() {
        let server = TestServer::new().await;
        let first = post(&server, "/v1/deliveries", "k1", &parcel("A")).await;
        let again = post(&server, "/v1/deliveries", "k1", &parcel("A")).await;
        assert_eq!((first.status, again.status), (201, 201));
        assert_eq!(first.json, again.json);
        assert_eq!(first.content_type, again.content_type);
        // A refusal that was carried out is an answer like any other.
        let taken = post(&server, "/v1/deliveries", "k2", &parcel("A")).await;
        assert_eq!((taken.status, &taken.json["code"]), (409, &json!("duplicate_reference")));
        let again = post(&server, "/v1/deliveries", "k2", &parcel("A")).await;
        assert_eq!(again.json, taken.json, "with the request id of the first");
        assert_eq!(server.deliveries().await.len(), 1);
        let server = server.restart();
        assert_eq!(post(&server, "/v1/deliveries", "k1", &parcel("A")).await.json, first.json);
    }

    #[tokio::test]
    async fn a_secret_that_is_shown_once_is_shown_again_and_stored_sealed() {
        let server = TestServer::new().await;
        let first = post(&server, "/v1/keys", "k", &json!({"name": "shop"})).await;
        let again = post(&server, "/v1/keys", "k", &json!({"name": "shop"})).await;
        assert_eq!(first.json["secret"], again.json["secret"]);
        assert_eq!(server.query("SELECT count(*) FROM api_keys"), 2);
        let secret = first.json["secret"].as_str().unwrap().as_bytes().to_vec();
        for file in ["doorstep.db", "doorstep.db-wal"] {
            let bytes = std::fs::read(server.dir.path().join(file)).unwrap();
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{file}");
        }
    }

    #[test]
    fn answers_that_say_how_it_ended_are_kept_and_no_others() {
        use axum::http::StatusCode;
        for (status, code, kept) in [
            (201, None, true),
            (409, Some(Code::DuplicateReference), true),
            (422, Some(Code::InvalidFields), false),
            (429, Some(Code::TooManyRequests), false),
            (500, Some(Code::Internal), false),
            (500, None, false),
            (503, None, false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(super::is_kept(status, code.as_ref()), kept, "{status} {code:?}");
        }
    }

    #[tokio::test]
    async fn another_request_under_the_same_key_is_refused() {
        let server = TestServer::new().await;
        post(&server, "/v1/deliveries", "k", &parcel("A")).await;
        let (_, other) = server.post("/v1/keys", json!({"name": "other"})).await;
        for (path, body) in [
            ("/v1/deliveries", parcel("B")),
            ("/v1/deliveries?x=1", parcel("A")),
            ("/v1/deliveries/import", parcel("A")),
        ] {
            let answer = post(&server, path, "k", &body).await;
            assert_eq!(answer.status, 422, "{path}");
            assert_eq!(answer.json["code"], "idempotency_key_reused");
        }
        // Another API key's names are its own.
        let bearer = format!("Bearer {}", other["secret"].as_str().unwrap());
        let headers = [("authorization", bearer.as_str()), JSON, ("idempotency-key", "k")];
        let answer =
            server.request("POST", "/v1/deliveries", &headers, parcel("B").to_string()).await;
        assert_eq!(answer.status, 201);
    }

    #[tokio::test]
    async fn what_was_not_carried_out_may_be_sent_again() {
        let server = TestServer::new().await;
        for body in [json!({}), json!([1])] {
            let answer = post(&server, "/v1/deliveries", "k", &body).await;
            assert_eq!(answer.status, 422);
        }
        let headers = [server.bearer(), ("idempotency-key", "k")];
        let answer = server.request("POST", "/v1/deliveries", &headers, "{}").await;
        assert_eq!(answer.status, 415);
        assert_eq!(post(&server, "/v1/deliveries", "k", &parcel("A")).await.status, 201);
        for key in ["", "a b", "é", &"k".repeat(256)] {
            let answer = post(&server, "/v1/deliveries", key, &parcel("C")).await;
            assert_eq!((answer.status, &answer.json["code"]), (400, &json!("invalid_header")));
        }
        let twice = [server.bearer(), JSON, ("idempotency-key", "a"), ("idempotency-key", "b")];
        let answer =
            server.request("POST", "/v1/deliveries", &twice, parcel("C").to_string()).await;
        assert_eq!(answer.json["code"], "invalid_header");
    }

    #[tokio::test]
    async fn of_many_at_once_one_is_carried_out() {
        let server = Arc::new(TestServer::new().await);
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let server = Arc::clone(&server);
                tokio::spawn(async move {
                    post(&server, "/v1/keys", "k", &json!({"name": "shop"})).await
                })
            })
            .collect();
        let mut made = std::collections::BTreeSet::new();
        for task in tasks {
            let answer = task.await.unwrap();
            match answer.status {
                201 => drop(made.insert(answer.json["id"].as_str().unwrap().to_owned())),
                status => assert_eq!(
                    (status, &answer.json["code"]),
                    (409, &json!("idempotency_in_flight"))
                ),
            }
        }
        assert_eq!(made.len(), 1);
        assert_eq!(server.query("SELECT count(*) FROM api_keys"), 2);
    }

    #[tokio::test]
    async fn a_request_that_a_crash_cut_off_is_not_carried_out_again() {
        let server = TestServer::new().await;
        post(&server, "/v1/keys", "k", &json!({"name": "shop"})).await;
        // As a kill between its effect and its answer leaves it.
        server.execute(
            "UPDATE idempotency SET state = 'running', status = NULL, content_type = NULL, sealed = NULL",
        );
        let answer = post(&server, "/v1/keys", "k", &json!({"name": "shop"})).await;
        assert_eq!(answer.json["code"], "idempotency_in_flight");
        server.context.prepare().unwrap();
        let answer = post(&server, "/v1/keys", "k", &json!({"name": "shop"})).await;
        assert_eq!((answer.status, &answer.json["code"]), (409, &json!("idempotency_lost")));
        assert_eq!(server.query("SELECT count(*) FROM api_keys"), 2);
    }

    #[tokio::test]
    async fn a_request_whose_answer_cannot_be_kept_does_not_stay_under_way() {
        let server = TestServer::new().await;
        server.execute(
            "CREATE TRIGGER full BEFORE UPDATE OF sealed ON idempotency WHEN new.state = 'done'
             BEGIN SELECT raise(ABORT, 'no room'); END",
        );
        let answer = post(&server, "/v1/keys", "k", &json!({"name": "shop"})).await;
        assert_eq!(answer.status, 500, "{}", answer.json);
        let answer = post(&server, "/v1/keys", "k", &json!({"name": "shop"})).await;
        assert_eq!((answer.status, &answer.json["code"]), (409, &json!("idempotency_lost")));
        assert_eq!(server.query("SELECT count(*) FROM api_keys"), 2);
    }

    #[tokio::test]
    async fn a_code_is_not_granted_again_and_after_a_day_all_is_forgotten() {
        let server = TestServer::new().await;
        let (_, account) = server.post("/v1/accounts", json!({"name": "ana"})).await;
        let body = json!({"account": account["id"], "code": "000000"});
        post(&server, "/v1/accounts/verify", "k", &body).await;
        assert_eq!(server.query("SELECT count(*) FROM idempotency"), 0);
        post(&server, "/v1/keys", "k", &json!({"name": "shop"})).await;
        server.clock.advance(super::KEPT);
        server.run_jobs().await;
        assert_eq!(server.query("SELECT count(*) FROM idempotency"), 1);
        server.clock.advance(1);
        server.run_jobs().await;
        assert_eq!(server.query("SELECT count(*) FROM idempotency"), 0);
    }
}
