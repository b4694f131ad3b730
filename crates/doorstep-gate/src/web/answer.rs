//! What every answer has in common: limits of time, and headers that keep pages out of caches and
//! frames.

use crate::error::GateError;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::time::Duration;

/// How long a request may take, its body included.
const LONGEST: Duration = Duration::from_secs(15);

const HEADERS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
];

pub(super) async fn guard(request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(LONGEST, next.run(request)).await;
    let mut answer = answer
        .unwrap_or_else(|_| (StatusCode::REQUEST_TIMEOUT, "that took too long\n").into_response());
    for (name, value) in HEADERS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

pub(super) async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "no such page\n").into_response()
}

pub(super) async fn method_not_allowed() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, "not so\n").into_response()
}

/// Does what may wait for the disk, away from the tasks that answer. Whatever goes wrong is logged
/// and lets nobody in.
pub(super) async fn blocking(
    work: impl FnOnce() -> Result<Response, GateError> + Send + 'static,
) -> Response {
    let failed = |error: &dyn std::fmt::Display, hint: &str| {
        tracing::error!(%error, hint, "nobody is let in");
        (StatusCode::SERVICE_UNAVAILABLE, "the gate is out of order: tell who runs it\n")
            .into_response()
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => failed(&error, error.hint()),
        Err(error) => failed(&error, "please report it"),
    }
}
