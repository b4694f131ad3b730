//! An authenticator in the test's own hands, and the requests that tests make of accounts.

use crate::test_server::TestServer;
use doorstep::otp::OtpSecret;
use doorstep::otp::hotp::Hotp;
use doorstep::otp::text::{read_base32, read_hex};
use doorstep::otp::totp::Totp;
use doorstep::time::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

/// What a phone holds.
#[derive(Clone)]
pub(crate) struct TestAuthenticator {
    pub(crate) id: String,
    /// In base32, as it was shown.
    pub(crate) secret: String,
    pub(crate) totp: Totp,
}

impl TestAuthenticator {
    pub(crate) fn of(enrolled: &Value) -> Self {
        let id = enrolled["id"].as_str().unwrap().to_owned();
        let secret = enrolled["provisioning"]["secret"].as_str().unwrap().to_owned();
        Self { id, secret, totp: Totp::default() }
    }

    pub(crate) fn key(&self) -> OtpSecret {
        read_base32(&self.secret).unwrap().secret
    }

    pub(crate) fn code_at(&self, at: u64) -> String {
        let keyed = self.totp.keyed(&self.key());
        text(self.totp.code_at(&keyed, Timestamp::from_seconds(at)).unwrap().expose())
    }

    /// A code that none of the steps around a time has.
    pub(crate) fn wrong_at(&self, at: u64) -> String {
        let near: Vec<String> =
            (0..200).map(|n| self.code_at((at + 30 * n).saturating_sub(3000))).collect();
        let wrong = (0..).map(|n| format!("{n:06}"));
        wrong.into_iter().find(|code| !near.contains(code)).unwrap()
    }
}

/// The code of a counter.
pub(crate) fn hotp(secret_hex: &str, counter: u64) -> String {
    let hotp = Hotp::default();
    text(hotp.code(&hotp.keyed(&read_hex(secret_hex).unwrap()), counter).expose())
}

pub(crate) fn text(code: &[u8]) -> String {
    code.iter().map(|digit| char::from(*digit)).collect()
}

impl TestServer {
    pub(crate) fn now(&self) -> u64 {
        self.clock.now().seconds()
    }

    /// Makes an account and gives back its id.
    pub(crate) async fn account(&self, name: &str) -> String {
        let (status, made) = self.post("/v1/accounts", json!({ "name": name })).await;
        assert_eq!(status, 201, "{made}");
        made["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn enrol(&self, account: &str, body: Value) -> Value {
        let path = format!("/v1/accounts/{account}/authenticators");
        let (status, enrolled) = self.post(&path, body).await;
        assert_eq!(status, 201, "{enrolled}");
        enrolled
    }

    pub(crate) async fn activate(&self, id: &str, code: &str) -> Value {
        let path = format!("/v1/authenticators/{id}/activate");
        self.answer(&path, json!({ "code": code })).await
    }

    /// An account with an active TOTP authenticator, its current step spent a minute ago.
    pub(crate) async fn enrolled(&self, name: &str) -> (String, TestAuthenticator) {
        let account = self.account(name).await;
        let enrolled = self.enrol(&account, json!({"kind": "totp", "label": "phone"})).await;
        let phone = TestAuthenticator::of(&enrolled);
        let granted = self.activate(&phone.id, &phone.code_at(self.now())).await;
        assert_eq!(granted["outcome"], "granted", "{granted}");
        self.clock.advance(60);
        (account, phone)
    }

    pub(crate) async fn verify(&self, account: &str, code: &str) -> Value {
        self.answer("/v1/accounts/verify", json!({"account": account, "code": code})).await
    }

    /// A request that is granted or refused.
    pub(crate) async fn answer(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.post(path, body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// How many of many requests at once were granted.
    pub(crate) async fn granted_of(self: &Arc<Self>, requests: Vec<(String, Value)>) -> usize {
        let tasks: Vec<_> = requests
            .into_iter()
            .map(|(path, body)| {
                let server = Arc::clone(self);
                tokio::spawn(async move { server.answer(&path, body).await })
            })
            .collect();
        let mut granted = 0;
        for task in tasks {
            granted += usize::from(task.await.unwrap()["outcome"] == "granted");
        }
        granted
    }
}
