//! Lets in whoever presents a recovery code, once. It takes no attempt, so that a lockout never
//! keeps the holder of an account from it.

use super::named;
use super::outcome::Outcome;
use crate::context::Context;
use crate::http::extract::{ApiJson, optional_secret_text, secret_text};
use crate::http::problem::{Problem, ProblemBody};
use crate::presentation::Presentation;
use crate::store::{StoreError, accounts, recovery_codes};
use axum::Json;
use axum::extract::State;
use doorstep::code::{Code, Shape};
use doorstep::otp::recovery::{begin, hint, spend};
use doorstep::refusal::Refusal;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;
use zeroize::Zeroize as _;

/// A recovery code as it was typed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecoverAccount {
    /// The account's id, or its name.
    #[schema(example = "ana@example.com")]
    account: String,
    /// The code, in either case; spaces and hyphens in it do not matter.
    #[serde(deserialize_with = "secret_text")]
    #[schema(example = "7K2M-9QXD-0VTB")]
    code: String,
    /// Whether the device that is let in is given a token of its own.
    #[serde(default)]
    remember: bool,
    /// The token that this device was given when it was let in before; it is given no second one.
    #[serde(default, deserialize_with = "optional_secret_text")]
    known_device: Option<String>,
}

impl Drop for RecoverAccount {
    fn drop(&mut self) {
        self.code.zeroize();
        self.known_device.zeroize();
    }
}

/// Uses a recovery code.
#[utoipa::path(post, path = "/v1/accounts/recover", tag = "accounts",
    operation_id = "recover_account", security(("api_key" = [])), request_body = RecoverAccount,
    responses((status = 200, description = "granted or refused", body = Outcome), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiJson(request): ApiJson<RecoverAccount>,
) -> Result<Json<Outcome>, Problem> {
    let now = context.now();
    let inner = Arc::clone(&context);
    let outcome = context.store.write(move |db| present(&inner, db, &request, now)).await?;
    Ok(Json(outcome))
}

