//! `[messages]`: how customers are told. Secrets are in files that this names, never in it.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How customers are told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Messages {
    /// Who takes the messages.
    pub provider: Provider,
    /// Where the `log` provider appends them, one JSON object a line; `messages.jsonl` in the data
    /// directory if it is not set.
    pub file: Option<PathBuf>,
    /// The address that messages link to, with the text to scan behind a `#`; without it messages
    /// carry the code alone.
    pub link_base: Option<String>,
    /// The name that customers know the business by.
    pub shop: Option<String>,
    /// The language of deliveries that have none of their own: one that is built in (`en`, `es`,
    /// `de`), or a file in `templates`.
    pub language: String,
    /// The zone of deliveries that have none of their own, such as `Europe/Madrid`. Without one,
    /// messages name no times.
    pub zone: Option<String>,
    /// Hours in which messages wait if they can, such as `22:00-07:00`.
    pub quiet_hours: Option<String>,
    /// A directory of files `<language>.toml` with words of your own.
    pub templates: Option<PathBuf>,
    /// How long to wait before each further try.
    pub retry: String,
    /// Messages that one phone number gets in 24 hours at most.
    pub per_phone_per_day: Option<u32>,
    /// Messages that are with the provider at the same time, at most.
    pub parallel: usize,
    /// Seconds that the provider has for an answer.
    pub timeout_seconds: u64,
    /// Reach providers on private addresses and on this machine too.
    pub allow_private: bool,
    /// Reach providers without TLS too.
    pub allow_http: bool,
    /// Certificates to trust in place of the public ones, in PEM.
    pub ca_file: Option<PathBuf>,
    /// `http`: where messages are posted to.
    pub http_url: Option<String>,
    /// `http`: the file with the secret that they are signed with.
    pub http_secret_file: Option<PathBuf>,
    /// `twilio`: the address of its API.
    pub twilio_url: String,
    /// `twilio`: the account's SID.
    pub twilio_account: Option<String>,
    /// `twilio`: the file with the auth token.
    pub twilio_token_file: Option<PathBuf>,
    /// `twilio`: the sender: a number, a name, or the SID of a messaging service.
    pub twilio_from: Option<String>,
    /// `twilio`: the address that this server has for others, to be told what became of a message.
    pub status_url: Option<String>,
    /// `smtp`: the server, as host and port.
    pub smtp_server: Option<String>,
    /// `smtp`: how the connection is secured.
    pub smtp_security: SmtpSecurity,
    /// `smtp`: the user.
    pub smtp_user: Option<String>,
    /// `smtp`: the file with the password.
    pub smtp_password_file: Option<PathBuf>,
    /// `smtp`: the sender's address.
    pub smtp_from: Option<String>,
    /// `smtp`: the address of a phone number, with `{digits}` in it, such as
    /// `{digits}@sms.example.org`.
    pub smtp_to: Option<String>,
    /// `exec`: the program that takes each message on its standard input.
    pub exec_program: Option<PathBuf>,
}

impl Default for Messages {
    fn default() -> Self {
        Self {
            provider: Provider::Log,
            file: None,
            link_base: None,
            shop: None,
            language: "en".to_owned(),
            zone: None,
            quiet_hours: None,
            templates: None,
            retry: "10s 1m 5m 15m 1h".to_owned(),
            per_phone_per_day: None,
            parallel: 64,
            timeout_seconds: 10,
            allow_private: false,
            allow_http: false,
            ca_file: None,
            http_url: None,
            http_secret_file: None,
            twilio_url: "https://api.twilio.com".to_owned(),
            twilio_account: None,
            twilio_token_file: None,
            twilio_from: None,
            status_url: None,
            smtp_server: None,
            smtp_security: SmtpSecurity::Starttls,
            smtp_user: None,
            smtp_password_file: None,
            smtp_from: None,
            smtp_to: None,
            exec_program: None,
        }
    }
}

/// Who takes the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// A file, for tests and for gateways that follow one.
    Log,
    /// A signed POST to a server of your own.
    Http,
    /// Twilio's API for messages, or one of its shape.
    Twilio,
    /// Mail, to gateways that make text messages of it.
    Smtp,
    /// A program on this machine.
    Exec,
}

/// How a connection to a mail server is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpSecurity {
    /// From its first byte.
    Tls,
    /// After a greeting, and never without.
    Starttls,
    /// Not at all: for a server on this machine.
    None,
}
