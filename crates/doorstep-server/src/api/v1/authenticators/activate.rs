//! Activates an authenticator by its first code, which shows that the secret arrived, and how long
//! a step of its clock is.

use super::{find, wrong_state};
use crate::api::v1::accounts::outcome::Outcome;
use crate::authenticators::secret;
use crate::context::Context;
use crate::http::extract::{ApiJson, secret_text};
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::presentation::Presentation;
use crate::store::authenticators::{self, Authenticator as Row, Kind, State as AuthenticatorState};
use axum::Json;
use axum::extract::{Path, State};
use doorstep::otp::OtpSecret;
use doorstep::otp::otpauth::MAX_PERIOD;
use doorstep::otp::totp::Totp;
use doorstep::otp::verify::{self, Authenticator, Drift, Enrolled, Method};
use doorstep::refusal::Refusal;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::Deserialize;
use std::num::NonZeroU64;
use std::sync::Arc;
use utoipa::ToSchema;
use zeroize::Zeroize as _;

/// Periods that are tried beside the one of the enrolment: some programs ignore what they are told.
const USUAL_PERIODS: [u64; 2] = [30, 60];

/// The number of a candidate in its comparison: authenticators of an account have lower ones.
const FIRST_CANDIDATE: u16 = 0xFF00;

/// A first code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActivateAuthenticator {
    /// The code that the authenticator shows.
    #[serde(deserialize_with = "secret_text")]
    #[schema(example = "287 082")]
    code: String,
    /// For TOTP: seconds of a step, as the program says. When left out, that of the enrolment, 30
    /// and 60 are tried.
    #[schema(minimum = 1, maximum = 86400)]
    period: Option<u64>,
}

impl Drop for ActivateAuthenticator {
    fn drop(&mut self) {
        self.code.zeroize();
    }
}

/// Activates an authenticator. Its first code is spent, and takes attempts like any other.
#[utoipa::path(post, path = "/v1/authenticators/{id}/activate", tag = "authenticators",
    operation_id = "activate_authenticator", security(("api_key" = [])),
    request_body = ActivateAuthenticator,
    params(("id" = String, Path, description = "the authenticator's id")),
    responses((status = 200, description = "granted or refused", body = Outcome), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<ActivateAuthenticator>,
) -> Result<Json<Outcome>, Problem> {
    let period = match request.period {
        None => None,
        Some(period) => match NonZeroU64::new(period) {
            Some(period) if period.get() <= MAX_PERIOD => Some(period),
            _ => {
                let message = format!("is not between 1 and {MAX_PERIOD} seconds");
                return Err(Problem::field("period", message));
            }
        },
    };
    let now = context.now();
    let inner = Arc::clone(&context);
    let outcome =
        context.store.write(move |db| present(&inner, db, &id, &request.code, period, now)).await?;
    Ok(Json(outcome))
}

fn present(
    context: &Context,
    connection: &Connection,
    id: &str,
    typed: &str,
    period: Option<NonZeroU64>,
    now: Timestamp,
) -> Result<Outcome, Problem> {
    let (account, row) = find(connection, id)?;
    if row.state != AuthenticatorState::Pending {
        return Err(wrong_state(row.state));
    }
    let candidates = candidates(&row, &secret(&context.keys, &row)?, period)?;
    let enrolled: Vec<Enrolled<'_>> = candidates
        .iter()
        .map(|(number, authenticator)| Enrolled {
            number: *number,
            authenticator,
            state: row.remembered,
        })
        .collect();
    let mut presentation = Presentation::begin(connection, account, None, now)?;
    let begun =
        verify::begin(&enrolled, &presentation.presenter(), typed, now, presentation.head());
    let granted = presentation.run(begun, |matched, presenter, head| {
        let found = matched.found().authenticator;
        let one = enrolled.iter().find(|one| one.number == found).ok_or(Refusal::Unknown)?;
        one.spend(matched, presenter, now, head)
    })?;
    let granted = match granted {
        Ok(granted) => granted,
        Err(refusal) => {
            return Ok(Outcome::refused(&presentation, &refusal).authenticator(&row.id));
        }
    };
    let accepted = granted.grant.found();
    let found = candidates.iter().find(|(number, _)| *number == accepted.authenticator);
    let period = found.and_then(|(_, authenticator)| match authenticator.method() {
        Method::Totp { totp, .. } => Some(totp.period),
        Method::Hotp { .. } => None,
    });
    authenticators::activate(connection, &row, period, now)?;
    let remembered = row.remembered.then(now, &granted.record.event);
    authenticators::remember(connection, &row, &remembered, Some(now))?;
    Ok(Outcome::granted(&presentation)
        .authenticator(&row.id)
        .accepted(accepted)
        .period(period.map(NonZeroU64::get)))
}

/// The same secret with each period that it may have, the one of the enrolment first.
fn candidates(
    row: &Row,
    secret: &OtpSecret,
    given: Option<NonZeroU64>,
) -> Result<Vec<(u16, Authenticator)>, Problem> {
    match row.kind {
        Kind::Hotp(hotp) if given.is_none() => {
            Ok(vec![(row.number, Authenticator::hotp(secret, hotp))])
        }
        Kind::Hotp(_) => Err(Problem::field("period", "is not for this kind of authenticator")),
        Kind::Ocra { .. } => Err(Problem::new(
            Code::AuthenticatorKind,
            "an OCRA authenticator shows no code without a challenge",
        )
        .hint("make a challenge and verify its answer, which activates it")),
        Kind::Totp { totp, window } => {
            let mut periods = vec![given.unwrap_or(totp.period)];
            if given.is_none() {
                let usual = USUAL_PERIODS.into_iter().filter_map(NonZeroU64::new);
                periods.extend(usual.filter(|period| *period != totp.period));
            }
            let authenticator = |period| {
                let totp = Totp { period, ..totp };
                Authenticator::new(secret, Method::Totp { totp, window, drift: Drift::QUARTZ })
            };
            let numbers = std::iter::once(row.number).chain(FIRST_CANDIDATE..);
            Ok(numbers.zip(periods.into_iter().map(authenticator)).collect())
        }
    }
}
