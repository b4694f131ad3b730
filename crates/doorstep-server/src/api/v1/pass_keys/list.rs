//! Lists the keys that passes are signed with.

use super::{PassKeyList, shown};
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use axum::Json;
use axum::extract::State;
use std::sync::Arc;

/// Lists the keys of passes.
#[utoipa::path(get, path = "/v1/pass_keys", tag = "passes", operation_id = "list_pass_keys",
    security(("api_key" = [])),
    responses((status = 200, description = "all keys", body = PassKeyList), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
) -> Result<Json<PassKeyList>, Problem> {
    let now = context.now();
    let inner = Arc::clone(&context);
    Ok(Json(context.store.read(move |connection| shown(connection, &inner, now)).await?))
}
