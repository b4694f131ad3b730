//! Makes an API key and shows it once.

use super::KeyView;
use crate::context::Context;
use crate::http::auth::{hash, make_key};
use crate::http::extract::ApiJson;
use crate::http::problem::{Problem, ProblemBody};
use crate::ids::make_id;
use crate::scope::{Scope, Scopes};
use crate::store::StoreError;
use crate::store::api_keys::{self, ApiKey};
use crate::{text, utc};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use doorstep::time::Timestamp;
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
    /// What it may do; everything (`admin`) if nothing is said.
    #[serde(default)]
    scopes: Option<Vec<Scope>>,
    /// From when on it is not taken any more; never if nothing is said.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default)]
    expires_at: Option<String>,
}

/// A new API key, or an old one with a new secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedKey {
    #[serde(flatten)]
    pub(super) key: KeyView,
    /// The key itself. It is stored nowhere and never shown again.
    #[schema(example = "ds_live_...")]
    pub(super) secret: String,
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
    let scopes = match request.scopes {
        None => Scopes::admin(),
        Some(scopes) => Scopes::new(scopes)
            .ok_or_else(|| Problem::field("scopes", "a key without any could do nothing"))?,
    };
    let expires_at = match request.expires_at.as_deref().map(utc::read).transpose() {
        Ok(Some(at)) if at <= context.now() => {
            return Err(Problem::field("expires_at", "is over already"));
        }
        Ok(at) => at,
        Err(error) => return Err(Problem::field("expires_at", error)),
    };
    let (key, secret) = make(&context, request.name, scopes, expires_at).await?;
    Ok((StatusCode::CREATED, Json(CreatedKey { key: key.into(), secret })))
}

/// Makes a key named `name`; its secret is the second part.
pub(crate) async fn make(
    context: &Context,
    name: String,
    scopes: Scopes,
    expires_at: Option<Timestamp>,
) -> Result<(ApiKey, String), StoreError> {
    let now = context.now();
    let secret = make_key(context);
    let key = ApiKey {
        id: context.with_rng(|rng| make_id("key", now, rng)),
        name,
        scopes,
        created_at: now,
        expires_at,
        last_used_at: None,
        revoked_at: None,
        previous_until: None,
    };
    let hash = hash(&secret);
    let stored = key.clone();
    context.store.write(move |connection| api_keys::insert(connection, &stored, &hash)).await?;
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
    async fn a_key_ends_when_it_was_said_to() {
        let server = TestServer::new().await;
        let body = json!({"name": "audit", "scopes": ["admin"], "expires_at": "2027-01-15T09:00:00+00:30"});
        let (status, made) = server.post("/v1/keys", body).await;
        assert_eq!((status, &made["expires_at"]), (201, &json!("2027-01-15T08:30:00Z")));
        let bearer = format!("Bearer {}", made["secret"].as_str().unwrap());
        let header = [("authorization", bearer.as_str())];
        for (after, status) in [(0, 200), (1799, 200), (1, 401), (3600, 401)] {
            server.clock.advance(after);
            let answer = server.request("GET", "/v1/keys", &header, "").await;
            assert_eq!(answer.status, status, "{after}");
        }
        let answer = server.request("GET", "/v1/keys", &header, "").await;
        assert!(answer.json["detail"].as_str().unwrap().contains("has expired"));
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
            json!({"name": "a", "scopes": []}),
            json!({"name": "a", "scopes": ["everything"]}),
            json!({"name": "a", "scopes": "admin"}),
            json!({"name": "a", "expires_at": "2027-01-15T08:00:00Z"}),
            json!({"name": "a", "expires_at": "tomorrow"}),
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
