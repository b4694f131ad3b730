//! Staff say that an epoch's code was typed; from then on PINs are of that epoch.

use super::{LockView, find};
use crate::context::Context;
use crate::epochs;
use crate::http::extract::ApiJson;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::issuing::Reissued;
use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Which epoch's code was typed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfirmEpoch {
    epoch: u32,
}

/// The lock in its new epoch.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConfirmedEpoch {
    lock: LockView,
    /// Bookings that have other PINs now: their holders are to be told.
    bookings_changed: usize,
    /// PINs that could not be made anew, since all that were left equal others. Give their bookings another
    /// holder.
    pins_lost: usize,
}

/// Confirms that an epoch's code was typed. A journal that shows it does the same.
#[utoipa::path(post, path = "/v1/locks/{id}/epoch/confirm", tag = "locks",
    operation_id = "confirm_epoch_of_lock", security(("api_key" = [])), request_body = ConfirmEpoch,
    params(("id" = String, Path, description = "the lock's id")),
    responses((status = 200, description = "the lock in its epoch", body = ConfirmedEpoch), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<ConfirmEpoch>,
) -> Result<Json<ConfirmedEpoch>, Problem> {
    let now = context.now();
    let inner = Arc::clone(&context);
    let answer = context
        .store
        .write(move |connection| {
            let lock = find(connection, &id)?;
            let Reissued { bookings, lost } = match lock.pending {
                Some(pending) if pending.epoch == request.epoch => {
                    epochs::enter(connection, &inner.keys, &lock, pending, (now, now))?
                }
                None if lock.epoch == request.epoch => Reissued { bookings: 0, lost: 0 },
                _ => return Err(not_pending(request.epoch)),
            };
            let lock = LockView::new(&find(connection, &id)?, now)?;
            Ok(ConfirmedEpoch { lock, bookings_changed: bookings, pins_lost: lost })
        })
        .await?;
    Ok(Json(answer))
}

fn not_pending(epoch: u32) -> Problem {
    Problem::new(Code::EpochPending, format!("no code that begins epoch {epoch} waits to be typed"))
        .hint("the lock's pending_epoch says which does; POST /v1/locks/{id}/epoch makes one")
}
