//! A driver takes a delivery on: says which, and when he will be there. It is planned as a dispatcher
//! would have planned it, and its stop comes with the device's next route.

use super::fetch::{refuse_untrusted, stale};
use crate::api::v1::claims::upload::{invalid, signer};
use crate::api::v1::deliveries::carry_out::{self, Codes};
use crate::api::v1::deliveries::plan::{self, Plan};
use crate::context::Context;
use crate::http::base64url::read;
use crate::http::extract::ApiJson;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::store::deliveries::{self, Delivery, FailureReason, State as DeliveryState};
use crate::store::devices;
use crate::store::generations::{self, Generation};
use axum::Json;
use axum::extract::State;
use doorstep::cose::sign1::Signed;
use doorstep::handover::take::Take;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// A day in seconds.
const DAY: u64 = 24 * 3600;
/// How often one delivery is taken on within a day, by whichever drivers.
const MOST_OF_ONE: u32 = 3;
/// How many deliveries one device takes on within a day.
const MOST_BY_ONE: u32 = 60;

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
    // Whoever comes in between has planned the delivery, so this ends.
    loop {
        let (inner, asked) = (Arc::clone(&context), take.clone());
        let (delivery, order) = context
            .store
            .read(move |connection| {
                let (delivery, plan) = match decide(&inner, connection, &asked, now)? {
                    Decided::Has(delivery) => return Ok((delivery, None)),
                    Decided::Plan(delivery, plan) => (delivery, plan),
                };
                let order = carry_out::order(&inner, connection, &delivery, &plan);
                Ok::<_, Problem>((delivery, Some(order.map_err(whole_code)?)))
            })
            .await?;
        let Some(order) = order else { return Ok(Json(delivery.into())) };
        let codes = carry_out::make(&context, order).await?;
        let (inner, asked) = (Arc::clone(&context), take.clone());
        let taken = context
            .store
            .write(move |connection| take_on(&inner, connection, &asked, codes, now))
            .await?;
        if let Some(delivery) = taken {
            return Ok(Json(delivery.into()));
        }
    }
}

impl From<Delivery> for TakenDelivery {
    fn from(delivery: Delivery) -> Self {
        Self { delivery: delivery.id.to_string(), reference: delivery.reference }
    }
}

/// What a request comes to.
enum Decided {
    /// The device has the delivery so already: it asked twice, because the first answer was lost.
    Has(Delivery),
    /// It is to be planned for the device.
    Plan(Delivery, Plan),
}

fn decide(
    context: &Context,
    connection: &Connection,
    take: &Take,
    now: Timestamp,
) -> Result<Decided, Problem> {
    let progress = devices::progress(connection, &take.device)?;
    refuse_untrusted(progress.state)?;
    if take.nonce != progress.nonce {
        return Err(stale());
    }
    if !context.config.deliveries.drivers_may_take {
        return Err(Problem::new(Code::NeedsDispatcher, "drivers do not take deliveries here")
            .hint("ask the dispatcher to plan it for you"));
    }
    let delivery = deliveries::named(connection, &take.delivery)?.ok_or_else(|| {
        Problem::new(Code::DeliveryNotFound, "no delivery has this id or reference")
            .hint("read the reference again from the label")
    })?;
    let last = generations::find(connection, &delivery.id, delivery.generation)?;
    let is_own = last.as_ref().is_some_and(|last| last.device == Some(take.device));
    match delivery.state {
        DeliveryState::Created => {}
        DeliveryState::Planned | DeliveryState::HandedOut | DeliveryState::Notified => {
            if !is_own {
                return Err(not_free("another driver has this delivery"));
            }
        }
        DeliveryState::Failed | DeliveryState::Expired => {
            let failure = delivery.failure.as_ref().map(|failure| failure.reason);
            if failure == Some(FailureReason::NotDelivered) {
                return Err(not_free("it was disputed whether this delivery was handed over"));
            }
            // The customer may have come back, and have given that driver the code.
            if !is_own && generations::may_be_used(connection, &delivery.id, delivery.generation)? {
                return Err(not_free("another driver may still hand this delivery over"));
            }
        }
        DeliveryState::Reported
        | DeliveryState::Delivered
        | DeliveryState::Disputed
        | DeliveryState::Cancelled => return Err(not_free("this delivery is not to be brought")),
    }
    let plan = plan::for_driver(&context.config.deliveries, connection, last.as_ref(), take, now)?;
    let open = !matches!(delivery.state, DeliveryState::Failed | DeliveryState::Expired);
    let same =
        |last: &Generation| last.expected_at == plan.expected_at && last.window == plan.window;
    if is_own && open && last.as_ref().is_some_and(same) {
        return Ok(Decided::Has(delivery));
    }
    within_budget(connection, &delivery, take, now)?;
    Ok(Decided::Plan(delivery, plan))
}

