//! Who takes messages: one module a provider, and what each makes of them in the same words.

use super::exec::Exec;
use super::http::Http;
use super::log::Log;
use super::smtp::Smtp;
use super::twilio::Twilio;
use super::{MessagesError, Outgoing};
use crate::config::Config;
use crate::config::messages::{Messages, Provider as Name};
use crate::outgoing::{Answer, Client, Rules, SendError};
use doorstep_files::private;
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

/// Messages that are appended to the file at a time.
const LOG_BATCH: usize = 100;

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The provider has it, under this name.
    Taken(Option<String>),
    /// The provider will not have it, ever.
    Refused(String),
    /// The provider does not have it, and may later.
    Failed(String),
    /// The provider may have it.
    Unknown(String),
}

/// A provider with its settings and secrets.
pub(crate) enum Provider {
    Log(Log),
    Http(Http),
    Twilio(Twilio),
    Smtp(Smtp),
    Exec(Exec),
}

impl Provider {
    pub(super) fn open(config: &Config) -> Result<Self, MessagesError> {
        let settings = &config.messages;
        Ok(match settings.provider {
            Name::Log => Self::Log(Log::new(config.messages_file())),
            Name::Http => Self::Http(Http::open(settings)?),
            Name::Twilio => Self::Twilio(Twilio::open(settings)?),
            Name::Smtp => Self::Smtp(Smtp::open(settings)?),
            Name::Exec => Self::Exec(Exec::open(settings)?),
        })
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Log(_) => "log",
            Self::Http(_) => "http",
            Self::Twilio(_) => "twilio",
            Self::Smtp(_) => "smtp",
            Self::Exec(_) => "exec",
        }
    }

    /// How many messages it takes at a time.
    pub(crate) const fn batch(&self) -> usize {
        match self {
            Self::Log(_) => LOG_BATCH,
            _ => 1,
        }
    }

    /// Looks whether it is there, without handing it anything: what was seen, or why it is not.
    pub(crate) fn reach(&self) -> Result<String, String> {
        let seen = match self {
            Self::Log(_) => return Ok("they go to a file".to_owned()),
            Self::Http(http) => http.reach()?,
            Self::Twilio(twilio) => twilio.reach()?,
            Self::Smtp(smtp) => smtp.reach()?,
            // It was looked at when the settings were read.
            Self::Exec(_) => "the program is there".to_owned(),
        };
        Ok(format!("{seen}; whether it sends them only one tells: doorstep message test NUMBER"))
    }

    /// Hands messages over, and says of each what became of it, in their order.
    pub(crate) async fn send(&self, messages: &[Outgoing]) -> Vec<Outcome> {
        if let Self::Log(log) = self {
            return vec![log.send(messages).await; messages.len()];
        }
        let mut outcomes = Vec::with_capacity(messages.len());
        for message in messages {
            outcomes.push(match self {
                Self::Log(log) => log.send(std::slice::from_ref(message)).await,
                Self::Http(http) => http.send(message).await,
                Self::Twilio(twilio) => twilio.send(message).await,
                Self::Smtp(smtp) => smtp.send(message).await,
                Self::Exec(exec) => exec.send(message).await,
            });
        }
        outcomes
    }
}

/// A client by the settings.
pub(super) fn client(settings: &Messages) -> Result<Client, MessagesError> {
    let rules = Rules {
        allow_private: settings.allow_private,
        allow_http: settings.allow_http,
        ca_file: settings.ca_file.clone(),
        timeout: timeout(settings)?,
    };
    Client::new(&rules).map_err(|error| MessagesError::new("ca_file", error))
}

pub(super) fn timeout(settings: &Messages) -> Result<Duration, MessagesError> {
    match settings.timeout_seconds {
        seconds @ 1..=60 => Ok(Duration::from_secs(seconds)),
        _ => Err(MessagesError::new("timeout_seconds", "is not between 1 and 60")),
    }
}

/// A setting that a provider cannot do without.
pub(super) fn needed<'a, T>(
    setting: &'static str,
    value: Option<&'a T>,
) -> Result<&'a T, MessagesError> {
    value.ok_or_else(|| MessagesError::missing(setting))
}

/// The secret in the file that a setting names.
pub(super) fn secret(
    setting: &'static str,
    file: Option<&PathBuf>,
) -> Result<Zeroizing<String>, MessagesError> {
    private::read_secret(needed(setting, file)?).map_err(|error| MessagesError::new(setting, error))
}

/// What an answer over HTTP means; `id` and `error` read its body.
pub(super) fn outcome(
    answer: Result<Answer, SendError>,
    id: impl FnOnce(&[u8]) -> Option<String>,
    error: impl FnOnce(&[u8]) -> Option<String>,
) -> Outcome {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error @ SendError::NotReached(_)) => return Outcome::Failed(error.to_string()),
        Err(error @ SendError::NoAnswer(_)) => return Outcome::Unknown(error.to_string()),
    };
    let said = |body: &[u8]| match error(body) {
        Some(error) => format!("answered {}: {error}", answer.status),
        None => format!("answered {}", answer.status),
    };
    match answer.status {
        200..=299 => Outcome::Taken(id(&answer.body).as_deref().and_then(provider_id)),
        // This message will not do, however often it is sent. What is wrong with the settings
        // (401, 404) is put right one day.
        400 | 410 | 413 | 422 => Outcome::Refused(said(&answer.body)),
        // Somebody between knows nothing about who is behind.
        502 | 504 => Outcome::Unknown(said(&answer.body)),
        _ => Outcome::Failed(said(&answer.body)),
    }
}

/// A provider's name for a message, if it is one that can be shown.
pub(super) fn provider_id(text: &str) -> Option<String> {
    let plain = text.chars().all(|c| !c.is_control());
    (!text.is_empty() && text.len() <= 128 && plain).then(|| text.to_owned())
}
