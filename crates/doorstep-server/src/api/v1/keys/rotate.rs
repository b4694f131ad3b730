//! Gives an API key another secret, and lets the one before live on while programs change over.

use super::create::CreatedKey;
use super::not_found;
use crate::context::Context;
use crate::http::auth::{hash, make_key};
use crate::http::extract::ApiJson;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::store::{StoreError, api_keys};
use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Minutes that the secret before is taken if nothing is said.
const USUAL_OVERLAP: u32 = 60;
/// A week.
const LONGEST_OVERLAP: u32 = 7 * 24 * 60;

/// How long two secrets are valid.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateKey {
    /// For how many minutes the secret before is still taken: 0 to 10080, 60 if nothing is said.
    #[schema(minimum = 0, maximum = 10080)]
    #[serde(default)]
    overlap_minutes: Option<u32>,
}

/// Gives an API key another secret. A secret that lives on from an earlier rotation ends at once.
#[utoipa::path(post, path = "/v1/keys/{id}/rotate", tag = "keys", operation_id = "rotate_key",
    security(("api_key" = [])), params(("id" = String, Path, description = "the key's id")),
    request_body = RotateKey,
    responses((status = 200, description = "the key with its new secret, shown once", body = CreatedKey),
        (status = "4XX", description = "refused", body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<RotateKey>,
) -> Result<Json<CreatedKey>, Problem> {
    let overlap = request.overlap_minutes.unwrap_or(USUAL_OVERLAP);
    if overlap > LONGEST_OVERLAP {
        return Err(Problem::field("overlap_minutes", "is more than a week (10080)"));
    }
    let now = context.now();
    let until = now.later(u64::from(overlap) * 60);
    let secret = make_key(&context);
    let hash = hash(&secret);
    // A task of its own, so that a caller who goes away leaves no key in the cache.
    let task = tokio::spawn(async move {
        let rotated = context
            .store
            .write(move |connection| {
                let key = api_keys::find(connection, &id)?;
                if key.as_ref().is_some_and(|key| !key.is_over(now)) {
                    api_keys::rotate(connection, &id, &hash, until)?;
                    return api_keys::find(connection, &id);
                }
                Ok(key)
            })
            .await;
        context.key_cache.revoked();
        rotated
    });
    let key = task.await.unwrap_or(Err(StoreError::Stopped))?.ok_or_else(not_found)?;
    if key.is_over(now) {
        return Err(Problem::new(Code::KeyOver, format!("the API key {} is over", key.id))
            .hint("make another one: doorstep key create"));
    }
    Ok(Json(CreatedKey { key: key.into(), secret }))
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::{Value, json};

    async fn status(server: &TestServer, secret: &str) -> u16 {
        let bearer = format!("Bearer {secret}");
        server.request("GET", "/v1/keys", &[("authorization", &bearer)], "").await.status
    }

    fn secret(answer: &Value) -> String {
        answer["secret"].as_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn both_secrets_are_taken_for_the_overlap_and_then_the_new_one() {
        let server = TestServer::new().await;
        let (_, made) = server.post("/v1/keys", json!({"name": "shop"})).await;
        let path = format!("/v1/keys/{}/rotate", made["id"].as_str().unwrap());
        let old = secret(&made);
        assert_eq!(status(&server, &old).await, 200, "and is in the cache");
        let (code, rotated) = server.post(&path, json!({"overlap_minutes": 10})).await;
        assert_eq!((code, &rotated["id"]), (200, &made["id"]));
        assert_eq!(rotated["previous_until"], "2027-01-15T08:10:00Z");
        let new = secret(&rotated);
        assert_ne!(new, old);
        for (after, of_old) in [(0, 200), (599, 200), (1, 401), (3600, 401)] {
            server.clock.advance(after);
            assert_eq!((status(&server, &old).await, status(&server, &new).await), (of_old, 200));
        }
    }

    #[tokio::test]
    async fn a_key_that_expires_ends_with_both_secrets() {
        let server = TestServer::new().await;
        let body = json!({"name": "shop", "expires_at": "2027-01-15T08:05:00Z"});
        let (_, made) = server.post("/v1/keys", body).await;
        let path = format!("/v1/keys/{}/rotate", made["id"].as_str().unwrap());
        let (_, rotated) = server.post(&path, json!({"overlap_minutes": 10})).await;
        for (after, of_both) in [(299, 200), (1, 401), (200, 401)] {
            server.clock.advance(after);
            for secret in [secret(&made), secret(&rotated)] {
                assert_eq!(status(&server, &secret).await, of_both, "{after}");
            }
        }
    }

    #[tokio::test]
    async fn a_second_rotation_and_one_without_overlap_end_the_old_secret_at_once() {
        let server = TestServer::new().await;
        let (_, made) = server.post("/v1/keys", json!({"name": "shop"})).await;
        let path = format!("/v1/keys/{}/rotate", made["id"].as_str().unwrap());
        let (_, second) = server.post(&path, json!({})).await;
        assert_eq!(status(&server, &secret(&made)).await, 200);
        let (_, third) = server.post(&path, json!({})).await;
        assert_eq!(status(&server, &secret(&made)).await, 401);
        assert_eq!(status(&server, &secret(&second)).await, 200);
        server.post(&path, json!({"overlap_minutes": 0})).await;
        assert_eq!(status(&server, &secret(&second)).await, 401);
        assert_eq!(status(&server, &secret(&third)).await, 401);
    }

    #[tokio::test]
    async fn a_revoked_key_has_no_secret_any_more_and_gets_none() {
        let server = TestServer::new().await;
        let (_, made) = server.post("/v1/keys", json!({"name": "shop"})).await;
        let path = format!("/v1/keys/{}", made["id"].as_str().unwrap());
        let (_, rotated) = server.post(&format!("{path}/rotate"), json!({})).await;
        server.post(&format!("{path}/revoke"), json!({})).await;
        for gone in [&made, &rotated] {
            assert_eq!(status(&server, &secret(gone)).await, 401);
        }
        let (code, problem) = server.post(&format!("{path}/rotate"), json!({})).await;
        assert_eq!((code, &problem["code"]), (409, &json!("key_over")));
        assert!(!problem.to_string().contains("ds_test_"));
        for (path, body, refused) in [
            ("/v1/keys/key_0/rotate", json!({}), "key_not_found"),
            (
                format!("{path}/rotate").as_str(),
                json!({"overlap_minutes": 10081}),
                "invalid_fields",
            ),
            (format!("{path}/rotate").as_str(), json!({"overlap_minutes": -1}), "invalid_fields"),
        ] {
            assert_eq!(server.post(path, body).await.1["code"], refused);
        }
    }
}
