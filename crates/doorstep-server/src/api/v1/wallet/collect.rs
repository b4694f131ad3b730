//! Hands a pass to the phone that shows its ticket first.

use super::documents;
use crate::api::v1::passes::view::UsesView;
use crate::context::Context;
use crate::http::auth::hash;
use crate::http::base64url::write;
use crate::http::extract::{ApiJson, secret_text};
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::passes::{self, Place};
use crate::store::locks::Lock;
use crate::store::passes as stored;
use crate::utc::Utc;
use crate::{hex, holder_key, riders, wallet};
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
    /// What to bring to the lock, in base64url, in this order. None for a group: name the lock and sync.
    riders: Vec<String>,
    server_time: Utc,
}

impl Drop for CollectedPass {
    fn drop(&mut self) {
        self.token.zeroize();
    }
}

/// A pass as a phone keeps it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PhonePass {
    id: String,
    /// In base64url.
    document: String,
    kind: &'static str,
    /// Always false: the pass is worth nothing without the phone's key.
    bearer: bool,
    from: Utc,
    until: Utc,
    uses: UsesView,
    lasts_seconds: Option<u32>,
    /// The lock that it opens.
    lock: Option<PhoneLock>,
    /// The group whose locks it opens.
    group: Option<String>,
}

/// A lock as a phone finds it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PhoneLock {
    /// What it calls itself.
    name: String,
    /// What people call it.
    label: String,
}

impl From<&Lock> for PhoneLock {
    fn from(lock: &Lock) -> Self {
        Self { name: lock.pass_name.as_str().to_owned(), label: lock.name.clone() }
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
    let known = known.ok_or_else(invalid)?;
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
    let is_over = pass.revoked_at.is_some() || pass.window.until() <= now;
    if pass.holder != Some(*holder) || is_over {
        return Err(invalid());
    }
    let place = Place::of(connection, pass.place)?;
    let document = passes::document(connection, context, &pass, &place, now)?;
    let riders = match place.lock() {
        Some(lock) => documents(&riders::make(connection, context, lock, now)?),
        None => Vec::new(),
    };
    let token = wallet::token(&context.keys, &pass).ok_or_else(invalid)?;
    let pass = PhonePass {
        id: hex::encode(pass.id.as_bytes()),
        document: write(&document),
        kind: pass.kind.as_str(),
        bearer: pass.is_bearer(),
        from: Utc(pass.window.from()),
        until: Utc(pass.window.until()),
        uses: pass.scope.uses.into(),
        lasts_seconds: pass.lasts.map(std::num::NonZeroU32::get),
        lock: place.lock().map(PhoneLock::from),
        group: place.group.as_ref().map(|group| group.name.clone()),
    };
    Ok(CollectedPass { pass, token: token.to_string(), riders, server_time: Utc(now) })
}

/// The same for unknown, used, revoked and old ones: who has no good ticket learns nothing.
fn invalid() -> Problem {
    Problem::new(Code::TicketInvalid, "the ticket is unknown, used or over")
        .hint("ask whoever gave it for another one")
}
