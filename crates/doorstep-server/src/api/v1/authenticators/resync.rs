//! Takes an authenticator up whose clock or counter is far off, by two codes that follow each other.
//! One that could not be activated for that reason is active then.

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
    /// The token that this device was given when it was let in before.
    #[serde(default, deserialize_with = "optional_secret_text")]
    known_device: Option<String>,
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
        self.known_device.zeroize();
    }
}

/// Resyncs an authenticator; a pending one is activated. It never goes back: codes that were accepted, or came before, stay
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
    // A pending one may be off as well; its second code activates it.
    if row.state == AuthenticatorState::Disabled {
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
    let mut presentation =
        Presentation::begin(connection, account, request.known_device.as_deref(), now)?;
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
    if row.state == AuthenticatorState::Pending {
        authenticators::activate(connection, &row, None, now)?;
    }
    presentation.welcome(None)?;
    Ok(Outcome::granted(&presentation).authenticator(&row.id).accepted(granted.grant.found()))
}

#[cfg(test)]
mod tests {
    use crate::test_authenticator::{TestAuthenticator, hotp};
    use crate::test_server::TestServer;
    use serde_json::{Value, json};
    use std::sync::Arc;

    const HEX: &str = "3132333435363738393031323334353637383930";

    async fn resync(server: &TestServer, id: &str, body: Value) -> Value {
        server.answer(&format!("/v1/authenticators/{id}/resync"), body).await
    }

    async fn token(server: &TestServer) -> String {
        let account = server.account("ana").await;
        let body = json!({"kind": "hotp", "secret": HEX, "encoding": "hex", "active": true});
        server.enrol(&account, body).await["id"].as_str().unwrap().to_owned()
    }

    /// Two codes that follow each other on a clock that is off by `shift`.
    fn pair(phone: &TestAuthenticator, now: u64, shift: i64) -> Value {
        let at = now.checked_add_signed(shift).unwrap();
        json!({"codes": [phone.code_at(at), phone.code_at(at + 30)]})
    }

    #[tokio::test]
    async fn a_clock_that_is_hours_off_is_followed_after_two_codes() {
        let server = TestServer::new().await;
        let (_, phone) = server.enrolled("ana").await;
        let off = 3 * 3600;
        let refused = server.verify("ana", &phone.code_at(server.now() + 3 * 3600)).await;
        assert_eq!(refused["reason"], "wrong_code");
        let granted = resync(&server, &phone.id, pair(&phone, server.now(), off)).await;
        assert_eq!((&granted["outcome"], &granted["why"]), (&json!("granted"), &json!("resync")));
        server.clock.advance(60);
        let granted = server.verify("ana", &phone.code_at(server.now() + 3 * 3600)).await;
        assert_eq!((&granted["outcome"], &granted["why"]), (&json!("granted"), &json!("drift")));
    }

    #[tokio::test]
    async fn one_code_at_a_time_works_within_a_minute() {
        let server = TestServer::new().await;
        let id = token(&server).await;
        let first = resync(&server, &id, json!({"code": hotp(HEX, 500)})).await;
        assert_eq!((&first["outcome"], first.get("at")), (&json!("continue"), None), "{first}");
        let granted = resync(&server, &id, json!({"code": hotp(HEX, 501)})).await;
        assert_eq!((&granted["outcome"], &granted["step"]), (&json!("granted"), &json!(501)));
        assert_eq!(server.verify("ana", &hotp(HEX, 502)).await["outcome"], "granted");

        resync(&server, &id, json!({"code": hotp(HEX, 600)})).await;
        server.clock.advance(61);
        let again = resync(&server, &id, json!({"code": hotp(HEX, 601)})).await;
        assert_eq!(again["outcome"], "continue", "the first was forgotten");
    }

    #[tokio::test]
    async fn a_pending_one_that_is_far_off_is_activated_by_its_second_code() {
        let server = TestServer::new().await;
        let account = server.account("ana").await;
        let phone = TestAuthenticator::of(&server.enrol(&account, json!({"kind": "totp"})).await);
        let off = 2 * 3600;
        let far = |server: &TestServer| phone.code_at(server.now() + off);
        assert_eq!(server.activate(&phone.id, &far(&server)).await["reason"], "wrong_code");
        let first = resync(&server, &phone.id, json!({"code": far(&server)})).await;
        assert_eq!(first["outcome"], "continue", "{first}");
        server.clock.advance(30);
        assert_eq!(server.verify("ana", &far(&server)).await["reason"], "unknown", "half of it");
        let granted = resync(&server, &phone.id, json!({"code": far(&server)})).await;
        assert_eq!(granted["outcome"], "granted", "{granted}");
        assert_eq!(server.verify("ana", &far(&server)).await["reason"], "already_used");
        server.clock.advance(30);
        assert_eq!(server.verify("ana", &far(&server)).await["outcome"], "granted");
        let body = json!({"kind": "hotp", "secret": HEX, "encoding": "hex"});
        let id = server.enrol(&account, body).await["id"].as_str().unwrap().to_owned();
        let pair = json!({"codes": [hotp(HEX, 500), hotp(HEX, 501)]});
        assert_eq!(resync(&server, &id, pair.clone()).await["outcome"], "granted");
        let disable = format!("/v1/authenticators/{id}/disable");
        server.post(&disable, json!(null)).await;
        let path = format!("/v1/authenticators/{id}/resync");
        assert_eq!(server.post(&path, pair).await.1["code"], "authenticator_state");
    }

