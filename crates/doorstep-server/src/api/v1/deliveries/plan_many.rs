//! Plans many deliveries at once; each by itself, so that one that cannot be planned keeps no other up.

use super::carry_out::{make, order, record};
use super::not_found;
use super::plan::{Plan, PlanDelivery, check};
use crate::context::Context;
use crate::http::extract::{ApiJson, parse_json};
use crate::http::problem::{Code, Problem, ProblemBody, Refused};
use crate::store::deliveries::{self, Delivery};
use axum::Json;
use axum::extract::State;
use doorstep::handover::issue::Order;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use utoipa::ToSchema;

const MAX_ROWS: usize = 1000;
/// Planned in one transaction, which is what others wait for.
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
    let rows: Vec<Row> = request
        .plans
        .iter()
        .map(|raw| match parse_json::<PlanOne>(raw.get().as_bytes(), None) {
            Ok(row) => {
                let plan = check(&row.plan, &context.config.deliveries, now);
                (row.delivery, plan.map_err(Problem::fields))
            }
            Err(problem) => (String::new(), Err(problem)),
        })
        .collect();
    let rows = context.store.read(move |connection| each_once(connection, rows)).await?;
    Ok(Json(PlannedMany::new(plan_all(&context, rows, now).await)))
}

/// Refuses the second plan of a delivery, by whatever name it is asked for.
fn each_once(connection: &Connection, rows: Vec<Row>) -> Result<Vec<Row>, Problem> {
    let mut seen = HashSet::new();
    let once = |(asked, plan): Row| {
        let found = match &plan {
            Ok(_) => deliveries::named(connection, &asked)?,
            Err(_) => None,
        };
        let first = found.is_none_or(|delivery| seen.insert(delivery.id));
        Ok((asked, if first { plan } else { Err(twice()) }))
    };
    rows.into_iter().map(once).collect()
}

fn twice() -> Problem {
    Problem::field("delivery", "is in an earlier plan too")
}

/// A plan, or why it cannot be carried out, of what was asked for.
type Row = (String, Result<Plan, Problem>);

/// Carries out plans, chunk by chunk, and says of each what became of it.
pub(super) async fn plan_all(
    context: &Arc<Context>,
    rows: Vec<Row>,
    now: Timestamp,
) -> Vec<PlanResult> {
    let mut results = Vec::with_capacity(rows.len());
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let chunk: Vec<_> = rows.by_ref().take(CHUNK).collect();
        let asked: Vec<String> = chunk.iter().map(|(asked, _)| asked.clone()).collect();
        match plan_chunk(context, chunk, now).await {
            Ok(done) => results.extend(done),
            // A malfunction undid this chunk alone.
            Err(problem) => results
                .extend(asked.iter().map(|asked| PlanResult::refused(asked, problem.clone()))),
        }
    }
    results
}

/// Carries out the plans of one chunk in one transaction. Those whose delivery somebody else planned
/// in between go again.
async fn plan_chunk(
    context: &Arc<Context>,
    rows: Vec<Row>,
    now: Timestamp,
) -> Result<Vec<PlanResult>, Problem> {
    let mut results: BTreeMap<usize, PlanResult> = BTreeMap::new();
    let mut rows: Vec<(usize, Row)> = rows.into_iter().enumerate().collect();
    while !rows.is_empty() {
        let inner = Arc::clone(context);
        let ordered = context.store.read(move |connection| {
            let ordered = |(place, row)| Ok((place, ordered(&inner, connection, row)?));
            rows.into_iter().map(ordered).collect::<Result<Vec<_>, Problem>>()
        });
        let mut made = Vec::new();
        for (place, ordered) in ordered.await? {
            match ordered {
                Ok(ordered) => {
                    let codes = make(context, ordered.order).await?;
                    made.push((place, ordered.delivery, ordered.plan, codes));
                }
                Err(refused) => {
                    results.insert(place, refused);
                }
            }
        }
        let inner = Arc::clone(context);
        let recorded = context.store.write(move |connection| {
            let one = |(place, delivery, plan, codes)| {
                let planned = match record(&inner, connection, &plan, codes, now) {
                    Err(problem) if problem.code() == Code::Internal => return Err(problem),
                    planned => planned.transpose(),
                };
                Ok((place, delivery, plan, planned))
            };
            made.into_iter().map(one).collect::<Result<Vec<_>, Problem>>()
        });
        rows = Vec::new();
        for (place, delivery, plan, planned) in recorded.await? {
            match planned {
                Some(planned) => {
                    results.insert(place, PlanResult::of(&delivery, planned));
                }
                None => rows.push((place, (delivery.id.to_string(), Ok(plan)))),
            }
        }
    }
    Ok(results.into_values().collect())
}

/// A plan that needs codes.
struct Ordered {
    delivery: Delivery,
    plan: Plan,
    order: Order,
}

/// Orders the codes of one plan. Whatever can be refused is refused here or before the first write, so
/// only a malfunction is an error: it undoes the chunk.
fn ordered(
    context: &Context,
    connection: &Connection,
    (asked, plan): Row,
) -> Result<Result<Ordered, PlanResult>, Problem> {
    let Some(delivery) = deliveries::named(connection, &asked)? else {
        let problem = plan.err().unwrap_or_else(not_found);
        return Ok(Err(PlanResult::refused(&asked, problem)));
    };
    let ordered = plan
        .and_then(|plan| order(context, connection, &delivery, &plan).map(|order| (plan, order)));
    match ordered {
        Err(problem) if problem.code() == Code::Internal => Err(problem),
        Err(problem) => Ok(Err(PlanResult::of(&delivery, Err(problem)))),
        Ok((plan, order)) => Ok(Ok(Ordered { delivery, plan, order })),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::deliveries::Check;
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
    async fn one_delivery_by_two_names_is_planned_once_and_its_number_is_told() {
        let server = TestServer::new().await;
        let device = server.device("Marta").await;
        let id = server.delivery("A").await;
        // As after a restore, which numbers go on from.
        server.execute("INSERT INTO meta (key, value) VALUES ('epoch', '1900000000')");
        let plans = json!({"plans": [plan(&id, device.id()), plan("A", device.id())]});
        let (_, answer) = server.post("/v1/deliveries/plan_many", plans).await;
        assert_eq!(answer["planned"], 1, "{answer}");
        assert_eq!(answer["results"][1]["problem"]["code"], "invalid_fields");
        let (_, shown) = server.get(&format!("/v1/deliveries/{id}")).await;
        assert_eq!(shown["generation"], 1_900_000_001_u64);
        assert_eq!(answer["results"][0]["generation"], shown["generation"]);
    }

    /// Each finds the other's plan in between, and orders its codes again.
    #[tokio::test]
    async fn plans_at_the_same_time_are_carried_out_one_after_the_other() {
        let server = TestServer::with(|config| config.deliveries.check = Check::Full).await;
        let device = server.managed_device("Marta").await;
        let id = server.delivery("A").await;
        let many = |name: &str| {
            let plans = json!({"plans": [plan(name, device.id())]});
            server.post("/v1/deliveries/plan_many", plans)
        };
        let (first, second, third) =
            tokio::join!(server.plan(&id, device.id()), many("A"), many(&id));
        let mut generations = [
            first.1["generation"].clone(),
            second.1["results"][0]["generation"].clone(),
            third.1["results"][0]["generation"].clone(),
        ];
        generations.sort_by_key(Value::as_u64);
        assert_eq!(generations, [json!(1), json!(2), json!(3)]);
        assert_eq!(server.query("SELECT count(*) FROM generations WHERE state = 'planned'"), 1);
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
