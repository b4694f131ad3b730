//! Hands a pass to the phone that shows its ticket first.

use super::documents;
use super::phone_pass::PhonePass;
use crate::context::Context;
use crate::http::auth::hash;
use crate::http::extract::{ApiJson, secret_text};
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::passes::{self, Place};
use crate::store::passes::{self as stored, Pass};
use crate::utc::Utc;
use crate::{holder_key, riders, wallet};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use doorstep::pass::claims::HolderKey;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use zeroize::Zeroize as _;

/// A phone that has a ticket.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CollectPass {
    /// What was shown when the pass was made.
    #[serde(deserialize_with = "secret_text")]
    #[schema(example = "pas_live_...")]
    ticket: String,
    /// The phone's public key, as `p256:` or `ed25519:` and base64url of its 33 or 32 bytes.
    #[schema(example = "p256:A6uTeq...")]
    holder: String,
}

impl Drop for CollectPass {
    fn drop(&mut self) {
        self.ticket.zeroize();
    }
}

/// The pass, for this phone alone.
#[derive(Serialize, ToSchema)]
pub(crate) struct CollectedPass {
    pass: PhonePass,
    /// With this the phone asks for news of the pass: `POST /v1/wallet/sync`.
    #[schema(example = "pst_...")]
    token: String,
    /// What to bring to the lock, in base64url, in this order. For a group only keys: name the lock and sync.
    riders: Vec<String>,
    server_time: Utc,
}

impl Drop for CollectedPass {
    fn drop(&mut self) {
        self.token.zeroize();
    }
}

/// Collects a pass. A ticket is good once, until the pass is over; shown again with the same key it is answered
/// again, so that an answer that was lost loses no pass.
#[utoipa::path(post, path = "/v1/wallet/collect", tag = "wallet", operation_id = "collect_pass",
    request_body = CollectPass,
    responses((status = 201, description = "the pass", body = CollectedPass), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json"), (status = 503, description = "the server's clock went back",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiJson(request): ApiJson<CollectPass>,
) -> Result<(StatusCode, Json<CollectedPass>), Problem> {
    let wrong = || Problem::field("holder", "is no key as p256:... or ed25519:...");
    let holder = holder_key::read(&request.holder).ok_or_else(wrong)?;
    let ticket = hash(request.ticket.trim());
    drop(request);
    let now = context.now();
    let known =
        context.store.read(move |connection| stored::by_ticket(connection, &ticket)).await?;
    // A ticket that is good for another phone alone, or for none any more, is answered as an unknown one, however
    // often: nothing tells that it is real, and nobody else's requests are counted as those of the pass's phone.
    let known = known.filter(|pass| is_for(pass, &holder, now)).ok_or_else(invalid)?;
    context.wallets.take(known.seq, now)?;
    let inner = Arc::clone(&context);
    let collected = context
        .store
        .write(move |connection| collect(connection, &inner, known.seq, &holder, now))
        .await?;
    Ok((StatusCode::CREATED, Json(collected)))
}

fn collect(
    connection: &Connection,
    context: &Context,
    seq: i64,
    holder: &HolderKey,
    now: Timestamp,
) -> Result<CollectedPass, Problem> {
    stored::collect(connection, seq, holder, now)?;
    let pass = stored::at(connection, seq)?;
    if !is_for(&pass, holder, now) {
        return Err(invalid());
    }
    let place = Place::of(connection, pass.place)?;
    let document = passes::document(connection, context, &pass, &place, now)?;
    let riders = match place.lock() {
        Some(lock) => documents(&riders::make(connection, context, lock, now)?.documents),
        None => documents(&riders::keys(connection, &place)?),
    };
    let token = wallet::token(&context.keys, &pass).ok_or_else(invalid)?;
    let pass = PhonePass::of(&pass, &place, &document);
    Ok(CollectedPass { pass, token: token.to_string(), riders, server_time: Utc(now) })
}

/// Whether the phone with this key may have a pass: the first that asks, until the pass is over.
fn is_for(pass: &Pass, holder: &HolderKey, now: Timestamp) -> bool {
    let is_over = pass.revoked_at.is_some() || pass.window.until() <= now;
    !is_over && pass.holder.is_none_or(|of| of == *holder)
}

/// The same for unknown, used, revoked and old ones: who has no good ticket learns nothing.
fn invalid() -> Problem {
    Problem::new(Code::TicketInvalid, "the ticket is unknown, used or over")
        .hint("ask whoever gave it for another one")
}

