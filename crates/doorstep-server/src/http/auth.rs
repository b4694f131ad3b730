//! Who calls, and whether it may: programs of the business show an API key. Only hashes of keys are
//! stored, so the lookup is by hash and needs no comparison of secrets.

use super::key_cache::Valid;
use super::problem::{Code, Problem};
use crate::api::access::{self, Access};
use crate::context::Context;
use crate::ids::make_token;
use crate::scope::{Scope, Scopes};
use crate::store::api_keys::{self, Shown};
use axum::extract::{MatchedPath, Request, State};
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

/// The API key of a request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The key's id.
    pub(crate) key: Arc<str>,
    scopes: Arc<Scopes>,
}

impl Caller {
    pub(crate) fn new(key: &str, scopes: Scopes) -> Self {
        Self { key: key.into(), scopes: Arc::new(scopes) }
    }

    fn require(&self, scope: Scope) -> Result<(), Problem> {
        if self.scopes.allow(scope) {
            return Ok(());
        }
        let detail = format!("the API key {} does not have the scope {scope}", self.key);
        Err(Problem::new(Code::MissingScope, detail).hint(format!(
            "use a key that has it, or make one with: doorstep key create --scopes {scope}"
        )))
    }
}

/// Lets a request through to its endpoint if it shows what that asks for. The endpoint's row and the
/// caller go with it.
pub(crate) async fn admit(
    State(context): State<Arc<Context>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let path = request.extensions().get::<MatchedPath>();
    let Some(route) = path.and_then(|path| access::find(request.method(), path.as_str())) else {
        tracing::error!(path = path.map(MatchedPath::as_str), "an endpoint has no row of access");
        return Err(Problem::new(Code::Internal, "who may call this is not said"));
    };
    if let Access::Key(scope) = route.access {
        let caller = authenticate(&context, request.headers()).await?;
        caller.require(scope)?;
        request.extensions_mut().insert(caller);
    }
    request.extensions_mut().insert(route);
    Ok(next.run(request).await)
}

/// Whether the API key of a request was looked up before and is valid.
pub(crate) fn is_known(context: &Context, headers: &HeaderMap, now: Timestamp) -> bool {
    bearer(headers).is_ok_and(|secret| context.key_cache.knows(&hash(secret), now))
}

async fn authenticate(context: &Context, headers: &HeaderMap) -> Result<Caller, Problem> {
    let secret = bearer(headers)?;
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
    let (caller, due) = match context.key_cache.find(&hash, now, TOUCH_EVERY) {
        Some(found) => found,
        None => look_up(context, hash, now).await?,
    };
    if due {
        let id = caller.key.to_string();
        context
            .store
            .write(move |connection| api_keys::touch(connection, &id, now))
            .await
            .map_err(Problem::from)?;
    }
    Ok(caller)
}

/// Looks a key up, and says whether its use is to be noted.
async fn look_up(
    context: &Context,
    hash: [u8; 32],
    now: Timestamp,
) -> Result<(Caller, bool), Problem> {
    let moment = context.key_cache.moment();
    let found = context.store.read(move |connection| api_keys::by_hash(connection, &hash)).await;
    let refused = |detail: String| {
        Problem::new(Code::Unauthorized, detail)
            .hint("use another key, or make one with: doorstep key create")
    };
    let Some((key, shown)) = found.map_err(Problem::from)? else {
        return Err(Problem::new(Code::Unauthorized, "the API key is not known")
            .hint("make one with: doorstep key create"));
    };
    if key.revoked_at.is_some() {
        return Err(refused(format!("the API key {} is revoked", key.id)));
    }
    if key.is_over(now) {
        return Err(refused(format!("the API key {} has expired", key.id)));
    }
    let until = match shown {
        Shown::Current => key.expires_at,
        Shown::Previous if key.previous_until.is_none_or(|until| now >= until) => {
            return Err(refused(format!("the API key {} has another secret by now", key.id))
                .hint("use the secret that its last rotation gave"));
        }
        Shown::Previous => key.previous_until.min(key.expires_at.or(key.previous_until)),
    };
    let due = key.last_used_at.is_none_or(|last| now.since(last) >= TOUCH_EVERY);
    let noted = if due { Some(now) } else { key.last_used_at };
    let caller = Caller::new(&key.id, key.scopes);
    context.key_cache.keep(hash, Valid { caller: caller.clone(), until, noted }, moment);
    Ok((caller, due))
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
