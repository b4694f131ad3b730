//! Takes an authenticator up again whose clock or counter is far off, by two codes that follow each
//! other.

use super::{find, wrong_state};
use crate::api::v1::accounts::outcome::Outcome;
use crate::authenticators::otp;
use crate::context::Context;
use crate::http::extract::{ApiJson, optional_secret_text};
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::presentation::Presentation;
use crate::store::authenticators::{self, State as AuthenticatorState};
use axum::Json;
use axum::extract::{Path, State};
use doorstep::otp::verify::{Enrolled, MAX_REACH};
use doorstep::refusal::Refusal;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;
use zeroize::Zeroize as _;

/// Two codes that follow each other, or one of them.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResyncAuthenticator {
    /// Both codes, in their order.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, min_items = 2, max_items = 2)]
    codes: Option<(SecretText, SecretText)>,
    /// Or one code: the first, and in a second request within a minute the next one.
    #[serde(default, deserialize_with = "optional_secret_text")]
    code: Option<String>,
}

/// A code inside a list.
#[derive(Deserialize)]
struct SecretText(#[serde(deserialize_with = "crate::http::extract::secret_text")] String);

impl Drop for SecretText {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Drop for ResyncAuthenticator {
    fn drop(&mut self) {
        self.code.zeroize();
    }
}

/// Resyncs an authenticator. It never goes back: codes that were accepted, or came before, stay
/// spent. Each code that is compared counts.
#[utoipa::path(post, path = "/v1/authenticators/{id}/resync", tag = "authenticators",
    operation_id = "resync_authenticator", security(("api_key" = [])),
    request_body = ResyncAuthenticator,
    params(("id" = String, Path, description = "the authenticator's id")),
    responses((status = 200, description = "granted, refused, or `continue` after the first of two codes", body = Outcome), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<ResyncAuthenticator>,
) -> Result<Json<Outcome>, Problem> {
    if request.codes.is_some() == request.code.is_some() {
        return Err(Problem::field("codes", "give two codes, or one as code"));
    }
    let now = context.now();
    let inner = Arc::clone(&context);
    let outcome = context.store.write(move |db| present(&inner, db, &id, &request, now)).await?;
    Ok(Json(outcome))
}

fn present(
    context: &Context,
    connection: &Connection,
    id: &str,
    request: &ResyncAuthenticator,
    now: Timestamp,
) -> Result<Outcome, Problem> {
    let (account, row) = find(connection, id)?;
    if row.state != AuthenticatorState::Active {
        return Err(wrong_state(row.state));
    }
    let Some(authenticator) = otp(&context.keys, &row)? else {
        return Err(Problem::new(
            Code::AuthenticatorKind,
            "OCRA answers challenges and needs no resync",
        )
        .hint("make a challenge and verify its answer"));
    };
    let mut enrolled =
        Enrolled { number: row.number, authenticator: &authenticator, state: row.remembered };
    let mut presentation = Presentation::begin(connection, account, None, now)?;
    let refused = |presentation: &Presentation<'_>, refusal: &Refusal| {
        Outcome::refused(presentation, refusal).authenticator(&row.id)
    };
    // One code is the second if it comes soon after a first.
    let second = match (&request.codes, request.code.as_deref()) {
        (Some((_, second)), _) => Some(second.0.as_str()),
        (None, Some(code)) => {
            let (presenter, head) = (presentation.presenter(), presentation.head());
            match enrolled.begin_second(&presenter, code, now, head) {
                Err(Refusal::Unknown | Refusal::Expired { .. }) => None,
                _ => Some(code),
            }
        }
        (None, None) => None,
    };
    let first = match &request.codes {
        Some((first, _)) => Some(first.0.as_str()),
        None => request.code.as_deref().filter(|_| second.is_none()),
    };
    if let Some(code) = first {
        let (presenter, head) = (presentation.presenter(), presentation.head());
        let begun = enrolled.begin_first(&presenter, code, MAX_REACH, now, head);
        let granted = presentation.run(begun, |matched, presenter, head| {
            enrolled.spend_first(matched, presenter, now, head)
        })?;
        match granted {
            Err(refusal) => return Ok(refused(&presentation, &refusal)),
            Ok(granted) => enrolled.state = enrolled.state.then(now, &granted.record.event),
        }
        authenticators::remember(connection, &row, &enrolled.state, None)?;
    }
    let Some(code) = second else {
        return Ok(Outcome::granted(&presentation).authenticator(&row.id).first());
    };
    let (presenter, head) = (presentation.presenter(), presentation.head());
    let begun = enrolled.begin_second(&presenter, code, now, head);
    let granted = presentation.run(begun, |matched, presenter, head| {
        enrolled.spend_second(matched, presenter, now, head)
    })?;
    let granted = match granted {
        Err(refusal) => return Ok(refused(&presentation, &refusal)),
        Ok(granted) => granted,
    };
    let remembered = enrolled.state.then(now, &granted.record.event);
    authenticators::remember(connection, &row, &remembered, Some(now))?;
    Ok(Outcome::granted(&presentation).authenticator(&row.id).accepted(granted.grant.found()))
}
