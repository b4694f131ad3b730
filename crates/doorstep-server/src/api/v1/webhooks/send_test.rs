//! Sends a test event to one webhook.

use super::find;
use crate::api::v1::events::EventView;
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use crate::store::{StoreError, meta, webhooks};
use axum::Json;
use axum::extract::{Path, State};
use std::sync::Arc;

/// Makes an event of the type `webhook.test`, which only this webhook is told of. Its log says what came
/// of it.
#[utoipa::path(post, path = "/v1/webhooks/{id}/test", tag = "webhooks", operation_id = "test_webhook",
    security(("api_key" = [])), params(("id" = String, Path, description = "the webhook's id")),
    responses((status = 200, description = "the event on its way", body = EventView), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<Json<EventView>, Problem> {
    let now = context.now();
    context
        .store
        .write(move |connection| {
            find(connection, &id)?;
            let event = webhooks::test(connection, &id, meta::epoch(connection)?, now)?;
            let event = event.ok_or(StoreError::Corrupt { column: "events.seq" })?;
            Ok(Json(event.into()))
        })
        .await
}
