//! Gives an account all its attempts back, by whoever runs it.

use super::{AccountDetails, details, find};
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use crate::store::accounts::Named;
use crate::store::{accounts, known_devices};
use axum::Json;
use axum::extract::{Path, State};
use std::sync::Arc;

/// Fills the attempts of anybody and of every known device. Spent codes stay spent.
#[utoipa::path(post, path = "/v1/accounts/{id}/unlock", tag = "accounts",
    operation_id = "unlock_account", security(("api_key" = [])),
    params(("id" = String, Path, description = "the account's id")),
    responses((status = 200, description = "the account as it now is", body = AccountDetails), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<Json<AccountDetails>, Problem> {
    let now = context.now();
    let details = context
        .store
        .write(move |connection| {
            let account = find(connection, &id)?;
            accounts::fill(connection, account.seq, now)?;
            known_devices::fill(connection, account.seq, now)?;
            details(connection, &Named::Id(id), now)
        })
        .await?;
    Ok(Json(details))
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::json;

    #[tokio::test]
    async fn attempts_come_back_and_spent_codes_do_not() {
        let server = TestServer::new().await;
        let (account, phone) = server.enrolled("ana").await;
        let code = phone.code_at(server.now());
        let body = json!({"account": "ana", "code": code, "remember": true});
        let token = server.answer("/v1/accounts/verify", body).await["known_device"].clone();
        for _ in 0..10 {
            let wrong = phone.wrong_at(server.now());
            server.verify("ana", &wrong).await;
            let body = json!({"account": "ana", "code": wrong, "known_device": token});
            server.answer("/v1/accounts/verify", body).await;
        }
        assert_eq!(server.verify("ana", &code).await["reason"], "throttled");
        let path = format!("/v1/accounts/{account}/unlock");
        let (status, shown) = server.post(&path, json!(null)).await;
        assert_eq!((status, &shown["attempts_left"]), (200, &json!(10)), "{shown}");
        assert_eq!(shown["throttled_until"], json!(null));
        assert_eq!(server.verify("ana", &code).await["reason"], "already_used");
        let body = json!({"account": "ana", "code": code, "known_device": token});
        let known = server.answer("/v1/accounts/verify", body).await;
        assert_eq!(
            (&known["reason"], &known["attempts_left"]),
            (&json!("already_used"), &json!(9))
        );
    }
}
