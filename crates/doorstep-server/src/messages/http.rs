//! The provider `http`: a POST to a server of the business's own, signed by the Standard Webhooks
//! scheme, and signed reports back.

use super::provider::{client, needed, outcome, secret};
use super::{MessagesError, Outcome, Outgoing};
use crate::config::messages::Messages;
use crate::outgoing::{Client, Post, Url};
use crate::standard_webhooks::{ID, SIGNATURE, TIMESTAMP, WebhookSecret};
use crate::utc;
use doorstep::time::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Where messages are posted to.
pub(crate) struct Http {
    client: Client,
    url: Url,
    secret: WebhookSecret,
}

#[derive(Serialize)]
struct Event<'a> {
    r#type: &'static str,
    timestamp: String,
    data: super::Line<'a>,
}

/// What may be in an answer.
#[derive(Deserialize)]
struct Taken {
    id: String,
}

/// What may be in a refusal; problem details have it.
#[derive(Deserialize)]
struct Refused {
    detail: String,
}

/// What became of a message, as its receiver reports it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Report {
    pub(crate) id: String,
    pub(crate) status: String,
}

impl Http {
    pub(super) fn open(settings: &Messages) -> Result<Self, MessagesError> {
        let client = client(settings)?;
        let url = client
            .url(needed("http_url", settings.http_url.as_ref())?)
            .map_err(|error| MessagesError::new("http_url", error))?;
        let text = secret("http_secret_file", settings.http_secret_file.as_ref())?;
        let secret = WebhookSecret::parse(&text)
            .map_err(|error| MessagesError::new("http_secret_file", error))?;
        Ok(Self { client, url, secret })
    }

    pub(super) fn reach(&self) -> Result<String, String> {
        self.client.reach(&self.url).map_err(|error| error.to_string())
    }

    pub(super) async fn send(&self, message: &Outgoing) -> Outcome {
        let event = Event {
            r#type: "message.send",
            timestamp: utc::write(message.at),
            data: message.line(),
        };
        // Texts and numbers can always be written.
        let body = Zeroizing::new(serde_json::to_vec(&event).unwrap_or_default());
        // The id is the same in every try: who has seen it has the message already.
        let headers = vec![
            ("content-type", Zeroizing::new("application/json".to_owned())),
            (ID, Zeroizing::new(message.id.clone())),
            (TIMESTAMP, Zeroizing::new(message.at.seconds().to_string())),
            (SIGNATURE, Zeroizing::new(self.secret.sign(&message.id, message.at, &body))),
        ];
        let answer = self.client.post(Post { url: self.url.clone(), headers, body }).await;
        outcome(
            answer,
            |body| serde_json::from_slice::<Taken>(body).ok().map(|taken| taken.id),
            |body| serde_json::from_slice::<Refused>(body).ok().map(|refused| refused.detail),
        )
    }

    /// Reads a report; `None` unless it is signed with the secret that both share.
    pub(crate) fn report(
        &self,
        headers: (&str, &str, &str),
        body: &[u8],
        now: Timestamp,
    ) -> Option<Report> {
        self.secret.verify(headers, body, now).ok()?;
        serde_json::from_slice(body).ok()
    }
}
