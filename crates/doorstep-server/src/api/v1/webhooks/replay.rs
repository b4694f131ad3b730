//! Tells a webhook again what it was told, or what it should have been.

use super::find;
use crate::context::Context;
use crate::http::extract::ApiJson;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::store::{events, webhooks};
use crate::utc;
use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Which events: one of the two.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayEvents {
    /// This event, whatever came of it before.
    #[schema(example = "evt_0_42")]
    event: Option<String>,
    /// All that were given up and happened since then.
    #[schema(example = "2026-11-21T17:30:00Z")]
    failed_since: Option<String>,
}

/// How many are on their way again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Replayed {
    events: usize,
}

/// Puts events on their way to a webhook again. They keep their ids, so that a receiver which has them
/// already can tell.
#[utoipa::path(post, path = "/v1/webhooks/{id}/replay", tag = "webhooks", operation_id = "replay_events",
    security(("api_key" = [])), request_body = ReplayEvents,
    params(("id" = String, Path, description = "the webhook's id")),
    responses((status = 200, description = "how many", body = Replayed), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<ReplayEvents>,
) -> Result<Json<Replayed>, Problem> {
    let since = match (&request.event, &request.failed_since) {
        (Some(_), None) => None,
        (None, Some(text)) => {
            Some(utc::read(text).map_err(|error| Problem::field("failed_since", error))?)
        }
        _ => return Err(Problem::field("event", "and failed_since: exactly one is needed")),
    };
    let now = context.now();
    context
        .store
        .write(move |connection| {
            find(connection, &id)?;
            if let Some(since) = since {
                let events = webhooks::replay_failed(connection, &id, since, now)?;
                return Ok(Json(Replayed { events }));
            }
            let named = request.event.as_deref().and_then(events::parse_id);
            let found = match named {
                Some((epoch, seq)) => events::find(connection, epoch, seq)?,
                None => None,
            };
            let event = found.ok_or_else(|| {
                Problem::new(Code::EventNotFound, "no event has this id")
                    .hint("GET /v1/events lists them; the oldest ones are forgotten")
            })?;
            webhooks::replay(connection, &id, event.seq, now)?;
            Ok(Json(Replayed { events: 1 }))
        })
        .await
}
