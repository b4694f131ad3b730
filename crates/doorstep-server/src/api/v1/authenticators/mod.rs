//! Authenticators: what is enrolled in an account, and what is done to one of them alone.

pub(crate) mod activate;
pub(crate) mod challenge;
pub(crate) mod disable;
pub(crate) mod resync;

use crate::http::problem::{Code, Problem};
use crate::store::accounts::{self, Account};
use crate::store::authenticators::{self, Authenticator, Kind, State};
use crate::utc::Utc;
use rusqlite::Connection;
use serde::Serialize;
use utoipa::ToSchema;

/// An authenticator, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuthenticatorView {
    /// Its id, for ever.
    #[schema(example = "aut_01m7zpcgdg2c2rbw8qte4qcp8y")]
    id: String,
    /// `totp`, `hotp` or `ocra`.
    #[schema(example = "totp")]
    kind: &'static str,
    /// What it was called at enrolment, such as a phone or a token's serial number.
    label: String,
    /// `pending` until its first code, then `active`; `disabled` for ever.
    #[schema(example = "active")]
    state: &'static str,
    /// `SHA1`, `SHA256` or `SHA512`.
    algorithm: &'static str,
    /// Digits of a code.
    digits: u8,
    /// Seconds of a step, if it has a clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    period: Option<u64>,
    /// Which steps are taken, if it has a clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<String>,
    /// The suite of an OCRA authenticator.
    #[serde(skip_serializing_if = "Option::is_none")]
    suite: Option<String>,
    /// For a clock: steps that it was ahead when it was last heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    drift_steps: Option<i64>,
    /// The same in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    drift_seconds: Option<i64>,
    /// For a counter: the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_counter: Option<u64>,
    created_at: Utc,
    activated_at: Option<Utc>,
    /// When it last let somebody in.
    last_used_at: Option<Utc>,
}

impl From<&Authenticator> for AuthenticatorView {
    fn from(row: &Authenticator) -> Self {
        let drift = match row.kind {
            Kind::Totp { totp, .. } => Some((row.remembered.drift(), totp.period.get())),
            Kind::Hotp(_) | Kind::Ocra { .. } => None,
        };
        let counts = match row.kind {
            Kind::Totp { .. } => false,
            Kind::Hotp(_) => true,
            Kind::Ocra { suite, .. } => suite.has_counter(),
        };
        let next = || row.remembered.last_step().map_or(0, |last| last.saturating_add(1));
        let suite = match &row.kind {
            Kind::Ocra { suite, .. } => Some(suite.as_str().to_owned()),
            Kind::Totp { .. } | Kind::Hotp(_) => None,
        };
        Self {
            id: row.id.clone(),
            kind: row.kind.as_str(),
            label: row.label.clone(),
            state: row.state.as_str(),
            algorithm: row.kind.algorithm().name(),
            digits: row.kind.digits(),
            period: row.kind.period().map(Into::into),
            window: row.kind.window().map(|window| window.to_string()),
            suite,
            drift_steps: drift.map(|(steps, _)| steps),
            drift_seconds: drift.map(|(steps, period)| {
                steps.saturating_mul(i64::try_from(period).unwrap_or(i64::MAX))
            }),
            next_counter: counts.then(next),
            created_at: Utc(row.created_at),
            activated_at: row.activated_at.map(Utc),
            last_used_at: row.last_used_at.map(Utc),
        }
    }
}

/// The authenticator that a path names, and its account.
pub(crate) fn find(connection: &Connection, id: &str) -> Result<(Account, Authenticator), Problem> {
    let row = authenticators::find(connection, id)?.ok_or_else(not_found)?;
    Ok((accounts::at(connection, row.account)?, row))
}

pub(crate) fn not_found() -> Problem {
    Problem::new(Code::AuthenticatorNotFound, "no authenticator has this id")
        .hint("GET /v1/accounts/{id} lists those of an account")
}

/// Refuses what an authenticator in this state cannot do.
pub(crate) fn wrong_state(state: State) -> Problem {
    let hint = match state {
        State::Pending => "activate it with its first code, or by a resync if it is far off",
        State::Active => "it is active already; verify codes of its account",
        State::Disabled => "a disabled authenticator stays so; enrol a new one",
    };
    Problem::new(Code::AuthenticatorState, format!("the authenticator is {}", state.as_str()))
        .hint(hint)
}