/// Each take is another message to the customers, so they are counted, durably, over the last day.
fn within_budget(
    connection: &Connection,
    delivery: &Delivery,
    take: &Take,
    now: Timestamp,
) -> Result<(), Problem> {
    let since = now.earlier(DAY);
    let takes =
        generations::takes_since(connection, &delivery.id, &take.device, &take.nonce, since)?;
    if takes.nonce_used {
        return Err(stale());
    }
    if takes.of_delivery >= MOST_OF_ONE {
        let what = format!("this delivery was taken {MOST_OF_ONE} times within a day");
        return Err(not_free(&what));
    }
    if takes.by_device >= MOST_BY_ONE {
        let what = format!("this device took {MOST_BY_ONE} deliveries within a day");
        return Err(not_free(&what));
    }
    Ok(())
}

/// Records what was decided, if it is decided so again.
fn take_on(
    context: &Context,
    connection: &Connection,
    take: &Take,
    codes: Codes,
    now: Timestamp,
) -> Result<Option<Delivery>, Problem> {
    let (delivery, plan) = match decide(context, connection, take, now)? {
        Decided::Has(delivery) => return Ok(Some(delivery)),
        Decided::Plan(delivery, plan) => (delivery, plan),
    };
    let Some(number) = carry_out::record(context, connection, &plan, codes, now)? else {
        return Ok(None);
    };
    generations::take(connection, &delivery.id, number, &take.nonce)?;
    Ok(Some(delivery))
}

fn not_free(what: &str) -> Problem {
    Problem::new(Code::NeedsDispatcher, what)
        .hint("ask the dispatcher; only the dispatcher can give it to you")
}

/// What the dispatcher wanted of a delivery is not the driver's to leave out.
fn whole_code(problem: Problem) -> Problem {
    if problem.code() == Code::DeviceNotManaged {
        return not_free("its whole code is to be checked, which this device may not");
    }
    problem
}

#[cfg(test)]
mod tests {
    use crate::test_server::{TestDevice, TestServer};
    use doorstep::handover::failure::Reason;
    use doorstep::time::Timestamp;
    use serde_json::json;

    const NINE_THIRTY: Timestamp = Timestamp::from_seconds(crate::test_server::START + 5400);

    async fn free() -> (TestServer, TestDevice, String) {
        let server = TestServer::new().await;
        let mut device = server.device("Marta").await;
        device.upload(&server).await;
        let delivery = server.delivery("A-17").await;
        (server, device, delivery)
    }

    #[tokio::test]
    async fn a_driver_takes_a_delivery_and_its_stop_comes_with_the_next_sync() {
        let (server, mut device, delivery) = free().await;
        let (status, taken) = device.take(&server, "A-17", NINE_THIRTY).await;
        assert_eq!((status, &taken["delivery"]), (200, &json!(delivery)), "{taken}");
        let seen = server.shown(&delivery).await;
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
        assert_eq!(server.shown(&delivery).await["state"], "delivered");
    }

    #[tokio::test]
    async fn the_same_request_twice_makes_one_plan() {
        let (server, device, delivery) = free().await;
        for name in ["A-17", &delivery] {
            assert_eq!(device.take(&server, name, NINE_THIRTY).await.0, 200);
        }
        assert_eq!(server.shown(&delivery).await["generation"], 1);
        // Another time is another plan, and another request: one acknowledgement is good for one.
        let later = NINE_THIRTY.later(600);
        let (status, problem) = device.take(&server, "A-17", later).await;
        assert_eq!((status, &problem["code"]), (409, &json!("sync_stale")));
        let mut device = device;
        device.upload(&server).await;
        assert_eq!(device.take(&server, "A-17", later).await.0, 200);
        assert_eq!(server.shown(&delivery).await["generation"], 2);
    }

    /// Each take sends the customers another message.
    #[tokio::test]
    async fn one_delivery_is_taken_three_times_a_day_by_whomever() {
        let (server, mut device, delivery) = free().await;
        let mut at = NINE_THIRTY;
        for status in [200, 200, 200, 409] {
            device.upload(&server).await;
            at = at.later(60);
            let (answered, answer) = device.take(&server, "A-17", at).await;
            assert_eq!(answered, status, "{answer}");
        }
        assert_eq!(server.shown(&delivery).await["generation"], 3);
        server.clock.advance(24 * 3600);
        server.plan_at(&delivery, device.id(), "2027-01-16T12:00:00Z").await;
        device.upload(&server).await;
        let tomorrow = server.clock.now().later(7200);
        let (status, answer) = device.take(&server, "A-17", tomorrow).await;
        assert_eq!(status, 200, "{answer}");
    }

