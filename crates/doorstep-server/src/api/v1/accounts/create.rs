//! Makes an account, without authenticators yet.

use super::AccountView;
use crate::context::Context;
use crate::http::extract::ApiJson;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::ids::make_id;
use crate::store::accounts::Named;
use crate::text;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// An account to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateAccount {
    /// 1 to 120 characters, unlike every other account's in more than case.
    #[schema(example = "ana@example.com", min_length = 1, max_length = 120)]
    name: String,
}

/// Makes an account.
#[utoipa::path(post, path = "/v1/accounts", tag = "accounts", operation_id = "create_account",
    security(("api_key" = [])), request_body = CreateAccount,
    responses((status = 201, description = "the account", body = AccountView), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiJson(request): ApiJson<CreateAccount>,
) -> Result<(StatusCode, Json<AccountView>), Problem> {
    let name = text::account_name(&request.name).map_err(|error| Problem::field("name", error))?;
    let now = context.now();
    let id = context.with_rng(|rng| make_id("acc", now, rng));
    let account = context
        .store
        .write(move |connection| {
            super::insert(connection, &id, &name, now)?.ok_or_else(duplicate)?;
            let account = crate::store::accounts::find(connection, &Named::Id(id))?;
            account.ok_or_else(super::not_found)
        })
        .await?;
    Ok((StatusCode::CREATED, Json(AccountView::new(account, now))))
}

fn duplicate() -> Problem {
    Problem::new(Code::DuplicateName, "another account has this name")
        .hint("names that differ in case alone are the same; GET /v1/accounts?name=... shows it")
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::json;

    #[tokio::test]
    async fn an_account_is_made_once_in_any_spelling() {
        let server = TestServer::new().await;
        let (status, made) =
            server.post("/v1/accounts", json!({"name": " Zoë@example.com "})).await;
        assert_eq!((status, &made["name"]), (201, &json!("Zoë@example.com")), "{made}");
        assert_eq!(made["attempts_left"], 10);
        for name in ["Zoë@example.com", "ZOË@EXAMPLE.COM", "\tzoë@example.com"] {
            let (status, problem) = server.post("/v1/accounts", json!({"name": name})).await;
            assert_eq!((status, &problem["code"]), (409, &json!("duplicate_name")), "{name}");
        }
        assert_eq!(server.query("SELECT count(*) FROM accounts"), 1);
    }

    #[tokio::test]
    async fn names_that_cannot_be_told_apart_from_something_else_are_refused() {
        let server = TestServer::new().await;
        let long = "a".repeat(121);
        for name in ["", "  ", "a\u{0}b", "a\u{202E}b", "acc_x", "ACC_x", &long] {
            let (status, problem) = server.post("/v1/accounts", json!({"name": name})).await;
            assert_eq!((status, &problem["code"]), (422, &json!("invalid_fields")), "{name:?}");
        }
        for body in [json!({}), json!({"name": 1}), json!({"name": null}), json!(["a"])] {
            assert_eq!(server.post("/v1/accounts", body).await.0, 422);
        }
    }
}
