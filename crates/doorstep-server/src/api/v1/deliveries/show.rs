//! Shows one delivery.

use super::{DeliveryDetail, detail, id_in_path, not_found};
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use axum::Json;
use axum::extract::{Path, State};
use std::sync::Arc;

/// Shows one delivery with its plan, its messages and the claims about it.
#[utoipa::path(get, path = "/v1/deliveries/{id}", tag = "deliveries", operation_id = "show_delivery",
    security(("api_key" = [])), params(("id" = String, Path, description = "the delivery's id")),
    responses((status = 200, description = "the delivery", body = DeliveryDetail), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<Json<DeliveryDetail>, Problem> {
    let id = id_in_path(&id)?;
    let found = context.store.read(move |connection| detail(connection, &id)).await?;
    found.map(Json).ok_or_else(not_found)
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::json;

    #[tokio::test]
    async fn ids_that_name_nothing_are_refused() {
        let server = TestServer::new().await;
        for id in ["dlv_0", "DLV_0", "%20", "%00", "..%2F", &"d".repeat(41)] {
            let (status, problem) = server.get(&format!("/v1/deliveries/{id}")).await;
            assert_eq!((status, &problem["code"]), (404, &json!("delivery_not_found")), "{id}");
        }
    }
}
