//! Codes that end all PINs of a lock at once, by beginning its next epoch.

use super::{digits, find};
use crate::context::Context;
use crate::http::extract::ApiJson;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::lock_keys;
use crate::store::StoreError;
use crate::store::locks::{self, How, Lock, Pending};
use axum::Json;
use axum::extract::{Path, State};
use doorstep::keypad::control::Command;
use doorstep::keypad::issue::derive_control;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// How the epoch is to end.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndEpoch {
    /// `announce`: when the first PIN of the next epoch is used, the others stop. `end`: they stop when the
    /// code is typed.
    #[schema(example = "end")]
    how: String,
    /// The code of the epoch that was confirmed last, once more, for a lock at which it was never typed. Nothing
    /// else changes. `how` is as it was then.
    #[serde(default)]
    again: bool,
}

/// A code that begins a lock's next epoch.
#[derive(Serialize, ToSchema)]
pub(crate) struct EpochCode {
    /// What staff type at the lock.
    code: String,
    /// The epoch that it begins. Confirm it when the code was typed.
    epoch: u32,
    /// `announce` or `end`.
    how: &'static str,
}

impl Drop for EpochCode {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.code);
    }
}

/// Makes the code that begins the next epoch. PINs change when it was confirmed, or when the lock's journal
/// shows it; asked again until then, the same code is given.
#[utoipa::path(post, path = "/v1/locks/{id}/epoch", tag = "locks", operation_id = "end_epoch_of_lock",
    security(("api_key" = [])), request_body = EndEpoch,
    params(("id" = String, Path, description = "the lock's id")),
    responses((status = 200, description = "the code", body = EpochCode), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<EndEpoch>,
) -> Result<Json<EpochCode>, Problem> {
    let how =
        How::parse(&request.how).map_err(|()| Problem::field("how", "is none of announce, end"))?;
    let (lock, pending) = context
        .store
        .write(move |connection| {
            let lock = find(connection, &id)?;
            let pending = if request.again { confirmed(&lock, how)? } else { next(&lock, how)? };
            if !request.again && lock.pending != Some(pending) {
                locks::set_pending(connection, lock.seq, pending)?;
            }
            Ok::<_, Problem>((lock, pending))
        })
        .await?;
    let command = match pending.how {
        How::Announce => Command::Announce { epoch: pending.epoch },
        How::End => Command::EndEpoch { epoch: pending.epoch },
    };
    let root = lock_keys::root(&context.keys, &lock, lock.generation)?;
    let code = derive_control(&root, lock.epoch, &lock.profile, &command)
        .ok_or(StoreError::Corrupt { column: "locks.profile" })?;
    Ok(Json(EpochCode { code: digits(&code), epoch: pending.epoch, how: pending.how.as_str() }))
}

/// The epoch that was confirmed, for its code once more.
fn confirmed(lock: &Lock, how: How) -> Result<Pending, Problem> {
    let was = if lock.announced { How::Announce } else { How::End };
    if lock.epoch_at.is_none() {
        return Err(Problem::new(Code::EpochPending, "no epoch of this lock was confirmed yet")
            .hint("leave again out for the code of the next epoch"));
    }
    if was != how {
        return Err(Problem::new(
            Code::EpochPending,
            format!("epoch {} was confirmed as begun by {}", lock.epoch, was.as_str()),
        )
        .hint(format!("ask with how: {}", was.as_str())));
    }
    Ok(Pending { epoch: lock.epoch, how })
}

/// The epoch that a code may be made for: one past the last that the lock certainly knows.
fn next(lock: &Lock, how: How) -> Result<Pending, Problem> {
    match lock.pending {
        Some(pending) if pending.how == how => Ok(pending),
        Some(pending) => Err(Problem::new(
            Code::EpochPending,
            format!(
                "a code that begins epoch {} by {} was made",
                pending.epoch,
                pending.how.as_str()
            ),
        )
        .hint("type that one and confirm it: POST /v1/locks/{id}/epoch/confirm")),
        // A lock that was told of this epoch may still be in the one before.
        None if lock.announced && how == How::End => Ok(Pending { epoch: lock.epoch, how }),
        None if lock.announced => Err(Problem::new(
            Code::EpochPending,
            format!("the lock may not have gone over to epoch {} yet", lock.epoch),
        )
        .hint("end the one before with how: end, or bring the lock's journal home")),
        None => Ok(Pending { epoch: lock.epoch.saturating_add(1), how }),
    }
}