#[cfg(test)]
mod tests {
    use crate::test_lock::seconds;
    use crate::test_pass::TestPhone;
    use crate::test_server::TestServer;
    use serde_json::{Value, json};

    /// Without an API key, as a phone asks.
    async fn collect(server: &TestServer, ticket: &Value, phone: &TestPhone) -> (u16, Value) {
        let body = json!({"ticket": ticket, "holder": phone.holder()});
        server.ask_openly("/v1/wallet/collect", body).await
    }

    #[tokio::test]
    async fn a_ticket_is_good_for_one_phone_and_a_lost_answer_loses_no_pass() {
        let server = TestServer::new().await;
        let mut lock = server.lock("Court 1", json!({"kind": "courts"})).await;
        let more = json!({"holder": "collect", "uses": 3, "lasts_minutes": 30});
        let made = server.pass(&lock.id, "10:00", "11:00", more).await;
        assert_eq!((&made["state"], &made["holder"]), (&json!("waiting"), &Value::Null));
        let ticket = &made["ticket"];
        assert!(ticket.as_str().unwrap().starts_with("pas_test_"));
        let (phone, thief) = (TestPhone::new(1), TestPhone::new(2));
        let (status, got) = collect(&server, ticket, &phone).await;
        assert_eq!(status, 201, "{got}");
        let pass = &got["pass"];
        assert_eq!((&pass["id"], &pass["uses"]), (&made["id"], &json!(3)));
        assert_eq!((&pass["bearer"], &pass["lasts_seconds"]), (&json!(false), &json!(1800)));
        let name = lock.door.reader().unwrap().name().as_str().to_owned();
        assert_eq!(pass["lock"], json!({"name": name, "label": "Court 1"}));
        let ten = seconds("10:00");
        lock.tap_with(&phone, pass, ten).unwrap();
        assert_eq!(lock.refuses_pass(pass, ten), Some("wrong_code"));
        server.clock.advance(60);
        let (status, again) = collect(&server, ticket, &phone).await;
        assert_eq!((status, &again["token"]), (201, &got["token"]));
        lock.tap_with(&phone, &again["pass"], ten).unwrap();
        let (status, problem) = collect(&server, ticket, &thief).await;
        assert_eq!((status, &problem["code"]), (401, &json!("ticket_invalid")));
        let shown = server.shown_pass(&made).await;
        assert_eq!((&shown["state"], &shown["holder"]), (&json!("issued"), &json!(phone.holder())));
    }

