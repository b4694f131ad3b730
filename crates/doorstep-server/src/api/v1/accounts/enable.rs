//! Enables an account again, with what was enrolled in it.

use super::{AccountDetails, details, find};
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use crate::store::accounts;
use crate::store::accounts::Named;
use axum::Json;
use axum::extract::{Path, State};
use std::sync::Arc;

/// Enables an account again. Spent codes stay spent, and used attempts used.
#[utoipa::path(post, path = "/v1/accounts/{id}/enable", tag = "accounts",
    operation_id = "enable_account", security(("api_key" = [])),
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
            accounts::set_disabled(connection, account.seq, None)?;
            details(connection, &Named::Id(id), now)
        })
        .await?;
    Ok(Json(details))
}
