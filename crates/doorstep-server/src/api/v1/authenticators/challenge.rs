//! Makes a challenge for an OCRA authenticator to answer.

use super::{find, wrong_state};
use crate::context::Context;
use crate::http::extract::ApiJson;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::ids::make_id;
use crate::store::authenticators::{Authenticator, Kind, State as AuthenticatorState};
use crate::store::challenges;
use crate::utc::Utc;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use doorstep::otp::ocra::Challenge;
use doorstep::otp::ocra::suite::Suite;
use doorstep::time::Window;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Seconds that a challenge may be answered, unless somebody says otherwise.
const LIFETIME: u32 = 120;
const LONGEST_LIFETIME: u32 = 3600;

/// A challenge to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateChallenge {
    /// Seconds that it may be answered: 1 to 3600, 120 when left out.
    #[schema(minimum = 1, maximum = 3600)]
    lifetime: Option<u32>,
    /// What the session is about, for a suite with `S`: text of at most as many bytes as the suite
    /// says.
    session: Option<String>,
}

/// A challenge, to be answered once.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChallengeView {
    /// Its id, to verify the answer with.
    #[schema(example = "chl_01m7zpcgdg2c2rbw8qte4qcp8y")]
    id: String,
    /// What the authenticator is to be given.
    #[schema(example = "73920184")]
    challenge: String,
    /// How the answer is computed.
    suite: String,
    /// From when on no answer is taken.
    expires_at: Utc,
}

/// Makes a challenge.
#[utoipa::path(post, path = "/v1/authenticators/{id}/challenges", tag = "authenticators",
    operation_id = "create_challenge", security(("api_key" = [])), request_body = CreateChallenge,
    params(("id" = String, Path, description = "the authenticator's id")),
    responses((status = 201, description = "the challenge", body = ChallengeView), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<CreateChallenge>,
) -> Result<(StatusCode, Json<ChallengeView>), Problem> {
    let now = context.now();
    let lifetime = request.lifetime.unwrap_or(LIFETIME);
    let window = Window::new(now, now.later(u64::from(lifetime)));
    let Some(window) = window.filter(|_| lifetime <= LONGEST_LIFETIME) else {
        let message = format!("is not between 1 and {LONGEST_LIFETIME} seconds");
        return Err(Problem::field("lifetime", message));
    };
    let inner = Arc::clone(&context);
    let view = context
        .store
        .write(move |connection| {
            let (_, row) = find(connection, &id)?;
            let suite = suite_of(&row)?;
            check_session(&suite, request.session.as_deref())?;
            let challenge = inner.with_rng(|rng| Challenge::make(&suite, rng));
            let new = challenges::Challenge {
                id: inner.with_rng(|rng| make_id("chl", now, rng)),
                account: row.account,
                number: row.number,
                challenge: challenge.as_str().to_owned(),
                session: request.session.map(String::into_bytes),
                window,
                answered_at: None,
            };
            challenges::insert(connection, &new)?;
            Ok::<_, Problem>(ChallengeView {
                id: new.id,
                challenge: new.challenge,
                suite: suite.as_str().to_owned(),
                expires_at: Utc(window.until()),
            })
        })
        .await?;
    Ok((StatusCode::CREATED, Json(view)))
}

fn suite_of(row: &Authenticator) -> Result<Suite, Problem> {
    if row.state == AuthenticatorState::Disabled {
        return Err(wrong_state(row.state));
    }
    match row.kind {
        Kind::Ocra { suite, .. } => Ok(suite),
        Kind::Totp { .. } | Kind::Hotp(_) => {
            Err(Problem::new(Code::AuthenticatorKind, "only OCRA authenticators answer challenges")
                .hint("verify a code of the account instead"))
        }
    }
}

fn check_session(suite: &Suite, session: Option<&str>) -> Result<(), Problem> {
    match (suite.session(), session) {
        (None, None) => Ok(()),
        (Some(most), Some(text)) if (1..=usize::from(most)).contains(&text.len()) => Ok(()),
        (Some(most), _) => {
            Err(Problem::field("session", format!("has to have 1 to {most} bytes in this suite")))
        }
        (None, Some(_)) => Err(Problem::field("session", "has no place in this suite")),
    }
}
