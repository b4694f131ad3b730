//! News for a phone that holds a pass: whether it still is good, and what to bring to its lock; and the lock's
//! journal, which the phone carried home.

use super::documents;
use super::phone_pass::PhonePass;
use crate::api::v1::locks::{journal, time_token};
use crate::api::v1::passes::{find, view::state};
use crate::context::Context;
use crate::http::base64url::{read, write};
use crate::http::extract::{ApiJson, secret_text};
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::passes::{self, Place};
use crate::store::locks::Lock;
use crate::store::passes::{self as stored, Pass};
use crate::utc::Utc;
use crate::{riders, wallet};
use axum::Json;
use axum::extract::State;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use zeroize::{Zeroize as _, Zeroizing};

/// A phone that asks for news of a pass.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SyncPass {
    /// The pass's id.
    id: String,
    /// What it was given with the pass.
    #[serde(deserialize_with = "secret_text")]
    #[schema(example = "pst_...")]
    token: String,
    /// Of a pass for a group: the lock before which the phone stands, by what it calls itself.
    #[serde(default)]
    lock: Option<String>,
    /// What the lock drew when it asked for the time, 16 bytes in hexadecimal.
    #[serde(default)]
    time_nonce: Option<String>,
    /// The lock's sealed journal, in base64url.
    #[serde(default)]
    journal: Option<String>,
}

impl Drop for SyncPass {
    fn drop(&mut self) {
        self.token.zeroize();
    }
}

/// News of a pass.
#[derive(Serialize, ToSchema)]
pub(crate) struct SyncedPass {
    /// `issued`, `revoked` or `expired`.
    state: &'static str,
    /// The pass, made anew under the keys of now, in base64url; null when it should open no more, or no key
    /// is left to sign it.
    document: Option<String>,
    /// The pass that took the place of this one, when its booking was moved.
    successor: Option<SuccessorPass>,
    /// What to bring to the lock, in base64url, in this order.
    riders: Vec<String>,
    /// The answer to the lock's question, in base64url.
    time_token: Option<String>,
    journal: Option<SyncedJournal>,
    server_time: Utc,
}

/// A pass that took the place of another, for the same phone.
#[derive(Serialize, ToSchema)]
pub(crate) struct SuccessorPass {
    pass: PhonePass,
    /// With this the phone asks for news of it.
    #[schema(example = "pst_...")]
    token: String,
}

impl Drop for SuccessorPass {
    fn drop(&mut self) {
        self.token.zeroize();
    }
}

/// What became of a journal.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum SyncedJournal {
    /// It was taken in.
    Taken {
        /// Records in it.
        records: u64,
        /// How many of them were not known.
        new_records: u64,
    },
    /// It was not.
    Refused {
        /// Why, as the `code` of a problem.
        problem: Code,
    },
}

