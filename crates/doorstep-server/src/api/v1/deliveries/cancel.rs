//! Cancels a delivery: its codes are erased, and its device is told at its next sync.

use super::{DeliveryDetail, closed, detail, id_in_path, not_found};
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use crate::store::deliveries::{self, State as DeliveryState};
use crate::store::generations::{self, State as GenerationState};
use crate::store::messages::{self, State as MessageState};
use axum::Json;
use axum::extract::{Path, State};
use doorstep::id::DeliveryId;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use std::sync::Arc;

/// Cancels a delivery. Its codes are void at once, except on a device that has it and is offline: what
/// that one claims is disputed. Cancelling twice changes nothing.
#[utoipa::path(post, path = "/v1/deliveries/{id}/cancel", tag = "deliveries",
    operation_id = "cancel_delivery", security(("api_key" = [])),
    params(("id" = String, Path, description = "the delivery's id")),
    responses((status = 200, description = "the delivery as it is now", body = DeliveryDetail), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<Json<DeliveryDetail>, Problem> {
    let id = id_in_path(&id)?;
    let now = context.now();
    let inner = Arc::clone(&context);
    context
        .store
        .write(move |connection| {
            cancel(&inner, connection, &id, now)?;
            detail(connection, &id)?.map(Json).ok_or_else(not_found)
        })
        .await
}

fn cancel(
    context: &Context,
    connection: &Connection,
    id: &DeliveryId,
    now: Timestamp,
) -> Result<(), Problem> {
    let delivery = deliveries::find(connection, id)?.ok_or_else(not_found)?;
    match delivery.state {
        DeliveryState::Cancelled => return Ok(()),
        // What happened at a door happened: a dispute ends by being resolved.
        DeliveryState::Reported | DeliveryState::Delivered | DeliveryState::Disputed => {
            return Err(closed(&delivery, "cancelled"));
        }
        DeliveryState::Created
        | DeliveryState::Planned
        | DeliveryState::HandedOut
        | DeliveryState::Notified
        | DeliveryState::Failed
        | DeliveryState::Expired => {}
    }
    generations::end(connection, id, delivery.generation, GenerationState::Cancelled)?;
    messages::end(connection, id, delivery.generation, MessageState::Cancelled)?;
    crate::messages::cancel(context, connection, id, delivery.generation, now)?;
    Ok(deliveries::set_state(connection, id, DeliveryState::Cancelled, now)?)
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::{Value, json};

    async fn cancel(server: &TestServer, delivery: &str) -> (u16, Value) {
        server.post(&format!("/v1/deliveries/{delivery}/cancel"), json!({})).await
    }

    #[tokio::test]
    async fn nothing_of_a_cancelled_delivery_is_sent_or_handed_out() {
        let server = TestServer::new().await;
        let mut device = server.device("Marta").await;
        let (fresh, planned) = (server.delivery("A").await, server.delivery("B").await);
        server.plan(&planned, device.id()).await;
        for delivery in [&fresh, &planned] {
            let (status, cancelled) = cancel(&server, delivery).await;
            assert_eq!((status, &cancelled["state"]), (200, &json!("cancelled")), "{cancelled}");
        }
        let left = server.query("SELECT count(*) FROM messages WHERE sealed IS NOT NULL")
            + server.query("SELECT count(*) FROM generations WHERE sealed_stop IS NOT NULL");
        assert_eq!(left, 0);
        assert!(device.sync(&server).await.is_empty());
        server.clock.advance(2 * 3600);
        server.run_jobs().await;
        assert!(server.messages().is_empty());
        let (_, shown) = server.get(&format!("/v1/deliveries/{planned}")).await;
        assert_eq!(shown["messages"][0]["state"], "cancelled");
    }

    #[tokio::test]
    async fn the_device_is_told_and_refuses_the_code_then() {
        let (server, mut device, delivery, ..) = TestServer::at_the_door().await;
        let code = server.code(0);
        cancel(&server, &delivery).await;
        device.sync(&server).await;
        let refused = device.present(&delivery, &code, server.clock.now()).unwrap_err();
        assert_eq!(refused.code(), "superseded");
    }

    #[tokio::test]
    async fn what_an_offline_device_did_with_it_is_disputed() {
        let (server, mut device, delivery, ..) = TestServer::at_the_door().await;
        cancel(&server, &delivery).await;
        device.present(&delivery, &server.code(0), server.clock.now()).unwrap();
        device.sync(&server).await;
        server.run_jobs().await;
        let shown = server.shown(&delivery).await;
        assert_eq!(
            (&shown["state"], &shown["claims"][0]["verdict"]),
            (&json!("disputed"), &json!("superseded"))
        );
    }

    #[tokio::test]
    async fn a_code_that_this_server_checks_is_refused() {
        let server = TestServer::new().await;
        let delivery = server.delivery("A").await;
        let body = json!({"mode": "online", "expected_at": "2027-01-15T08:05:00Z"});
        server.post(&format!("/v1/deliveries/{delivery}/plan"), body).await;
        server.run_jobs().await;
        cancel(&server, &delivery).await;
        let body = json!({"code": server.code(0)});
        let (_, refused) = server.post(&format!("/v1/deliveries/{delivery}/verify"), body).await;
        assert_eq!(
            (&refused["outcome"], &refused["reason"]),
            (&json!("refused"), &json!("revoked"))
        );
    }

    #[tokio::test]
    async fn cancelled_is_for_ever_and_comes_too_late_after_a_handover() {
        let (server, device, delivery, ..) = TestServer::at_the_door().await;
        cancel(&server, &delivery).await;
        let (status, again) = cancel(&server, &delivery).await;
        assert_eq!((status, &again["state"]), (200, &json!("cancelled")));
        let (status, problem) = server.plan(&delivery, device.id()).await;
        assert_eq!((status, &problem["code"]), (409, &json!("delivery_closed")), "{problem}");
        let path = format!("/v1/deliveries/{delivery}/send");
        let (status, problem) = server.post(&path, json!({})).await;
        assert_eq!((status, &problem["code"]), (409, &json!("delivery_closed")));
        for state in ["reported", "delivered", "disputed"] {
            server.execute(&format!("UPDATE deliveries SET state = '{state}'"));
            let (status, problem) = cancel(&server, &delivery).await;
            assert_eq!((status, &problem["code"]), (409, &json!("delivery_closed")), "{state}");
        }
        let (status, _) = cancel(&server, "dlv_0").await;
        assert_eq!(status, 404);
    }

    #[tokio::test]
    async fn a_failed_attempt_is_shown_and_the_delivery_can_be_planned_again() {
        let (server, device, delivery, ..) = TestServer::at_the_door().await;
        server.execute(&format!(
            "UPDATE deliveries SET state = 'failed', failure_reason = 'absent', failed_at = 1800000000,
                 failure_note = 'rang twice', failed_by = '{}'",
            device.id()
        ));
        let shown = server.shown(&delivery).await;
        let failure = json!({"reason": "absent", "note": "rang twice", "at": "2027-01-15T08:00:00Z",
                             "device": device.id()});
        assert_eq!((&shown["state"], &shown["failure"]), (&json!("failed"), &failure));
        let (status, planned) =
            server.plan_at(&delivery, device.id(), "2027-01-15T12:00:00Z").await;
        assert_eq!((status, &planned["failure"]), (200, &failure), "{planned}");
    }
}
