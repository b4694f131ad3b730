//! Makes an API key and shows it once.

use super::KeyView;
use crate::context::Context;
use crate::http::auth::{hash, make_key};
use crate::http::extract::ApiJson;
use crate::http::problem::{Problem, ProblemBody};
use crate::ids::make_id;
use crate::store::StoreError;
use crate::store::api_keys::{self, ApiKey};
use crate::text;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// What the new key is for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateKey {
    /// 1 to 120 characters.
    #[schema(example = "shop", min_length = 1, max_length = 120)]
    name: String,
}

/// A new API key.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedKey {
    #[serde(flatten)]
    key: KeyView,
    /// The key itself. It is stored nowhere and never shown again.
    #[schema(example = "ds_live_...")]
    secret: String,
}

/// Makes an API key.
#[utoipa::path(post, path = "/v1/keys", tag = "keys", operation_id = "create_key",
    security(("api_key" = [])), request_body = CreateKey,
    responses((status = 201, description = "the key, shown once", body = CreatedKey), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiJson(request): ApiJson<CreateKey>,
) -> Result<(StatusCode, Json<CreatedKey>), Problem> {
    text::name(&request.name).map_err(|error| Problem::field("name", error))?;
    let (key, secret) = make(&context, request.name).await?;
    Ok((StatusCode::CREATED, Json(CreatedKey { key: key.into(), secret })))
}

/// Makes a key named `name`; its secret is the second part.
pub(crate) async fn make(context: &Context, name: String) -> Result<(ApiKey, String), StoreError> {
    let now = context.now();
    let secret = make_key(context);
    let key = ApiKey {
        id: context.with_rng(|rng| make_id("key", now, rng)),
        name,
        created_at: now,
        last_used_at: None,
        revoked_at: None,
    };
    let hash = hash(&secret);
    let stored = key.clone();
    context
        .store
        .write(move |connection| api_keys::insert(connection, &stored.id, &stored.name, &hash, now))
        .await?;
    Ok((key, secret))
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::json;

    #[tokio::test]
    async fn a_new_key_opens_the_api() {
        let server = TestServer::new().await;
        let (status, made) = server.post("/v1/keys", json!({"name": "shop"})).await;
        assert_eq!(status, 201);
        let secret = made["secret"].as_str().unwrap();
        assert!(secret.starts_with("ds_test_") && secret.len() == 34);
        let answer = server
            .request("GET", "/v1/keys", &[("authorization", &format!("Bearer {secret}"))], "")
            .await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json["data"].as_array().unwrap().len(), 2);
        assert!(!answer.json.to_string().contains(secret), "it is not shown again");
    }

    #[tokio::test]
    async fn missing_unknown_malformed_and_foreign_keys_are_refused() {
        let server = TestServer::new().await;
        for header in [
            "",
            "Bearer ",
            "Basic abc",
            "Bearer",
            "Bearer ds_test_00000000000000000000000000",
            "Bearer ds_live_00000000000000000000000000",
            "ds_test_0",
            "Bearer é",
        ] {
            let answer = server.request("GET", "/v1/keys", &[("authorization", header)], "").await;
            assert_eq!(answer.status, 401, "{header}");
            assert_eq!(answer.json["code"], "unauthorized");
            assert!(answer.json["hint"].is_string());
        }
        assert_eq!(server.request("GET", "/v1/keys", &[], "").await.status, 401);
    }

    #[tokio::test]
    async fn names_are_checked_and_nothing_is_made() {
        let server = TestServer::new().await;
        for body in [
            json!({}),
            json!({"name": ""}),
            json!({"name": 1}),
            json!({"name": "a\u{0}"}),
            json!({"name": "a", "admin": true}),
            json!({"name": "a".repeat(121)}),
            json!([]),
            json!(null),
        ] {
            let (status, problem) = server.post("/v1/keys", body.clone()).await;
            assert_eq!(status, 422, "{body}");
            assert_eq!(problem["code"], "invalid_fields");
        }
        let (_, list) = server.get("/v1/keys").await;
        assert_eq!(list["data"].as_array().unwrap().len(), 1);
    }
}