/// Gives a phone news of a pass that it collected, and takes in the journal that it brings.
#[utoipa::path(post, path = "/v1/wallet/sync", tag = "wallet", operation_id = "sync_pass",
    request_body = SyncPass,
    responses((status = 200, description = "news of the pass", body = SyncedPass), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json"), (status = 503, description = "the server's clock went back",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiJson(mut request): ApiJson<SyncPass>,
) -> Result<Json<SyncedPass>, Problem> {
    let now = context.now();
    let id = std::mem::take(&mut request.id);
    let found = context.store.read(move |connection| {
        let pass = match find(connection, &id) {
            Err(problem) if problem.code() == Code::UnknownPass => return Ok(None),
            other => other?,
        };
        let place = Place::of(connection, pass.place)?;
        Ok::<_, Problem>(Some((pass, place)))
    });
    let found = found.await?;
    let found = found.filter(|(pass, _)| wallet::fits(&context.keys, pass, request.token.trim()));
    let (pass, place) = found.ok_or_else(invalid)?;
    context.wallets.take(pass.seq, now)?;
    let lock = chosen(&place, request.lock.as_deref())?;
    if lock.is_none() && (request.time_nonce.is_some() || request.journal.is_some()) {
        return Err(Problem::field("lock", "is missing: this pass opens several locks"));
    }
    let nonce = request.time_nonce.as_deref().map(|text| time_token::nonce("time_nonce", text));
    let nonce = nonce.transpose()?;
    let journal = match (lock, &request.journal) {
        (Some(lock), Some(text)) => Some(take_in(&context, lock, &read("journal", text)?).await?),
        _ => None,
    };
    let (seq, at) = (pass.seq, lock.map(|lock| lock.seq));
    let inner = Arc::clone(&context);
    let job = move |connection: &Connection| {
        let pass = stored::at(connection, seq)?;
        let mut news = SyncedPass {
            state: state(&pass, now),
            document: anew(connection, &inner, &pass, now)?.map(|document| write(&document)),
            successor: successor(connection, &inner, &pass, now)?,
            riders: Vec::new(),
            time_token: None,
            journal: None,
            server_time: Utc(now),
        };
        let Some(at) = at else {
            news.riders = documents(&riders::keys(connection, &place)?);
            return Ok(news);
        };
        let lock = crate::store::locks::at(connection, at)?;
        news.riders = documents(&riders::make(connection, &inner, &lock, now)?.documents);
        let token = nonce.map(|nonce| riders::token(connection, &inner, &lock, nonce, now));
        news.time_token = token.transpose()?.map(|token| write(&token));
        Ok::<_, Problem>(news)
    };
    let news = context.store.write(job).await?;
    Ok(Json(SyncedPass { journal, ..news }))
}

/// The pass, if it is to open, under the keys of now: those that it was collected under may have ended.
fn anew(
    connection: &Connection,
    context: &Context,
    pass: &Pass,
    now: Timestamp,
) -> Result<Option<Zeroizing<Vec<u8>>>, Problem> {
    if state(pass, now) != "issued" {
        return Ok(None);
    }
    let place = Place::of(connection, pass.place)?;
    match passes::document(connection, context, pass, &place, now) {
        Ok(document) => Ok(Some(document)),
        Err(problem) if problem.code() == Code::NoSuchKey => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// The pass that took the place of this one, if it is to open: it has the same holder, whose token was shown.
fn successor(
    connection: &Connection,
    context: &Context,
    pass: &Pass,
    now: Timestamp,
) -> Result<Option<SuccessorPass>, Problem> {
    let Some(next) = stored::last_successor(connection, pass)? else { return Ok(None) };
    if next.holder != pass.holder {
        return Ok(None);
    }
    let document = anew(connection, context, &next, now)?;
    let token = wallet::token(&context.keys, &next);
    let (Some(document), Some(token)) = (document, token) else { return Ok(None) };
    let place = Place::of(connection, next.place)?;
    let pass = PhonePass::of(&next, &place, &document);
    Ok(Some(SuccessorPass { pass, token: token.to_string() }))
}

/// The lock before which the phone stands.
fn chosen<'a>(place: &'a Place, named: Option<&str>) -> Result<Option<&'a Lock>, Problem> {
    let Some(name) = named else { return Ok(place.lock()) };
    let lock = place.locks.iter().find(|lock| lock.pass_name.as_str() == name);
    lock.map(Some).ok_or_else(|| Problem::field("lock", "is none that this pass opens"))
}

async fn take_in(
    context: &Arc<Context>,
    lock: &Lock,
    bytes: &[u8],
) -> Result<SyncedJournal, Problem> {
    match journal::take(context, lock.id.to_string(), bytes.to_vec()).await {
        Ok(taken) if taken.forked => Ok(SyncedJournal::Refused { problem: Code::JournalInvalid }),
        Ok(taken) => {
            Ok(SyncedJournal::Taken { records: taken.records, new_records: taken.new_records })
        }
        Err(problem) if problem.code() == Code::JournalInvalid => {
            Ok(SyncedJournal::Refused { problem: Code::JournalInvalid })
        }
        Err(problem) => Err(problem),
    }
}

