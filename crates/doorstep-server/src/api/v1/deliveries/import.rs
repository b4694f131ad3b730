//! Takes in many deliveries at once, all of them or none.

use super::create::{CreateDelivery, check};
use crate::context::Context;
use crate::http::extract::{ApiJson, parse_json};
use crate::http::problem::{FieldError, Problem, ProblemBody};
use crate::store::StoreError;
use crate::store::deliveries::{self, Inserted};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::HashSet;
use std::sync::Arc;
use utoipa::ToSchema;

const MAX_ROWS: usize = 5000;

/// Deliveries to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportDeliveries {
    /// 1 to 5,000 deliveries.
    // Kept raw at first, so that an error in one names its row.
    #[schema(value_type = Vec<CreateDelivery>, min_items = 1, max_items = 5000)]
    deliveries: Vec<Box<RawValue>>,
}

/// What became of an import.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Imported {
    /// How many deliveries were taken in: all.
    imported: usize,
    /// Their ids, in the order of the request.
    ids: Vec<String>,
}

/// Takes in many deliveries, all or none. Errors name the row (from 0) and the field.
#[utoipa::path(post, path = "/v1/deliveries/import", tag = "deliveries",
    operation_id = "import_deliveries", security(("api_key" = [])), request_body = ImportDeliveries,
    responses((status = 201, description = "all were taken in", body = Imported), (status = "4XX", description = "refused",
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
    let mut checked = Vec::with_capacity(count);
    let mut errors = Vec::new();
    let mut references = HashSet::new();
    for (row, raw) in request.deliveries.iter().enumerate() {
        let parsed = match parse_json::<CreateDelivery>(raw.get().as_bytes(), Some(row)) {
            Ok(parsed) => parsed,
            Err(problem) => {
                errors.extend(problem.into_fields());
                continue;
            }
        };
        if !references.insert(parsed.reference.clone()) {
            errors.push(duplicate(row, "is the reference of an earlier row too"));
        }
        match check(&context, parsed, Some(row)) {
            Ok(delivery) => checked.push(delivery),
            Err(more) => errors.extend(more),
        }
    }
    if !errors.is_empty() {
        return Err(Problem::fields(errors));
    }
    let now = context.now();
    let ids = context.store.write(move |connection| insert_all(connection, &checked, now)).await?;
    Ok((StatusCode::CREATED, Json(Imported { imported: ids.len(), ids })))
}

fn insert_all(
    connection: &rusqlite::Connection,
    checked: &[deliveries::NewDelivery],
    now: doorstep::time::Timestamp,
) -> Result<Vec<String>, Problem> {
    let mut errors = Vec::new();
    for (row, delivery) in checked.iter().enumerate() {
        match deliveries::insert(connection, delivery, now)
            .map_err(|error: StoreError| Problem::from(error))?
        {
            Inserted::Yes => {}
            Inserted::DuplicateReference => {
                errors.push(duplicate(row, "is the reference of a delivery that is already here"));
            }
        }
    }
    if !errors.is_empty() {
        // An error takes the whole job back, so no row stays behind.
        return Err(Problem::fields(errors));
    }
    Ok(checked.iter().map(|delivery| delivery.id.as_str().to_owned()).collect())
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
        let many: Vec<_> = (0..5001).map(|n| order(&n.to_string())).collect();
        for body in [
            json!({"deliveries": []}),
            json!({"deliveries": many}),
            json!({"deliveries": {}}),
            json!([]),
        ] {
            let (status, problem) = server.post("/v1/deliveries/import", body).await;
            assert_eq!((status, &problem["code"]), (422, &json!("invalid_fields")));
        }
        let huge = format!("{{\"deliveries\": [\"{}\"]}}", "a".repeat(10_000_000));
        let headers = [server.bearer(), ("content-type", "application/json")];
        let answer = server.request("POST", "/v1/deliveries/import", &headers, huge).await;
        assert_eq!((answer.status, &answer.json["code"]), (413, &json!("body_too_large")));
        assert!(server.deliveries().await.is_empty());
    }
}
