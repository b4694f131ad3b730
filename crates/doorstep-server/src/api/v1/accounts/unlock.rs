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