/// The same for passes that are unknown and tokens of others.
fn invalid() -> Problem {
    Problem::new(Code::TicketInvalid, "the pass or its token is not known")
        .hint("collect the pass again with its ticket, with the same key")
}

#[cfg(test)]
mod tests {
    use crate::hex;
    use crate::http::base64url::write;
    use crate::test_lock::{TestLock, at, seconds};
    use crate::test_pass::{TestPhone, bytes};
    use crate::test_server::TestServer;
    use doorstep::door::sealed;
    use doorstep::pass::proof::Challenge;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;
    use serde_json::{Value, json};

    /// A phone that collected a pass.
    async fn collected(server: &TestServer, made: &Value, phone: &TestPhone) -> Value {
        let body = json!({"ticket": made["ticket"], "holder": phone.holder()});
        let (status, got) = server.ask_openly("/v1/wallet/collect", body).await;
        assert_eq!(status, 201, "{got}");
        got
    }

    async fn sync(server: &TestServer, got: &Value, more: Value) -> (u16, Value) {
        let mut body = json!({"id": got["pass"]["id"], "token": got["token"]});
        for (field, value) in more.as_object().unwrap() {
            body[field] = value.clone();
        }
        server.ask_openly("/v1/wallet/sync", body).await
    }

    fn sealed_journal(lock: &TestLock) -> String {
        let mut journal = lock.journal_from(0);
        let (header, tag) = sealed::seal(&lock.door, [7; 12], &mut journal);
        write(&[header.as_ref(), &journal, &tag].concat())
    }

