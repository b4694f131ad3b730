//! Whether a request may pass: what proxies ask before every page.

use super::Web;
use super::answer::blocking;
use super::cookie::Cookie;
use super::path::ReturnPath;
use crate::error::GateError;
use crate::session::Session;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Tells the page behind the gate who was let in.
const REMOTE_USER: HeaderName = HeaderName::from_static("remote-user");

/// For nginx (`auth_request`): 204, or 401.
pub(super) async fn check(State(web): State<Arc<Web>>, headers: HeaderMap) -> Response {
    blocking(move || match web.pass(&headers)? {
        Some(answer) => Ok(answer),
        None => Ok(StatusCode::UNAUTHORIZED.into_response()),
    })
    .await
}

/// For Caddy (`forward_auth`) and Traefik (`ForwardAuth`): 204, or the way to the login.
pub(super) async fn forward(State(web): State<Arc<Web>>, headers: HeaderMap) -> Response {
    blocking(move || {
        if let Some(answer) = web.pass(&headers)? {
            return Ok(answer);
        }
        let value = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let reads =
            value("x-forwarded-method").is_none_or(|method| matches!(method, "GET" | "HEAD"));
        if !reads {
            // Whatever was to be sent would be lost on the way back from the login.
            return Ok(StatusCode::UNAUTHORIZED.into_response());
        }
        let back = ReturnPath::parse(value("x-forwarded-uri").unwrap_or("/"));
        let origin = web.config.proxy.origin.as_deref().unwrap_or("");
        let location = format!("{origin}/_doorstep/login?return={}", back.encoded());
        Ok((StatusCode::FOUND, [(header::LOCATION, location)]).into_response())
    })
    .await
}

impl Web {
    /// The session that a request shows, if it holds.
    pub(super) fn session(&self, headers: &HeaderMap) -> Result<Option<Session>, GateError> {
        let plain = self.config.proxy.plain_http;
        match Cookie::Session.read(headers, plain) {
            Some(cookie) => self.reader().read_session(cookie, &self.terms, self.now()),
            None => Ok(None),
        }
    }

    fn pass(&self, headers: &HeaderMap) -> Result<Option<Response>, GateError> {
        let Some(session) = self.session(headers)? else { return Ok(None) };
        let mut answer = StatusCode::NO_CONTENT.into_response();
        let name = HeaderValue::try_from(session.name.as_str());
        // A name has no character that a header could not hold.
        let name = name.map_err(|_| GateError::Defect("a name does not fit into a header"))?;
        answer.headers_mut().insert(REMOTE_USER, name);
        let renewed = self.reader().renew(&session, &self.terms, self.now());
        let plain = self.config.proxy.plain_http;
        let line = renewed
            .and_then(|cookie| Cookie::Session.set(&cookie, self.terms.session.lifetime, plain));
        if let Some(line) = line {
            answer.headers_mut().insert(header::SET_COOKIE, line);
        }
        Ok(Some(answer))
    }
}
