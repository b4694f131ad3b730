//! Verifies the answer to a challenge, once. The first one activates its authenticator.

use crate::api::v1::accounts::outcome::Outcome;
use crate::api::v1::authenticators::wrong_state;
use crate::authenticators::ocra;
use crate::context::Context;
use crate::http::extract::{ApiJson, optional_secret_text, secret_text};
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::presentation::Presentation;
use crate::store::authenticators::{Kind, State as AuthenticatorState};
use crate::store::{StoreError, accounts, authenticators, challenges};
use axum::Json;
use axum::extract::{Path, State};
use doorstep::otp::ocra::verify::{Asked, hint};
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
    /// Whether a device without such a token is given one when it is let in.
    #[serde(default)]
    remember: bool,
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
    let text = Challenge::parse(&suite, &challenge.challenge).ok_or_else(damaged)?;
    let asked = Asked {
        question: Question::one_way(&text),
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
            let refused = Outcome::refused(&presentation, &refusal).hint(hint(&refusal));
            return Ok(refused.authenticator(&row.id));
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
    let token = presentation.token(context, request.remember);
    presentation.welcome(token.as_deref())?;
    let found = granted.grant.found();
    Ok(Outcome::granted(&presentation)
        .authenticator(&row.id)
        .step(found.counter.or(found.time_step))
        .known_device(token))
}

fn not_found() -> Problem {
    Problem::new(Code::ChallengeNotFound, "no challenge has this id")
        .hint("challenges are forgotten a day after their end; make a new one")
}

#[cfg(test)]
mod tests {
    use crate::test_authenticator::text;
    use crate::test_server::TestServer;
    use doorstep::otp::ocra::suite::Suite;
    use doorstep::otp::ocra::{Challenge, Input, PinHash, Question, Response, respond};
    use doorstep::otp::text::read_hex;
    use serde_json::{Value, json};
    use std::sync::Arc;

    /// The seed of RFC 6287, appendix C, for SHA-1.
    const HEX: &str = "3132333435363738393031323334353637383930";
    const PLAIN: &str = "OCRA-1:HOTP-SHA1-6:QN08";

    async fn token(server: &TestServer, extra: Value) -> String {
        let account = server.account("ana").await;
        let mut body = json!({"kind": "ocra", "secret": HEX, "encoding": "hex", "active": true});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        server.enrol(&account, body).await["id"].as_str().unwrap().to_owned()
    }

    async fn ask(server: &TestServer, id: &str, body: Value) -> Value {
        let path = format!("/v1/authenticators/{id}/challenges");
        let (status, challenge) = server.post(&path, body).await;
        assert_eq!(status, 201, "{challenge}");
        challenge
    }

    fn response(
        suite: &str,
        input: impl FnOnce(&Suite) -> (Question, Option<u64>, Option<PinHash>),
    ) -> String {
        let suite = Suite::parse(suite).unwrap();
        let (question, counter, pin) = input(&suite);
        let input = Input { counter, pin: pin.as_ref(), ..Input::new(&question) };
        match respond(&suite, &read_hex(HEX).unwrap(), &input).unwrap() {
            Response::Code(code) => text(code.expose()),
            Response::Whole(_) => panic!("a code"),
        }
    }

    fn plain(challenge: &Value) -> String {
        let text = challenge["challenge"].as_str().unwrap();
        response(PLAIN, |suite| {
            (Question::one_way(&Challenge::parse(suite, text).unwrap()), None, None)
        })
    }

    async fn verify(server: &TestServer, challenge: &Value, response: &str) -> Value {
        let path = format!("/v1/challenges/{}/verify", challenge["id"].as_str().unwrap());
        server.answer(&path, json!({ "response": response })).await
    }

    #[tokio::test]
    async fn a_challenge_is_answered_once_within_two_minutes() {
        let server = TestServer::new().await;
        let id = token(&server, json!({"suite": PLAIN})).await;
        let (one, other) = (ask(&server, &id, json!({})).await, ask(&server, &id, json!({})).await);
        assert_ne!(one["challenge"], other["challenge"]);
        assert_eq!(one["expires_at"], "2027-01-15T08:02:00Z");
        assert_eq!(verify(&server, &other, &plain(&one)).await["reason"], "wrong_code");
        let granted = verify(&server, &one, &plain(&one)).await;
        assert_eq!(
            (&granted["outcome"], &granted["authenticator"]),
            (&json!("granted"), &json!(id))
        );
        let again = verify(&server, &one, &plain(&one)).await;
        assert_eq!(again["reason"], "already_used");
        assert_eq!(again["hint"], "each challenge is answered once; make a new one");
        server.clock.advance(120);
        assert_eq!(verify(&server, &other, &plain(&other)).await["reason"], "expired");
        server.clock.set(crate::test_server::START - 1);
        assert_eq!(verify(&server, &other, &plain(&other)).await["reason"], "not_yet_valid");
        assert_eq!(
            server.verify("ana", &plain(&other)).await["reason"],
            "unknown",
            "no typed code"
        );
    }

