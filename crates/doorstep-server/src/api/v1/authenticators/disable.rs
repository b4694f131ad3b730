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

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::json;

    #[tokio::test]
    async fn a_disabled_authenticator_is_never_taken_again() {
        let server = TestServer::new().await;
        let (_, phone) = server.enrolled("ana").await;
        let path = format!("/v1/authenticators/{}", phone.id);
        let (status, shown) = server.post(&format!("{path}/disable"), json!(null)).await;
        assert_eq!((status, &shown["state"]), (200, &json!("disabled")));
        let code = phone.code_at(server.now());
        assert_eq!(server.verify("ana", &code).await["reason"], "unknown");
        for (verb, body) in [("activate", json!({"code": code})), ("resync", json!({"code": code}))]
        {
            let (status, problem) = server.post(&format!("{path}/{verb}"), body).await;
            assert_eq!((status, &problem["code"]), (409, &json!("authenticator_state")), "{verb}");
        }
        assert_eq!(server.post(&format!("{path}/disable"), json!(null)).await.0, 200, "again");
    }
}
