//! Verifies a code of any of an account's authenticators: the one request that every login makes.

use super::named;
use super::outcome::Outcome;
use crate::authenticators::otp;
use crate::context::Context;
use crate::http::extract::{ApiJson, optional_secret_text, secret_text};
use crate::http::problem::{Problem, ProblemBody};
use crate::ids::make_token;
use crate::presentation::Presentation;
use crate::store::authenticators::State as AuthenticatorState;
use crate::store::{accounts, authenticators};
use axum::Json;
use axum::extract::State;
use doorstep::otp::OtpSecret;
use doorstep::otp::totp::Totp;
use doorstep::otp::verify::{self, Enrolled};
use doorstep::refusal::Refusal;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::Deserialize;
use std::hint::black_box;
use std::sync::Arc;
use utoipa::ToSchema;
use zeroize::Zeroize as _;

/// A code as it was typed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyAccount {
    /// The account's id, or its name.
    #[schema(example = "ana@example.com")]
    account: String,
    /// The code; spaces and hyphens in it do not matter.
    #[serde(deserialize_with = "secret_text")]
    #[schema(example = "287 082")]
    code: String,
    /// The token that this device was given when it was let in before. It then has attempts of its
    /// own, which nobody who guesses elsewhere uses up.
    #[serde(default, deserialize_with = "optional_secret_text")]
    known_device: Option<String>,
    /// Whether a device without such a token is given one when it is let in.
    #[serde(default)]
    remember: bool,
}

impl Drop for VerifyAccount {
    fn drop(&mut self) {
        self.code.zeroize();
        self.known_device.zeroize();
    }
}

/// Verifies a code. Each code that is compared counts, right or wrong; a right one gives its attempt
/// back, and no other.
#[utoipa::path(post, path = "/v1/accounts/verify", tag = "accounts",
    operation_id = "verify_account", security(("api_key" = [])), request_body = VerifyAccount,
    responses((status = 200, description = "granted or refused", body = Outcome), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiJson(request): ApiJson<VerifyAccount>,
) -> Result<Json<Outcome>, Problem> {
    let now = context.now();
    let inner = Arc::clone(&context);
    // One job for all steps, so nothing comes between them; refusals leave it as a result and not
    // as an error, which would take the count back.
    let outcome = context.store.write(move |db| present(&inner, db, &request, now)).await?;
    Ok(Json(outcome))
}

fn present(
    context: &Context,
    connection: &Connection,
    request: &VerifyAccount,
    now: Timestamp,
) -> Result<Outcome, Problem> {
    let account = named(&request.account).map(|named| accounts::find(connection, &named));
    let Some(account) = account.transpose()?.flatten() else {
        return unknown(connection, now);
    };
    let rows = authenticators::of_account(connection, account.seq)?;
    let mut opened = Vec::with_capacity(rows.len());
    for row in rows.iter().filter(|row| row.state == AuthenticatorState::Active) {
        if let Some(authenticator) = otp(&context.keys, row)? {
            opened.push((row, authenticator));
        }
    }
    let enrolled: Vec<Enrolled<'_>> = opened
        .iter()
        .map(|(row, authenticator)| Enrolled {
            number: row.number,
            authenticator,
            state: row.remembered,
        })
        .collect();
    let token = request.known_device.as_deref();
    let mut presentation = Presentation::begin(connection, account, token, now)?;
    let begun = verify::begin(
        &enrolled,
        &presentation.presenter(),
        &request.code,
        now,
        presentation.head(),
    );
    let granted = presentation.run(begun, |matched, presenter, head| {
        let found = matched.found().authenticator;
        let one = enrolled.iter().find(|one| one.number == found).ok_or(Refusal::Unknown)?;
        one.spend(matched, presenter, now, head)
    })?;
    let granted = match granted {
        Ok(granted) => granted,
        Err(refusal) => return Ok(Outcome::refused(&presentation, &refusal)),
    };
    let accepted = *granted.grant.found();
    let found = opened.iter().find(|(row, _)| row.number == accepted.authenticator);
    let (row, _) = found.ok_or_else(super::not_found)?;
    let remembered = row.remembered.then(now, &granted.record.event);
    authenticators::remember(connection, row, &remembered, Some(now))?;
    let token = (request.remember && !presentation.is_known()).then(|| make_token_for(context));
    presentation.welcome(token.as_deref())?;
    Ok(Outcome::granted(&presentation)
        .authenticator(&row.id)
        .accepted(&accepted)
        .known_device(token))
}

/// Draws the token of a device that is known from now on.
pub(super) fn make_token_for(context: &Context) -> String {
    context.with_rng(|rng| make_token("known_", rng))
}

/// The answer for an account that is not there, after the work that one which is there takes: a
/// comparison and a change that has to reach the disk. Else the time would tell who has an account.
fn unknown(connection: &Connection, now: Timestamp) -> Result<Outcome, Problem> {
    let totp = Totp::default();
    if let (Some(secret), Some(step)) = (OtpSecret::from_bytes(&[0; 20]), totp.step(now)) {
        let keyed = totp.keyed(&secret);
        for step in step.saturating_sub(1)..=step.saturating_add(1) {
            drop(black_box(totp.code(&keyed, step)));
        }
    }
    accounts::count_unknown(connection)?;
    Ok(Outcome::unknown(now))
}
