//! Asking the service whether a code is right. Only its verdict is a verdict: whatever else comes
//! back is none, and lets nobody in.

use crate::config;
use crate::error::GateError;
use crate::name::Name;
use doorstep::code::{Code, Shape};
use doorstep::refusal::Refusal;
use doorstep::time::Timestamp;
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
    Refused(Refusal),
}

#[derive(Deserialize)]
struct Answer {
    outcome: Outcome,
    #[serde(default)]
    reason: String,
    until: Option<jiff::Timestamp>,
    accepted_at: Option<jiff::Timestamp>,
    known_device: Option<String>,
}

impl Answer {
    /// By its reason alone: the service's words tell more than a stranger may know.
    fn refusal(&self) -> Refusal {
        let seconds = |at: jiff::Timestamp| u64::try_from(at.as_second()).unwrap_or(0);
        let time = |at: Option<jiff::Timestamp>| at.map(seconds).map(Timestamp::from_seconds);
        match (self.reason.as_str(), time(self.accepted_at)) {
            ("already_used", Some(at)) => Refusal::AlreadyUsed { at },
            ("mistyped", _) => Refusal::Mistyped,
            ("revoked", _) => Refusal::Revoked,
            ("throttled", _) => Refusal::Throttled { until: time(self.until) },
            ("unknown", _) => Refusal::Unknown,
            _ => Refusal::WrongCode { left: None },
        }
    }
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
        if is_id(name) {
            return Ok(Verdict::Refused(Refusal::Unknown));
        }
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
            Outcome::Refused => Verdict::Refused(answer.refusal()),
        })
    }
}

/// Whether the service would take a name for the id of an account, which would then have two names
/// and two users of a system.
fn is_id(name: &Name) -> bool {
    name.as_str().starts_with("acc_") && name.as_str().len() == 30
}
