//! The code that a TOTP door takes now.

use super::{KeypadCode, digits, find};
use crate::context::Context;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::lock_keys;
use crate::utc::Utc;
use axum::Json;
use axum::extract::{Path, State};
use std::sync::Arc;

/// Makes the current code of a TOTP door.
#[utoipa::path(post, path = "/v1/locks/{id}/code", tag = "locks", operation_id = "code_of_lock",
    security(("api_key" = [])), params(("id" = String, Path, description = "the lock's id")),
    responses((status = 200, description = "the code", body = KeypadCode), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<Json<KeypadCode>, Problem> {
    let now = context.now();
    let lock = context.store.read(move |connection| find(connection, &id)).await?;
    let steps = lock_keys::steps(&context.keys, &lock)?.ok_or_else(|| {
        Problem::new(Code::NoTotp, "this lock takes no TOTP codes")
            .hint("book it: POST /v1/bookings; or make a lock with totp")
    })?;
    // Steps count from 1970, which no clock is before.
    let step = steps.totp.step(now).unwrap_or(0);
    let code = steps.totp.code(&steps.totp.keyed(&steps.secret), step);
    let (from, until) = (steps.totp.begins(step), steps.totp.begins(step.saturating_add(1)));
    Ok(Json(KeypadCode { code: digits(&code), from: Utc(from), until: Utc(until) }))
}
