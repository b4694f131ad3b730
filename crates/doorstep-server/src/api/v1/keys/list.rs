//! Lists the API keys, revoked ones too.

use super::KeyView;
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use crate::store::api_keys;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// All API keys, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyList {
    data: Vec<KeyView>,
}

/// Lists all API keys.
#[utoipa::path(get, path = "/v1/keys", tag = "keys", operation_id = "list_keys",
    security(("api_key" = [])),
    responses((status = 200, description = "all API keys", body = KeyList), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(State(context): State<Arc<Context>>) -> Result<Json<KeyList>, Problem> {
    let keys = context.store.read(api_keys::list).await?;
    Ok(Json(KeyList { data: keys.into_iter().map(KeyView::from).collect() }))
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;

    #[tokio::test]
    async fn keys_say_when_they_were_used_and_nothing_secret() {
        let server = TestServer::new().await;
        let (_, _) = server.get("/v1/keys").await;
        server.clock.advance(3600);
        let (status, list) = server.get("/v1/keys").await;
        assert_eq!(status, 200);
        assert_eq!(list["data"][0]["last_used_at"], "2027-01-15T09:00:00Z");
        assert_eq!(list["data"][0]["created_at"], "2027-01-15T08:00:00Z");
        assert!(!list.to_string().contains("ds_test_"));
    }
}
