//! Verifies a code of any of an account's authenticators: the one request that every login makes.

use super::named;
use super::outcome::Outcome;
use crate::authenticators::otp;
use crate::context::Context;
use crate::http::extract::{ApiJson, optional_secret_text, secret_text};
use crate::http::problem::{Problem, ProblemBody};
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
    if !verify::is_code(&request.code) {
        return Ok(Outcome::no(&Refusal::Mistyped, now));
    }
    let account = named(&request.account).map(|named| accounts::find(connection, &named));
    let Some(account) = account.transpose()?.flatten() else {
        return unknown(connection, now);
    };
    let rows = authenticators::of_account(connection, account.seq)?;
    let mut opened = Vec::with_capacity(rows.len());
    let mut damaged = None;
    for row in rows.iter().filter(|row| row.state == AuthenticatorState::Active) {
        match otp(&context.keys, row) {
            Ok(Some(authenticator)) => opened.push((row, authenticator)),
            Ok(None) => {}
            // It was logged. The others still let their holder in.
            Err(problem) => damaged = Some(problem),
        }
    }
    if let Some(problem) = damaged.filter(|_| opened.is_empty()) {
        return Err(problem);
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
    let token = presentation.token(context, request.remember);
    presentation.welcome(token.as_deref())?;
    Ok(Outcome::granted(&presentation)
        .authenticator(&row.id)
        .accepted(&accepted)
        .known_device(token))
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
    accounts::count_uncompared(connection)?;
    Ok(Outcome::unknown(now))
}

#[cfg(test)]
mod tests {
    use crate::test_authenticator::TestAuthenticator;
    use crate::test_server::TestServer;
    use serde_json::json;
    use std::sync::Arc;

    #[tokio::test]
    async fn a_code_is_granted_once_and_the_answer_says_why() {
        let server = TestServer::new().await;
        let (account, phone) = server.enrolled("ana").await;
        let code = phone.code_at(server.now());
        let granted = server.verify("ana", &code).await;
        assert_eq!(
            (&granted["outcome"], &granted["account"], &granted["authenticator"]),
            (&json!("granted"), &json!(account), &json!(phone.id)),
            "{granted}"
        );
        assert_eq!(
            (&granted["step"], &granted["shift"], &granted["why"]),
            (&json!(server.now() / 30), &json!(0), &json!("current"))
        );
        assert!(granted.get("known_device").is_none(), "nobody asked for one");
        let again = server.verify("ana", &code).await;
        assert_eq!(again["reason"], "already_used", "{again}");
        assert_eq!(again["server_time"], "2027-01-15T08:01:00Z");
        assert!(again["hint"].is_string() && again["message"].is_string());
    }

    #[tokio::test]
    async fn replay_of_the_same_or_a_neighbouring_step_is_refused_in_every_spelling() {
        let server = TestServer::new().await;
        let (account, phone) = server.enrolled("ana").await;
        let now = server.now();
        let (current, before) = (phone.code_at(now), phone.code_at(now - 30));
        assert_eq!(server.verify("ana", &current).await["outcome"], "granted");
        let spaced = format!("{} {}", &current[..3], &current[3..]);
        for (name, code) in
            [("ana", &current), ("ANA", &spaced), (&account, &before), (" ana ", &current)]
        {
            assert_eq!(server.verify(name, code).await["reason"], "already_used", "{name} {code}");
        }
        server.clock.advance(30);
        assert_eq!(server.verify("ana", &current).await["reason"], "already_used");
        server.clock.set(now - 60);
        assert_eq!(server.verify("ana", &before).await["reason"], "already_used", "clock set back");
    }

    #[tokio::test]
    async fn no_spelling_or_alias_of_an_account_has_attempts_of_its_own() {
        let server = TestServer::new().await;
        let (account, phone) = server.enrolled("Ana").await;
        let wrong = phone.wrong_at(server.now());
        let names = ["Ana", "ana", "ANA", " ana", "ana\t", &account];
        for (n, name) in (0..10).zip(names.iter().cycle()) {
            let refused = server.verify(name, &wrong).await;
            assert_eq!(
                (&refused["reason"], &refused["attempts_left"]),
                (&json!("wrong_code"), &json!(9 - n)),
                "{name}"
            );
        }
        for name in names {
            let refused = server.verify(name, &phone.code_at(server.now())).await;
            assert_eq!(
                (&refused["reason"], &refused["until"]),
                (&json!("throttled"), &json!("2027-01-15T12:01:00Z")),
                "the right one neither"
            );
        }
        server.clock.advance(4 * 3600);
        let granted = server.verify("ana", &phone.code_at(server.now())).await;
        assert_eq!(granted["outcome"], "granted", "{granted}");
    }

