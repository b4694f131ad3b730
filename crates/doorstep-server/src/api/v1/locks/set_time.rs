//! Set-time codes: staff at a lock that lost the time type one. They are what could most easily be misused,
//! so they are few, recorded, and refused by a server whose own clock went back.

use super::{digits, find};
use crate::context::Context;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::store::locks::Lock;
use crate::store::{StoreError, set_times};
use crate::utc::{self, Utc};
use crate::{lock_keys, lock_state};
use axum::Json;
use axum::extract::{Path, State};
use doorstep::keypad::control::Command;
use doorstep::keypad::issue::derive_control;
use doorstep::time::Timestamp;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// How many are made for a lock in a day.
const MOST: u32 = 10;
const DAY: u64 = 86_400;

/// By how many seconds the server's clock may be behind what it told a lock before.
const TOLERANCE: u64 = 60;

/// A jump of more takes a lock two codes.
const JUMP: u64 = 30 * DAY;

/// A code that sets a lock's time.
#[derive(Serialize, ToSchema)]
pub(crate) struct SetTimeCode {
    /// What staff type at the lock, within its five minutes: typed later it sets an earlier time.
    code: String,
    from: Utc,
    until: Utc,
    /// When the lock may have been without power for more than 30 days, one code has no effect: if it still
    /// does not know the time, make another from this time on and type it as well.
    second: Option<Utc>,
}

impl Drop for SetTimeCode {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.code);
    }
}

/// Makes a set-time code, at most ten in 24 hours for a lock.
#[utoipa::path(post, path = "/v1/locks/{id}/set_time", tag = "locks", operation_id = "set_time_of_lock",
    security(("api_key" = [])), params(("id" = String, Path, description = "the lock's id")),
    responses((status = 200, description = "the code", body = SetTimeCode), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json"), (status = 503, description = "the server's clock went back",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<Json<SetTimeCode>, Problem> {
    let now = context.now();
    let lock = context
        .store
        .write(move |connection| {
            let lock = find(connection, &id)?;
            let told = set_times::latest_told(connection)?;
            if now.later(TOLERANCE) < told {
                return Err(disagrees(now, told));
            }
            let since = now.earlier(DAY);
            if let Some(first) = set_times::nth_newest(connection, lock.seq, since, MOST)? {
                return Err(throttled(first.later(DAY)));
            }
            set_times::insert(connection, lock.seq, now)?;
            set_times::tell(connection, now)?;
            Ok(lock)
        })
        .await?;
    let command = Command::set_time(now);
    let root = lock_keys::root(&context.keys, &lock, lock.generation)?;
    let code = derive_control(&root, lock.epoch, &lock.profile, &command);
    let (Some(code), Command::SetTime { index }) = (code, command) else {
        return Err(StoreError::Corrupt { column: "locks.profile" }.into());
    };
    let (from, until) = (Command::set_to(index), Command::set_to(index.saturating_add(1)));
    let second = (last_floor(&lock)?.later(JUMP) < now).then_some(Utc(until));
    Ok(Json(SetTimeCode { code: digits(&code), from: Utc(from), until: Utc(until), second }))
}

/// The floor that the lock had when it was heard of last. It may have been without power ever since.
fn last_floor(lock: &Lock) -> Result<Timestamp, StoreError> {
    let state = lock_state::last(lock)?;
    Ok(state.map_or(lock.provisioned_at, |state| state.keypad.belief().floor()))
}

fn throttled(until: Timestamp) -> Problem {
    Problem::new(
        Code::Throttled,
        format!("{MOST} set-time codes were made for this lock in 24 hours"),
    )
    .hint(format!("the next is made from {} on", utc::write(until)))
}

fn disagrees(now: Timestamp, told: Timestamp) -> Problem {
    Problem::new(
        Code::ClockDisagrees,
        format!(
            "the server's clock says {}, and it told a lock {} before",
            utc::write(now),
            utc::write(told)
        ),
    )
    .hint("set the server's clock; a lock that is set to a wrong time opens at the wrong time")
}
