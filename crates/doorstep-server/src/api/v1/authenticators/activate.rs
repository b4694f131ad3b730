//! Activates an authenticator by its first code, which shows that the secret arrived, and how long
//! a step of its clock is.

use super::{find, wrong_state};
use crate::api::v1::accounts::outcome::Outcome;
use crate::authenticators::secret;
use crate::context::Context;
use crate::http::extract::{ApiJson, optional_secret_text, secret_text};
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
    /// The token that this device was given when it was let in before.
    #[serde(default, deserialize_with = "optional_secret_text")]
    known_device: Option<String>,
}

impl Drop for ActivateAuthenticator {
    fn drop(&mut self) {
        self.code.zeroize();
        self.known_device.zeroize();
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
        context.store.write(move |db| present(&inner, db, &id, &request, period, now)).await?;
    Ok(Json(outcome))
}

fn present(
    context: &Context,
    connection: &Connection,
    id: &str,
    request: &ActivateAuthenticator,
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
    let mut presentation =
        Presentation::begin(connection, account, request.known_device.as_deref(), now)?;
    let (presenter, head) = (presentation.presenter(), presentation.head());
    let begun = verify::begin(&enrolled, &presenter, &request.code, now, head);
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
    presentation.welcome(None)?;
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

#[cfg(test)]
mod tests {
    use crate::test_authenticator::{TestAuthenticator, hotp};
    use crate::test_server::TestServer;
    use serde_json::{Value, json};
    use std::num::NonZeroU64;
    use std::sync::Arc;

    async fn pending(server: &TestServer, body: Value) -> (String, TestAuthenticator) {
        let account = server.account("ana").await;
        let enrolled = server.enrol(&account, body).await;
        (account, TestAuthenticator::of(&enrolled))
    }

    #[tokio::test]
    async fn the_first_code_activates_and_is_spent() {
        let server = TestServer::new().await;
        let (_, phone) = pending(&server, json!({"kind": "totp"})).await;
        let code = phone.code_at(server.now());
        let granted = server.activate(&phone.id, &code).await;
        assert_eq!((&granted["outcome"], &granted["period"]), (&json!("granted"), &json!(30)));
        assert_eq!(server.verify("ana", &code).await["reason"], "already_used");
        let path = format!("/v1/authenticators/{}/activate", phone.id);
        let (status, problem) = server.post(&path, json!({"code": code})).await;
        assert_eq!((status, &problem["code"]), (409, &json!("authenticator_state")));
    }

    #[tokio::test]
    async fn a_period_of_a_minute_is_detected_or_given() {
        for given in [None, Some(60)] {
            let server = TestServer::new().await;
            let (account, mut phone) = pending(&server, json!({"kind": "totp"})).await;
            // Steps of 30 and of 60 seconds differ for all times but the very first.
            phone.totp.period = NonZeroU64::new(60).unwrap();
            let mut body = json!({"code": phone.code_at(server.now())});
            if let Some(period) = given {
                body["period"] = json!(period);
            }
            let path = format!("/v1/authenticators/{}/activate", phone.id);
            let granted = server.answer(&path, body).await;
            assert_eq!((&granted["outcome"], &granted["period"]), (&json!("granted"), &json!(60)));
            let (_, shown) = server.get(&format!("/v1/accounts/{account}")).await;
            assert_eq!(shown["authenticators"][0]["period"], 60);
            assert_eq!(shown["attempts_left"], 10, "it was one attempt");
            server.clock.advance(60);
            let granted = server.verify("ana", &phone.code_at(server.now())).await;
            assert_eq!((&granted["outcome"], &granted["shift"]), (&json!("granted"), &json!(0)));
        }
    }

    #[tokio::test]
    async fn a_given_period_is_the_only_one_tried() {
        let server = TestServer::new().await;
        let (_, phone) = pending(&server, json!({"kind": "totp"})).await;
        let path = format!("/v1/authenticators/{}/activate", phone.id);
        let code = phone.code_at(server.now());
        let refused = server.answer(&path, json!({"code": code, "period": 60})).await;
        assert_eq!(
            (&refused["reason"], &refused["attempts_left"]),
            (&json!("wrong_code"), &json!(9))
        );
        for period in [0, 86_401] {
            let (status, _) = server.post(&path, json!({"code": code, "period": period})).await;
            assert_eq!(status, 422);
        }
        assert_eq!(server.activate(&phone.id, &code).await["outcome"], "granted");
    }

    #[tokio::test]
    async fn guesses_at_activation_take_the_attempts_of_the_account() {
        let server = TestServer::new().await;
        let (account, phone) = server.enrolled("ana").await;
        let other = TestAuthenticator::of(&server.enrol(&account, json!({"kind": "totp"})).await);
        for _ in 0..10 {
            server.activate(&other.id, &other.wrong_at(server.now())).await;
        }
        let right = other.code_at(server.now());
        assert_eq!(server.activate(&other.id, &right).await["reason"], "throttled");
        let right = phone.code_at(server.now());
        assert_eq!(server.verify("ana", &right).await["reason"], "throttled");
    }

    #[tokio::test]
    async fn a_counter_is_activated_within_its_look_ahead() {
        let server = TestServer::new().await;
        let hex = "3132333435363738393031323334353637383930";
        let body = json!({"kind": "hotp", "secret": hex, "encoding": "hex"});
        let (_, token) = pending(&server, body).await;
        assert_eq!(server.activate(&token.id, "").await["reason"], "mistyped");
        assert_eq!(server.activate(&token.id, &hotp(hex, 11)).await["reason"], "wrong_code");
        let granted = server.activate(&token.id, &hotp(hex, 7)).await;
        assert_eq!((&granted["step"], &granted["shift"]), (&json!(7), &json!(7)), "{granted}");
        assert_eq!(server.verify("ana", &hotp(hex, 7)).await["reason"], "already_used");
        assert_eq!(server.verify("ana", &hotp(hex, 8)).await["outcome"], "granted");
    }

    #[tokio::test]
    async fn of_many_activations_with_one_code_one_is_granted() {
        let server = TestServer::new().await;
        let (_, phone) = pending(&server, json!({"kind": "totp"})).await;
        let server = Arc::new(server);
        let path = format!("/v1/authenticators/{}/activate", phone.id);
        let code = phone.code_at(server.now());
        let tasks: Vec<_> = (0..32)
            .map(|_| {
                let (server, path, code) = (Arc::clone(&server), path.clone(), code.clone());
                tokio::spawn(async move { server.post(&path, json!({"code": code})).await.1 })
            })
            .collect();
        let mut granted = 0;
        for task in tasks {
            granted += usize::from(task.await.unwrap()["outcome"] == "granted");
        }
        assert_eq!(granted, 1);
    }
}
