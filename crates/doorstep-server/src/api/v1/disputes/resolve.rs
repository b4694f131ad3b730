//! Ends a dispute by an operator's word.

use super::{DisputeDetail, detail, never_disputed};
use crate::api::v1::deliveries::{self as views, id_in_path};
use crate::context::Context;
use crate::http::auth::Caller;
use crate::http::extract::ApiJson;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::store::claims;
use crate::store::deliveries::{self, Failure, FailureReason, State as DeliveryState};
use crate::store::disputes::{self, Outcome, Resolution};
use crate::store::generations::{self, State as GenerationState};
use crate::store::messages::{self, State as MessageState};
use crate::text;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use doorstep::id::DeliveryId;
use rusqlite::Connection;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// What an operator found out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResolveDispute {
    /// `delivered`, or `not_delivered`: then it can be planned again, unless it was cancelled.
    #[schema(example = "delivered")]
    outcome: String,
    /// Why, in 1 to 300 characters.
    note: String,
}

/// Ends the open dispute of a delivery. The word is kept for ever, beside the claims.
#[utoipa::path(post, path = "/v1/disputes/{delivery}/resolve", tag = "disputes",
    operation_id = "resolve_dispute", security(("api_key" = [])), request_body = ResolveDispute,
    params(("delivery" = String, Path, description = "the delivery's id")),
    responses((status = 200, description = "the delivery as it is now", body = DisputeDetail), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<ResolveDispute>,
) -> Result<Json<DisputeDetail>, Problem> {
    let id = id_in_path(&id)?;
    let outcome = Outcome::parse(&request.outcome)
        .map_err(|()| Problem::field("outcome", "is neither delivered nor not_delivered"))?;
    text::note(&request.note).map_err(|error| Problem::field("note", error))?;
    let (note, at) = (request.note, context.now());
    context
        .store
        .write(move |connection| {
            let by = caller.key.to_string();
            let resolution = Resolution { outcome, note, by, at };
            carry_out(connection, &id, &resolution)?;
            detail(connection, &id)?.map(Json).ok_or_else(never_disputed)
        })
        .await
}

