//! Answers a lock that asked what time it is: whoever stands there carries the question here and the answer
//! back.

use super::find;
use crate::context::Context;
use crate::hex;
use crate::http::base64url::write;
use crate::http::extract::ApiJson;
use crate::http::problem::{Problem, ProblemBody};
use crate::riders;
use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// A lock's question.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskTime {
    /// What the lock drew, 16 bytes in hexadecimal.
    #[schema(example = "00112233445566778899aabbccddeeff")]
    nonce: String,
}

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TimeToken {
    /// In base64url. The lock takes it for ten minutes.
    document: String,
}

/// Makes a time token, which sets the lock's clock.
#[utoipa::path(post, path = "/v1/locks/{id}/time_token", tag = "locks", operation_id = "time_token_of_lock",
    security(("api_key" = [])), request_body = AskTime, params(("id" = String, Path, description = "the lock's id")),
    responses((status = 200, description = "the token", body = TimeToken), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json"), (status = 503, description = "the server's clock went back",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<AskTime>,
) -> Result<Json<TimeToken>, Problem> {
    let nonce = nonce("nonce", &request.nonce)?;
    let now = context.now();
    let inner = Arc::clone(&context);
    let document = context
        .store
        .write(move |connection| {
            let lock = find(connection, &id)?;
            riders::token(connection, &inner, &lock, nonce, now)
        })
        .await?;
    Ok(Json(TimeToken { document: write(&document) }))
}

/// Reads what a lock drew.
pub(crate) fn nonce(field: &str, text: &str) -> Result<[u8; 16], Problem> {
    let bytes = hex::decode::<16>(text);
    bytes.map(|bytes| *bytes).ok_or_else(|| Problem::field(field, "is not 16 bytes in hexadecimal"))
}

#[cfg(test)]
mod tests {
    use crate::hex;
    use crate::test_lock::seconds;
    use crate::test_pass::bytes;
    use crate::test_server::TestServer;
    use doorstep::pass::proof::Challenge;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;
    use serde_json::json;

    fn challenge(seed: u64) -> Challenge {
        Challenge::make(&mut ChaCha20Rng::seed_from_u64(seed))
    }

    #[tokio::test]
    async fn a_lock_that_lost_the_time_is_healed_by_the_answer_to_its_question_only() {
        let server = TestServer::new().await;
        for takes in ["signed", "mac"] {
            let body = json!({"site": "s", "name": takes, "profile": {"kind": "courts"},
                "passes": takes});
            let mut lock = server.lock_with(body).await;
            let kind = json!({"kind": "mac"});
            let pass = server.pass(&lock.id, "10:00", "11:00", kind).await;
            server.clock.set(seconds("10:00"));
            lock.without_power_until(server.now());
            assert_eq!(lock.refuses_pass(&pass, server.now()), Some("clock_unset"));
            let path = format!("/v1/locks/{}/time_token", lock.id);
            let body = json!({"nonce": hex::encode(challenge(1).nonce())});
            let token = server.answer(&path, body).await;
            let token = bytes(&token["document"]);
            assert!(token.len() <= 106);
            let mut wrong = lock.clone();
            let now = server.now();
            for sent in [None, Some(challenge(2)), Some(challenge(1).later(601))] {
                assert!(wrong.present(&token, sent, now).is_err());
                assert_eq!(wrong.refuses_pass(&pass, now), Some("clock_unset"));
            }
            lock.present(&token, Some(challenge(1)), now).unwrap();
            lock.tap(&pass, now).unwrap();
            server.clock.set(seconds("08:00") + 7200);
        }
    }

    #[tokio::test]
    async fn no_answer_is_made_at_a_wrong_time_or_to_no_question() {
        let server = TestServer::new().await;
        let lock = server.lock("1", json!({"kind": "courts"})).await;
        let path = format!("/v1/locks/{}/time_token", lock.id);
        for nonce in ["", "00", &"0".repeat(31), &"0".repeat(33), &"g".repeat(32)] {
            let (status, problem) = server.post(&path, json!({"nonce": nonce})).await;
            assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("nonce")));
        }
        server.clock.set(server.now() - 61);
        let (status, problem) = server.post(&path, json!({"nonce": "0".repeat(32)})).await;
        assert_eq!((status, &problem["code"]), (503, &json!("clock_disagrees")));
    }
}