    #[tokio::test]
    async fn a_success_clears_nothing_but_its_own_attempt() {
        let server = TestServer::new().await;
        let (account, phone) = server.enrolled("ana").await;
        for _ in 0..5 {
            server.verify("ana", &phone.wrong_at(server.now())).await;
        }
        assert_eq!(server.verify("ana", &phone.code_at(server.now())).await["outcome"], "granted");
        let (_, shown) = server.get(&format!("/v1/accounts/{account}")).await;
        assert_eq!(shown["attempts_left"], 5);
    }

    #[tokio::test]
    async fn whoever_burns_the_attempts_does_not_lock_a_known_device_out() {
        let server = TestServer::new().await;
        let (_, phone) = server.enrolled("ana").await;
        let body = |code: String| json!({"account": "ana", "code": code, "remember": true});
        let granted = server.answer("/v1/accounts/verify", body(phone.code_at(server.now()))).await;
        let token = granted["known_device"].as_str().unwrap().to_owned();
        assert!(token.starts_with("known_") && token.len() == 32);
        for _ in 0..11 {
            server.verify("ana", &phone.wrong_at(server.now())).await;
        }
        server.clock.advance(30);
        let code = phone.code_at(server.now());
        for other in ["", "known_00000000000000000000000000", &token.to_uppercase()] {
            let body = json!({"account": "ana", "code": code, "known_device": other});
            let refused = server.answer("/v1/accounts/verify", body).await;
            assert_eq!(refused["reason"], "throttled", "{other}");
        }
        let body = json!({"account": "ana", "code": code, "known_device": token, "remember": true});
        let granted = server.answer("/v1/accounts/verify", body).await;
        assert_eq!(granted["outcome"], "granted", "{granted}");
        assert!(granted.get("known_device").is_none(), "it has one");
        // Its own attempts end too.
        for left in (0..10).rev() {
            let code = phone.wrong_at(server.now());
            let body = json!({"account": "ana", "code": code, "known_device": token});
            let refused = server.answer("/v1/accounts/verify", body).await;
            assert_eq!(refused["attempts_left"], left);
        }
        assert_eq!(server.query("SELECT count(*) FROM known_devices"), 1);
        let kept =
            server.query("SELECT count(*) FROM known_devices WHERE instr(token_hash, 'known')");
        assert_eq!(kept, 0, "only its hash is kept");
    }

    #[tokio::test]
    async fn a_known_device_of_one_account_is_nobody_at_another() {
        let server = TestServer::new().await;
        let (_, ana) = server.enrolled("ana").await;
        let (_, bo) = server.enrolled("bo").await;
        let code = ana.code_at(server.now());
        let body = json!({"account": "ana", "code": code, "remember": true});
        let token = server.answer("/v1/accounts/verify", body).await["known_device"].clone();
        for _ in 0..10 {
            server.verify("bo", &bo.wrong_at(server.now())).await;
        }
        let body =
            json!({"account": "bo", "code": bo.code_at(server.now()), "known_device": token});
        assert_eq!(server.answer("/v1/accounts/verify", body).await["reason"], "throttled");
    }

    #[tokio::test]
    async fn of_seventeen_devices_the_one_unused_for_longest_is_forgotten() {
        let server = TestServer::new().await;
        let (account, phone) = server.enrolled("ana").await;
        let mut tokens = Vec::new();
        for _ in 0..17 {
            let body =
                json!({"account": "ana", "code": phone.code_at(server.now()), "remember": true});
            let granted = server.answer("/v1/accounts/verify", body).await;
            tokens.push(granted["known_device"].as_str().unwrap().to_owned());
            server.clock.advance(30);
        }
        let (_, shown) = server.get(&format!("/v1/accounts/{account}")).await;
        assert_eq!(shown["known_devices"], 16);
        for _ in 0..10 {
            server.verify("ana", &phone.wrong_at(server.now())).await;
        }
        for (token, outcome) in
            [(&tokens[0], "refused"), (&tokens[1], "granted"), (&tokens[16], "granted")]
        {
            server.clock.advance(30);
            let code = phone.code_at(server.now());
            let body = json!({"account": "ana", "code": code, "known_device": token});
            assert_eq!(server.answer("/v1/accounts/verify", body).await["outcome"], outcome);
        }
    }

