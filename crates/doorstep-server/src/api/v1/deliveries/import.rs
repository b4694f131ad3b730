//! Takes in many deliveries at once, all of them or none.

use super::create::{CreateDelivery, check};
use crate::context::Context;
use crate::http::extract::{ApiJson, parse_json};
use crate::http::problem::{FieldError, Problem, ProblemBody};
use crate::phone::{Region, UnknownRegion};
use crate::store::StoreError;
use crate::store::deliveries::{self, Inserted};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// Enough for a depot's morning; their codes are made when they are planned.
const MAX_ROWS: usize = 10_000;

/// Deliveries to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportDeliveries {
    /// 1 to 10,000 deliveries.
    // Kept raw at first, so that an error in one names its row.
    #[schema(value_type = Vec<CreateDelivery>, min_items = 1, max_items = 10_000)]
    deliveries: Vec<Box<RawValue>>,
    /// Of which country phone numbers are that name none, in two letters of ISO 3166; the server's
    /// region when left out.
    #[serde(default)]
    #[schema(example = "ES")]
    region: Option<String>,
    /// Checks everything and takes nothing in.
    #[serde(default)]
    dry_run: bool,
}

/// What became of an import.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Imported {
    /// How many deliveries were checked: all.
    checked: usize,
    /// How many were taken in: all, or none in a dry run.
    imported: usize,
    /// Their ids, in the order of the request.
    ids: Vec<String>,
}

