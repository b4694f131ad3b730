//! The login: a page, the form that it sends, and the way out.

use super::answer::blocking;
use super::cookie::Cookie;
use super::page::{self, Notice};
use super::path::ReturnPath;
use super::{Peer, Web, limits, lock};
use crate::error::GateError;
use crate::gate::Gate;
use crate::name::Name;
use crate::service::{Service, Verdict};
use crate::verify::{DeviceToken, Granted, How};
use axum::Extension;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use doorstep::refusal::Refusal;
use doorstep::time::Timestamp;
use std::borrow::Cow;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Shows the page.
pub(super) async fn show(
    State(web): State<Arc<Web>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    blocking(move || {
        let back = ReturnPath::of_query(query.as_deref().unwrap_or_default());
        let signed_in = web.session(&headers)?.map(|session| session.name);
        Ok(web.page(&headers, StatusCode::OK, None, signed_in.as_ref(), &back))
    })
    .await
}

/// Takes the form.
pub(super) async fn submit(
    State(web): State<Arc<Web>>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    blocking(move || {
        let form = Form::parse(&body);
        let back = ReturnPath::parse(&form.back);
        if !web.is_ours(&headers, &form) {
            let notice = Notice::plain(
                "this form was not made for your browser",
                "try again; cookies must be allowed",
            );
            return Ok(web.page(&headers, StatusCode::BAD_REQUEST, Some(notice), None, &back));
        }
        let named = limits::client(peer, &headers, &web.config.proxy);
        let address = named.unwrap_or_else(|| {
            web.unnamed.call_once(|| {
                let header = &web.config.proxy.client_address;
                tracing::warn!(%header, "the proxy does not say who asks, so that all share one limit: set proxy.client_address to the header in which it does");
            });
            peer
        });
        match web.present(&headers, &form, address)? {
            Ok(passed) => web.let_in(passed, &back),
            Err(refused) => {
                let Refused { status, notice, wait } = refused;
                let mut answer = web.page(&headers, status, Some(notice), None, &back);
                if let Some(wait) = wait {
                    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
                }
                Ok(answer)
            }
        }
    })
    .await
}

/// Ends the session.
pub(super) async fn logout(
    State(web): State<Arc<Web>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    blocking(move || {
        let form = Form::parse(&body);
        if !web.is_ours(&headers, &form) {
            return Ok((StatusCode::BAD_REQUEST, "this form was not made for your browser\n")
                .into_response());
        }
        if let Some(session) = web.session(&headers)? {
            web.writer().end_session(&session, &web.terms)?;
        }
        let mut answer =
            (StatusCode::SEE_OTHER, [(header::LOCATION, "/_doorstep/login")]).into_response();
        if let Some(line) = Cookie::Session.unset(web.config.proxy.plain_http) {
            answer.headers_mut().append(header::SET_COOKIE, line);
        }
        Ok(answer)
    })
    .await
}

/// What the form says; what is missing is empty.
#[derive(Default)]
struct Form {
    name: String,
    code: Zeroizing<String>,
    back: String,
    token: String,
}

impl Form {
    fn parse(body: &[u8]) -> Self {
        let mut form = Self::default();
        for (field, value) in form_urlencoded::parse(body) {
            let value = Cow::into_owned(value);
            match &*field {
                "name" => form.name = value,
                // Two fields, because phones show other keys for each.
                "code" | "recovery" if !value.trim_ascii().is_empty() => {
                    form.code = Zeroizing::new(value)
                }
                "return" => form.back = value,
                "form" => form.token = value,
                _ => {}
            }
        }
        form
    }
}

/// Who was let in, and the token by which the device will be known, if it is new.
struct Passed {
    name: Name,
    device: Option<Zeroizing<String>>,
}

struct Refused {
    status: StatusCode,
    notice: Notice,
    wait: Option<u64>,
}

impl Web {
    fn page(
        &self,
        headers: &HeaderMap,
        status: StatusCode,
        notice: Option<Notice>,
        signed_in: Option<&Name>,
        back: &ReturnPath,
    ) -> Response {
        let plain = self.config.proxy.plain_http;
        let fresh = || DeviceToken::make(&mut *lock(&self.rng)).expose().to_owned();
        let kept =
            Cookie::Form.read(headers, plain).filter(|text| DeviceToken::parse(text).is_some());
        let browser = kept.map_or_else(fresh, str::to_owned);
        let token = self.reader().form_token(&browser);
        let text = page::login(&token, back, notice.as_ref(), signed_in, self.now());
        let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
        let mut answer = (status, kind, text).into_response();
        let line = Cookie::Form.set(&browser, 0, plain).filter(|_| kept.is_none());
        if let Some(line) = line {
            answer.headers_mut().append(header::SET_COOKIE, line);
        }
        answer
    }

    /// Whether a form comes from our own page in this browser.
    fn is_ours(&self, headers: &HeaderMap, form: &Form) -> bool {
        let from = headers.get("sec-fetch-site");
        let same = from.is_none_or(|from| matches!(from.as_bytes(), b"same-origin" | b"none"));
        let browser = Cookie::Form.read(headers, self.config.proxy.plain_http);
        same && browser.is_some_and(|browser| self.reader().form_fits(browser, &form.token))
    }

