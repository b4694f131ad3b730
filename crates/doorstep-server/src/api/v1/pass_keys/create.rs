//! Makes a key for passes, ends the ones before it, and states both under the root.

use super::{PassKeyList, shown};
use crate::context::Context;
use crate::http::extract::ApiJson;
use crate::http::problem::{Problem, ProblemBody};
use crate::pass_keys;
use crate::store::pass_keys::Algorithm;
use crate::utc;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// A key to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreatePassKey {
    /// `ed25519` or `esp256`.
    #[schema(example = "ed25519")]
    algorithm: String,
    /// From when on it signs; now when left out or past.
    #[serde(default)]
    from: Option<String>,
    /// When the keys of its algorithm that sign before it end, which ends the passes that they signed as well; now
    /// if it is past. Without it they go on.
    #[serde(default)]
    ends_old: Option<String>,
}

/// Makes a key. Locks hear of it by riders; until they do, passes are signed with a key that they have, as long as
/// there is one.
#[utoipa::path(post, path = "/v1/pass_keys", tag = "passes", operation_id = "create_pass_key",
    security(("api_key" = [])), request_body = CreatePassKey,
    responses((status = 201, description = "all keys", body = PassKeyList), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json"), (status = 503, description = "the root is not on this machine, or the server's clock went back",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiJson(request): ApiJson<CreatePassKey>,
) -> Result<(StatusCode, Json<PassKeyList>), Problem> {
    let now = context.now();
    let algorithm = Algorithm::parse(&request.algorithm)
        .map_err(|()| Problem::field("algorithm", "is none of ed25519, esp256"))?;
    let read = |field: &str, text: Option<&str>| {
        let time = text.map(utc::read).transpose();
        time.map(|time| time.map(|time| time.max(now)))
            .map_err(|error| Problem::field(field, error))
    };
    let from = read("from", request.from.as_deref())?.filter(|from| *from > now);
    let ends_old = read("ends_old", request.ends_old.as_deref())?;
    if ends_old.zip(from).is_some_and(|(end, from)| end < from) {
        return Err(Problem::field("ends_old", "is before the new key begins"));
    }
    let key =
        context.with_rng(|rng| pass_keys::make(&context.keys, algorithm, (from, now), rng))?;
    let inner = Arc::clone(&context);
    let list = context
        .store
        .write(move |connection| {
            pass_keys::rotate(connection, &inner, &key, ends_old, now)?;
            shown(connection, &inner, now)
        })
        .await?;
    Ok((StatusCode::CREATED, Json(list)))
}
