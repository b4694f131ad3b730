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
