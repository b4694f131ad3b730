//! Invites a driver's device: makes it an id and a one-time ticket to enrol with.

use crate::context::Context;
use crate::http::extract::ApiJson;
use crate::http::problem::{Problem, ProblemBody};
use crate::ids::make_id;
use crate::store::{StoreError, devices};
use crate::text;
use crate::ticket::Ticket;
use crate::utc::Utc;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use doorstep::id::DeviceId;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Seconds that a ticket can be used: a day.
const TICKET_LIFETIME: u64 = 24 * 3600;

/// Who carries the device.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InviteDevice {
    /// The driver's name, 1 to 120 characters.
    #[schema(example = "Marta", min_length = 1, max_length = 120)]
    driver: String,
    /// Whether the business manages the device, so that its driver cannot search it. Such a device
    /// may be handed whole codes to check.
    #[serde(default)]
    #[schema(default = false)]
    managed: bool,
}

/// A device that is expected.
#[derive(Serialize, ToSchema)]
pub(crate) struct InvitedDevice {
    /// The id it will have.
    id: String,
    /// Who carries it.
    driver: String,
    /// Whether it may check whole codes.
    managed: bool,
    /// `invited`.
    state: &'static str,
    /// Enrols one device, once. It is shown here only.
    #[schema(example = "tkt_live_...")]
    ticket: String,
    /// The first second in which the ticket is void.
    ticket_expires_at: Utc,
}

/// Invites a driver's device.
#[utoipa::path(post, path = "/v1/devices", tag = "devices", operation_id = "create_device",
    security(("api_key" = [])), request_body = InviteDevice,
    responses((status = 201, description = "the device and its ticket", body = InvitedDevice), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiJson(request): ApiJson<InviteDevice>,
) -> Result<(StatusCode, Json<InvitedDevice>), Problem> {
    text::name(&request.driver).map_err(|error| Problem::field("driver", error))?;
    let now = context.now();
    let signing = context.keys.signing.public().to_bytes();
    let agreement = context.keys.agreement.public().to_bytes();
    let (id, ticket) = context.with_rng(|rng| {
        let id = make_id("dev", now, rng);
        (id, Ticket::make(context.mode(), &signing, &agreement, rng))
    });
    let device = DeviceId::parse(&id).map_err(|_| StoreError::Corrupt { column: "devices.id" })?;
    let expires = now.later(TICKET_LIFETIME);
    let ticket_hash = ticket.hash();
    let (driver, managed) = (request.driver.clone(), request.managed);
    context
        .store
        .write(move |connection| {
            devices::invite(connection, &device, &driver, managed, &ticket_hash, expires, now)
        })
        .await?;
    let invited = InvitedDevice {
        id,
        driver: request.driver,
        managed,
        state: devices::State::Invited.as_str(),
        ticket: ticket.reveal(),
        ticket_expires_at: Utc(expires),
    };
    Ok((StatusCode::CREATED, Json(invited)))
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::json;

    #[tokio::test]
    async fn an_invitation_has_a_ticket_that_is_shown_once() {
        let server = TestServer::new().await;
        let (status, made) = server.post("/v1/devices", json!({"driver": "Łucja"})).await;
        assert_eq!(status, 201, "{made}");
        assert!(made["ticket"].as_str().unwrap().starts_with("tkt_test_"));
        assert_eq!(made["ticket_expires_at"], "2027-01-16T08:00:00Z");
        let (_, shown) = server.get(&format!("/v1/devices/{}", made["id"].as_str().unwrap())).await;
        assert_eq!((&shown["driver"], &shown["state"]), (&json!("Łucja"), &json!("invited")));
        assert!(!shown.to_string().contains("tkt_"));
    }

    #[tokio::test]
    async fn drivers_without_a_proper_name_are_refused() {
        let server = TestServer::new().await;
        for body in [
            json!({}),
            json!({"driver": ""}),
            json!({"driver": null}),
            json!({"driver": ["a"]}),
            json!({"driver": "a\nb"}),
            json!({"driver": "a", "id": "dev_1"}),
            json!({"driver": "a", "managed": "yes"}),
            json!("a"),
        ] {
            let (status, problem) = server.post("/v1/devices", body.clone()).await;
            assert_eq!((status, &problem["code"]), (422, &json!("invalid_fields")), "{body}");
        }
        let (_, list) = server.get("/v1/devices").await;
        assert_eq!(list["data"], json!([]));
    }
}
