//! Lists disputes, page by page.

use super::DisputeView;
use crate::context::Context;
use crate::http::cursor;
use crate::http::extract::ApiQuery;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::store::disputes::{self, State as DisputeState};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Which disputes, and how many at a time.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListDisputes {
    /// How many on a page, 1 to 200; 50 when left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only those that are `open`, `resolved` or `closed`.
    #[param(example = "open")]
    state: Option<String>,
    /// Only those about which this device claimed something.
    device: Option<String>,
}

/// A page of disputes, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DisputeList {
    data: Vec<DisputeView>,
    /// Where the next page starts; null on the last.
    next_cursor: Option<String>,
}

/// Lists disputes, oldest first.
#[utoipa::path(get, path = "/v1/disputes", tag = "disputes", operation_id = "list_disputes",
    security(("api_key" = [])), params(ListDisputes),
    responses((status = 200, description = "a page of disputes", body = DisputeList), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiQuery(query): ApiQuery<ListDisputes>,
) -> Result<Json<DisputeList>, Problem> {
    let limit = cursor::limit(query.limit)?;
    let after = cursor::read(query.cursor.as_deref())?;
    let state = query.state.as_deref().map(DisputeState::parse).transpose().map_err(|()| {
        Problem::new(Code::InvalidQuery, "state: not a state of disputes")
            .hint("one of open, resolved, closed")
    })?;
    let page = context
        .store
        .read(move |connection| {
            let device = query.device.as_deref();
            disputes::page(connection, state, device, after, limit.saturating_add(1))
        })
        .await?;
    let (page, next_cursor) = cursor::cut(page, limit, |dispute| dispute.seq);
    Ok(Json(DisputeList { data: page.into_iter().map(DisputeView::from).collect(), next_cursor }))
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::json;

    #[tokio::test]
    async fn disputes_are_filtered_and_pages_join() {
        let server = TestServer::new().await;
        let (honest, forger, delivery) = server.disputed().await;
        let count = |query: String| {
            let server = &server;
            async move {
                let (status, page) = server.get(&format!("/v1/disputes?{query}")).await;
                assert_eq!(status, 200, "{page}");
                page["data"].as_array().unwrap().len()
            }
        };
        assert_eq!(count(String::new()).await, 1);
        assert_eq!(count("state=open".to_owned()).await, 1);
        assert_eq!(count("state=resolved".to_owned()).await, 0);
        assert_eq!(count(format!("device={}", forger.id())).await, 1);
        assert_eq!(count(format!("device={}", honest.id())).await, 0);
        let (_, page) = server.get("/v1/disputes?limit=1").await;
        assert_eq!(page["data"][0]["delivery"], json!(delivery));
        assert_eq!(page["next_cursor"], json!(null));
    }

    #[tokio::test]
    async fn queries_that_mean_nothing_are_refused() {
        let server = TestServer::new().await;
        for query in ["limit=0", "cursor=%FF", "state=Open", "driver=Ana"] {
            let (status, problem) = server.get(&format!("/v1/disputes?{query}")).await;
            assert_eq!((status, &problem["code"]), (400, &json!("invalid_query")), "{query}");
        }
    }
}
