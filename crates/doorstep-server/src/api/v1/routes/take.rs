//! A driver takes a delivery on: says which, and when he will be there. It is planned as a dispatcher
//! would have planned it, and its stop comes with the device's next route.

use super::fetch::{refuse_untrusted, stale};
use crate::api::v1::claims::upload::{invalid, signer};
use crate::api::v1::deliveries::plan;
use crate::context::Context;
use crate::http::base64url::read;
use crate::http::extract::ApiJson;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::store::deliveries::{self, Delivery, State as DeliveryState};
use crate::store::{devices, generations};
use axum::Json;
use axum::extract::State;
use doorstep::cose::sign1::Signed;
use doorstep::handover::take::Take;
use doorstep::id::DeliveryId;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// A device's request.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TakeDelivery {
    /// A signed take (HO1), in base64url.
    request: String,
}

/// That the delivery is the device's now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TakenDelivery {
    /// The delivery's id. Its stop comes with the next route.
    delivery: String,
    /// The business's own name for it.
    reference: String,
}

/// Plans a delivery for the driver who asks for it. The same request again changes nothing.
#[utoipa::path(post, path = "/v1/routes/take", tag = "routes", operation_id = "take_delivery",
    request_body = TakeDelivery,
    responses((status = 200, description = "the delivery is the device's", body = TakenDelivery), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiJson(request): ApiJson<TakeDelivery>,
) -> Result<Json<TakenDelivery>, Problem> {
    let document = read("request", &request.request)?;
    let (_, key) = signer(&context, &document).await?;
    let take = Signed::parse(&document)
        .and_then(|signed| Take::verify(&signed, &key))
        .map_err(|error| invalid(&error))?;
    let now = context.now();
    let inner = Arc::clone(&context);
    let taken =
        context.store.write(move |connection| take_on(&inner, connection, &take, now)).await?;
    Ok(Json(TakenDelivery { delivery: taken.id.to_string(), reference: taken.reference }))
}

fn take_on(
    context: &Context,
    connection: &Connection,
    take: &Take,
    now: Timestamp,
) -> Result<Delivery, Problem> {
    let progress = devices::progress(connection, &take.device)?;
    refuse_untrusted(progress.state)?;
    if take.nonce != progress.nonce {
        return Err(stale());
    }
    if !context.config.deliveries.drivers_may_take {
        return Err(Problem::new(Code::NeedsDispatcher, "drivers do not take deliveries here")
            .hint("ask the dispatcher to plan it for you"));
    }
    let delivery = named(connection, &take.delivery)?.ok_or_else(|| {
        Problem::new(Code::DeliveryNotFound, "no delivery has this id or reference")
            .hint("read the reference again from the label")
    })?;
    match delivery.state {
        DeliveryState::Created | DeliveryState::Failed | DeliveryState::Expired => {}
        DeliveryState::Planned | DeliveryState::HandedOut | DeliveryState::Notified => {
            let last = generations::find(connection, &delivery.id, delivery.generation)?;
            let own = last.filter(|last| last.device == Some(take.device));
            match own {
                None => return Err(not_free("another driver has this delivery")),
                // Asked for twice, because the first answer was lost.
                Some(own) if own.expected_at == take.expected_at => return Ok(delivery),
                Some(_) => {}
            }
        }
        DeliveryState::Reported
        | DeliveryState::Delivered
        | DeliveryState::Disputed
        | DeliveryState::Cancelled => return Err(not_free("this delivery is not to be brought")),
    }
    plan::for_driver(context, connection, &delivery, take, now)?;
    Ok(delivery)
}

fn not_free(what: &str) -> Problem {
    Problem::new(Code::NeedsDispatcher, what)
        .hint("ask the dispatcher; only the dispatcher can give it to you")
}

/// A delivery by its id, or by the business's own name for it.
fn named(connection: &Connection, name: &str) -> Result<Option<Delivery>, Problem> {
    let by_id = match DeliveryId::parse(name) {
        Ok(id) => deliveries::find(connection, &id)?,
        Err(_) => None,
    };
    match by_id {
        Some(delivery) => Ok(Some(delivery)),
        None => Ok(deliveries::by_reference(connection, name)?),
    }
}

#[cfg(test)]
mod tests {
    use crate::context::Clock as _;
    use crate::test_server::{TestDevice, TestServer};
    use doorstep::handover::failure::Reason;
    use doorstep::time::Timestamp;
    use serde_json::{Value, json};

    const NINE_THIRTY: Timestamp = Timestamp::from_seconds(crate::test_server::START + 5400);

    async fn free() -> (TestServer, TestDevice, String) {
        let server = TestServer::new().await;
        let mut device = server.device("Marta").await;
        device.upload(&server).await;
        let delivery = server.delivery("A-17").await;
        (server, device, delivery)
    }

    async fn shown(server: &TestServer, delivery: &str) -> Value {
        server.get(&format!("/v1/deliveries/{delivery}")).await.1
    }

    #[tokio::test]
    async fn a_driver_takes_a_delivery_and_its_stop_comes_with_the_next_sync() {
        let (server, mut device, delivery) = free().await;
        let (status, taken) = device.take(&server, "A-17", NINE_THIRTY).await;
        assert_eq!((status, &taken["delivery"]), (200, &json!(delivery)), "{taken}");
        let seen = shown(&server, &delivery).await;
        assert_eq!(seen["expected_at"], "2027-01-15T09:30:00Z");
        assert_eq!((&seen["state"], &seen["driver"]), (&json!("planned"), &json!("Marta")));
        let stops = device.sync(&server).await;
        assert_eq!(stops[0].delivery.as_str(), delivery);
        server.clock.advance(3600);
        server.run_jobs().await;
        assert_eq!(server.messages().len(), 1, "its code was sent");
        device.present(&delivery, &server.code(0), server.clock.now()).unwrap();
        device.sync(&server).await;
        server.run_jobs().await;
        assert_eq!(shown(&server, &delivery).await["state"], "delivered");
    }

