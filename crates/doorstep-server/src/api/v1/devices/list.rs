//! Lists drivers' devices, page by page.

use super::DeviceView;
use crate::context::Context;
use crate::http::cursor;
use crate::http::extract::ApiQuery;
use crate::http::problem::{Problem, ProblemBody};
use crate::store::devices;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// How many devices at a time.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListDevices {
    /// How many on a page, 1 to 200; 50 when left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of devices, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeviceList {
    data: Vec<DeviceView>,
    /// Where the next page starts; null on the last.
    next_cursor: Option<String>,
}

/// Lists devices, oldest first.
#[utoipa::path(get, path = "/v1/devices", tag = "devices", operation_id = "list_devices",
    security(("api_key" = [])), params(ListDevices),
    responses((status = 200, description = "a page of devices", body = DeviceList), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiQuery(query): ApiQuery<ListDevices>,
) -> Result<Json<DeviceList>, Problem> {
    let limit = cursor::limit(query.limit)?;
    let after = cursor::read(query.cursor.as_deref())?;
    let page = context
        .store
        .read(move |connection| devices::page(connection, after, limit.saturating_add(1)))
        .await?;
    let (page, next_cursor) = cursor::cut(page, limit, |device| device.seq);
    Ok(Json(DeviceList { data: page.into_iter().map(DeviceView::from).collect(), next_cursor }))
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::json;

    #[tokio::test]
    async fn pages_join() {
        let server = TestServer::new().await;
        for driver in ["Ana", "Bo", "Cy"] {
            server.post("/v1/devices", json!({"driver": driver})).await;
        }
        let (_, first) = server.get("/v1/devices?limit=2").await;
        let cursor = first["next_cursor"].as_str().unwrap();
        let (_, second) = server.get(&format!("/v1/devices?limit=2&cursor={cursor}")).await;
        assert_eq!(second["data"][0]["driver"], "Cy");
        assert_eq!(second["next_cursor"], json!(null));
    }

    #[tokio::test]
    async fn queries_that_mean_nothing_are_refused() {
        let server = TestServer::new().await;
        for query in ["limit=0", "cursor=%FF", "driver=Ana"] {
            let (status, problem) = server.get(&format!("/v1/devices?{query}")).await;
            assert_eq!((status, &problem["code"]), (400, &json!("invalid_query")), "{query}");
        }
    }
}
