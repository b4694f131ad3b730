//! Lists deliveries, page by page.

use super::DeliveryView;
use crate::context::Context;
use crate::http::cursor;
use crate::http::extract::ApiQuery;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::store::deliveries::{self, State as DeliveryState};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Which deliveries, and how many at a time.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListDeliveries {
    /// How many on a page, 1 to 200; 50 when left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only those in this state.
    #[param(example = "planned")]
    state: Option<String>,
    /// Only the one with this reference.
    reference: Option<String>,
}

/// A page of deliveries, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryList {
    data: Vec<DeliveryView>,
    /// Where the next page starts; null on the last.
    next_cursor: Option<String>,
}

/// Lists deliveries, oldest first.
#[utoipa::path(get, path = "/v1/deliveries", tag = "deliveries", operation_id = "list_deliveries",
    security(("api_key" = [])), params(ListDeliveries),
    responses((status = 200, description = "a page of deliveries", body = DeliveryList), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiQuery(query): ApiQuery<ListDeliveries>,
) -> Result<Json<DeliveryList>, Problem> {
    let limit = cursor::limit(query.limit)?;
    let after = cursor::read(query.cursor.as_deref())?;
    let state = query.state.as_deref().map(DeliveryState::parse).transpose().map_err(|_| {
        Problem::new(Code::InvalidQuery, "state: not a state of deliveries").hint(
            "one of created, planned, handed_out, notified, reported, delivered, disputed, failed, expired, cancelled",
        )
    })?;
    let page = context
        .store
        .read(move |connection| {
            deliveries::page(
                connection,
                state,
                query.reference.as_deref(),
                after,
                limit.saturating_add(1),
            )
        })
        .await?;
    let (page, next_cursor) = cursor::cut(page, limit, |delivery| delivery.seq);
    Ok(Json(DeliveryList { data: page.into_iter().map(DeliveryView::from).collect(), next_cursor }))
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::json;

    async fn filled() -> TestServer {
        let server = TestServer::new().await;
        let rows: Vec<_> = (0..5)
            .map(|n| {
                json!({"reference": format!("R{n}"), "address": "Quay 1",
                       "recipients": [{"name": "Ana", "phone": "612345678"}]})
            })
            .collect();
        server.post("/v1/deliveries/import", json!({"deliveries": rows})).await;
        server
    }

    #[tokio::test]
    async fn pages_join_without_gap_or_repetition() {
        let server = filled().await;
        let mut path = "/v1/deliveries?limit=2".to_owned();
        let mut seen = Vec::new();
        loop {
            let (status, page) = server.get(&path).await;
            assert_eq!(status, 200);
            for delivery in page["data"].as_array().unwrap() {
                seen.push(delivery["reference"].as_str().unwrap().to_owned());
            }
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            path = format!("/v1/deliveries?limit=2&cursor={cursor}");
        }
        assert_eq!(seen, ["R0", "R1", "R2", "R3", "R4"]);
    }

    #[tokio::test]
    async fn filters_narrow_the_list() {
        let server = filled().await;
        let (_, page) = server.get("/v1/deliveries?reference=R3").await;
        assert_eq!(page["data"].as_array().unwrap().len(), 1);
        let (_, page) = server.get("/v1/deliveries?state=planned").await;
        assert_eq!(page["data"], json!([]));
    }

    #[tokio::test]
    async fn queries_that_mean_nothing_are_refused() {
        let server = filled().await;
        for query in [
            "limit=0",
            "limit=201",
            "limit=-1",
            "limit=many",
            "limit=99999999999",
            "cursor=x",
            "cursor=",
            "state=Created",
            "state=",
            "sort=name",
            "limit=1&limit=2",
        ] {
            let (status, problem) = server.get(&format!("/v1/deliveries?{query}")).await;
            assert_eq!((status, &problem["code"]), (400, &json!("invalid_query")), "{query}");
        }
    }
}