    #[tokio::test]
    async fn the_same_request_twice_makes_one_plan() {
        let (server, device, delivery) = free().await;
        for name in ["A-17", &delivery] {
            assert_eq!(device.take(&server, name, NINE_THIRTY).await.0, 200);
        }
        assert_eq!(shown(&server, &delivery).await["generation"], 1);
        // Another time is another plan.
        assert_eq!(device.take(&server, "A-17", NINE_THIRTY.later(600)).await.0, 200);
        assert_eq!(shown(&server, &delivery).await["generation"], 2);
    }

    #[tokio::test]
    async fn what_another_driver_has_only_the_dispatcher_gives_away() {
        let (server, device, delivery) = free().await;
        let mut other = server.device("Leo").await;
        other.upload(&server).await;
        assert_eq!(device.take(&server, "A-17", NINE_THIRTY).await.0, 200);
        let (status, problem) = other.take(&server, "A-17", NINE_THIRTY).await;
        assert_eq!((status, &problem["code"]), (409, &json!("needs_dispatcher")));
        assert_eq!(shown(&server, &delivery).await["driver"], "Marta");
        // Once it failed, anybody may.
        let mut device = device;
        device.sync(&server).await;
        device.fail(&delivery, Reason::Absent, server.clock.now()).unwrap();
        device.sync(&server).await;
        let (status, taken) = other.take(&server, "A-17", NINE_THIRTY).await;
        assert_eq!(status, 200, "{taken}");
        assert_eq!(shown(&server, &delivery).await["driver"], "Leo");
    }

    #[tokio::test]
    async fn what_is_done_cancelled_unknown_or_in_the_past_is_not_taken() {
        let (server, device, delivery) = free().await;
        let (status, problem) = device.take(&server, "A-18", NINE_THIRTY).await;
        assert_eq!((status, &problem["code"]), (404, &json!("delivery_not_found")));
        let past = server.clock.now().earlier(1);
        let (status, problem) = device.take(&server, "A-17", past).await;
        assert_eq!((status, &problem["code"]), (422, &json!("invalid_fields")));
        server.post(&format!("/v1/deliveries/{delivery}/cancel"), json!({})).await;
        let (status, problem) = device.take(&server, "A-17", NINE_THIRTY).await;
        assert_eq!((status, &problem["code"]), (409, &json!("needs_dispatcher")));
    }

    /// Who writes down what a device sends cannot send it again tomorrow, nor as another device.
    #[tokio::test]
    async fn an_old_or_foreign_request_is_refused() {
        let (server, mut device, delivery) = free().await;
        let old = device.take_request("A-17", NINE_THIRTY);
        device.upload(&server).await;
        let (status, problem) = server.post("/v1/routes/take", old).await;
        assert_eq!((status, &problem["code"]), (409, &json!("sync_stale")));
        let mut stranger = server.device("Leo").await;
        stranger.upload(&server).await;
        let mut forged = device.clone();
        forged.key = stranger.key.clone();
        let (status, problem) = forged.take(&server, "A-17", NINE_THIRTY).await;
        assert_eq!((status, &problem["code"]), (401, &json!("signature_invalid")));
        let (status, _) = server.post("/v1/routes/take", json!({"request": "AAAA"})).await;
        assert_eq!(status, 400);
        assert_eq!(shown(&server, &delivery).await["state"], "created");
    }

    #[tokio::test]
    async fn where_only_the_dispatcher_plans_no_driver_takes() {
        let server = TestServer::with(|config| config.deliveries.drivers_may_take = false).await;
        let mut device = server.device("Marta").await;
        device.upload(&server).await;
        server.delivery("A-17").await;
        let (status, problem) = device.take(&server, "A-17", NINE_THIRTY).await;
        assert_eq!((status, &problem["code"]), (409, &json!("needs_dispatcher")));
    }

    /// What a driver is told of a delivery that he claimed does not depend on whether his code was right.
    #[tokio::test]
    async fn a_right_and_a_wrong_claim_are_told_apart_by_nothing() {
        let mut told = Vec::new();
        for right in [true, false] {
            let server = TestServer::new().await;
            let mut device = server.device("Marta").await;
            let delivery = server.delivery("A-17").await;
            server.plan(&delivery, device.id()).await;
            let stop = device.sync(&server).await.remove(0);
            server.clock.advance(2 * 3600);
            server.run_jobs().await;
            let code = server.code(0);
            let code = if right { code } else { device.forged(&stop, &code) };
            device.present(&delivery, &code, server.clock.now()).unwrap();
            device.upload(&server).await;
            let at = server.clock.now().later(600);
            let before = device.take(&server, "A-17", at).await;
            server.run_jobs().await;
            let judged = shown(&server, &delivery).await;
            assert_eq!(judged["state"], if right { "delivered" } else { "disputed" });
            let after = device.take(&server, "A-17", at).await;
            for (status, mut problem) in [before, after] {
                problem.as_object_mut().unwrap().remove("request_id");
                told.push((status, problem.to_string()));
            }
        }
        assert_eq!(told[0].0, 409);
        assert!(told.iter().all(|answer| *answer == told[0]), "{told:?}");
    }
}
