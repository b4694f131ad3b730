//! Reports a driver's device lost: it is handed nothing more, and what it was to deliver is free to be
//! planned again.

use super::DeviceView;
use super::show::not_found;
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use crate::store::deliveries::{self, Failure, FailureReason, State as DeliveryState};
use crate::store::devices::{self, State as DeviceState};
use crate::store::generations::{self, State as GenerationState};
use crate::store::messages::{self, State as MessageState};
use axum::Json;
use axum::extract::{Path, State};
use doorstep::id::DeviceId;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// A device that is gone.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LostDevice {
    #[serde(flatten)]
    device: DeviceView,
    /// The ids of the deliveries that it had, which are failed now and can be planned again.
    deliveries: Vec<String>,
}

/// Reports a device lost. What it claims when it turns up is still taken in and judged. Reporting it
/// twice changes nothing.
#[utoipa::path(post, path = "/v1/devices/{id}/lose", tag = "devices", operation_id = "lose_device",
    security(("api_key" = [])), params(("id" = String, Path, description = "the device's id")),
    responses((status = 200, description = "the device, and what has to be planned again", body = LostDevice), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<Json<LostDevice>, Problem> {
    let id = DeviceId::parse(&id).map_err(|_| not_found())?;
    let now = context.now();
    context.store.write(move |connection| lose(connection, &id, now).map(Json)).await
}

fn lose(connection: &Connection, id: &DeviceId, now: Timestamp) -> Result<LostDevice, Problem> {
    let device = devices::find(connection, id)?.ok_or_else(not_found)?;
    let mut freed = Vec::new();
    if device.state != DeviceState::Lost {
        devices::lose(connection, id, now)?;
        for (delivery, number) in generations::open_on(connection, id)? {
            // Its codes may still prove a handover that happened before.
            generations::end(connection, &delivery, number, GenerationState::Expired)?;
            messages::end(connection, &delivery, number, MessageState::Expired)?;
            let failure = Failure {
                reason: FailureReason::Other,
                note: Some("the driver's device was reported lost".to_owned()),
                at: now,
                device: Some(id.to_string()),
            };
            let from = [DeliveryState::Planned, DeliveryState::HandedOut, DeliveryState::Notified];
            if deliveries::fail(connection, &delivery, &from, &failure, now)? {
                freed.push(delivery.to_string());
            }
        }
    }
    let device = devices::find(connection, id)?.ok_or_else(not_found)?;
    Ok(LostDevice { device: device.into(), deliveries: freed })
}

#[cfg(test)]
mod tests {
    use crate::test_server::{TestDevice, TestServer};
    use serde_json::{Value, json};

    /// A device with two deliveries, whose codes were sent.
    async fn out() -> (TestServer, TestDevice, [String; 2]) {
        let server = TestServer::new().await;
        let mut device = server.device("Marta").await;
        let deliveries = [server.delivery("A").await, server.delivery("B").await];
        for delivery in &deliveries {
            server.plan(delivery, device.id()).await;
        }
        device.sync(&server).await;
        server.clock.advance(2 * 3600);
        server.run_jobs().await;
        (server, device, deliveries)
    }

    async fn lose(server: &TestServer, device: &str) -> (u16, Value) {
        server.post(&format!("/v1/devices/{device}/lose"), json!({})).await
    }

    async fn state(server: &TestServer, delivery: &str) -> String {
        let shown = server.shown(delivery).await;
        shown["state"].as_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_lost_device_is_handed_nothing_and_its_deliveries_are_free() {
        let (server, mut device, [first, second]) = out().await;
        let third = server.delivery("C").await;
        server.plan_at(&third, device.id(), "2027-01-15T12:00:00Z").await;
        let (status, lost) = lose(&server, device.id()).await;
        assert_eq!((status, &lost["state"]), (200, &json!("lost")), "{lost}");
        assert_eq!(lost["deliveries"].as_array().unwrap().len(), 3);
        assert_eq!(lose(&server, device.id()).await.1["deliveries"], json!([]), "once");
        device.upload(&server).await;
        let (status, problem) = device.fetch(&server).await;
        assert_eq!((status, &problem["code"]), (409, &json!("device_lost")));
        let (status, problem) = device.take(&server, "A", server.clock.now().later(60)).await;
        assert_eq!((status, &problem["code"]), (409, &json!("device_lost")));
        let (status, problem) = server.plan_at(&first, device.id(), "2027-01-15T12:00:00Z").await;
        assert_eq!((status, &problem["code"]), (409, &json!("device_not_ready")));
        for delivery in [&first, &second, &third] {
            assert_eq!(state(&server, delivery).await, "failed");
        }
        let other = server.device("Leo").await;
        let (status, _) = server.plan_at(&first, other.id(), "2027-01-15T12:00:00Z").await;
        assert_eq!((status, state(&server, &first).await.as_str()), (200, "planned"));
    }

    /// What the customer's code proved before the device was lost is proven when it turns up.
    #[tokio::test]
    async fn what_it_did_before_counts_unless_somebody_else_was_sent() {
        let (server, mut device, [first, second]) = out().await;
        let code_of = |delivery: &str| {
            let messages = server.messages();
            let index = messages.iter().position(|sent| sent["delivery"] == delivery).unwrap();
            server.code(index)
        };
        let codes = [code_of(&first), code_of(&second)];
        for (delivery, code) in [&first, &second].into_iter().zip(&codes) {
            device.present(delivery, code, server.clock.now()).unwrap();
        }
        lose(&server, device.id()).await;
        let other = server.device("Leo").await;
        server.plan_at(&second, other.id(), "2027-01-15T12:00:00Z").await;
        let (status, answer) = device.upload(&server).await;
        assert_eq!(status, 200, "{answer}");
        server.run_jobs().await;
        assert_eq!(state(&server, &first).await, "delivered");
        assert_eq!(state(&server, &second).await, "disputed", "of an older generation");
        let (_, shown) = server.get(&format!("/v1/devices/{}", device.id())).await;
        assert_eq!(shown["state"], "lost");
    }

    /// What cannot be planned again is not said to be.
    #[tokio::test]
    async fn only_what_failed_with_the_device_is_to_be_planned_again() {
        let (server, device, [first, second]) = out().await;
        server.execute(&format!("UPDATE deliveries SET state = 'disputed' WHERE id = '{first}'"));
        let (_, lost) = lose(&server, device.id()).await;
        assert_eq!(lost["deliveries"], json!([second]));
        assert_eq!(state(&server, &first).await, "disputed");
    }

    #[tokio::test]
    async fn an_invitation_that_is_lost_enrols_nobody() {
        let server = TestServer::new().await;
        let (_, invited) = server.post("/v1/devices", json!({"driver": "Marta"})).await;
        lose(&server, invited["id"].as_str().unwrap()).await;
        let body = json!({"ticket": invited["ticket"], "public_key": "", "proof": ""});
        assert_ne!(server.post("/v1/devices/enrol", body).await.0, 200);
        let expires = server.query("SELECT ticket_expires_at FROM devices");
        assert!(u64::try_from(expires).unwrap() <= server.clock.now().seconds());
    }

    #[tokio::test]
    async fn devices_that_there_are_not_cannot_be_lost() {
        let server = TestServer::new().await;
        for id in ["dev_0", "Dev", "%00"] {
            let (status, problem) = lose(&server, id).await;
            assert_eq!((status, &problem["code"]), (404, &json!("device_not_found")), "{id}");
        }
    }
}
