//! The code that a TOTP door takes now.

use super::{KeypadCode, digits, find};
use crate::context::Context;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::lock_keys;
use crate::utc::Utc;
use axum::Json;
use axum::extract::{Path, State};
use std::sync::Arc;

/// Makes the current code of a TOTP door.
#[utoipa::path(post, path = "/v1/locks/{id}/code", tag = "locks", operation_id = "code_of_lock",
    security(("api_key" = [])), params(("id" = String, Path, description = "the lock's id")),
    responses((status = 200, description = "the code", body = KeypadCode), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<Json<KeypadCode>, Problem> {
    let now = context.now();
    let lock = context.store.read(move |connection| find(connection, &id)).await?;
    let steps = lock_keys::steps(&context.keys, &lock)?.ok_or_else(|| {
        Problem::new(Code::NoTotp, "this lock takes no TOTP codes")
            .hint("book it: POST /v1/bookings; or make a lock with totp")
    })?;
    // Steps count from 1970, which no clock is before.
    let step = steps.totp.step(now).unwrap_or(0);
    let code = steps.totp.code(&steps.totp.keyed(&steps.secret), step);
    let (from, until) = (steps.totp.begins(step), steps.totp.begins(step.saturating_add(1)));
    Ok(Json(KeypadCode { code: digits(&code), from: Utc(from), until: Utc(until) }))
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::json;

    #[tokio::test]
    async fn a_totp_door_takes_the_code_of_now_once() {
        let server = TestServer::new().await;
        let body = json!({"site": "demo", "name": "1", "profile": {"kind": "general"}, "totp": {}});
        let mut door = server.lock_with(body).await;
        let path = format!("/v1/locks/{}/code", door.id);
        server.clock.advance(3600 + 7);
        let code = server.answer(&path, json!({})).await;
        assert_eq!(
            (&code["from"], &code["until"]),
            (&json!("2027-01-15T09:00:00Z"), &json!("2027-01-15T09:00:30Z"))
        );
        let digits = code["code"].as_str().unwrap();
        assert_eq!(digits.len(), 8);
        assert_eq!(server.answer(&path, json!({})).await, code, "the same within its step");
        assert_eq!(door.refuses("00000000", server.now()), Some("wrong_code"));
        door.press(digits, server.now()).unwrap();
        assert_eq!(door.press(digits, server.now()).unwrap_err().code(), "already_used");
        server.clock.advance(30);
        let next = server.answer(&path, json!({})).await;
        door.press(next["code"].as_str().unwrap(), server.now()).unwrap();
        let told = door.bring_home(&server).await;
        assert_eq!((&told["openings"], &told["refused"]), (&json!(2), &json!(1)));
        let (_, events) = server.get(&format!("/v1/locks/{}/events", door.id)).await;
        assert_eq!(
            (&events["data"][0]["form"], &events["data"][0]["warning"]),
            (&json!("totp"), &json!(null))
        );
        let (_, shown) = server.get(&format!("/v1/locks/{}", door.id)).await;
        assert_eq!(shown["totp"], json!({"digits": 8, "period": 30}));
        assert_eq!(shown["odds"]["totp"]["codes_per_guess"], 81);
    }

    #[tokio::test]
    async fn other_locks_have_none() {
        let server = TestServer::new().await;
        let lock = server.lock("1", json!({"kind": "courts"})).await;
        let (status, problem) =
            server.post(&format!("/v1/locks/{}/code", lock.id), json!({})).await;
        assert_eq!((status, &problem["code"]), (409, &json!("no_totp")));
        assert_eq!(server.post("/v1/locks/lck_0/code", json!({})).await.0, 404);
    }
}
