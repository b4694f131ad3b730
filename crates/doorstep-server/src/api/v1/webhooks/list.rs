//! Lists the webhooks.

use super::WebhookView;
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use crate::store::webhooks;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// All webhooks, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookList {
    data: Vec<WebhookView>,
}

/// Lists all webhooks, without their secrets.
#[utoipa::path(get, path = "/v1/webhooks", tag = "webhooks", operation_id = "list_webhooks",
    security(("api_key" = [])),
    responses((status = 200, description = "all webhooks", body = WebhookList), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
) -> Result<Json<WebhookList>, Problem> {
    let webhooks = context.store.read(webhooks::list).await?;
    Ok(Json(WebhookList { data: webhooks.into_iter().map(WebhookView::from).collect() }))
}
