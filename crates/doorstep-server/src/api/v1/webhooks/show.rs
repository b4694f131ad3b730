//! Shows one webhook.

use super::{WebhookView, find};
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use axum::Json;
use axum::extract::{Path, State};
use std::sync::Arc;

/// Shows one webhook, without its secret.
#[utoipa::path(get, path = "/v1/webhooks/{id}", tag = "webhooks", operation_id = "show_webhook",
    security(("api_key" = [])), params(("id" = String, Path, description = "the webhook's id")),
    responses((status = 200, description = "the webhook", body = WebhookView), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<Json<WebhookView>, Problem> {
    let webhook = context.store.read(move |connection| find(connection, &id)).await?;
    Ok(Json(webhook.into()))
}
