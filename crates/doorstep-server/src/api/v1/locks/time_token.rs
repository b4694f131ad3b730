//! Answers a lock that asked what time it is: whoever stands there carries the question here and the answer
//! back.

use super::find;
use crate::context::Context;
use crate::hex;
use crate::http::base64url::write;
use crate::http::extract::ApiJson;
use crate::http::problem::{Problem, ProblemBody};
use crate::riders;
use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// A lock's question.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskTime {
    /// What the lock drew, 16 bytes in hexadecimal.
    #[schema(example = "00112233445566778899aabbccddeeff")]
    nonce: String,
}

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TimeToken {
    /// In base64url. The lock takes it for ten minutes.
    document: String,
}

/// Makes a time token, which sets the lock's clock.
#[utoipa::path(post, path = "/v1/locks/{id}/time_token", tag = "locks", operation_id = "time_token_of_lock",
    security(("api_key" = [])), request_body = AskTime, params(("id" = String, Path, description = "the lock's id")),
    responses((status = 200, description = "the token", body = TimeToken), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json"), (status = 503, description = "the server's clock went back",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<AskTime>,
) -> Result<Json<TimeToken>, Problem> {
    let nonce = nonce("nonce", &request.nonce)?;
    let now = context.now();
    let inner = Arc::clone(&context);
    let document = context
        .store
        .write(move |connection| {
            let lock = find(connection, &id)?;
            riders::token(connection, &inner, &lock, nonce, now)
        })
        .await?;
    Ok(Json(TimeToken { document: write(&document) }))
}

/// Reads what a lock drew.
pub(crate) fn nonce(field: &str, text: &str) -> Result<[u8; 16], Problem> {
    let bytes = hex::decode::<16>(text);
    bytes.map(|bytes| *bytes).ok_or_else(|| Problem::field(field, "is not 16 bytes in hexadecimal"))
}
