//! Revokes a pass, and says when its locks will know.

use super::find;
use super::view::PassView;
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use crate::store::passes;
use axum::Json;
use axum::extract::{Path, State};
use std::sync::Arc;

/// Revokes a pass. Its locks learn nothing of that by themselves: `revocation` says when it takes effect. Revoking
/// twice changes nothing.
#[utoipa::path(post, path = "/v1/passes/{id}/revoke", tag = "passes", operation_id = "revoke_pass",
    security(("api_key" = [])), params(("id" = String, Path, description = "the pass's id")),
    responses((status = 200, description = "the pass as it is now", body = PassView), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<Json<PassView>, Problem> {
    let now = context.now();
    let view = context
        .store
        .write(move |connection| {
            let pass = find(connection, &id)?;
            passes::revoke(connection, pass.seq, now)?;
            let pass = passes::at(connection, pass.seq)?;
            Ok::<_, Problem>(PassView::new(connection, &pass, now)?)
        })
        .await?;
    Ok(Json(view))
}