    /// A stranger cannot keep the holder from taking his authenticators up.
    #[tokio::test]
    async fn a_known_device_has_attempts_of_its_own_at_every_endpoint() {
        let server = TestServer::new().await;
        let (account, phone) = server.enrolled("ana").await;
        let code = phone.code_at(server.now());
        let body = json!({"account": "ana", "code": code, "remember": true});
        let token = server.answer("/v1/accounts/verify", body).await["known_device"].clone();
        let pending = TestAuthenticator::of(&server.enrol(&account, json!({"kind": "totp"})).await);
        for _ in 0..10 {
            server.verify("ana", &phone.wrong_at(server.now())).await;
        }
        let activate = format!("/v1/authenticators/{}/activate", pending.id);
        let mut body = json!({"code": pending.code_at(server.now())});
        assert_eq!(server.answer(&activate, body.clone()).await["reason"], "throttled");
        body["known_device"] = token.clone();
        assert_eq!(server.answer(&activate, body).await["outcome"], "granted");
        let mut body = pair(&phone, server.now(), 7200);
        assert_eq!(resync(&server, &phone.id, body.clone()).await["reason"], "throttled");
        body["known_device"] = token;
        assert_eq!(resync(&server, &phone.id, body).await["outcome"], "granted");
        assert_eq!(server.query("SELECT attempts_used FROM accounts"), 10);
        let used = server.query("SELECT attempts_used FROM known_devices");
        assert_eq!(used, 1, "the first code of a resync, which opens nothing");
    }

    #[tokio::test]
    async fn resync_never_goes_back() {
        let server = TestServer::new().await;
        let (_, phone) = server.enrolled("ana").await;
        let now = server.now();
        let granted = server.verify("ana", &phone.code_at(now)).await;
        assert_eq!(granted["outcome"], "granted");
        // What was recorded earlier, and what was just used.
        for shift in [-1800, -300, -30, 0] {
            let refused = resync(&server, &phone.id, pair(&phone, now, shift)).await;
            assert_eq!(refused["reason"], "already_used", "{shift} {refused}");
        }
        server.clock.set(now - 3000);
        let refused = resync(&server, &phone.id, pair(&phone, now, -60)).await;
        assert_eq!(refused["reason"], "already_used", "nor with the clock set back");
    }

    #[tokio::test]
    async fn codes_that_do_not_follow_each_other_are_refused_and_counted() {
        let server = TestServer::new().await;
        let id = token(&server).await;
        for (first, second) in [(500, 502), (500, 500), (501, 500)] {
            let body = json!({"codes": [hotp(HEX, first), hotp(HEX, second)]});
            let refused = resync(&server, &id, body).await;
            assert_eq!(refused["outcome"], "refused", "{refused}");
        }
        let far = json!({"codes": [hotp(HEX, 1500), hotp(HEX, 1501)]});
        assert_eq!(resync(&server, &id, far).await["reason"], "wrong_code");
        assert_eq!(server.query("SELECT attempts_used FROM accounts"), 7);
        for _ in 0..3 {
            resync(&server, &id, json!({"codes": ["000000", "000001"]})).await;
        }
        let right = json!({"codes": [hotp(HEX, 500), hotp(HEX, 501)]});
        assert_eq!(resync(&server, &id, right).await["reason"], "throttled");
    }

    #[tokio::test]
    async fn other_shapes_of_the_request_are_refused() {
        let server = TestServer::new().await;
        let id = token(&server).await;
        let path = format!("/v1/authenticators/{id}/resync");
        for body in [
            json!({}),
            json!({"code": "1", "codes": ["1", "2"]}),
            json!({"codes": ["1"]}),
            json!({"codes": ["1", "2", "3"]}),
            json!({"codes": [1, 2]}),
            json!({"codes": "12"}),
            json!({"code": true}),
            json!({"code": null}),
        ] {
            assert!(matches!(server.post(&path, body.clone()).await.0, 400 | 422), "{body}");
        }
        let (status, problem) =
            server.post("/v1/authenticators/aut_0/resync", json!({"code": "123456"})).await;
        assert_eq!((status, &problem["code"]), (404, &json!("authenticator_not_found")));
    }

    #[tokio::test]
    async fn of_many_resyncs_with_one_pair_one_is_granted() {
        let server = Arc::new(TestServer::new().await);
        let (_, phone) = server.enrolled("ana").await;
        let body = pair(&phone, server.now(), 7200);
        let path = format!("/v1/authenticators/{}/resync", phone.id);
        // Fewer than the account has attempts for.
        let requests = (0..5).map(|_| (path.clone(), body.clone())).collect();
        assert_eq!(server.granted_of(requests).await, 1);
    }
}
