//! Shows one disputed delivery.

use super::{DisputeDetail, detail, never_disputed};
use crate::api::v1::deliveries;
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use axum::Json;
use axum::extract::{Path, State};
use std::sync::Arc;

/// Shows a disputed delivery: each dispute, and everything that was claimed.
#[utoipa::path(get, path = "/v1/disputes/{delivery}", tag = "disputes", operation_id = "show_dispute",
    security(("api_key" = [])), params(("delivery" = String, Path, description = "the delivery's id")),
    responses((status = 200, description = "its disputes", body = DisputeDetail), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<Json<DisputeDetail>, Problem> {
    let id = deliveries::id_in_path(&id)?;
    let found = context.store.read(move |connection| detail(connection, &id)).await?;
    found.map(Json).ok_or_else(never_disputed)
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::json;

    #[tokio::test]
    async fn only_what_was_disputed_is_shown() {
        let server = TestServer::new().await;
        let (_, forger, delivery) = server.disputed().await;
        let (status, shown) = server.get(&format!("/v1/disputes/{delivery}")).await;
        assert_eq!((status, &shown["disputes"][0]["state"]), (200, &json!("open")));
        assert_eq!(shown["delivery"]["claims"][0]["verdict"], "mismatch");
        assert_eq!(shown["delivery"]["claims"][0]["device"], json!(forger.id()));
        let other = server.delivery("B").await;
        for (id, code) in [
            (other.as_str(), "dispute_not_found"),
            ("dlv_0", "dispute_not_found"),
            ("%00", "delivery_not_found"),
        ] {
            let (status, problem) = server.get(&format!("/v1/disputes/{id}")).await;
            assert_eq!((status, &problem["code"]), (404, &json!(code)), "{id}");
        }
    }
}
