//! Provisions a lock anew: with other keys, so that whoever had the old ones has nothing.

use super::{LockView, ProvisionedLock, find};
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use crate::issuing::{self, Reissued};
use crate::lock_keys;
use crate::store::pins::Because;
use crate::store::{locks, set_times};
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// A lock with other keys.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReprovisionedLock {
    #[serde(flatten)]
    provisioned: ProvisionedLock,
    /// Bookings that have other PINs now: their holders are to be told. Until the lock has its new bundle it
    /// opens for the old PINs and not for the new.
    bookings_changed: usize,
    /// PINs that could not be made anew, since all that were left equal others. Give their bookings another
    /// holder.
    pins_lost: usize,
}

/// Provisions a lock anew, as when it was opened, stolen, reset, or its bundle was lost. It gets other keys
/// and a new TOTP secret, and all of its PINs change; the epoch goes on.
#[utoipa::path(post, path = "/v1/locks/{id}/provision", tag = "locks", operation_id = "provision_lock",
    security(("api_key" = [])), params(("id" = String, Path, description = "the lock's id")),
    responses((status = 201, description = "the lock and its new bundle", body = ReprovisionedLock), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<(axum::http::StatusCode, Json<ReprovisionedLock>), Problem> {
    let now = context.now();
    let named = id.clone();
    let before = context.store.read(move |connection| find(connection, &named)).await?;
    let steps = before.steps.map(|steps| lock_keys::make_steps(&context, &id, steps.totp));
    let steps = steps.transpose()?;
    let inner = Arc::clone(&context);
    let answer = context
        .store
        .write(move |connection| {
            let before = find(connection, &id)?;
            let generation = before.generation.saturating_add(1);
            let to = (generation, before.epoch);
            let keys = &inner.keys;
            let Reissued { bookings, lost } =
                issuing::reissue(connection, keys, &before, to, Because::Provisioned, now)?;
            let sealed = steps.as_ref().map(|steps| steps.sealed.as_slice());
            locks::provision(connection, &before, generation, sealed, now)?;
            set_times::tell(connection, now)?;
            let lock = find(connection, &id)?;
            let bundle = lock_keys::bundle(keys, inner.mode(), &lock)?;
            let provisioned = ProvisionedLock::new(LockView::new(&lock, now)?, &bundle);
            Ok::<_, Problem>(ReprovisionedLock {
                provisioned,
                bookings_changed: bookings,
                pins_lost: lost,
            })
        })
        .await?;
    Ok((axum::http::StatusCode::CREATED, Json(answer)))
}