    #[tokio::test]
    async fn unknown_used_revoked_and_old_tickets_are_answered_alike() {
        let server = TestServer::new().await;
        let lock = server.lock("1", json!({"kind": "courts"})).await;
        let waiting = json!({"holder": "collect"});
        let mut tickets = vec![json!("pas_test_00000000000000000000000000"), json!(""), json!("x")];
        let used = server.pass(&lock.id, "10:00", "11:00", waiting.clone()).await;
        collect(&server, &used["ticket"], &TestPhone::new(1)).await;
        let revoked = server.pass(&lock.id, "10:00", "11:00", waiting.clone()).await;
        server.revoke_pass(&revoked).await;
        let over = server.pass(&lock.id, "08:00", "08:30", waiting).await;
        server.clock.set(seconds("08:30"));
        tickets.extend([&used, &revoked, &over].map(|pass| pass["ticket"].clone()));
        let mut answers = Vec::new();
        for ticket in &tickets {
            let (status, mut problem) = collect(&server, ticket, &TestPhone::new(2)).await;
            assert_eq!(status, 401, "{problem}");
            problem["request_id"] = Value::Null;
            answers.push(problem);
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert_eq!(server.shown_pass(&over).await["state"], "expired");
        assert_eq!(server.shown_pass(&over).await["holder"], Value::Null, "nothing was bound");
        for holder in ["", "p256:", "bearer", "ed25519:AA"] {
            let body = json!({"ticket": tickets[0], "holder": holder});
            let (status, problem) = server.ask_openly("/v1/wallet/collect", body).await;
            assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("holder")));
        }
        let body = json!({"ticket": "x".repeat(5_000), "holder": ""});
        assert_eq!(server.ask_openly("/v1/wallet/collect", body).await.0, 413);
        for ticket in [json!(null), json!(5), json!(["pas_test_secret"])] {
            let body = json!({"ticket": ticket, "holder": ""});
            let (status, problem) = server.ask_openly("/v1/wallet/collect", body).await;
            assert_eq!((status, problem.to_string().contains("secret")), (422, false));
        }
    }

    #[tokio::test]
    async fn a_phone_that_asks_all_the_time_is_told_to_wait() {
        let server = TestServer::new().await;
        let lock = server.lock("1", json!({"kind": "courts"})).await;
        let waiting = json!({"holder": "collect"});
        let made = server.pass(&lock.id, "10:00", "11:00", waiting.clone()).await;
        let other = server.pass(&lock.id, "10:00", "11:00", waiting).await;
        let phone = TestPhone::new(1);
        for _ in 0..20 {
            assert_eq!(collect(&server, &made["ticket"], &phone).await.0, 201);
        }
        let (status, problem) = collect(&server, &made["ticket"], &phone).await;
        assert_eq!((status, &problem["code"]), (429, &json!("throttled")));
        assert_eq!(collect(&server, &other["ticket"], &phone).await.0, 201, "others go on");
        server.clock.advance(6);
        assert_eq!(collect(&server, &made["ticket"], &phone).await.0, 201);
    }

    #[tokio::test]
    async fn who_has_another_phones_ticket_learns_nothing_and_takes_nothing_from_it() {
        let server = TestServer::new().await;
        let lock = server.lock("1", json!({"kind": "courts"})).await;
        let waiting = json!({"holder": "collect"});
        let made = server.pass(&lock.id, "10:00", "11:00", waiting.clone()).await;
        let revoked = server.pass(&lock.id, "10:00", "11:00", waiting).await;
        server.revoke_pass(&revoked).await;
        let (phone, thief) = (TestPhone::new(1), TestPhone::new(2));
        assert_eq!(collect(&server, &made["ticket"], &phone).await.0, 201);
        for ticket in [&made["ticket"], &revoked["ticket"]] {
            for _ in 0..25 {
                let (status, problem) = collect(&server, ticket, &thief).await;
                assert_eq!((status, &problem["code"]), (401, &json!("ticket_invalid")));
            }
        }
        assert_eq!(collect(&server, &made["ticket"], &phone).await.0, 201);
    }

    /// Whoever copies the database has no ticket, no token and no key, and can make no pass.
    #[tokio::test]
    async fn the_database_and_its_log_hold_nothing_that_opens() {
        let server = TestServer::new().await;
        let lock = server.lock("1", json!({"kind": "courts"})).await;
        let made = server.pass(&lock.id, "10:00", "11:00", json!({"holder": "collect"})).await;
        let waiting = server.pass(&lock.id, "10:00", "11:00", json!({"holder": "collect"})).await;
        let (_, got) = collect(&server, &made["ticket"], &TestPhone::new(1)).await;
        let bearer = server.pass(&lock.id, "10:00", "11:00", json!({})).await;
        let mac = server.pass(&lock.id, "10:00", "11:00", json!({"kind": "mac"})).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let mut secrets: Vec<Vec<u8>> = Vec::new();
        for value in [&made["ticket"], &waiting["ticket"], &got["token"]] {
            let value = text(value);
            let (_, symbols) = value.rsplit_once('_').unwrap();
            let number = crate::ids::value(symbols).unwrap();
            secrets.extend([symbols.as_bytes().to_vec(), number.to_be_bytes().to_vec()]);
        }
        for document in [&bearer["document"], &mac["document"], &got["pass"]["document"]] {
            let bytes = crate::test_pass::bytes(document);
            secrets.extend([text(document).into_bytes(), bytes[bytes.len() - 8..].to_vec()]);
        }
        let mut scanned = 0;
        for name in ["doorstep.db", "doorstep.db-wal"] {
            let bytes = std::fs::read(server.dir.path().join(name)).unwrap();
            scanned += bytes.len();
            for secret in &secrets {
                assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{name}");
            }
        }
        assert!(scanned > 10_000);
        // A key that was moved to another row signs nothing.
        let (_, _) = server.post("/v1/pass_keys", json!({"algorithm": "ed25519"})).await;
        server.execute(
            "UPDATE pass_keys SET sealed_key = (SELECT sealed_key FROM pass_keys WHERE seq = 2)
             WHERE seq = 1",
        );
        let (status, _) = server.try_pass(&lock.id, "10:00", "11:00", json!({})).await;
        assert_eq!(status, 500);
    }
}
