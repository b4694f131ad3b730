//! Changes where a webhook is, what it is told of, and whether.

use super::{WebhookView, checked_types, checked_url, find};
use crate::context::Context;
use crate::http::extract::ApiJson;
use crate::http::problem::{Problem, ProblemBody};
use crate::store::webhooks::{self, State as WebhookState};
use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// What is to be another; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeWebhook {
    /// Where events are posted.
    url: Option<String>,
    /// The wanted types of events.
    types: Option<Vec<String>>,
    /// `active`, or `paused`: events wait until it is active again.
    #[schema(example = "paused")]
    state: Option<String>,
}

/// Changes a webhook. One that is gone comes back with `active`; what happened meanwhile can be replayed.
#[utoipa::path(post, path = "/v1/webhooks/{id}/change", tag = "webhooks", operation_id = "change_webhook",
    security(("api_key" = [])), request_body = ChangeWebhook,
    params(("id" = String, Path, description = "the webhook's id")),
    responses((status = 200, description = "the webhook as it is now", body = WebhookView), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<ChangeWebhook>,
) -> Result<Json<WebhookView>, Problem> {
    let url = request.url.map(|url| checked_url(&context, url)).transpose()?;
    let types = checked_types(request.types)?;
    let state = match request.state.as_deref() {
        None => None,
        Some("active") => Some(WebhookState::Active),
        Some("paused") => Some(WebhookState::Paused),
        Some(_) => return Err(Problem::field("state", "is neither active nor paused")),
    };
    context
        .store
        .write(move |connection| {
            let mut webhook = find(connection, &id)?;
            webhook.url = url.unwrap_or(webhook.url);
            webhook.types = types.or(webhook.types);
            webhook.state = state.unwrap_or(webhook.state);
            webhooks::change(connection, &webhook)?;
            Ok(Json(webhook.into()))
        })
        .await
}