fn present(
    context: &Context,
    connection: &Connection,
    request: &RecoverAccount,
    now: Timestamp,
) -> Result<Outcome, Problem> {
    if Code::parse(&request.code, Shape::RECOVERY).is_err() {
        let refusal = Refusal::Mistyped;
        return Ok(Outcome::no(&refusal, now).hint(hint(&refusal)));
    }
    let account = named(&request.account).map(|named| accounts::find(connection, &named));
    let Some(account) = account.transpose()?.flatten() else {
        accounts::count_uncompared(connection)?;
        return Ok(Outcome::unknown(now).hint(hint(&Refusal::Unknown)));
    };
    let (seq, id) = (account.seq, account.id.clone());
    let held = recovery_codes::of_account(connection, seq)?;
    let token = request.known_device.as_deref();
    let mut presentation = Presentation::begin(connection, account, token, now)?;
    let (presenter, head) = (presentation.presenter(), presentation.head());
    let pepper = context.keys.pepper();
    let begun = begin(&held, pepper, id.as_bytes(), &presenter, &request.code, now, head);
    let granted = presentation
        .run(begun, |matched, presenter, head| spend(matched, &held, presenter, now, head))?;
    let number = match granted {
        Ok(granted) => *granted.grant.found(),
        Err(refusal) => {
            let refused = Outcome::refused(&presentation, &refusal);
            return Ok(refused.hint(hint(&refusal)).without_attempts());
        }
    };
    // Read in this job as unused, so that it is still.
    if !recovery_codes::spend(connection, seq, number, now)? {
        return Err(StoreError::Corrupt { column: "recovery_codes.used_at" }.into());
    }
    let token = presentation.token(context, request.remember);
    presentation.welcome(token.as_deref())?;
    let left = held.iter().filter(|code| code.used.is_none() && code.number != number).count();
    Ok(Outcome::granted(&presentation).known_device(token).recovery_codes_left(left))
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::{Value, json};
    use std::sync::Arc;

    async fn codes(server: &TestServer, account: &str) -> Vec<String> {
        let path = format!("/v1/accounts/{account}/recovery-codes");
        let (status, made) = server.post(&path, json!(null)).await;
        assert_eq!(status, 201, "{made}");
        let codes = made["codes"].as_array().unwrap().iter();
        codes.map(|code| code.as_str().unwrap().to_owned()).collect()
    }

    async fn recover(server: &TestServer, account: &str, code: &str) -> Value {
        server.answer("/v1/accounts/recover", json!({"account": account, "code": code})).await
    }

    #[tokio::test]
    async fn a_recovery_code_works_once_in_any_spelling() {
        let server = TestServer::new().await;
        let account = server.account("ana").await;
        let codes = codes(&server, &account).await;
        assert_eq!((codes.len(), codes[0].len()), (10, 14));
        let granted = recover(&server, "ana", &codes[3].to_lowercase()).await;
        assert_eq!(
            (&granted["outcome"], &granted["recovery_codes_left"]),
            (&json!("granted"), &json!(9)),
            "{granted}"
        );
        for spelling in [codes[3].clone(), codes[3].replace('-', ""), codes[3].replace('-', " ")] {
            assert_eq!(recover(&server, "ANA", &spelling).await["reason"], "already_used");
        }
        let server = server.restart();
        assert_eq!(recover(&server, &account, &codes[3]).await["reason"], "already_used");
        assert_eq!(recover(&server, &account, &codes[4]).await["outcome"], "granted");
    }

    #[tokio::test]
    async fn recovery_codes_are_bound_to_their_account_and_their_set() {
        let server = TestServer::new().await;
        let (ana, bo) = (server.account("ana").await, server.account("bo").await);
        let (old, others) = (codes(&server, &ana).await, codes(&server, &bo).await);
        assert_eq!(recover(&server, "bo", &old[0]).await["reason"], "wrong_code");
        let new = codes(&server, &ana).await;
        assert_eq!(recover(&server, "ana", &old[0]).await["reason"], "wrong_code");
        assert_eq!(recover(&server, "ana", &new[0]).await["outcome"], "granted");
        assert_eq!(recover(&server, "bo", &others[0]).await["outcome"], "granted");
    }

    #[tokio::test]
    async fn a_lockout_does_not_keep_the_holder_from_recovering() {
        let server = TestServer::new().await;
        let (account, phone) = server.enrolled("ana").await;
        let codes = codes(&server, &account).await;
        for _ in 0..11 {
            server.verify("ana", &phone.wrong_at(server.now())).await;
        }
        for _ in 0..20 {
            assert_eq!(recover(&server, "ana", "0000-0000-0000").await["reason"], "wrong_code");
        }
        let body = json!({"account": "ana", "code": codes[0], "remember": true});
        let granted = server.answer("/v1/accounts/recover", body).await;
        assert_eq!(granted["outcome"], "granted");
        let body = json!({"account": "ana", "code": codes[1], "remember": true,
                          "known_device": granted["known_device"]});
        let again = server.answer("/v1/accounts/recover", body).await;
        assert_eq!((&again["outcome"], again.get("known_device")), (&json!("granted"), None));
        assert_eq!(server.query("SELECT count(*) FROM known_devices"), 1);
        let body = json!({"account": "ana", "code": phone.code_at(server.now()),
                          "known_device": granted["known_device"]});
        assert_eq!(server.answer("/v1/accounts/verify", body).await["outcome"], "granted");
        assert_eq!(server.query("SELECT attempts_used FROM accounts"), 10, "it gives none back");
    }

    #[tokio::test]
    async fn empty_absent_and_other_types_never_match() {
        let server = TestServer::new().await;
        let account = server.account("ana").await;
        assert_eq!(recover(&server, "ana", "7K2M-9QXD-0VTB").await["reason"], "unknown");
        let codes = codes(&server, &account).await;
        for typed in
            ["", " ", "---", &codes[0][..12], &format!("{}0", codes[0]), "ＡＢＣＤＥＦＧＨＪＫＭＮ"]
        {
            let refused = recover(&server, "ana", typed).await;
            assert_eq!(refused["reason"], "mistyped", "{typed:?}");
            assert!(refused["hint"].as_str().unwrap().contains("recovery code"), "{refused}");
            assert!(refused.get("attempts_left").is_none(), "it takes none");
        }
        assert_eq!(recover(&server, "nobody", &codes[0]).await["reason"], "unknown");
        for code in [json!(true), json!(null), json!(0), json!([codes[0]]), json!({})] {
            let body = json!({"account": "ana", "code": code});
            let (status, problem) = server.post("/v1/accounts/recover", body).await;
            assert_eq!((status, &problem["code"]), (422, &json!("invalid_fields")));
            assert!(!problem.to_string().contains(&codes[0]));
        }
        assert_eq!(recover(&server, "ana", &codes[0]).await["outcome"], "granted");
    }

    #[tokio::test]
    async fn of_many_uses_of_one_recovery_code_one_is_granted() {
        let server = Arc::new(TestServer::new().await);
        let account = server.account("ana").await;
        let codes = codes(&server, &account).await;
        let requests = (0..32)
            .map(|n| {
                let name = ["ana", "Ana", &account][n % 3];
                ("/v1/accounts/recover".to_owned(), json!({"account": name, "code": codes[7]}))
            })
            .collect();
        assert_eq!(server.granted_of(requests).await, 1);
    }

    #[tokio::test]
    async fn no_recovery_code_is_stored() {
        let server = TestServer::new().await;
        let account = server.account("ana").await;
        let codes = codes(&server, &account).await;
        for entry in std::fs::read_dir(server.dir.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let bytes = std::fs::read(&path).unwrap();
                let plain = codes[0].replace('-', "");
                for code in [codes[0].as_bytes(), plain.as_bytes()] {
                    assert!(!bytes.windows(code.len()).any(|window| window == code));
                }
            }
        }
    }
}
