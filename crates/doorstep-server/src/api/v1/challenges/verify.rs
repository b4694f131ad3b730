//! Verifies the answer to a challenge, once. The first one activates its authenticator.

use crate::api::v1::accounts::outcome::Outcome;
use crate::api::v1::authenticators::wrong_state;
use crate::authenticators::ocra;
use crate::context::Context;
use crate::http::extract::{ApiJson, optional_secret_text, secret_text};
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::presentation::Presentation;
use crate::store::authenticators::{Kind, State as AuthenticatorState};
use crate::store::challenges::{self, Challenge as Row};
use crate::store::{StoreError, accounts, authenticators};
use axum::Json;
use axum::extract::{Path, State};
use doorstep::otp::ocra::suite::Suite;
use doorstep::otp::ocra::verify::Asked;
use doorstep::otp::ocra::{Challenge, Question};
use doorstep::otp::verify::Enrolled;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;
use zeroize::Zeroize as _;

/// An answer as it was typed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyChallenge {
    /// What the authenticator shows.
    #[serde(deserialize_with = "secret_text")]
    #[schema(example = "237653")]
    response: String,
    /// The token that this device was given when it was let in before.
    #[serde(default, deserialize_with = "optional_secret_text")]
    known_device: Option<String>,
}

impl Drop for VerifyChallenge {
    fn drop(&mut self) {
        self.response.zeroize();
        self.known_device.zeroize();
    }
}

/// Verifies the answer to a challenge. Each answer that is compared counts as an attempt.
#[utoipa::path(post, path = "/v1/challenges/{id}/verify", tag = "authenticators",
    operation_id = "verify_challenge", security(("api_key" = [])), request_body = VerifyChallenge,
    params(("id" = String, Path, description = "the challenge's id")),
    responses((status = 200, description = "granted or refused", body = Outcome), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<VerifyChallenge>,
) -> Result<Json<Outcome>, Problem> {
    let now = context.now();
    let inner = Arc::clone(&context);
    let outcome = context.store.write(move |db| present(&inner, db, &id, &request, now)).await?;
    Ok(Json(outcome))
}

fn present(
    context: &Context,
    connection: &Connection,
    id: &str,
    request: &VerifyChallenge,
    now: Timestamp,
) -> Result<Outcome, Problem> {
    let challenge = challenges::find(connection, id)?.ok_or_else(not_found)?;
    let account = accounts::at(connection, challenge.account)?;
    let row = authenticators::at(connection, challenge.account, challenge.number)?;
    if row.state == AuthenticatorState::Disabled {
        return Err(wrong_state(row.state));
    }
    let damaged = || StoreError::Corrupt { column: "challenges.challenge" };
    let (Kind::Ocra { suite, .. }, Some(authenticator)) = (row.kind, ocra(&context.keys, &row)?)
    else {
        return Err(damaged().into());
    };
    let asked = Asked {
        question: question(&suite, &challenge).ok_or_else(damaged)?,
        session: challenge.session.as_deref(),
        window: challenge.window,
        answered: challenge.answered_at,
    };
    let enrolled =
        Enrolled { number: row.number, authenticator: &authenticator, state: row.remembered };
    let token = request.known_device.as_deref();
    let mut presentation = Presentation::begin(connection, account, token, now)?;
    let (presenter, head) = (presentation.presenter(), presentation.head());
    let begun = enrolled.begin_answer(&asked, &presenter, &request.response, now, head);
    let granted = presentation.run(begun, |matched, presenter, head| {
        enrolled.spend_answer(matched, &asked, presenter, now, head)
    })?;
    let granted = match granted {
        Ok(granted) => granted,
        Err(refusal) => {
            return Ok(Outcome::refused(&presentation, &refusal).authenticator(&row.id));
        }
    };
    // Read in this job as open, so that it is still.
    if !challenges::answer(connection, id, now)? {
        return Err(StoreError::Corrupt { column: "challenges.answered_at" }.into());
    }
    let remembered = row.remembered.then(now, &granted.record.event);
    authenticators::remember(connection, &row, &remembered, Some(now))?;
    if row.state == AuthenticatorState::Pending {
        authenticators::activate(connection, &row, None, now)?;
    }
    presentation.welcome(None)?;
    let found = granted.grant.found();
    Ok(Outcome::granted(&presentation)
        .authenticator(&row.id)
        .step(found.counter.or(found.time_step)))
}

fn question(suite: &Suite, row: &Row) -> Option<Question> {
    let challenge = Challenge::parse(suite, &row.challenge)?;
    match &row.client {
        None => Some(Question::one_way(&challenge)),
        Some(client) => Some(Question::mutual(&challenge, &Challenge::parse(suite, client)?)),
    }
}

fn not_found() -> Problem {
    Problem::new(Code::ChallengeNotFound, "no challenge has this id")
        .hint("challenges are forgotten a day after their end; make a new one")
}
