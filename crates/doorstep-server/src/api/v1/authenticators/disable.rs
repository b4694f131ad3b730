//! Disables an authenticator, for ever.

use super::{AuthenticatorView, find};
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use crate::store::authenticators;
use axum::Json;
use axum::extract::{Path, State};
use std::sync::Arc;

/// Disables an authenticator: lost, stolen, or replaced. Whoever has it again is enrolled anew.
#[utoipa::path(post, path = "/v1/authenticators/{id}/disable", tag = "authenticators",
    operation_id = "disable_authenticator", security(("api_key" = [])),
    params(("id" = String, Path, description = "the authenticator's id")),
    responses((status = 200, description = "the authenticator as it now is", body = AuthenticatorView), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<Json<AuthenticatorView>, Problem> {
    let row = context
        .store
        .write(move |connection| {
            let (_, row) = find(connection, &id)?;
            authenticators::disable(connection, &row)?;
            find(connection, &id).map(|(_, row)| row)
        })
        .await?;
    Ok(Json(AuthenticatorView::from(&row)))
}
