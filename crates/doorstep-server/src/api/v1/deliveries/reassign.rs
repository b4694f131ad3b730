//! Gives what one device has still to deliver to another, with the times that were agreed.

use super::plan::Plan;
use super::plan_many::{PlanResult, PlannedMany, plan_all};
use crate::context::Context;
use crate::http::extract::ApiJson;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::store::{StoreError, generations, messages};
use axum::Json;
use axum::extract::State;
use doorstep::id::DeviceId;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::Deserialize;
use std::collections::HashSet;
use std::sync::Arc;
use utoipa::ToSchema;

/// Deliveries at a time.
const MOST: usize = 1000;

/// From whom to whom.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReassignDeliveries {
    /// The device that has them; it may be lost.
    #[schema(example = "dev_01kb3t5x9m2v7c4r8w6q1z0hnd")]
    from: String,
    /// The device that is to have them.
    to: String,
    /// Only those with these references; everything that is open when left out.
    #[serde(default)]
    #[schema(example = json!(["ORDER-1001"]), max_items = 1000)]
    references: Option<Vec<String>>,
}

/// Gives what one device has still to deliver to another: new codes, the same times. The answer says of
/// each whether it was planned, and if not why. At most 1,000 at a time.
#[utoipa::path(post, path = "/v1/deliveries/reassign", tag = "deliveries",
    operation_id = "reassign_deliveries", security(("api_key" = [])),
    request_body = ReassignDeliveries,
    responses((status = 200, description = "what became of each", body = PlannedMany), (status = "4XX", description = "refused as a whole",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiJson(request): ApiJson<ReassignDeliveries>,
) -> Result<Json<PlannedMany>, Problem> {
    let device = |field: &str, text: &str| {
        DeviceId::parse(text).map_err(|_| Problem::field(field, "is not the id of a device"))
    };
    let (from, to) = (device("from", &request.from)?, device("to", &request.to)?);
    if from == to {
        return Err(Problem::field("to", "is the device that has them"));
    }
    let asked: Option<HashSet<String>> =
        request.references.map(|references| references.into_iter().collect());
    if let Some(count) = asked.as_ref().map(HashSet::len).filter(|count| *count > MOST) {
        return Err(Problem::field("references", format!("has {count} entries, more than {MOST}")));
    }
    let now = context.now();
    let open = context.store.read(move |connection| open(connection, &from, to, now)).await?;
    let mut missing = asked.clone().unwrap_or_default();
    let rows: Vec<_> = open
        .into_iter()
        .filter(|(reference, _)| {
            missing.remove(reference);
            asked.as_ref().is_none_or(|asked| asked.contains(reference))
        })
        .take(MOST)
        .map(|(reference, plan)| (reference, Ok(plan)))
        .collect();
    let mut results = plan_all(&context, rows, now).await;
    let mut missing: Vec<String> = missing.into_iter().collect();
    missing.sort_unstable();
    results.extend(missing.iter().map(|reference| PlanResult::refused(reference, not_there())));
    Ok(Json(PlannedMany::new(results)))
}

fn not_there() -> Problem {
    Problem::new(Code::NotPlanned, "the device has no open delivery with this reference")
        .hint("look at it by itself: it may be delivered, over, or with another driver")
}

/// What a device has still to deliver, by reference, with the same plan for another device.
fn open(
    connection: &Connection,
    from: &DeviceId,
    to: DeviceId,
    now: Timestamp,
) -> Result<Vec<(String, Plan)>, StoreError> {
    let mut open = Vec::new();
    for (reference, generation) in generations::open_of(connection, from, now)? {
        let messages =
            messages::of_generation(connection, &generation.delivery, generation.number)?;
        let send_at = messages.iter().map(|message| message.send_at).min();
        open.push((
            reference,
            Plan {
                device: Some(to),
                // By the policy: the other device may be managed, or not.
                check: None,
                expected_at: generation.expected_at,
                window: generation.window,
                send_at: send_at.unwrap_or(generation.expected_at),
            },
        ));
    }
    Ok(open)
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::{Value, json};

    async fn reassign(server: &TestServer, body: Value) -> (u16, Value) {
        server.post("/v1/deliveries/reassign", body).await
    }

    #[tokio::test]
    async fn what_is_open_goes_to_the_other_device_with_its_times() {
        let server = TestServer::new().await;
        let (mut ana, mut leo) = (server.device("Ana").await, server.device("Leo").await);
        for reference in ["A", "B", "C", "D"] {
            let delivery = server.delivery(reference).await;
            server.plan(&delivery, ana.id()).await;
            if reference == "D" {
                server.post(&format!("/v1/deliveries/{delivery}/cancel"), json!({})).await;
            }
        }
        ana.sync(&server).await;
        server.clock.advance(2 * 3600);
        server.run_jobs().await;
        let sent = server.messages();
        let index = sent.iter().position(|message| message["reference"] == "A").unwrap();
        let (first, code) = (sent[index]["delivery"].as_str().unwrap(), server.code(index));
        let body = json!({"from": ana.id(), "to": leo.id(), "references": ["A", "B", "D", "Z"]});
        let (status, answer) = reassign(&server, body).await;
        assert_eq!((status, &answer["planned"]), (200, &json!(2)), "{answer}");
        let refused: Vec<&Value> = answer["results"].as_array().unwrap()[2..]
            .iter()
            .map(|result| &result["problem"]["code"])
            .collect();
        assert_eq!(refused, [&json!("not_planned"), &json!("not_planned")]);
        let stops = leo.sync(&server).await;
        assert_eq!(stops.len(), 2);
        let (_, shown) = server.get(&format!("/v1/deliveries/{first}")).await;
        assert_eq!(
            (&shown["driver"], &shown["generation"], &shown["starts_at"], &shown["ends_at"]),
            (
                &json!("Leo"),
                &json!(2),
                &json!("2027-01-15T09:00:00Z"),
                &json!("2027-01-15T11:00:00Z")
            )
        );
        assert!(leo.present(first, &code, server.clock.now()).is_err(), "the code is a new one");
        let all = json!({"from": ana.id(), "to": leo.id()});
        let (_, answer) = reassign(&server, all.clone()).await;
        assert_eq!(answer["planned"], 1, "the rest");
        let (_, answer) = reassign(&server, all).await;
        assert_eq!(answer, json!({"planned": 0, "results": []}));
    }

    #[tokio::test]
    async fn requests_that_mean_nothing_are_refused() {
        let server = TestServer::new().await;
        let (ana, leo) = (server.device("Ana").await, server.device("Leo").await);
        for body in [
            json!({"from": ana.id(), "to": ana.id()}),
            json!({"from": "Ana", "to": leo.id()}),
            json!({"from": ana.id()}),
            json!({"from": ana.id(), "to": leo.id(), "references": "A"}),
        ] {
            let (status, problem) = reassign(&server, body).await;
            assert_eq!((status, &problem["code"]), (422, &json!("invalid_fields")));
        }
        let delivery = server.delivery("A").await;
        server.plan(&delivery, ana.id()).await;
        let (_, answer) = reassign(&server, json!({"from": ana.id(), "to": "dev_0"})).await;
        assert_eq!(answer["results"][0]["problem"]["code"], "device_not_found");
        let shown = server.shown(&delivery).await;
        assert_eq!((&shown["driver"], &shown["generation"]), (&json!("Ana"), &json!(1)));
    }
}
