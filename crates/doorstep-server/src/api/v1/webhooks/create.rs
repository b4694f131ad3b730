//! Makes a webhook and shows its secret once.

use super::{WebhookWithSecret, checked_types, checked_url, new_secret};
use crate::context::Context;
use crate::http::extract::ApiJson;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::ids::make_id;
use crate::store::webhooks::{self, State as WebhookState, Webhook};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// More would make every event slow to write down.
const MOST: usize = 20;

/// Who wants to be told of what.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateWebhook {
    /// Where events are posted. It has to be on the public internet, and to have TLS, unless the
    /// server's settings say otherwise.
    #[schema(example = "https://shop.example/hooks/doorstep")]
    url: String,
    /// The wanted types of events; all when left out.
    #[schema(example = json!(["delivery.delivered", "delivery.disputed"]))]
    types: Option<Vec<String>>,
}

/// Makes a webhook. What happens from now on is posted to it, signed by the Standard Webhooks scheme.
#[utoipa::path(post, path = "/v1/webhooks", tag = "webhooks", operation_id = "create_webhook",
    security(("api_key" = [])), request_body = CreateWebhook,
    responses((status = 201, description = "the webhook, its secret shown once", body = WebhookWithSecret), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiJson(request): ApiJson<CreateWebhook>,
) -> Result<(StatusCode, Json<WebhookWithSecret>), Problem> {
    let url = checked_url(&context, request.url)?;
    let types = checked_types(request.types)?;
    let now = context.now();
    let id = context.with_rng(|rng| make_id("whk", now, rng));
    let (secret, sealed) = new_secret(&context, &id)?;
    let made = Webhook {
        id: id.clone(),
        url,
        types,
        state: WebhookState::Active,
        secret: sealed,
        old_secret: None,
        created_at: now,
    };
    let webhook = context
        .store
        .write(move |connection| {
            if webhooks::list(connection)?.len() >= MOST {
                return Err(Problem::new(
                    Code::TooManyWebhooks,
                    format!("there are {MOST} webhooks, as many as there may be"),
                )
                .hint("remove one: POST /v1/webhooks/{id}/remove"));
            }
            webhooks::insert(connection, &made)?;
            super::find(connection, &id)
        })
        .await?;
    Ok((StatusCode::CREATED, Json(WebhookWithSecret { webhook: webhook.into(), secret })))
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::json;

    #[tokio::test]
    async fn addresses_and_types_that_cannot_be_meant_are_refused() {
        let server = TestServer::new().await;
        for (body, field) in [
            (json!({"url": "http://shop.example/in"}), "url"),
            (json!({"url": "https://user:pw@shop.example/in"}), "url"),
            (json!({"url": "https://shop.example/in?token=s3cret"}), "url"),
            (json!({"url": "file:///etc/passwd"}), "url"),
            (json!({"url": ""}), "url"),
            (json!({"url": "https://shop.example/in", "types": []}), "types"),
            (json!({"url": "https://shop.example/in", "types": ["delivery.*"]}), "types[0]"),
            (json!({"url": "https://shop.example/in", "types": ["webhook.test"]}), "types[0]"),
        ] {
            let (status, problem) = server.post("/v1/webhooks", body.clone()).await;
            assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)), "{body}");
        }
    }

    #[tokio::test]
    async fn a_secret_is_shown_once_and_kept_sealed() {
        let server = TestServer::new().await;
        let body = json!({"url": "https://shop.example/in"});
        let (status, made) = server.post("/v1/webhooks", body).await;
        assert_eq!(status, 201, "{made}");
        let secret = made["secret"].as_str().unwrap();
        assert!(secret.starts_with("whsec_"));
        let (_, list) = server.get("/v1/webhooks").await;
        assert!(!list.to_string().contains(secret));
        let database = std::fs::read(server.dir.path().join("doorstep.db-wal")).unwrap();
        assert!(!database.windows(20).any(|window| window == &secret.as_bytes()[..20]));
        for _ in 1..super::MOST {
            server.post("/v1/webhooks", json!({"url": "https://shop.example/in"})).await;
        }
        let (status, problem) =
            server.post("/v1/webhooks", json!({"url": "https://shop.example/in"})).await;
        assert_eq!((status, &problem["code"]), (409, &json!("too_many_webhooks")));
    }
}