fn carry_out(
    connection: &Connection,
    id: &DeliveryId,
    resolution: &Resolution,
) -> Result<(), Problem> {
    let delivery = deliveries::find(connection, id)?.ok_or_else(views::not_found)?;
    if delivery.state != DeliveryState::Disputed {
        return Err(Problem::new(
            Code::NotDisputed,
            format!("the delivery is {}, so there is no dispute to end", delivery.state),
        )
        .hint("a claim that came in a moment ago is judged first; GET /v1/disputes lists what is open"));
    }
    disputes::resolve(connection, id, resolution)?;
    let was_cancelled = generations::find(connection, id, delivery.generation)?
        .is_some_and(|generation| generation.state == GenerationState::Cancelled);
    // Nobody is to come with codes that did what they were for. Of a cancelled delivery that was said, and a
    // newer plan that nobody claimed on is another driver's, who is on the way.
    let ends = resolution.outcome == Outcome::Delivered
        || claims::any_granted(connection, id, delivery.generation)?;
    if ends && !was_cancelled {
        generations::end(connection, id, delivery.generation, GenerationState::Closed)?;
        messages::end(connection, id, delivery.generation, MessageState::Closed)?;
    }
    match resolution.outcome {
        Outcome::NotDelivered if was_cancelled => {
            deliveries::set_state(connection, id, DeliveryState::Cancelled, resolution.at)?;
        }
        Outcome::Delivered => {
            deliveries::set_state(connection, id, DeliveryState::Delivered, resolution.at)?;
        }
        Outcome::NotDelivered => {
            let failure = Failure {
                reason: FailureReason::NotDelivered,
                note: Some(resolution.note.clone()),
                at: resolution.at,
                device: None,
            };
            let from = [DeliveryState::Disputed];
            deliveries::fail(connection, id, &from, &failure, resolution.at)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::json;

    #[tokio::test]
    async fn an_operator_s_word_ends_a_dispute_and_is_kept() {
        let server = TestServer::new().await;
        let (_, _, delivery) = server.disputed().await;
        let path = format!("/v1/disputes/{delivery}/resolve");
        let body = json!({"outcome": "delivered", "note": "the neighbour says so"});
        let (status, shown) = server.post(&path, body.clone()).await;
        assert_eq!(status, 200, "{shown}");
        assert_eq!(shown["delivery"]["state"], "delivered");
        let dispute = &shown["disputes"][0];
        assert_eq!(dispute["state"], "resolved");
        assert_eq!(dispute["resolution"]["note"], "the neighbour says so");
        assert!(dispute["resolution"]["by"].as_str().unwrap().starts_with("key_"));
        let (status, problem) = server.post(&path, body).await;
        assert_eq!((status, &problem["code"]), (409, &json!("not_disputed")), "once");
        let (_, events) = server.get(&format!("/v1/events?delivery={delivery}")).await;
        let types: Vec<_> = events["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["type"].as_str().unwrap())
            .collect();
        assert_eq!(
            types[types.len() - 3..],
            ["delivery.disputed", "delivery.resolved", "delivery.delivered"]
        );
    }

    #[tokio::test]
    async fn what_was_not_delivered_can_be_planned_again_and_disputed_again() {
        let server = TestServer::new().await;
        let (mut honest, _, delivery) = server.disputed().await;
        let path = format!("/v1/disputes/{delivery}/resolve");
        let body = json!({"outcome": "not_delivered", "note": "still in the van"});
        let (_, shown) = server.post(&path, body).await;
        assert_eq!(shown["delivery"]["state"], "failed");
        assert_eq!(shown["delivery"]["failure"]["reason"], "not_delivered");
        let (status, planned) =
            server.plan_at(&delivery, honest.id(), "2027-01-15T11:00:00Z").await;
        assert_eq!(status, 200, "{planned}");
        honest.sync(&server).await;
        server.clock.advance(1800);
        server.run_jobs().await;
        let messages = server.messages();
        let code = server.code(messages.len() - 1);
        let now = server.clock.now();
        honest.present(&delivery, &code, now).unwrap();
        honest.sync(&server).await;
        server.run_jobs().await;
        let (_, shown) = server.get(&format!("/v1/disputes/{delivery}")).await;
        assert_eq!(
            shown["delivery"]["state"], "delivered",
            "the forged claim of before decides nothing"
        );
        assert_eq!(shown["disputes"][0]["state"], "resolved", "and the word stays");
    }

    #[tokio::test]
    async fn what_was_cancelled_stays_cancelled_by_an_operator_s_word() {
        let server = TestServer::new().await;
        let mut device = server.device("Leo").await;
        let delivery = server.delivery("A").await;
        server.plan(&delivery, device.id()).await;
        device.sync(&server).await;
        server.clock.advance(2 * 3600);
        server.run_jobs().await;
        let now = server.clock.now();
        device.present(&delivery, &server.code(0), now).unwrap();
        server.post(&format!("/v1/deliveries/{delivery}/cancel"), json!({})).await;
        device.upload(&server).await;
        server.run_jobs().await;
        let body = json!({"outcome": "not_delivered", "note": "it came back"});
        let (status, shown) = server.post(&format!("/v1/disputes/{delivery}/resolve"), body).await;
        assert_eq!((status, &shown["delivery"]["state"]), (200, &json!("cancelled")), "{shown}");
        assert_eq!(shown["disputes"][0]["resolution"]["outcome"], "not_delivered");
        assert_eq!(server.query("SELECT state = 'cancelled' FROM generations"), 1);
        let (status, problem) = server.plan(&delivery, device.id()).await;
        assert_eq!((status, &problem["code"]), (409, &json!("delivery_closed")));
    }

    #[tokio::test]
    async fn a_word_ends_the_plan_that_was_claimed_and_no_other() {
        let server = TestServer::new().await;
        let (_, mut forger, delivery) = server.disputed().await;
        let path = format!("/v1/disputes/{delivery}/resolve");
        let body = json!({"outcome": "not_delivered", "note": "still in the van"});
        server.post(&path, body.clone()).await;
        forger.sync(&server).await;
        forger.sync(&server).await;
        assert_eq!(server.query("SELECT withdrawn FROM generations"), 1, "the device gives it up");

        let (mut old, mut new) = (server.device("Ana").await, server.device("Zoe").await);
        let delivery = server.delivery("B").await;
        let at = "2027-01-15T11:00:00Z";
        server.plan_at(&delivery, old.id(), at).await;
        old.sync(&server).await;
        server.clock.advance(1800);
        server.run_jobs().await;
        let code = server.code(server.messages().len() - 1);
        let now = server.clock.now();
        old.present(&delivery, &code, now).unwrap();
        server.plan_at(&delivery, new.id(), at).await;
        new.sync(&server).await;
        old.upload(&server).await;
        server.run_jobs().await;
        let path = format!("/v1/disputes/{delivery}/resolve");
        let (status, shown) = server.post(&path, body).await;
        assert_eq!((status, &shown["delivery"]["state"]), (200, &json!("failed")), "{shown}");
        let code = server.code(server.messages().len() - 1);
        new.present(&delivery, &code, now).unwrap();
        new.sync(&server).await;
        server.run_jobs().await;
        let shown = server.shown(&delivery).await;
        assert_eq!(shown["state"], "delivered", "the new driver was on the way: {shown}");
    }

    #[tokio::test]
    async fn a_word_that_is_none_is_refused_and_changes_nothing() {
        let server = TestServer::new().await;
        let (_, _, delivery) = server.disputed().await;
        let path = format!("/v1/disputes/{delivery}/resolve");
        for body in [
            json!({"outcome": "perhaps", "note": "x"}),
            json!({"outcome": "delivered", "note": ""}),
            json!({"outcome": "delivered", "note": "x".repeat(301)}),
            json!({"outcome": "delivered"}),
            json!({"outcome": "delivered", "note": "x", "by": "key_other"}),
        ] {
            let (status, problem) = server.post(&path, body.clone()).await;
            assert_eq!((status, &problem["code"]), (422, &json!("invalid_fields")), "{body}");
        }
        let (_, shown) = server.get(&format!("/v1/disputes/{delivery}")).await;
        assert_eq!(shown["disputes"][0]["state"], "open");
    }

    #[tokio::test]
    async fn a_later_claim_with_the_right_code_closes_a_dispute() {
        let server = TestServer::new().await;
        let (_, _, delivery) = server.disputed().await;
        server
            .execute(&format!("UPDATE deliveries SET state = 'reported' WHERE id = '{delivery}'"));
        let (_, shown) = server.get(&format!("/v1/disputes/{delivery}")).await;
        assert_eq!(shown["disputes"][0]["state"], "open", "a further claim ends nothing by itself");
        server
            .execute(&format!("UPDATE deliveries SET state = 'delivered' WHERE id = '{delivery}'"));
        let (_, shown) = server.get(&format!("/v1/disputes/{delivery}")).await;
        assert_eq!(shown["disputes"][0]["state"], "closed");
        assert_eq!(shown["disputes"][0]["resolution"], json!(null));
    }
}
