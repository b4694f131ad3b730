//! Removes a webhook.

use super::{WebhookView, find};
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use crate::store::webhooks;
use axum::Json;
use axum::extract::{Path, State};
use std::sync::Arc;

/// Removes a webhook, with its log and what is on its way to it.
#[utoipa::path(post, path = "/v1/webhooks/{id}/remove", tag = "webhooks", operation_id = "remove_webhook",
    security(("api_key" = [])), params(("id" = String, Path, description = "the webhook's id")),
    responses((status = 200, description = "the webhook as it was", body = WebhookView), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<Json<WebhookView>, Problem> {
    context
        .store
        .write(move |connection| {
            let webhook = find(connection, &id)?;
            webhooks::remove(connection, &id)?;
            Ok(Json(webhook.into()))
        })
        .await
}