    #[tokio::test]
    async fn empty_absent_and_unlikely_texts_never_match() {
        let server = TestServer::new().await;
        let (_, phone) = server.enrolled("ana").await;
        server.account("bare").await;
        let code = phone.code_at(server.now());
        let fullwidth: String =
            code.bytes().map(|b| char::from_u32(0xFF10 + u32::from(b - b'0')).unwrap()).collect();
        for typed in [
            "",
            " ",
            "12345",
            "12345678901",
            "12345a",
            "+12345",
            "1_2345",
            &fullwidth,
            "123456\n",
            "\0",
        ] {
            assert_eq!(server.verify("ana", typed).await["reason"], "mistyped", "{typed:?}");
            // Whatever account it is, and whether it is there: told before one is looked for.
            let told = server.verify("ana", typed).await;
            for name in ["bare", "nobody", "\0"] {
                assert_eq!(server.verify(name, typed).await, told, "{typed:?}");
            }
        }
        assert_eq!(server.query("SELECT sum(attempts_used) FROM accounts"), 0);
        for nobody in ["", " ", "nobody", "acc_", "acc_01m7zpcgdg2c2rbw8qte4qcp8y", "a\0"] {
            let refused = server.verify(nobody, &code).await;
            assert_eq!(refused["reason"], "unknown", "{nobody:?}");
            assert!(refused["server_time"].is_string());
        }
        assert_eq!(server.query("SELECT refusals FROM uncompared"), 6);
        // Every refusal that stores nothing else waits for the disk all the same.
        for (count, (name, typed)) in (7..).zip([("ana", "12345678"), ("bare", "123456")]) {
            server.verify(name, typed).await;
            assert_eq!(server.query("SELECT refusals FROM uncompared"), count);
        }
        assert_eq!(server.verify("ana", &code).await["outcome"], "granted");
    }

    #[tokio::test]
    async fn other_types_than_text_are_not_codes() {
        let server = TestServer::new().await;
        let (_, phone) = server.enrolled("ana").await;
        let code = phone.code_at(server.now());
        let number: u64 = code.parse().unwrap();
        for body in [
            json!({"account": "ana", "code": true}),
            json!({"account": "ana", "code": null}),
            json!({"account": "ana", "code": number}),
            json!({"account": "ana", "code": [code]}),
            json!({"account": "ana", "code": {"$ne": ""}}),
            json!({"account": ["ana"], "code": code}),
            json!({"account": "ana"}),
            json!({"code": code}),
            json!({"account": "ana", "code": code, "force": true}),
            json!({"account": "ana", "code": code, "remember": "yes"}),
            json!({"account": "ana", "code": code, "known_device": null}),
            json!([code]),
            json!(code),
        ] {
            let (status, problem) = server.post("/v1/accounts/verify", body).await;
            assert_eq!((status, &problem["code"]), (422, &json!("invalid_fields")), "{problem}");
            assert!(!problem.to_string().contains(&code), "the answer does not repeat the code");
        }
        assert_eq!(server.verify("ana", &code).await["outcome"], "granted");
    }

    #[tokio::test]
    async fn a_code_is_bound_to_its_account() {
        let server = TestServer::new().await;
        let (_, ana) = server.enrolled("ana").await;
        let (_, bo) = server.enrolled("bo").await;
        let code = ana.code_at(server.now());
        assert_ne!(code, bo.code_at(server.now()));
        assert_eq!(server.verify("bo", &code).await["reason"], "wrong_code");
        assert_eq!(server.verify("ana", &code).await["outcome"], "granted");
    }

    #[tokio::test]
    async fn several_authenticators_share_the_attempts_and_each_is_told_apart() {
        let server = TestServer::new().await;
        let (account, phone) = server.enrolled("ana").await;
        let body = json!({"kind": "totp", "label": "tablet"});
        let tablet = TestAuthenticator::of(&server.enrol(&account, body).await);
        let code = tablet.code_at(server.now());
        assert_eq!(server.verify("ana", &code).await["reason"], "wrong_code", "it is pending");
        assert_eq!(server.activate(&tablet.id, &code).await["outcome"], "granted");
        assert_eq!(server.verify("ana", &code).await["reason"], "already_used");
        server.clock.advance(30);
        for one in [&tablet, &phone] {
            let granted = server.verify("ana", &one.code_at(server.now())).await;
            assert_eq!(granted["authenticator"], json!(one.id), "{granted}");
        }
        let (_, shown) = server.get(&format!("/v1/accounts/{account}")).await;
        assert_eq!(shown["attempts_left"], 8, "two were refused");
    }

