//! One id per request, taken from the caller or made here, in the answer, in problems and in the
//! log, so that a complaint finds its line.

use crate::context::Context;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");
const MAX_LENGTH: usize = 64;
/// Characters of a path in the log.
const MAX_LOGGED_PATH: usize = 200;

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request that the running task answers.
pub(crate) fn current() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Lets a task of its own work under the id of the request that the running task answers.
pub(crate) fn carry<F: Future>(task: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(current().unwrap_or_default(), task)
}

/// Gives each request its id. A caller's own is kept when it is short and plain enough for a log.
pub(crate) async fn assign(
    State(context): State<Arc<Context>>,
    request: Request,
    next: Next,
) -> Response {
    let given = request.headers().get(HEADER).and_then(|value| value.to_str().ok());
    let id = match given {
        Some(id) if is_plain(id) => id.to_owned(),
        _ => context.name_request(),
    };
    let method = request.method().clone();
    // The path without its query; ids in it name things and are no secrets.
    let path: String = request.uri().path().chars().take(MAX_LOGGED_PATH).collect();
    let mut response = CURRENT.scope(id.clone(), next.run(request)).await;
    tracing::info!(request_id = id, %method, path, status = response.status().as_u16(), "answered");
    // Answers carry names, addresses and new keys: nobody on the way keeps them.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

fn is_plain(id: &str) -> bool {
    (1..=MAX_LENGTH).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn only_plain_ids_reach_the_log() {
        assert!(is_plain("7b0c-A_1.x"));
        for bad in ["", "a b", "a\"b", "é", &"a".repeat(65)] {
            assert!(!is_plain(bad), "{bad}");
        }
    }
}
