//! Set-time codes: staff at a lock that lost the time type one. They are what could most easily be misused,
//! so they are few, recorded, and refused by a server whose own clock went back.

use super::{digits, find};
use crate::context::Context;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::store::locks::Lock;
use crate::store::{StoreError, set_times};
use crate::utc::{self, Utc};
use crate::{lock_keys, lock_state, signed_time};
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

/// A jump of more takes a lock two codes.
const JUMP: u64 = 30 * DAY;

/// A code that sets a lock's time.
#[derive(Serialize, ToSchema)]
pub(crate) struct SetTimeCode {
    /// What staff type at the lock, within its five minutes: typed later it sets an earlier time.
    code: String,
    from: Utc,
    until: Utc,
    /// Where one code may have no effect: after more than 30 days without power it takes two, and a lock that was
    /// without power for moments only may be past the beginning of these five minutes. If the lock still does
    /// not know the time, make another from this time on and type it as well.
    second: Option<Utc>,
}

impl Drop for SetTimeCode {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.code);
    }
}

/// Makes a set-time code, at most ten in 24 hours for a lock. Asked for again within the same five minutes it
/// is the same code, and counts once.
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
    let command = Command::set_time(now);
    let corrupt = StoreError::Corrupt { column: "locks.profile" };
    let Command::SetTime { index } = command else { return Err(corrupt.into()) };
    let (from, until) = (Command::set_to(index), Command::set_to(index.saturating_add(1)));
    let lock = context
        .store
        .write(move |connection| {
            let lock = find(connection, &id)?;
            signed_time::tell(connection, now)?;
            if !set_times::any(connection, lock.seq, (from, until))? {
                let since = now.earlier(DAY);
                if let Some(first) = set_times::nth_newest(connection, lock.seq, since, MOST)? {
                    return Err(throttled(first.later(DAY)));
                }
                set_times::insert(connection, lock.seq, now)?;
            }
            Ok::<_, Problem>(lock)
        })
        .await?;
    let root = lock_keys::root(&context.keys, &lock, lock.generation)?;
    let code = derive_control(&root, lock.epoch, &lock.profile, &command);
    let code = code.ok_or(corrupt)?;
    let far = last_floor(&lock)?.later(JUMP) < now;
    let past = lock_state::belief(&lock, now)?.floor() >= from;
    let second = (far || past).then_some(Utc(until));
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

#[cfg(test)]
mod tests {
    use crate::test_lock::pin;
    use crate::test_server::{START, TestServer};
    use doorstep::clock::Event as Clock;
    use serde_json::{Value, json};

    async fn set_time(server: &TestServer, id: &str) -> (u16, Value) {
        server.post(&format!("/v1/locks/{id}/set_time"), json!({})).await
    }

