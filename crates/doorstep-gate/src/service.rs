//! Asking the service whether a code is right. Only its verdict is a verdict: whatever else comes
//! back is none, and lets nobody in.

use crate::config;
use crate::error::GateError;
use crate::name::Name;
use doorstep::code::{Code, Shape};
use doorstep_files::private;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

/// Longer answers are not the service's.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// The service, and the key to talk to it with.
pub struct Service {
    agent: ureq::Agent,
    verify: String,
    recover: String,
    key: Zeroizing<String>,
}

/// What the service says.
#[derive(Debug)]
pub enum Verdict {
    /// The code was right, and is spent.
    Granted {
        /// By which this device is known from now on.
        known_device: Option<String>,
    },
    /// It is not let in.
    Refused {
        /// The stable name of the reason.
        reason: String,
        /// The reason in words.
        words: String,
        /// What to do next.
        hint: String,
    },
}

#[derive(Deserialize)]
struct Answer {
    outcome: Outcome,
    #[serde(default)]
    reason: String,
    message: Option<String>,
    #[serde(default)]
    hint: String,
    known_device: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Granted,
    Refused,
}

impl Service {
    /// Reads the API key.
    ///
    /// # Errors
    /// [`GateError::File`].
    pub fn open(service: &config::Service) -> Result<Self, GateError> {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(service.timeout))
            .http_status_as_error(false)
            // Whoever calls sudo chooses its environment, and with it the proxies named there.
            .proxy(None)
            .max_redirects(0)
            .build();
        let path = |name: &str| format!("{}/v1/accounts/{name}", service.url.trim_end_matches('/'));
        let (verify, recover) = (path("verify"), path("recover"));
        let key = private::read_secret(&service.key_file)?;
        Ok(Self { agent: config.into(), verify, recover, key })
    }

    /// Asks, about a code of an authenticator or a recovery code. With `remember` a granted answer
    /// brings a token for this device.
    ///
    /// # Errors
    /// [`GateError::NoVerdict`] when it cannot be reached, takes too long, or answers anything else.
    pub fn verify(
        &self,
        name: &Name,
        code: &str,
        known_device: Option<&str>,
        remember: bool,
    ) -> Result<Verdict, GateError> {
        let mut body = json!({ "account": name.as_str(), "code": code });
        let recovers = Code::parse(code, Shape::RECOVERY).is_ok();
        let url = if recovers { &self.recover } else { &self.verify };
        // A recovery code takes no attempts, so that it does not matter whose they would be.
        if let Some(token) = known_device.filter(|_| !recovers) {
            body["known_device"] = json!(token);
        }
        if remember {
            body["remember"] = json!(true);
        }
        let request = self
            .agent
            .post(url)
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", self.key.as_str()));
        let text = Zeroizing::new(body.to_string());
        let none = |error: ureq::Error| GateError::NoVerdict(error.to_string());
        let mut response = request.send(text.as_str()).map_err(none)?;
        let status = response.status();
        let body = response.body_mut().with_config().limit(LONGEST_ANSWER).read_to_string();
        let body = body.map_err(none)?;
        if status != 200 {
            return Err(GateError::NoVerdict(format!("it answered {status}")));
        }
        let answer: Answer = serde_json::from_str(&body)
            .map_err(|_| GateError::NoVerdict("its answer is not understood".to_owned()))?;
        Ok(match answer.outcome {
            Outcome::Granted => Verdict::Granted { known_device: answer.known_device },
            Outcome::Refused => {
                let words = answer.message.unwrap_or_else(|| answer.reason.replace('_', " "));
                Verdict::Refused { reason: answer.reason, words, hint: answer.hint }
            }
        })
    }
}
