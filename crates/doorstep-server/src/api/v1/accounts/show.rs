//! Shows one account with its authenticators.

use super::{AccountDetails, details};
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use crate::store::accounts::Named;
use axum::Json;
use axum::extract::{Path, State};
use std::sync::Arc;

/// Shows an account: its authenticators and how far their clocks are off, never a secret.
#[utoipa::path(get, path = "/v1/accounts/{id}", tag = "accounts", operation_id = "show_account",
    security(("api_key" = [])), params(("id" = String, Path, description = "the account's id")),
    responses((status = 200, description = "the account", body = AccountDetails), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<Json<AccountDetails>, Problem> {
    let now = context.now();
    Ok(Json(context.store.read(move |connection| details(connection, &Named::Id(id), now)).await?))
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::json;

    #[tokio::test]
    async fn it_shows_drift_use_and_attempts_and_never_a_secret() {
        let server = TestServer::new().await;
        let (account, phone) = server.enrolled("ana").await;
        // A clock that came to be one step ahead of the server's within five days.
        server.clock.advance(5 * 86_400);
        let granted = server.verify("ana", &phone.code_at(server.now() + 30)).await;
        assert_eq!(granted["outcome"], "granted", "{granted}");
        server.verify("ana", "000000").await;
        let (status, shown) = server.get(&format!("/v1/accounts/{account}")).await;
        assert_eq!((status, &shown["attempts_left"]), (200, &json!(9)), "{shown}");
        let authenticator = &shown["authenticators"][0];
        assert_eq!(
            (&authenticator["kind"], &authenticator["state"], &authenticator["label"]),
            (&json!("totp"), &json!("active"), &json!("phone"))
        );
        assert_eq!(
            (&authenticator["drift_steps"], &authenticator["drift_seconds"]),
            (&json!(1), &json!(30))
        );
        assert!(authenticator["last_used_at"].is_string());
        let text = shown.to_string().to_lowercase();
        for secret in [phone.secret.as_str(), "otpauth", "secret", "sealed"] {
            assert!(!text.contains(&secret.to_lowercase()), "{shown}");
        }
    }

    #[tokio::test]
    async fn what_is_not_there_is_not_found() {
        let server = TestServer::new().await;
        server.account("ana").await;
        for id in ["acc_0", "ana", "x", "acc_01m7zpcgdg2c2rbw8qte4qcp8y"] {
            let (status, problem) = server.get(&format!("/v1/accounts/{id}")).await;
            assert_eq!((status, &problem["code"]), (404, &json!("account_not_found")), "{id}");
        }
    }
}