    #[tokio::test]
    async fn a_lock_that_lost_the_time_is_healed_by_its_own_code_only() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let other = server.lock("2", json!({"kind": "courts"})).await;
        let booking = server.book(&lock.id, "10:00", "11:00").await;
        lock.wait_until(START + 3600);
        server.clock.advance(2 * 3600 + 130);
        lock.without_power_until(server.now());
        let now = server.now();
        assert_eq!(lock.refuses(&pin(&booking, 0), now), Some("clock_unset"));
        let (status, code) = set_time(&server, &lock.id).await;
        assert_eq!(status, 200, "{code}");
        assert_eq!(
            (&code["from"], &code["until"]),
            (&json!("2027-01-15T10:00:00Z"), &json!("2027-01-15T10:05:00Z"))
        );
        let digits = code["code"].as_str().unwrap();
        assert_eq!(other.refuses(digits, now), Some("wrong_code"));
        assert_eq!(
            code["second"], code["until"],
            "it may have been without power for a moment only"
        );
        lock.press(digits, now).unwrap();
        lock.press(&pin(&booking, 0), now).unwrap();
        assert!(lock.refuses(digits, now).is_some(), "once");
        lock.bring_home(&server).await;
        let (_, events) = server.get(&format!("/v1/locks/{}/events", lock.id)).await;
        let kinds: Vec<_> =
            events["data"].as_array().unwrap().iter().map(|event| event["kind"].clone()).collect();
        assert_eq!(kinds, ["power_lost", "time_set", "opened"]);
    }

    #[tokio::test]
    async fn after_a_moment_without_power_the_next_five_minutes_are_waited_for() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        server.clock.advance(130);
        lock.wait_until(server.now());
        lock.tell(Clock::PowerLost);
        let (_, code) = set_time(&server, &lock.id).await;
        assert_eq!(
            lock.refuses(code["code"].as_str().unwrap(), server.now()),
            Some("already_used")
        );
        assert_eq!(code["second"], "2027-01-15T08:05:00Z");
        server.clock.set(START + 300);
        let (_, code) = set_time(&server, &lock.id).await;
        lock.press(code["code"].as_str().unwrap(), server.now()).unwrap();
        // After a month its floor is minutes behind, and the first is enough.
        server.clock.advance(29 * 86_400);
        lock.wait_until(server.now());
        lock.tell(Clock::PowerLost);
        lock.bring_home(&server).await;
        let (_, code) = set_time(&server, &lock.id).await;
        assert_eq!(code["second"], Value::Null);
        lock.press(code["code"].as_str().unwrap(), server.now()).unwrap();
    }

    #[tokio::test]
    async fn a_winter_without_power_takes_two() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        server.clock.advance(100 * 86_400);
        lock.without_power_until(server.now());
        let (_, first) = set_time(&server, &lock.id).await;
        assert_eq!(first["second"], first["until"]);
        lock.press(first["code"].as_str().unwrap(), server.now()).unwrap();
        assert!(lock.state.keypad.belief().is_lost());
        server.clock.advance(300);
        let (_, second) = set_time(&server, &lock.id).await;
        lock.press(second["code"].as_str().unwrap(), server.now()).unwrap();
        assert!(!lock.state.keypad.belief().is_lost());
    }

    #[tokio::test]
    async fn ten_are_made_in_a_day_for_each_lock() {
        let server = TestServer::new().await;
        let lock = server.lock("1", json!({"kind": "courts"})).await;
        let other = server.lock("2", json!({"kind": "courts"})).await;
        for _ in 0..10 {
            let (status, first) = set_time(&server, &lock.id).await;
            server.clock.advance(50);
            assert_eq!((status, first), set_time(&server, &lock.id).await, "it counts once");
            server.clock.advance(260);
        }
        let (status, problem) = set_time(&server, &lock.id).await;
        assert_eq!((status, &problem["code"]), (429, &json!("throttled")));
        assert!(problem["hint"].as_str().unwrap().contains("2027-01-16T08:00:00Z"), "{problem}");
        assert_eq!(set_time(&server, &other.id).await.0, 200);
        server.clock.set(START + 86_399);
        assert_eq!(set_time(&server, &lock.id).await.0, 429);
        server.clock.advance(1);
        assert_eq!(set_time(&server, &lock.id).await.0, 200);
        assert_eq!(set_time(&server, &lock.id).await.0, 200, "the same once more");
        server.clock.advance(300);
        assert_eq!(set_time(&server, &lock.id).await.0, 429);
        let server = server.restart();
        assert_eq!(set_time(&server, &lock.id).await.0, 429, "also after a restart");
        assert_eq!(server.query("SELECT count(*) FROM set_times"), 12);
    }

    #[tokio::test]
    async fn a_server_whose_clock_went_back_makes_none() {
        let server = TestServer::new().await;
        let lock = server.lock("1", json!({"kind": "courts"})).await;
        server.clock.set(START - 60);
        assert_eq!(set_time(&server, &lock.id).await.0, 200);
        for back in [61, 3600, 100 * 86_400] {
            server.clock.set(START - back);
            let (status, problem) = set_time(&server, &lock.id).await;
            assert_eq!((status, &problem["code"]), (503, &json!("clock_disagrees")), "{back}");
        }
        server.clock.set(START + 100);
        assert_eq!(set_time(&server, &lock.id).await.0, 200);
        server.clock.set(START + 39);
        assert_eq!(set_time(&server, &lock.id).await.0, 503, "what was told last counts");
        assert_eq!(server.query("SELECT count(*) FROM set_times"), 2);
        assert_eq!(set_time(&server, "lck_0").await.0, 404);
    }
}
