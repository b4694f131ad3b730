//! Shows who the issuer is: the public keys by which others know it.

use crate::context::Context;
use crate::http::base64url::write;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// The issuer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IssuerView {
    /// Its id.
    issuer: String,
    /// The public key (Ed25519) that its documents are signed with, in base64url.
    signing_key: String,
    /// `test` or `live`, for ever.
    #[schema(example = "live")]
    mode: &'static str,
}

/// Shows the issuer's public key, with which receipts and evidence are verified.
#[utoipa::path(get, path = "/v1/issuer", tag = "service", operation_id = "show_issuer",
    security(("api_key" = [])),
    responses((status = 200, description = "the issuer", body = IssuerView)))]
pub(crate) async fn handler(State(context): State<Arc<Context>>) -> Json<IssuerView> {
    Json(IssuerView {
        issuer: context.issuer().to_string(),
        signing_key: write(&context.keys.signing.public().to_bytes()),
        mode: context.mode().as_str(),
    })
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;

    #[tokio::test]
    async fn public_keys_are_shown_and_no_other() {
        let server = TestServer::new().await;
        let (status, shown) = server.get("/v1/issuer").await;
        assert_eq!(status, 200);
        assert_eq!(shown["mode"], "test");
        let names: Vec<_> = shown.as_object().unwrap().keys().collect();
        assert_eq!(names, ["issuer", "mode", "signing_key"]);
        let public = server.context.keys.signing.public().to_bytes();
        assert_eq!(shown["signing_key"], crate::http::base64url::write(&public));
    }
}
