//! Disables an account: nothing that is presented to it is taken, recovery codes neither.

use super::{AccountDetails, details, find};
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use crate::store::accounts::Named;
use crate::store::{accounts, known_devices};
use axum::Json;
use axum::extract::{Path, State};
use std::sync::Arc;

/// Disables an account. Its devices are forgotten, so that none of them is let in more easily afterwards.
#[utoipa::path(post, path = "/v1/accounts/{id}/disable", tag = "accounts",
    operation_id = "disable_account", security(("api_key" = [])),
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
            accounts::set_disabled(connection, account.seq, Some(now))?;
            known_devices::forget(connection, account.seq)?;
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
    async fn a_disabled_account_takes_nothing_until_it_is_enabled() {
        let server = TestServer::new().await;
        let (account, phone) = server.enrolled("ana").await;
        let path = format!("/v1/accounts/{account}");
        let (_, made) = server.post(&format!("{path}/recovery-codes"), json!(null)).await;
        let recovery = json!({"account": "ana", "code": made["codes"][0]});
        let (status, shown) = server.post(&format!("{path}/disable"), json!(null)).await;
        assert_eq!((status, &shown["disabled_at"]), (200, &json!("2027-01-15T08:01:00Z")));
        let code = phone.code_at(server.now());
        assert_eq!(server.verify("ana", &code).await["reason"], "revoked");
        assert_eq!(
            server.answer("/v1/accounts/recover", recovery.clone()).await["reason"],
            "revoked"
        );
        let pair = json!({"codes": [code, phone.code_at(server.now() + 30)]});
        let resync = format!("/v1/authenticators/{}/resync", phone.id);
        assert_eq!(server.answer(&resync, pair).await["reason"], "revoked");
        assert_eq!(server.query("SELECT sum(attempts_used) FROM accounts"), 0, "nothing compared");

        let (status, shown) = server.post(&format!("{path}/enable"), json!(null)).await;
        assert_eq!((status, &shown["disabled_at"]), (200, &json!(null)));
        assert_eq!(server.verify("ana", &code).await["outcome"], "granted");
        assert_eq!(server.answer("/v1/accounts/recover", recovery).await["outcome"], "granted");
    }

    #[tokio::test]
    async fn what_is_not_there_is_not_found() {
        let server = TestServer::new().await;
        for verb in ["disable", "enable", "unlock", "recovery-codes"] {
            let path = format!("/v1/accounts/acc_0/{verb}");
            let (status, problem) = server.post(&path, json!(null)).await;
            assert_eq!((status, &problem["code"]), (404, &json!("account_not_found")), "{verb}");
        }
    }
}