/// Takes in many deliveries, all or none. Errors name the row (from 0) and the field; the first hundred
/// are listed.
#[utoipa::path(post, path = "/v1/deliveries/import", tag = "deliveries",
    operation_id = "import_deliveries", security(("api_key" = [])), request_body = ImportDeliveries,
    responses((status = 201, description = "all were taken in", body = Imported),
        (status = 200, description = "a dry run: all could be taken in", body = Imported),
        (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiJson(request): ApiJson<ImportDeliveries>,
) -> Result<(StatusCode, Json<Imported>), Problem> {
    let count = request.deliveries.len();
    if !(1..=MAX_ROWS).contains(&count) {
        return Err(Problem::field(
            "deliveries",
            format!("has {count} entries, not 1 to {MAX_ROWS}"),
        ));
    }
    let region = match &request.region {
        Some(text) => {
            Some(text.parse().map_err(|error: UnknownRegion| Problem::field("region", error))?)
        }
        None => context.config.deliveries.default_region,
    };
    let dry_run = request.dry_run;
    let inner = Arc::clone(&context);
    // Tables of phone numbers are searched for each row, which is nothing for a thread that answers
    // others meanwhile.
    let checked =
        tokio::task::spawn_blocking(move || check_all(&inner, &request.deliveries, region));
    let Checked { rows, references, mut errors } =
        checked.await.map_err(|error| Problem::internal(&error))?;
    // Whatever else is wrong, so that one answer names everything.
    errors.extend(context.store.read(move |connection| taken(connection, &references)).await?);
    if !errors.is_empty() {
        errors.sort_by_key(|error| error.row);
        return Err(Problem::fields(errors));
    }
    if dry_run {
        let checked = Imported { checked: count, imported: 0, ids: Vec::new() };
        return Ok((StatusCode::OK, Json(checked)));
    }
    let now = context.now();
    let ids = context.store.write(move |connection| insert_all(connection, &rows, now)).await?;
    Ok((StatusCode::CREATED, Json(Imported { checked: count, imported: ids.len(), ids })))
}

/// The rows of an import, looked at by themselves.
struct Checked {
    /// All of them, if there are no errors.
    rows: Vec<deliveries::NewDelivery>,
    /// With their rows, also of those with errors.
    references: Vec<(usize, String)>,
    errors: Vec<FieldError>,
}

fn check_all(context: &Context, deliveries: &[Box<RawValue>], region: Option<Region>) -> Checked {
    let mut rows = Vec::with_capacity(deliveries.len());
    let (mut references, mut errors) = (Vec::with_capacity(deliveries.len()), Vec::new());
    let mut first_rows = HashMap::new();
    for (row, raw) in deliveries.iter().enumerate() {
        let parsed = match parse_json::<CreateDelivery>(raw.get().as_bytes(), Some(row)) {
            Ok(parsed) => parsed,
            Err(problem) => {
                errors.extend(problem.into_fields());
                continue;
            }
        };
        let reference = parsed.reference.clone();
        if *first_rows.entry(reference.clone()).or_insert(row) == row {
            references.push((row, reference));
        } else {
            errors.push(duplicate(row, "is the reference of an earlier row too"));
        }
        match check(context, parsed, region, Some(row)) {
            Ok(delivery) => rows.push(delivery),
            Err(more) => errors.extend(more),
        }
    }
    Checked { rows, references, errors }
}

/// The rows whose references other deliveries have.
fn taken(
    connection: &Connection,
    references: &[(usize, String)],
) -> Result<Vec<FieldError>, StoreError> {
    let mut errors = Vec::new();
    for (row, reference) in references {
        if deliveries::has_reference(connection, reference)? {
            errors.push(duplicate(*row, TAKEN));
        }
    }
    Ok(errors)
}

const TAKEN: &str = "is the reference of a delivery that is already here";

fn insert_all(
    connection: &Connection,
    rows: &[deliveries::NewDelivery],
    now: Timestamp,
) -> Result<Vec<String>, Problem> {
    let mut errors = Vec::new();
    for (row, delivery) in rows.iter().enumerate() {
        match deliveries::insert(connection, delivery, now)? {
            Inserted::Yes => {}
            // It came in since the others were looked at.
            Inserted::DuplicateReference => errors.push(duplicate(row, TAKEN)),
        }
    }
    if !errors.is_empty() {
        // An error takes the whole job back, so no row stays behind.
        return Err(Problem::fields(errors));
    }
    Ok(rows.iter().map(|delivery| delivery.id.as_str().to_owned()).collect())
}

fn duplicate(row: usize, message: &str) -> FieldError {
    FieldError { row: Some(row), field: "reference".to_owned(), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::{Value, json};

    fn order(reference: &str) -> Value {
        json!({"reference": reference, "address": "Quay 1",
               "recipients": [{"name": "Ana", "phone": "612345678"}, {"name": "Bo", "phone": "612345679"}]})
    }

    #[tokio::test]
    async fn rows_are_taken_in_together_and_in_order() {
        let server = TestServer::new().await;
        let rows: Vec<_> = (0..100).map(|n| order(&format!("R{n}"))).collect();
        let (status, made) =
            server.post("/v1/deliveries/import", json!({"deliveries": rows})).await;
        assert_eq!((status, &made["imported"]), (201, &json!(100)), "{made}");
        let list = server.deliveries().await;
        let references: Vec<_> =
            list.iter().map(|d| d["reference"].as_str().unwrap().to_owned()).collect();
        assert_eq!(references, (0..100).map(|n| format!("R{n}")).collect::<Vec<_>>());
        assert_eq!(list[0]["id"], made["ids"][0]);
    }

    #[tokio::test]
    async fn one_bad_row_keeps_all_out_and_is_named() {
        let server = TestServer::new().await;
        let mut wrong_type = order("C");
        wrong_type["recipients"][1]["phone"] = json!(true);
        let mut unknown = order("D");
        unknown["colour"] = json!("red");
        let mut control = order("E");
        control["address"] = json!("a\u{7}");
        for (bad, field) in [
            (wrong_type, "recipients[1].phone"),
            (unknown, "colour"),
            (control, "address"),
            (order("A"), "reference"),
            (json!(7), "."),
            (json!(null), "."),
        ] {
            let rows = json!({"deliveries": [order("A"), order("B"), bad]});
            let (status, problem) = server.post("/v1/deliveries/import", rows).await;
            assert_eq!(status, 422, "{problem}");
            assert_eq!(problem["errors"].as_array().unwrap().len(), 1, "{problem}");
            assert_eq!(
                (&problem["errors"][0]["row"], &problem["errors"][0]["field"]),
                (&json!(2), &json!(field))
            );
        }
        assert!(server.deliveries().await.is_empty());
    }

    #[tokio::test]
    async fn no_text_counts_rows() {
        let server = TestServer::new().await;
        let mut blank = order("B");
        blank["address"] = json!("");
        let rows = json!({"deliveries": [order("A"), order("A"), blank]});
        let (_, problem) = server.post("/v1/deliveries/import", rows).await;
        assert_eq!(problem["detail"], "2 rows are wrong");
        assert_eq!(problem["errors"][0]["message"], "is the reference of an earlier row too");
        let rows: Vec<_> =
            problem["errors"].as_array().unwrap().iter().map(|e| &e["row"]).collect();
        assert_eq!(rows, [&json!(1), &json!(2)]);
    }

    #[tokio::test]
    async fn a_dry_run_says_all_that_is_wrong_and_takes_nothing_in() {
        let server = TestServer::new().await;
        let import = |rows: Value| server.post("/v1/deliveries/import", rows);
        let rows = json!({"deliveries": [order("A"), order("B")], "dry_run": true});
        let (status, checked) = import(rows).await;
        assert_eq!((status, &checked), (200, &json!({"checked": 2, "imported": 0, "ids": []})));
        assert!(server.deliveries().await.is_empty());

        server.post("/v1/deliveries", order("B")).await;
        let mut foreign = order("C");
        foreign["recipients"][0]["phone"] = json!("12345");
        for dry_run in [true, false] {
            let rows =
                json!({"deliveries": [foreign, order("B"), order("C"), 7], "dry_run": dry_run});
            let (status, problem) = import(rows).await;
            let wrong: Vec<(&Value, &Value)> = problem["errors"]
                .as_array()
                .unwrap()
                .iter()
                .map(|error| (&error["row"], &error["field"]))
                .collect();
            assert_eq!(status, 422);
            assert_eq!(
                wrong,
                [
                    (&json!(0), &json!("recipients[0].phone")),
                    (&json!(1), &json!("reference")),
                    (&json!(2), &json!("reference")),
                    (&json!(3), &json!("."))
                ]
            );
        }
        assert_eq!(server.deliveries().await.len(), 1);
    }

    #[tokio::test]
    async fn a_file_has_its_region_and_a_row_may_have_another() {
        let server = TestServer::new().await;
        let mut other = order("B");
        other["region"] = json!("DE");
        let rows = json!({"deliveries": [order("A"), other], "region": "FR"});
        server.post("/v1/deliveries/import", rows).await;
        let phones: Vec<Value> =
            server.deliveries().await.iter().map(|d| d["recipients"][0]["phone"].clone()).collect();
        assert_eq!(phones, [json!("+33612345678"), json!("+49612345678")]);
        let rows = json!({"deliveries": [order("C")], "region": "Spain"});
        let (status, problem) = server.post("/v1/deliveries/import", rows).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("region")));
    }

    #[tokio::test]
    async fn references_that_are_taken_keep_all_out() {
        let server = TestServer::new().await;
        server.post("/v1/deliveries", order("B")).await;
        let rows = json!({"deliveries": [order("A"), order("B"), order("C")]});
        let (status, problem) = server.post("/v1/deliveries/import", rows).await;
        assert_eq!((status, &problem["errors"][0]["row"]), (422, &json!(1)), "{problem}");
        assert_eq!(server.deliveries().await.len(), 1);
    }

    #[tokio::test]
    async fn empty_overlong_and_oversized_lists_are_refused() {
        let server = TestServer::new().await;
        let many: Vec<_> = (0..10_001).map(|n| order(&n.to_string())).collect();
        for body in [
            json!({"deliveries": []}),
            json!({"deliveries": many}),
            json!({"deliveries": {}}),
            json!([]),
        ] {
            let (status, problem) = server.post("/v1/deliveries/import", body).await;
            assert_eq!((status, &problem["code"]), (422, &json!("invalid_fields")));
        }
        let huge = format!("{{\"deliveries\": [\"{}\"]}}", "a".repeat(20_000_000));
        let headers = [server.bearer(), ("content-type", "application/json")];
        let answer = server.request("POST", "/v1/deliveries/import", &headers, huge).await;
        assert_eq!((answer.status, &answer.json["code"]), (413, &json!("body_too_large")));
        assert!(server.deliveries().await.is_empty());
    }
}