    fn present(
        &self,
        headers: &HeaderMap,
        form: &Form,
        address: std::net::IpAddr,
    ) -> Result<Result<Passed, Refused>, GateError> {
        let now = self.now();
        let name = Name::parse(&form.name);
        let shown = Cookie::Device.read(headers, self.config.proxy.plain_http);
        let device = shown.and_then(DeviceToken::parse);
        let known = match (&name, &device) {
            (Some(name), Some(device)) if self.service.is_none() => {
                self.reader().knows(name, device)?
            }
            _ => false,
        };
        if !known {
            let taken = lock(&self.addresses).take(address, now);
            if let Err(refusal) = taken {
                return Ok(Err(self.refused(&refusal)));
            }
        }
        let verdict = match &self.service {
            None => self.present_here(name.as_ref(), form, device.as_ref()),
            Some(service) => self.ask(service, name, form, shown),
        };
        if matches!(verdict, Ok(Ok(_))) && !known {
            lock(&self.addresses).give_back(address, now);
        }
        verdict
    }

    fn ask(
        &self,
        service: &Service,
        name: Option<Name>,
        form: &Form,
        device: Option<&str>,
    ) -> Result<Result<Passed, Refused>, GateError> {
        let verdict = match &name {
            Some(name) => service.verify(name, &form.code, device, true),
            None => Ok(Verdict::Refused(Refusal::Unknown)),
        };
        match (verdict, name) {
            (Ok(Verdict::Granted { known_device }), Some(name)) => {
                tracing::info!(%name, "let in");
                Ok(Ok(Passed { name, device: known_device.map(Zeroizing::new) }))
            }
            (Ok(Verdict::Granted { .. }), None) => Err(GateError::Defect("a yes to nobody")),
            (Ok(Verdict::Refused(refusal)), name) => {
                let (now, mut gate) = (self.now(), self.writer());
                let refusal = gate.disguise(name.as_ref(), &form.code, refusal, now)?;
                note(name.as_ref(), &refusal);
                compact(&mut gate, now);
                Ok(Err(self.refused(&refusal)))
            }
            (Err(error), _) => {
                tracing::error!(%error, hint = error.hint(), "nobody is let in");
                let hint = "try again in a moment, or tell who runs this gate";
                let notice = Notice::plain("codes cannot be checked now", hint);
                Ok(Err(Refused { status: StatusCode::SERVICE_UNAVAILABLE, notice, wait: None }))
            }
        }
    }

    fn present_here(
        &self,
        name: Option<&Name>,
        form: &Form,
        device: Option<&DeviceToken>,
    ) -> Result<Result<Passed, Refused>, GateError> {
        let now = self.now();
        let mut gate = self.writer();
        let verdict = gate.verify(name, &form.code, device, now)?;
        compact(&mut gate, now);
        let granted = match verdict {
            Ok(granted) => granted,
            Err(refusal) => {
                note(name, &refusal);
                return Ok(Err(self.refused(&refusal)));
            }
        };
        let Granted { name, how, known } = &granted;
        if let How::RecoveryCode { left } = how {
            tracing::warn!(%name, left, "let in by a recovery code");
        }
        tracing::info!(%name, "let in");
        let device = if *known {
            None
        } else {
            match gate.remember(&granted, now, &mut *lock(&self.rng)) {
                Ok(token) => Some(Zeroizing::new(token.expose().to_owned())),
                Err(error) => {
                    // The code is spent; the session needs nothing more of the file.
                    tracing::error!(%error, hint = error.hint(), "a browser will not be known again");
                    None
                }
            }
        };
        Ok(Ok(Passed { name: granted.name, device }))
    }

    fn let_in(&self, passed: Passed, back: &ReturnPath) -> Result<Response, GateError> {
        let plain = self.config.proxy.plain_http;
        let mut gate = self.writer();
        let session =
            gate.begin_session(passed.name, &self.terms, self.now(), &mut *lock(&self.rng))?;
        let cookie = gate.write_session(&session);
        let mut answer =
            (StatusCode::SEE_OTHER, [(header::LOCATION, back.as_str())]).into_response();
        let lines = [
            Cookie::Session.set(&cookie, self.terms.session.lifetime, plain),
            passed.device.and_then(|token| Cookie::Device.set(&token.as_str(), 0, plain)),
        ];
        for line in lines.into_iter().flatten() {
            answer.headers_mut().append(header::SET_COOKIE, line);
        }
        Ok(answer)
    }

    fn refused(&self, refusal: &Refusal) -> Refused {
        let now = self.now();
        let (status, wait) = match refusal {
            Refusal::Throttled { until } => {
                (StatusCode::TOO_MANY_REQUESTS, until.map(|until| until.since(now).max(1)))
            }
            _ => (StatusCode::FORBIDDEN, None),
        };
        Refused { status, notice: Notice::of(refusal), wait }
    }
}

fn compact(gate: &mut Gate, now: Timestamp) {
    if let Err(error) = gate.compact(now) {
        tracing::error!(%error, hint = error.hint(), "the state file grows and could not be written anew");
    }
}

fn note(name: Option<&Name>, refusal: &Refusal) {
    if let (Refusal::Throttled { .. }, Some(name)) = (refusal, name) {
        tracing::warn!(%name, "too many attempts: somebody guesses");
    }
}