    #[tokio::test]
    async fn one_device_takes_only_so_many_a_day() {
        let (server, mut device, _) = free().await;
        for count in 1..=61_u32 {
            let reference = format!("R-{count}");
            server.delivery(&reference).await;
            device.upload(&server).await;
            let (status, answer) = device.take(&server, &reference, NINE_THIRTY).await;
            let expected = if count <= super::MOST_BY_ONE { 200 } else { 409 };
            assert_eq!(status, expected, "{count}: {answer}");
        }
        let mut other = server.device("Leo").await;
        other.upload(&server).await;
        assert_eq!(other.take(&server, "R-61", NINE_THIRTY).await.0, 200);
    }

    /// What the dispatcher set is not lost when the driver only names another time.
    #[tokio::test]
    async fn what_a_driver_leaves_open_stays_as_it_was_planned() {
        let (server, mut device, delivery) = free().await;
        let body = json!({"device": device.id(), "expected_at": "2027-01-15T09:30:00Z",
            "variance_minutes": 15, "lead_minutes": 5});
        server.post(&format!("/v1/deliveries/{delivery}/plan"), body).await;
        assert_eq!(device.take(&server, "A-17", NINE_THIRTY.later(1800)).await.0, 200);
        let seen = server.shown(&delivery).await;
        assert_eq!(seen["starts_at"], "2027-01-15T09:45:00Z", "{seen}");
        assert_eq!(seen["messages"][0]["send_at"], "2027-01-15T09:55:00Z");
        // A code that is to be checked whole is not for a device that may not.
        server.execute("UPDATE generations SET code_check = 'full'");
        device.upload(&server).await;
        let (status, problem) = device.take(&server, "A-17", NINE_THIRTY).await;
        assert_eq!((status, &problem["code"]), (409, &json!("needs_dispatcher")), "{problem}");
    }

    /// A driver who delivered without network, or still may, is not shut out by another.
    #[tokio::test]
    async fn what_another_device_may_have_handed_over_is_not_taken() {
        for fails in [false, true] {
            let (server, mut ana, delivery) = free().await;
            let mut leo = server.device("Leo").await;
            leo.upload(&server).await;
            server.plan(&delivery, ana.id()).await;
            ana.sync(&server).await;
            server.clock.advance(2 * 3600);
            server.run_jobs().await;
            if fails {
                ana.fail(&delivery, Reason::Absent, server.clock.now()).unwrap();
                ana.sync(&server).await;
            }
            ana.present(&delivery, &server.code(0), server.clock.now()).unwrap();
            let over = if fails { 60 } else { 4 * 3600 };
            server.clock.advance(over);
            server.run_jobs().await;
            let state = if fails { "failed" } else { "expired" };
            assert_eq!(server.shown(&delivery).await["state"], state);
            let at = server.clock.now().later(600);
            let (status, problem) = leo.take(&server, "A-17", at).await;
            assert_eq!((status, &problem["code"]), (409, &json!("needs_dispatcher")), "{state}");
            ana.sync(&server).await;
            server.run_jobs().await;
            assert_eq!(server.shown(&delivery).await["state"], "delivered", "{state}");
        }
    }

    #[tokio::test]
    async fn what_another_driver_has_only_the_dispatcher_gives_away() {
        let (server, device, delivery) = free().await;
        let mut other = server.device("Leo").await;
        other.upload(&server).await;
        assert_eq!(device.take(&server, "A-17", NINE_THIRTY).await.0, 200);
        let (status, problem) = other.take(&server, "A-17", NINE_THIRTY).await;
        assert_eq!((status, &problem["code"]), (409, &json!("needs_dispatcher")));
        assert_eq!(server.shown(&delivery).await["driver"], "Marta");
        // Once it failed and cannot be handed over any more, anybody may.
        let mut device = device;
        device.sync(&server).await;
        device.fail(&delivery, Reason::Absent, server.clock.now()).unwrap();
        device.sync(&server).await;
        let (status, _) = other.take(&server, "A-17", NINE_THIRTY).await;
        assert_eq!(status, 409, "the customer may come back");
        server.clock.advance(8 * 3600);
        let at = server.clock.now().later(600);
        assert_eq!(other.take(&server, "A-17", at).await.0, 409, "its device may know more");
        device.sync(&server).await;
        let (status, taken) = other.take(&server, "A-17", at).await;
        assert_eq!(status, 200, "{taken}");
        assert_eq!(server.shown(&delivery).await["driver"], "Leo");
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
        assert_eq!(server.shown(&delivery).await["state"], "created");
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
            let judged = server.shown(&delivery).await;
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
