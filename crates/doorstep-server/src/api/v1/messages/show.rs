//! Shows one message with every try to send it.

use super::{MessageDetail, detail, not_found};
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use axum::Json;
use axum::extract::{Path, State};
use std::sync::Arc;

/// Shows a message with every try to send it, and never what it says.
#[utoipa::path(get, path = "/v1/messages/{id}", tag = "messages", operation_id = "show_message",
    security(("api_key" = [])), params(("id" = String, Path, description = "the message's id")),
    responses((status = 200, description = "the message", body = MessageDetail), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<Json<MessageDetail>, Problem> {
    let found = context.store.read(move |connection| detail(connection, &id)).await?;
    found.map(Json).ok_or_else(not_found)
}
