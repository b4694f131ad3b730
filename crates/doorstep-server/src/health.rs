//! Whether the server runs, and whether it can do its work: for whoever watches it from outside.

use crate::context::Context;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::store::StoreError;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use utoipa::ToSchema;

/// With less room a database cannot take much more.
pub(crate) const LEAST_ROOM: u64 = 64 * 1024 * 1024;
/// Jobs that did not come round for so long are stuck.
const STUCK_AFTER: Duration = Duration::from_secs(120);

/// When jobs came round last.
#[derive(Default)]
pub(crate) struct Heartbeat(Mutex<Option<Instant>>);

impl Heartbeat {
    /// Notes that they did.
    pub(crate) fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// How long ago; `None` if they did not yet.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map(|at| at.elapsed())
    }
}

/// Bytes that the file system of a path has room for.
pub(crate) fn room(path: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(path)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// That the server is there.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    status: &'static str,
    /// `test` or `live`.
    mode: &'static str,
    /// The version of the server.
    version: &'static str,
}

fn ok(context: &Context) -> Json<Health> {
    let (mode, version) = (context.mode().as_str(), env!("CARGO_PKG_VERSION"));
    Json(Health { status: "ok", mode, version })
}

/// Says that the server runs; nothing is tried.
#[utoipa::path(get, path = "/healthz", tag = "service", operation_id = "health",
    responses((status = 200, description = "it runs", body = Health)))]
pub(crate) async fn handler(State(context): State<Arc<Context>>) -> Json<Health> {
    ok(&context)
}

/// Says whether the server can work: it stores, the disk has room, its jobs and its outbox come round.
#[utoipa::path(get, path = "/readyz", tag = "service", operation_id = "ready",
    responses((status = 200, description = "it can work", body = Health),
        (status = 503, description = "it cannot, and why", body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn ready(State(context): State<Arc<Context>>) -> Result<Json<Health>, Problem> {
    // An empty job: it answers only if the writer still commits.
    context.store.write(|_| Ok::<_, StoreError>(())).await?;
    has_room(room(&context.config.data_dir))?;
    come_round("the jobs", context.heartbeat.age())?;
    come_round("the outbox", context.outbox.heartbeat.age())?;
    Ok(ok(&context))
}

fn not_ready(what: &str, hint: &'static str) -> Problem {
    Problem::new(Code::Unavailable, format!("not ready: {what}")).hint(hint)
}

fn has_room(room: io::Result<u64>) -> Result<(), Problem> {
    match room {
        Ok(LEAST_ROOM..) => Ok(()),
        Ok(_) => Err(not_ready("the disk is almost full", "make room on it")),
        Err(_) => Err(not_ready("the disk does not answer", "look at it")),
    }
}

/// Whether those who came round so long ago still do.
fn come_round(who: &str, age: Option<Duration>) -> Result<(), Problem> {
    match age {
        Some(age) if age < STUCK_AFTER => Ok(()),
        Some(_) => Err(not_ready(
            &format!("{who} did not come round for two minutes"),
            "look in the log for what keeps them up",
        )),
        None => Err(not_ready(&format!("{who} did not come round yet"), "ask again in a second")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::outbox;
    use crate::test_server::TestServer;
    use serde_json::json;

    #[tokio::test]
    async fn ready_is_who_stores_and_whose_jobs_come_round() {
        let server = TestServer::new().await;
        let asked = async || {
            let answer = server.request("GET", "/readyz", &[], "").await;
            (answer.status, answer.json["detail"].as_str().unwrap_or_default().to_owned())
        };
        assert_eq!(asked().await, (503, "not ready: the jobs did not come round yet".to_owned()));
        server.context.heartbeat.beat();
        assert_eq!(asked().await, (503, "not ready: the outbox did not come round yet".to_owned()));
        outbox::run(&server.context, || true).await.unwrap();
        assert_eq!(asked().await.0, 200);
        // A commit that fails stops the store for good.
        let doom = server.context.store.write(|connection| {
            connection.execute_batch("PRAGMA defer_foreign_keys = ON; INSERT INTO recipients VALUES ('dlv_none', 0, 'a', 'b')")?;
            Ok::<_, StoreError>(())
        });
        assert!(doom.await.is_err());
        assert_eq!(asked().await.0, 503);
        let answer = server.request("GET", "/healthz", &[], "").await;
        assert_eq!((answer.status, &answer.json["status"]), (200, &json!("ok")));
    }

    #[test]
    fn a_full_disk_and_stuck_jobs_are_not_ready() {
        assert!(has_room(Ok(LEAST_ROOM)).is_ok());
        assert!(has_room(Ok(LEAST_ROOM - 1)).is_err());
        assert!(has_room(Err(io::ErrorKind::Other.into())).is_err());
        assert!(come_round("it", Some(STUCK_AFTER - Duration::from_nanos(1))).is_ok());
        assert!(come_round("it", Some(STUCK_AFTER)).is_err());
        assert!(come_round("it", None).is_err());
    }
}
