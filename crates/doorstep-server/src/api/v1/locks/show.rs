//! Shows one lock.

use super::{LockView, find};
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use axum::Json;
use axum::extract::{Path, State};
use std::sync::Arc;

/// Shows a lock.
#[utoipa::path(get, path = "/v1/locks/{id}", tag = "locks", operation_id = "show_lock",
    security(("api_key" = [])), params(("id" = String, Path, description = "the lock's id")),
    responses((status = 200, description = "the lock", body = LockView), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<Json<LockView>, Problem> {
    let now = context.now();
    let view = context
        .store
        .read(move |connection| Ok::<_, Problem>(LockView::new(&find(connection, &id)?, now)?))
        .await?;
    Ok(Json(view))
}