    #[tokio::test]
    async fn a_pending_authenticator_is_activated_by_its_first_answer() {
        let server = TestServer::new().await;
        let id = token(&server, json!({"suite": PLAIN, "active": false})).await;
        let path = format!("/v1/authenticators/{id}/activate");
        let (status, problem) = server.post(&path, json!({"code": "123456"})).await;
        assert_eq!((status, &problem["code"]), (409, &json!("authenticator_kind")));
        let challenge = ask(&server, &id, json!({})).await;
        assert_eq!(verify(&server, &challenge, &plain(&challenge)).await["outcome"], "granted");
        let state = server.query("SELECT count(*) FROM authenticators WHERE state = 'active'");
        assert_eq!(state, 1);
    }

    #[tokio::test]
    async fn counter_and_pin_go_in_and_the_counter_never_comes_back() {
        let server = TestServer::new().await;
        let suite = "OCRA-1:HOTP-SHA1-8:C-QN08-PSHA1";
        let id = token(&server, json!({"suite": suite, "pin": "1234", "counter": 2})).await;
        let answer = |challenge: &Value, counter, pin: &str| {
            let text = challenge["challenge"].as_str().unwrap().to_owned();
            let pin = PinHash::derive(doorstep::otp::Algorithm::Sha1, pin);
            response(suite, |suite| {
                (
                    Question::one_way(&Challenge::parse(suite, &text).unwrap()),
                    Some(counter),
                    Some(pin),
                )
            })
        };
        let one = ask(&server, &id, json!({})).await;
        for wrong in [answer(&one, 1, "1234"), answer(&one, 3, "4321"), answer(&one, 13, "1234")] {
            assert_eq!(verify(&server, &one, &wrong).await["reason"], "wrong_code");
        }
        let granted = verify(&server, &one, &answer(&one, 4, "1234")).await;
        assert_eq!((&granted["outcome"], &granted["step"]), (&json!("granted"), &json!(4)));
        let two = ask(&server, &id, json!({})).await;
        assert_eq!(verify(&server, &two, &answer(&two, 4, "1234")).await["reason"], "wrong_code");
        assert_eq!(verify(&server, &two, &answer(&two, 5, "1234")).await["outcome"], "granted");
    }

    #[tokio::test]
    async fn guesses_take_the_attempts_of_the_account_over_all_challenges() {
        let server = TestServer::new().await;
        let id = token(&server, json!({"suite": PLAIN})).await;
        let challenge = ask(&server, &id, json!({})).await;
        let path = format!("/v1/challenges/{}/verify", challenge["id"].as_str().unwrap());
        let body = json!({"response": plain(&challenge), "remember": true});
        let token = server.answer(&path, body).await["known_device"].clone();
        assert!(token.is_string());
        for left in (0..10).rev() {
            let challenge = ask(&server, &id, json!({})).await;
            let right: u32 = plain(&challenge).parse().unwrap();
            let wrong = format!("{:06}", (right + 1) % 1_000_000);
            let refused = verify(&server, &challenge, &wrong).await;
            assert_eq!(
                (&refused["reason"], &refused["attempts_left"]),
                (&json!("wrong_code"), &json!(left))
            );
        }
        let challenge = ask(&server, &id, json!({})).await;
        assert_eq!(verify(&server, &challenge, &plain(&challenge)).await["reason"], "throttled");
        assert_eq!(verify(&server, &challenge, "").await["reason"], "mistyped");
        let path = format!("/v1/challenges/{}/verify", challenge["id"].as_str().unwrap());
        let body = json!({"response": plain(&challenge), "known_device": token});
        assert_eq!(server.answer(&path, body).await["outcome"], "granted");
    }

    #[tokio::test]
    async fn of_many_answers_to_one_challenge_one_is_granted() {
        let server = Arc::new(TestServer::new().await);
        let id = token(&server, json!({"suite": PLAIN})).await;
        let challenge = ask(&server, &id, json!({})).await;
        let path = format!("/v1/challenges/{}/verify", challenge["id"].as_str().unwrap());
        let body = json!({"response": plain(&challenge)});
        let requests = (0..32).map(|_| (path.clone(), body.clone())).collect();
        assert_eq!(server.granted_of(requests).await, 1);
    }

    #[tokio::test]
    async fn challenges_that_do_not_fit_are_refused() {
        let server = TestServer::new().await;
        let id = token(&server, json!({"suite": "OCRA-1:HOTP-SHA1-6:C-QN08-S064"})).await;
        let path = format!("/v1/authenticators/{id}/challenges");
        for (body, field) in [
            (json!({}), "session"),
            (json!({"session": ""}), "session"),
            (json!({"session": "x".repeat(65)}), "session"),
            (json!({"session": "x", "lifetime": 0}), "lifetime"),
            (json!({"session": "x", "lifetime": 3601}), "lifetime"),
            // Whoever asks is given no response: it might be the answer to another challenge.
            (json!({"session": "x", "client_challenge": "12345678"}), "client_challenge"),
        ] {
            let (status, problem) = server.post(&path, body.clone()).await;
            assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)), "{body}");
        }
        let (_, phone) = server.enrolled("bo").await;
        let path = format!("/v1/authenticators/{}/challenges", phone.id);
        assert_eq!(server.post(&path, json!({})).await.1["code"], "authenticator_kind");
        let nothing = json!({"response": "123456"});
        let (status, problem) = server.post("/v1/challenges/chl_0/verify", nothing).await;
        assert_eq!((status, &problem["code"]), (404, &json!("challenge_not_found")));
    }
}
