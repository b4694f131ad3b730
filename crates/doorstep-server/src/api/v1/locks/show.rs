//! Shows one lock.

use super::{LockView, find};
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use axum::Json;
use axum::extract::{Path, State};
use std::sync::Arc;

/// Shows a lock.
#[utoipa::path(get, path = "/v1/locks/{id}", tag = "locks", operation_id = "show_lock",
    security(("api_key" = [])), params(("id" = String, Path, description = "the lock's id")),
    responses((status = 200, description = "the lock", body = LockView), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<Json<LockView>, Problem> {
    let now = context.now();
    let view = context
        .store
        .read(move |connection| {
            Ok::<_, Problem>(LockView::new(connection, &find(connection, &id)?, now)?)
        })
        .await?;
    Ok(Json(view))
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use doorstep::clock::Event as Clock;
    use serde_json::{Value, json};

    const DAY: u64 = 86_400;

    async fn clock(server: &TestServer, id: &str) -> Value {
        let (_, shown) = server.get(&format!("/v1/locks/{id}")).await;
        shown["clock"].clone()
    }

    #[tokio::test]
    async fn a_clock_that_hears_nothing_wants_attention_and_then_is_unset() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let new = clock(&server, &lock.id).await;
        let fails = crate::utc::read(new["fails_on"].as_str().unwrap()).unwrap().seconds();
        let lasts = fails - server.now();
        assert!((60 * DAY..600 * DAY).contains(&lasts), "{new}");
        let mut last = new["uncertainty_seconds"].as_u64().unwrap();
        for (until, health) in [
            (lasts - 31 * DAY, "good"),
            (lasts - 29 * DAY, "attend"),
            (lasts - 3600, "attend"),
            (lasts + DAY, "unset"),
        ] {
            server.clock.set(fails - lasts + until);
            let clock = clock(&server, &lock.id).await;
            assert_eq!(clock["health"], health, "{until} {clock}");
            assert_eq!(clock["believes"].is_null(), health == "unset");
            assert_eq!(clock["fails_on"].is_null(), health == "unset");
            assert!(clock["uncertainty_seconds"].as_u64().unwrap() >= last);
            last = clock["uncertainty_seconds"].as_u64().unwrap();
        }
        // The lock refuses everybody from then on, and says so itself.
        lock.wait_until(fails - 2 * 3600);
        assert!(lock.state.keypad.belief().now().is_some());
        lock.wait_until(fails + DAY);
        assert!(lock.state.keypad.belief().now().is_none());
        server.clock.set(fails + DAY);
        lock.tell(Clock::Token { time: server.clock.now(), age: 0 });
        lock.bring_home(&server).await;
        assert_eq!(clock(&server, &lock.id).await["health"], "good");
    }

    #[tokio::test]
    async fn a_server_whose_clock_went_back_shows_the_lock_as_it_was_heard() {
        let server = TestServer::new().await;
        let lock = server.lock("1", json!({"kind": "courts"})).await;
        server.clock.set(1_700_000_000);
        let clock = clock(&server, &lock.id).await;
        assert_eq!(clock["believes"]["probable"], "2027-01-15T08:00:00Z");
    }
}
