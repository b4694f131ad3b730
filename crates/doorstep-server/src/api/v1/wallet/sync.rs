//! News for a phone that holds a pass: whether it still is good, and what to bring to its lock; and the lock's
//! journal, which the phone carried home.

use super::documents;
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
use zeroize::Zeroize as _;

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
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SyncedPass {
    /// `issued`, `revoked` or `expired`.
    state: &'static str,
    /// The pass, made anew under the keys of now, in base64url; null when it should open no more, or no key
    /// is left to sign it.
    document: Option<String>,
    /// What to bring to the lock, in base64url, in this order.
    riders: Vec<String>,
    /// The answer to the lock's question, in base64url.
    time_token: Option<String>,
    journal: Option<SyncedJournal>,
    server_time: Utc,
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
        let document = anew(connection, &inner, &pass, now)?;
        let state = state(&pass, now);
        let Some(at) = at else { return Ok((state, document, Vec::new(), None)) };
        let lock = crate::store::locks::at(connection, at)?;
        let riders = riders::make(connection, &inner, &lock, now)?;
        let token = nonce.map(|nonce| riders::token(connection, &inner, &lock, nonce, now));
        Ok::<_, Problem>((state, document, documents(&riders), token.transpose()?))
    };
    let (state, document, riders, time_token) = context.store.write(job).await?;
    Ok(Json(SyncedPass {
        state,
        document,
        riders,
        time_token: time_token.map(|token| write(&token)),
        journal,
        server_time: Utc(now),
    }))
}

/// The pass, if it is to open, under the keys of now: those that it was collected under may have ended.
fn anew(
    connection: &Connection,
    context: &Context,
    pass: &Pass,
    now: Timestamp,
) -> Result<Option<String>, Problem> {
    if state(pass, now) != "issued" {
        return Ok(None);
    }
    let place = Place::of(connection, pass.place)?;
    match passes::document(connection, context, pass, &place, now) {
        Ok(document) => Ok(Some(write(&document))),
        Err(problem) if problem.code() == Code::NoSuchKey => Ok(None),
        Err(problem) => Err(problem),
    }
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
