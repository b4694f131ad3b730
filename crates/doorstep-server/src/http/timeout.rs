//! No request holds a connection for ever, whether it sends slowly or waits for a slow disk.

use super::problem::{Code, Problem};
use crate::context::Context;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

pub(crate) async fn limit(
    State(context): State<Arc<Context>>,
    request: Request,
    next: Next,
) -> Response {
    match tokio::time::timeout(context.config.server.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(Code::Timeout, "the request was not finished in time")
            .hint("it may have been carried out: look before you repeat it")
            .into_response(),
    }
}
