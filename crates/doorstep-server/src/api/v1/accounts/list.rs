//! Lists accounts, page by page.

use super::{AccountView, named};
use crate::context::Context;
use crate::http::cursor;
use crate::http::extract::ApiQuery;
use crate::http::problem::{Problem, ProblemBody};
use crate::store::accounts;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Which accounts, and how many at a time.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListAccounts {
    /// How many on a page, 1 to 200; 50 when left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only the one with this name, in any case.
    name: Option<String>,
}

/// A page of accounts, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccountList {
    data: Vec<AccountView>,
    /// Where the next page starts; null on the last.
    next_cursor: Option<String>,
}

/// Lists accounts, oldest first.
#[utoipa::path(get, path = "/v1/accounts", tag = "accounts", operation_id = "list_accounts",
    security(("api_key" = [])), params(ListAccounts),
    responses((status = 200, description = "a page of accounts", body = AccountList), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiQuery(query): ApiQuery<ListAccounts>,
) -> Result<Json<AccountList>, Problem> {
    let limit = cursor::limit(query.limit)?;
    let after = cursor::read(query.cursor.as_deref())?;
    let page = context
        .store
        .read(move |connection| match query.name {
            None => accounts::page(connection, after, limit.saturating_add(1)),
            Some(name) => {
                let found = named(&name).map(|named| accounts::find(connection, &named));
                Ok(found.transpose()?.flatten().into_iter().collect())
            }
        })
        .await?;
    let (page, next_cursor) = cursor::cut(page, limit, |account| account.seq);
    let now = context.now();
    let data = page.into_iter().map(|account| AccountView::new(account, now)).collect();
    Ok(Json(AccountList { data, next_cursor }))
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::json;

    #[tokio::test]
    async fn pages_join_and_a_name_finds_its_account_in_any_case() {
        let server = TestServer::new().await;
        for name in ["ana", "bo", "Zoë"] {
            server.account(name).await;
        }
        let (_, first) = server.get("/v1/accounts?limit=2").await;
        let cursor = first["next_cursor"].as_str().unwrap();
        let (_, second) = server.get(&format!("/v1/accounts?limit=2&cursor={cursor}")).await;
        let names = |page: &serde_json::Value| -> Vec<String> {
            let data = page["data"].as_array().unwrap();
            data.iter().map(|account| account["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(
            (names(&first), names(&second)),
            (vec!["ana".to_owned(), "bo".to_owned()], vec!["Zoë".to_owned()])
        );
        assert_eq!(second["next_cursor"], json!(null));
        let (_, found) = server.get("/v1/accounts?name=ZO%C3%8B").await;
        assert_eq!(names(&found), ["Zoë"]);
        for none in ["nobody", "", "%00"] {
            let (status, found) = server.get(&format!("/v1/accounts?name={none}")).await;
            assert_eq!((status, &found["data"]), (200, &json!([])), "{none}");
        }
        assert_eq!(server.get("/v1/accounts?limit=0").await.0, 400);
    }
}