    #[tokio::test]
    async fn of_many_presentations_of_one_code_one_is_granted() {
        let server = Arc::new(TestServer::new().await);
        let (account, phone) = server.enrolled("ana").await;
        let code = phone.code_at(server.now());
        let names = ["ana", "ANA", &account];
        let requests = (0..64)
            .map(|n| {
                let body = json!({"account": names[n % 3], "code": code, "remember": n % 2 == 0});
                ("/v1/accounts/verify".to_owned(), body)
            })
            .collect();
        assert_eq!(server.granted_of(requests).await, 1);
    }

    #[tokio::test]
    async fn many_different_users_at_once_are_all_served() {
        let server = Arc::new(TestServer::new().await);
        let mut phones = Vec::new();
        for n in 0..40 {
            phones.push((format!("user{n}"), server.enrolled(&format!("user{n}")).await.1));
        }
        let now = server.now();
        let requests = phones
            .iter()
            .map(|(name, phone)| {
                let body = json!({"account": name, "code": phone.code_at(now)});
                ("/v1/accounts/verify".to_owned(), body)
            })
            .collect();
        assert_eq!(server.granted_of(requests).await, 40);
    }

    #[tokio::test]
    async fn attempts_survive_a_restart_and_a_failed_request() {
        let server = TestServer::new().await;
        let (account, phone) = server.enrolled("ana").await;
        for _ in 0..3 {
            server.verify("ana", &phone.wrong_at(server.now())).await;
        }
        // A refusal leaves its count although a request after it fails.
        server.post("/v1/accounts/verify", json!({"account": "ana"})).await;
        let code = phone.code_at(server.now());
        assert_eq!(server.verify("ana", &code).await["outcome"], "granted");
        let server = server.restart();
        let (_, shown) = server.get(&format!("/v1/accounts/{account}")).await;
        assert_eq!(shown["attempts_left"], 7);
        assert_eq!(server.verify("ana", &code).await["reason"], "already_used");
    }

    #[tokio::test]
    async fn a_damaged_secret_is_an_error_and_grants_nothing() {
        let server = TestServer::new().await;
        let (_, ana) = server.enrolled("ana").await;
        let (_, bo) = server.enrolled("bo").await;
        // Another row's secret does not open here.
        server.execute(
            "UPDATE authenticators SET sealed = (SELECT sealed FROM authenticators WHERE account = 1)
             WHERE account = 2",
        );
        for code in [ana.code_at(server.now()), bo.code_at(server.now())] {
            let body = json!({"account": "bo", "code": code});
            let (status, problem) = server.post("/v1/accounts/verify", body).await;
            assert_eq!((status, &problem["code"]), (500, &json!("internal")));
        }
        server.execute("UPDATE accounts SET attempts_used = 0");
        let (_, shown) = server.get("/v1/accounts?name=bo").await;
        let id = shown["data"][0]["id"].as_str().unwrap();
        let tablet = TestAuthenticator::of(&server.enrol(id, json!({"kind": "totp"})).await);
        let code = tablet.code_at(server.now());
        assert_eq!(server.activate(&tablet.id, &code).await["outcome"], "granted");
        server.clock.advance(30);
        let code = tablet.code_at(server.now());
        assert_eq!(server.verify("bo", &code).await["outcome"], "granted", "the other one works");
    }

    #[tokio::test]
    async fn the_ends_of_time_do_not_panic_and_grant_nothing_old() {
        let server = TestServer::new().await;
        let (account, phone) = server.enrolled("ana").await;
        let code = phone.code_at(server.now());
        assert_eq!(server.verify("ana", &code).await["outcome"], "granted");
        let back = server.now();
        for at in [0, 29, u64::MAX - 29, u64::MAX] {
            server.clock.set(at);
            for code in [&code, "000000"] {
                let body = json!({"account": "ana", "code": code});
                let (status, answer) = server.post("/v1/accounts/verify", body).await;
                let reason = &answer["reason"];
                assert_eq!((status, reason), (200, &json!("wrong_code")), "{at} {answer}");
            }
            assert_eq!(server.get(&format!("/v1/accounts/{account}")).await.0, 200, "{at}");
        }
        server.clock.set(back);
        assert_eq!(server.verify("ana", &code).await["reason"], "already_used");
    }
}
