//! Codes that were used after the backup: of authenticators, of recovery, of challenges.

use super::{backup_of, brought_back};
use crate::backup::Access;
use crate::test_authenticator::{TestAuthenticator, hotp, text};
use crate::test_server::TestServer;
use doorstep::otp::ocra::suite::Suite;
use doorstep::otp::ocra::{Challenge, Input, Question, Response, respond};
use doorstep::otp::text::read_hex;
use serde_json::json;

#[tokio::test]
async fn codes_of_authenticators_that_were_used_since_are_refused() {
    let server = TestServer::new().await;
    let (account, phone) = server.enrolled("ana").await;
    let counting = server.account("leo").await;
    let secret = "3132333435363738393031323334353637383930";
    let enrolled = server
        .enrol(
            &counting,
            json!({"kind": "hotp", "secret": secret, "encoding": "hex", "label": "fob"}),
        )
        .await;
    let fob = TestAuthenticator {
        id: enrolled["id"].as_str().unwrap().to_owned(),
        secret: String::new(),
        totp: Default::default(),
    };
    server.activate(&fob.id, &hotp(secret, 0)).await;
    let (_, codes) =
        server.post(&format!("/v1/accounts/{account}/recovery-codes"), json!(null)).await;
    let recovery = codes["codes"][0].as_str().unwrap().to_owned();
    let (_kept, file) = backup_of(&server);
    let used = phone.code_at(server.now());
    let early = phone.code_at(server.now() + 30);
    for code in [&used, &early] {
        assert_eq!(server.verify("ana", code).await["outcome"], "granted");
    }
    assert_eq!(server.verify("leo", &hotp(secret, 1)).await["outcome"], "granted");
    let recover = json!({"account": "ana", "code": recovery});
    assert_eq!(server.answer("/v1/accounts/recover", recover.clone()).await["outcome"], "granted");

    let (server, restored) = brought_back(server, &file, Access::Kept);
    let voided = restored.voided;
    assert_eq!((voided.steps_spent, voided.counting_authenticators), (1, 1));
    assert!(voided.recovery_codes > 0);
    for code in [&used, &early] {
        assert_eq!(server.verify("ana", code).await["reason"], "already_used");
    }
    for counter in 1..4 {
        assert_eq!(server.verify("leo", &hotp(secret, counter)).await["outcome"], "refused");
    }
    assert_eq!(server.answer("/v1/accounts/recover", recover).await["outcome"], "refused");
    // Nobody is locked out for long.
    server.clock.advance(150);
    assert_eq!(server.verify("ana", &phone.code_at(server.now())).await["outcome"], "granted");
}

#[tokio::test]
async fn a_challenge_that_was_answered_since_is_answered_no_more() {
    let server = TestServer::new().await;
    let account = server.account("ana").await;
    let secret = "3132333435363738393031323334353637383930";
    let suite = Suite::parse("OCRA-1:HOTP-SHA1-6:QN08").unwrap();
    let body = json!({"kind": "ocra", "secret": secret, "encoding": "hex", "active": true,
                      "suite": suite.as_str()});
    let token = server.enrol(&account, body).await["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/authenticators/{token}/challenges");
    let (status, asked) = server.post(&path, json!({})).await;
    assert_eq!(status, 201, "{asked}");
    let question = Challenge::parse(&suite, asked["challenge"].as_str().unwrap()).unwrap();
    let question = Question::one_way(&question);
    let said = respond(&suite, &read_hex(secret).unwrap(), &Input::new(&question)).unwrap();
    let Response::Code(code) = said else { panic!("a code") };
    let path = format!("/v1/challenges/{}/verify", asked["id"].as_str().unwrap());
    let said = json!({"response": text(code.expose())});
    let (_kept, file) = backup_of(&server);
    assert_eq!(server.answer(&path, said.clone()).await["outcome"], "granted");
    let (server, restored) = brought_back(server, &file, Access::Kept);
    assert_eq!(restored.voided.challenges, 1);
    assert_eq!(server.answer(&path, said).await["reason"], "already_used");
}
