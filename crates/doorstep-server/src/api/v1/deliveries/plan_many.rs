//! Plans many deliveries at once; each by itself, so that one that cannot be planned keeps no other up.

use super::not_found;
use super::plan::{Plan, PlanDelivery, carry_out, check};
use crate::context::Context;
use crate::http::extract::{ApiJson, parse_json};
use crate::http::problem::{Code, Problem, ProblemBody, Refused};
use crate::store::StoreError;
use crate::store::deliveries::{self, Delivery};
use axum::Json;
use axum::extract::State;
use doorstep::id::DeliveryId;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::HashSet;
use std::sync::Arc;
use utoipa::ToSchema;

const MAX_ROWS: usize = 1000;
/// Planned in one transaction. Codes are made in it, so it is what others wait for.
const CHUNK: usize = 20;

/// Plans to carry out.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanMany {
    /// 1 to 1,000 plans, each of another delivery.
    // Kept raw at first, so that an error in one is that one's.
    #[schema(value_type = Vec<PlanOne>, min_items = 1, max_items = 1000)]
    plans: Vec<Box<RawValue>>,
}

/// One plan of many.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanOne {
    /// The delivery's id, or its reference.
    #[schema(example = "ORDER-1001")]
    delivery: String,
    /// As for one delivery.
    plan: PlanDelivery,
}

/// What became of the plans.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlannedMany {
    /// How many were carried out.
    planned: usize,
    /// One for each, in the order of the request.
    results: Vec<PlanResult>,
}

/// What became of one plan.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlanResult {
    /// The delivery's id, if there is one.
    delivery: Option<String>,
    /// Its reference, or what was asked for.
    reference: String,
    /// The generation that was made; null if none was.
    generation: Option<u32>,
    /// Why none was made.
    problem: Option<Refused>,
}

impl PlannedMany {
    pub(super) fn new(results: Vec<PlanResult>) -> Self {
        let planned = results.iter().filter(|result| result.generation.is_some()).count();
        Self { planned, results }
    }
}

impl PlanResult {
    pub(super) fn refused(asked: &str, problem: Problem) -> Self {
        Self {
            delivery: None,
            reference: asked.to_owned(),
            generation: None,
            problem: Some(problem.into()),
        }
    }

    fn of(delivery: &Delivery, result: Result<u32, Problem>) -> Self {
        let (generation, problem) = match result {
            Ok(generation) => (Some(generation), None),
            Err(problem) => (None, Some(problem.into())),
        };
        Self {
            delivery: Some(delivery.id.as_str().to_owned()),
            reference: delivery.reference.clone(),
            generation,
            problem,
        }
    }
}

/// Plans many deliveries, each by itself: the answer says of each whether it was planned, and if not why.
#[utoipa::path(post, path = "/v1/deliveries/plan_many", tag = "deliveries",
    operation_id = "plan_deliveries", security(("api_key" = [])), request_body = PlanMany,
    responses((status = 200, description = "what became of each", body = PlannedMany), (status = "4XX", description = "refused as a whole",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiJson(request): ApiJson<PlanMany>,
) -> Result<Json<PlannedMany>, Problem> {
    let count = request.plans.len();
    if !(1..=MAX_ROWS).contains(&count) {
        return Err(Problem::field("plans", format!("has {count} entries, not 1 to {MAX_ROWS}")));
    }
    let now = context.now();
    let mut seen = HashSet::new();
    let rows: Vec<(String, Result<Plan, Problem>)> = request
        .plans
        .iter()
        .map(|raw| {
            let row = match parse_json::<PlanOne>(raw.get().as_bytes(), None) {
                Ok(row) => row,
                Err(problem) => return (String::new(), Err(problem)),
            };
            let plan = check(&row.plan, &context.config.deliveries, now).map_err(Problem::fields);
            let plan = plan.and_then(|plan| {
                let first = seen.insert(row.delivery.clone());
                if first { Ok(plan) } else { Err(twice()) }
            });
            (row.delivery, plan)
        })
        .collect();
    Ok(Json(PlannedMany::new(plan_all(&context, rows, now).await)))
}

fn twice() -> Problem {
    Problem::field("delivery", "is in an earlier plan too")
}

/// Carries out plans, chunk by chunk, and says of each what became of it.
pub(super) async fn plan_all(
    context: &Arc<Context>,
    rows: Vec<(String, Result<Plan, Problem>)>,
    now: Timestamp,
) -> Vec<PlanResult> {
    let mut results = Vec::with_capacity(rows.len());
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let chunk: Vec<_> = rows.by_ref().take(CHUNK).collect();
        let asked: Vec<String> = chunk.iter().map(|(asked, _)| asked.clone()).collect();
        let inner = Arc::clone(context);
        let done = context.store.write(move |connection| {
            chunk
                .into_iter()
                .map(|(asked, plan)| one(&inner, connection, &asked, plan, now))
                .collect::<Result<Vec<_>, Problem>>()
        });
        match done.await {
            Ok(done) => results.extend(done),
            // A malfunction undid this chunk alone.
            Err(problem) => results
                .extend(asked.iter().map(|asked| PlanResult::refused(asked, problem.clone()))),
        }
    }
    results
}

