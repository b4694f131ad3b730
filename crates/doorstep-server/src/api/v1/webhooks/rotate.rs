//! Gives a webhook a new secret, and lets the one before sign for a while.

use super::{WebhookWithSecret, find, new_secret};
use crate::context::Context;
use crate::http::extract::ApiJson;
use crate::http::problem::{Problem, ProblemBody};
use crate::seal::Place;
use crate::store::StoreError;
use crate::store::webhooks;
use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

const HOUR: u64 = 3600;
/// Hours that the secret before signs too, when nobody says otherwise.
const OVERLAP: u64 = 24;

/// For how long both are to sign.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateSecret {
    /// 0 to 168 hours; 24 when left out.
    #[schema(example = 24, minimum = 0, maximum = 168)]
    overlap_hours: Option<u64>,
}

/// Gives a webhook a new secret. Until the overlap ends, requests carry a signature of each.
#[utoipa::path(post, path = "/v1/webhooks/{id}/rotate", tag = "webhooks", operation_id = "rotate_webhook",
    security(("api_key" = [])), request_body = RotateSecret,
    params(("id" = String, Path, description = "the webhook's id")),
    responses((status = 200, description = "the webhook, its new secret shown once", body = WebhookWithSecret), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<RotateSecret>,
) -> Result<Json<WebhookWithSecret>, Problem> {
    let overlap = request.overlap_hours.unwrap_or(OVERLAP);
    if overlap > 7 * 24 {
        return Err(Problem::field("overlap_hours", format!("{overlap} is more than 168")));
    }
    let until = context.now().later(overlap.saturating_mul(HOUR));
    let (secret, sealed) = new_secret(&context, &id)?;
    let inner = Arc::clone(&context);
    let webhook = context
        .store
        .write(move |connection| {
            let webhook = find(connection, &id)?;
            let place = |column| Place { table: "webhooks", column, row: &id };
            let seal = &inner.keys.seal;
            let old = seal
                .open(place("secret"), &webhook.secret)
                .map_err(|_| StoreError::Corrupt { column: "webhooks.secret" })?;
            let old = inner.with_rng(|rng| seal.seal(place("old_secret"), &old, rng))?;
            webhooks::rotate(connection, &id, &sealed, &old, until)?;
            find(connection, &id)
        })
        .await?;
    Ok(Json(WebhookWithSecret { webhook: webhook.into(), secret }))
}
