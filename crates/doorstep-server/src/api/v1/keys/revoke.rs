//! Revokes an API key at once and for ever.

use super::{KeyView, not_found};
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use crate::store::{StoreError, api_keys};
use axum::Json;
use axum::extract::{Path, State};
use std::sync::Arc;

/// Revokes an API key. Doing it again changes nothing.
#[utoipa::path(post, path = "/v1/keys/{id}/revoke", tag = "keys", operation_id = "revoke_key",
    security(("api_key" = [])), params(("id" = String, Path, description = "the key's id")),
    responses((status = 200, description = "the revoked key", body = KeyView), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<Json<KeyView>, Problem> {
    let now = context.now();
    // A task of its own, so that a caller who goes away leaves no key in the cache.
    let task = tokio::spawn(async move {
        let revoked =
            context.store.write(move |connection| api_keys::revoke(connection, &id, now)).await;
        context.key_cache.revoked();
        revoked
    });
    let key = task.await.unwrap_or(Err(StoreError::Stopped))?;
    key.map(|key| Json(key.into())).ok_or_else(not_found)
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::json;

    #[tokio::test]
    async fn a_revoked_key_is_refused_from_then_on() {
        let server = TestServer::new().await;
        let (_, made) = server.post("/v1/keys", json!({"name": "lost laptop"})).await;
        let bearer = format!("Bearer {}", made["secret"].as_str().unwrap());
        let answer = server.request("GET", "/v1/keys", &[("authorization", &bearer)], "").await;
        assert_eq!(answer.status, 200);
        let path = format!("/v1/keys/{}/revoke", made["id"].as_str().unwrap());
        let (status, revoked) = server.post(&path, json!({})).await;
        assert_eq!(status, 200);
        server.clock.advance(60);
        let (_, again) = server.post(&path, json!({})).await;
        assert_eq!(again["revoked_at"], revoked["revoked_at"], "the first revocation stands");

        let answer = server.request("GET", "/v1/keys", &[("authorization", &bearer)], "").await;
        assert_eq!(answer.status, 401);
        assert!(!answer.json.to_string().contains(made["secret"].as_str().unwrap()));
    }

    #[tokio::test]
    async fn unknown_ids_are_refused() {
        let server = TestServer::new().await;
        for id in ["key_0", "%00", "a%2Fb", &"k".repeat(5000)] {
            let (status, problem) = server.post(&format!("/v1/keys/{id}/revoke"), json!({})).await;
            assert_eq!((status, &problem["code"]), (404, &json!("key_not_found")), "{id}");
        }
    }
}
