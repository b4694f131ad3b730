//! Who calls: programs of the business show an API key. Only hashes of keys are stored, so the
//! lookup is by hash and needs no comparison of secrets.

use super::problem::{Code, Problem};
use crate::context::Context;
use crate::ids::make_token;
use crate::store::api_keys;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use doorstep::time::Timestamp;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// A key in use notes it at most this often, so that reading does not cost a write each time.
const TOUCH_EVERY: u64 = 60;

/// Draws a new API key: `ds_live_` or `ds_test_`, then 128 random bits.
pub(crate) fn make_key(context: &Context) -> String {
    let prefix = format!("ds_{}_", context.mode());
    context.with_rng(|rng| make_token(&prefix, rng))
}

/// What is stored of a secret with enough randomness to need no slow hash.
pub(crate) fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Lets only requests with a valid API key through.
pub(crate) async fn require_key(
    State(context): State<Arc<Context>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let secret = bearer(request.headers())?;
    let foreign = match context.mode() {
        crate::Mode::Test => "ds_live_",
        crate::Mode::Live => "ds_test_",
    };
    if secret.starts_with(foreign) {
        return Err(Problem::new(
            Code::Unauthorized,
            format!("this server has {} data and takes no such key", context.mode()),
        )
        .hint("use a key that was made on this server"));
    }
    let hash = hash(secret);
    let now = context.now();
    let due = match context.key_cache.find(&hash, now, TOUCH_EVERY) {
        Some(due) => due,
        None => look_up(&context, hash, now).await?,
    };
    if due {
        context
            .store
            .write(move |connection| api_keys::touch(connection, &hash, now))
            .await
            .map_err(Problem::from)?;
    }
    Ok(next.run(request).await)
}

/// Looks a key up, and says whether its use is to be noted.
async fn look_up(context: &Context, hash: [u8; 32], now: Timestamp) -> Result<bool, Problem> {
    let moment = context.key_cache.moment();
    let found = context.store.read(move |connection| api_keys::by_hash(connection, &hash)).await;
    match found.map_err(Problem::from)? {
        None => Err(Problem::new(Code::Unauthorized, "the API key is not known")
            .hint("make one with: doorstep key create")),
        Some(key) if key.revoked_at.is_some() => {
            Err(Problem::new(Code::Unauthorized, format!("the API key {} is revoked", key.id))
                .hint("use another key, or make one with: doorstep key create"))
        }
        Some(key) => {
            let due = key.last_used_at.is_none_or(|last| now.since(last) >= TOUCH_EVERY);
            let noted = if due { Some(now) } else { key.last_used_at };
            context.key_cache.keep(hash, noted, moment);
            Ok(due)
        }
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Err(Problem::new(Code::Unauthorized, "the request has no API key")
            .hint("send the header authorization: Bearer ds_..."));
    };
    value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, secret)| secret.trim())
        .ok_or_else(|| {
            Problem::new(Code::Unauthorized, "the authorization header is not understood")
                .hint("send the header authorization: Bearer ds_...")
        })
}