    #[tokio::test]
    async fn a_guests_phone_carries_news_there_and_the_journal_back() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let made = server.pass(&lock.id, "10:00", "11:00", json!({"holder": "collect"})).await;
        let phone = TestPhone::new(1);
        let got = collected(&server, &made, &phone).await;
        assert_eq!(got["riders"], json!([]));
        let other = server.pass(&lock.id, "10:00", "12:00", json!({})).await;
        let revoked = server.revoke_pass(&other).await;
        assert_eq!(revoked["revocation"]["takes_effect"], "when_list_delivered");
        let (status, news) = sync(&server, &got, json!({})).await;
        assert_eq!((status, &news["state"]), (200, &json!("issued")), "{news}");
        assert_eq!((&news["time_token"], &news["journal"]), (&Value::Null, &Value::Null));
        assert_eq!(news["server_time"], at("08:00"));
        assert_eq!(lock.bring_riders(&news["riders"], seconds("10:00")), 1);
        assert_eq!(lock.refuses_pass(&other, seconds("10:00")), Some("revoked"));
        lock.tap_with(&phone, &got["pass"], seconds("10:00")).unwrap();
        server.clock.set(seconds("10:05"));
        let (_, news) = sync(&server, &got, json!({"journal": sealed_journal(&lock)})).await;
        let records = lock.count();
        assert_eq!(news["journal"], json!({"records": records, "new_records": records}));
        assert_eq!(server.shown_pass(&made).await["uses_seen"], 1);
        let said = server.shown_pass(&other).await["revocation"].clone();
        assert_eq!((&said["takes_effect"], said["done_at"].is_string()), (&json!("now"), true));
        let (_, again) = sync(&server, &got, json!({"journal": sealed_journal(&lock)})).await;
        assert_eq!(again["journal"], json!({"records": records, "new_records": 0}));
        // Where the power was off, it carries the time as well.
        lock.without_power_until(server.now());
        let challenge = Challenge::make(&mut ChaCha20Rng::seed_from_u64(1));
        let asked = json!({"time_nonce": hex::encode(challenge.nonce())});
        let (_, news) = sync(&server, &got, asked).await;
        let token = bytes(&news["time_token"]);
        lock.present(&token, Some(challenge), server.now()).unwrap();
        lock.tap_with(&phone, &got["pass"], server.now()).unwrap();
    }

    #[tokio::test]
    async fn journals_that_are_none_change_nothing_and_the_news_come_all_the_same() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let other = server.lock("2", json!({"kind": "courts"})).await;
        let made = server.pass(&lock.id, "10:00", "11:00", json!({"holder": "collect"})).await;
        let got = collected(&server, &made, &TestPhone::new(1)).await;
        lock.wait_until(server.now() + 60);
        let good = sealed_journal(&lock);
        let mut changed = bytes(&json!(good));
        let last = changed.len() - 20;
        changed[last] ^= 1;
        for journal in [write(&changed), good[..40].to_owned(), sealed_journal(&other), write(b"")]
        {
            let (status, news) = sync(&server, &got, json!({"journal": journal})).await;
            assert_eq!(status, 200, "{news}");
            assert_eq!(news["journal"], json!({"problem": "journal_invalid"}));
        }
        assert_eq!(server.query("SELECT count(*) FROM locks WHERE state IS NOT NULL"), 0);
        let (status, problem) = sync(&server, &got, json!({"journal": "!"})).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("journal")));
    }

    #[tokio::test]
    async fn who_has_no_token_learns_nothing() {
        let server = TestServer::new().await;
        let lock = server.lock("1", json!({"kind": "courts"})).await;
        let waiting = json!({"holder": "collect"});
        let made = server.pass(&lock.id, "10:00", "11:00", waiting.clone()).await;
        let got = collected(&server, &made, &TestPhone::new(1)).await;
        let other = server.pass(&lock.id, "10:00", "11:00", waiting.clone()).await;
        let other = collected(&server, &other, &TestPhone::new(1)).await;
        let not_yet = server.pass(&lock.id, "10:00", "11:00", waiting).await;
        let bearer = server.pass(&lock.id, "10:00", "11:00", json!({})).await;
        let mut answers = Vec::new();
        for (id, token) in [
            (&got["pass"]["id"], &other["token"]),
            (&got["pass"]["id"], &made["ticket"]),
            (&got["pass"]["id"], &json!("")),
            (&not_yet["id"], &got["token"]),
            (&bearer["id"], &got["token"]),
            (&json!("0011223344556677"), &got["token"]),
            (&json!("zz"), &got["token"]),
        ] {
            let body = json!({"id": id, "token": token, "journal": "!"});
            let (status, mut problem) = server.ask_openly("/v1/wallet/sync", body).await;
            assert_eq!(status, 401, "{problem}");
            problem["request_id"] = Value::Null;
            answers.push(problem);
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
        server.revoke_pass(&made).await;
        let said = |(_, news): (u16, Value)| (news["state"].clone(), news["document"].clone());
        let revoked = said(sync(&server, &got, json!({})).await);
        assert_eq!(revoked, (json!("revoked"), Value::Null), "it is not signed anew");
        assert!(sync(&server, &other, json!({})).await.1["document"].is_string());
        server.clock.set(seconds("11:00"));
        let over = said(sync(&server, &other, json!({})).await);
        assert_eq!(over, (json!("expired"), Value::Null));
    }

    #[tokio::test]
    async fn a_phone_is_handed_the_pass_that_its_booking_has_after_it_moved() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let terms = json!({"access": "pass", "holders": 2, "pass": {"holder": "collect"}});
        let (_, booking) = server.try_book(&lock.id, "10:00", "11:00", terms).await;
        let (phone, other) = (TestPhone::new(1), TestPhone::new(2));
        let got = collected(&server, &booking["passes"][0], &phone).await;
        assert_eq!(sync(&server, &got, json!({})).await.1["successor"], Value::Null);
        // Moved twice while the phone asked nothing: it needs the last one alone.
        for from in ["10:10", "10:20"] {
            let to = json!({"from": at(from), "until": at("11:00")});
            server.to_booking(&booking, "change", to).await;
        }
        let (status, news) = sync(&server, &got, json!({})).await;
        assert_eq!((status, &news["state"]), (200, &json!("revoked")), "{news}");
        let next = &news["successor"];
        assert_eq!(next["pass"]["from"], at("10:20"), "{news}");
        assert_eq!(next["pass"]["lock"], got["pass"]["lock"]);
        lock.tap_with(&phone, &next["pass"], seconds("10:20")).unwrap();
        assert!(lock.clone().tap_with(&other, &next["pass"], seconds("10:20")).is_err());
        // Its token is its own, and hands on what follows.
        assert_ne!(next["token"], got["token"]);
        assert_eq!(sync(&server, next, json!({})).await.1["state"], "issued");
        let mixed = json!({"pass": next["pass"], "token": got["token"]});
        assert_eq!(sync(&server, &mixed, json!({})).await.0, 401);
        let to = json!({"from": at("10:30"), "until": at("11:00")});
        server.to_booking(&booking, "change", to).await;
        for asked in [&got, next] {
            let (_, news) = sync(&server, asked, json!({})).await;
            assert_eq!(news["successor"]["pass"]["from"], at("10:30"));
        }
        server.to_booking(&booking, "cancel", json!({})).await;
        let (_, news) = sync(&server, &got, json!({})).await;
        assert_eq!((&news["state"], &news["successor"]), (&json!("revoked"), &Value::Null));
    }

    #[tokio::test]
    async fn a_groups_phone_has_the_keys_that_any_of_its_locks_lacks() {
        let server = TestServer::new().await;
        let body = |name: &str| json!({"site": "s", "name": name, "profile": {"kind": "courts"}, "groups": ["all"]});
        let (mut heard, _not) =
            (server.lock_with(body("1")).await, server.lock_with(body("2")).await);
        server.clock.advance(60);
        let (status, _) = server.post("/v1/pass_keys", json!({"algorithm": "ed25519"})).await;
        assert_eq!(status, 201);
        let riders = server.riders(&heard.id).await;
        assert_eq!(heard.bring_riders(&riders["documents"], server.now()), 1);
        heard.bring_home(&server).await;
        let asked = json!({"group": "all", "from": at("10:00"), "until": at("11:00"),
            "holder": "collect"});
        let (_, made) = server.post("/v1/passes", asked).await;
        let got = collected(&server, &made, &TestPhone::new(1)).await;
        assert_eq!(got["riders"].as_array().unwrap().len(), 1, "the other lock has not heard");
        assert_eq!(sync(&server, &got, json!({})).await.1["riders"], got["riders"]);
    }

    #[tokio::test]
    async fn a_pass_of_a_group_says_before_which_lock_it_stands() {
        let server = TestServer::new().await;
        let body = |name: &str, groups: Value| {
            json!({"site": "s", "name": name,
            "profile": {"kind": "courts"}, "groups": groups})
        };
        let lock = server.lock_with(body("1", json!(["all"]))).await;
        let outside = server.lock_with(body("2", json!([]))).await;
        let asked = json!({"group": "all", "from": at("10:00"), "until": at("11:00"),
            "holder": "collect"});
        let (_, made) = server.post("/v1/passes", asked).await;
        let got = collected(&server, &made, &TestPhone::new(1)).await;
        assert_eq!((&got["pass"]["group"], &got["pass"]["lock"]), (&json!("all"), &Value::Null));
        server.revoke_pass(&server.pass(&lock.id, "10:00", "11:00", json!({})).await).await;
        let name = |lock: &TestLock| lock.door.reader().unwrap().name().as_str().to_owned();
        assert_eq!(sync(&server, &got, json!({})).await.1["riders"], json!([]));
        let (_, news) = sync(&server, &got, json!({"lock": name(&lock)})).await;
        assert_eq!(news["riders"].as_array().unwrap().len(), 1);
        for more in [
            json!({"lock": name(&outside)}),
            json!({"lock": "nowhere"}),
            json!({"time_nonce": "0".repeat(32)}),
            json!({"journal": sealed_journal(&lock)}),
        ] {
            let (status, problem) = sync(&server, &got, more).await;
            assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("lock")));
        }
    }
}