/// Plans one delivery. Whatever can be refused is refused before the first write, so only a malfunction
/// is an error here: it undoes the chunk.
fn one(
    context: &Context,
    connection: &Connection,
    asked: &str,
    plan: Result<Plan, Problem>,
    now: Timestamp,
) -> Result<PlanResult, Problem> {
    let Some(delivery) = find(connection, asked)? else {
        let problem = plan.err().unwrap_or_else(not_found);
        return Ok(PlanResult::refused(asked, problem));
    };
    let planned = plan.and_then(|plan| carry_out(context, connection, &delivery, plan, now));
    match planned {
        Err(problem) if problem.code() == Code::Internal => Err(problem),
        planned => {
            let generation = delivery.generation.saturating_add(1);
            Ok(PlanResult::of(&delivery, planned.map(|()| generation)))
        }
    }
}

fn find(connection: &Connection, asked: &str) -> Result<Option<Delivery>, StoreError> {
    // A reference may look like an id; it counts if no delivery has the id.
    if let Ok(id) = DeliveryId::parse(asked)
        && let Some(delivery) = deliveries::find(connection, &id)?
    {
        return Ok(Some(delivery));
    }
    deliveries::by_reference(connection, asked)
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::{Value, json};

    fn plan(delivery: &str, device: &str) -> Value {
        json!({"delivery": delivery, "plan": {"device": device, "expected_at": "2027-01-15T10:00:00Z"}})
    }

    #[tokio::test]
    async fn each_is_planned_or_says_why_not() {
        let server = TestServer::new().await;
        let mut device = server.device("Marta").await;
        let ids = [server.delivery("A").await, server.delivery("B").await];
        let cancelled = server.delivery("C").await;
        server.post(&format!("/v1/deliveries/{cancelled}/cancel"), json!({})).await;
        let mut late = plan("B", device.id());
        late["plan"]["expected_at"] = json!("2027-01-15T07:00:00Z");
        let mut unknown = plan("B", device.id());
        unknown["colour"] = json!("red");
        let plans = json!({"plans": [
            plan(&ids[0], device.id()), late, plan("C", device.id()), plan("Z", device.id()),
            plan("B", "dev_0"), unknown, plan("B", device.id()), plan("B", device.id()), 7,
        ]});
        let (status, answer) = server.post("/v1/deliveries/plan_many", plans).await;
        assert_eq!((status, &answer["planned"]), (200, &json!(1)), "{answer}");
        let outcomes: Vec<&Value> = answer["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| if r["generation"] == 1 { &r["reference"] } else { &r["problem"]["code"] })
            .collect();
        let wrong = "invalid_fields";
        assert_eq!(
            outcomes,
            [
                "A",
                wrong,
                "delivery_closed",
                "delivery_not_found",
                "device_not_found",
                wrong,
                wrong,
                wrong,
                wrong
            ]
        );
        assert_eq!(answer["results"][1]["problem"]["errors"][0]["field"], "expected_at");
        assert_eq!(answer["results"][1]["delivery"], json!(ids[1]));
        assert_eq!(device.sync(&server).await.len(), 1, "nothing else was planned");
    }

    #[tokio::test]
    async fn many_are_planned_in_several_transactions() {
        let server = TestServer::new().await;
        let mut device = server.device("Marta").await;
        let mut plans = Vec::new();
        for n in 0..45 {
            plans.push(plan(&server.delivery(&format!("R{n}")).await, device.id()));
        }
        let (_, answer) = server.post("/v1/deliveries/plan_many", json!({"plans": plans})).await;
        assert_eq!(answer["planned"], 45);
        assert_eq!(device.sync(&server).await.len(), 45);
        for wrong in [json!([]), json!({}), json!(vec![1; 1001])] {
            let (status, _) =
                server.post("/v1/deliveries/plan_many", json!({"plans": wrong})).await;
            assert_eq!(status, 422);
        }
    }

    #[tokio::test]
    async fn a_malfunction_undoes_its_chunk_and_is_told_of_each() {
        let server = TestServer::new().await;
        let device = server.device("Marta").await;
        server.delivery("A").await;
        server.delivery("B").await;
        server.execute(
            "CREATE TRIGGER fault BEFORE INSERT ON messages WHEN (SELECT count(*) FROM messages) > 2
             BEGIN SELECT RAISE(ABORT, 'fault'); END",
        );
        let plans = json!({"plans": [plan("A", device.id()), plan("B", device.id())]});
        let (status, answer) = server.post("/v1/deliveries/plan_many", plans).await;
        assert_eq!((status, &answer["planned"]), (200, &json!(0)));
        assert_eq!(answer["results"][0]["problem"]["code"], "internal");
        assert_eq!(server.query("SELECT count(*) FROM generations"), 0);
    }
}
