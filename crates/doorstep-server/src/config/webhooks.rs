//! `[webhooks]`: how programs of the business are told what happened.

use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// How events are sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Webhooks {
    /// Whether receivers may be in private networks or on this machine.
    pub allow_private: bool,
    /// Whether receivers may do without TLS.
    pub allow_http: bool,
    /// Certificates (PEM) to trust in place of the public ones.
    pub ca_file: Option<PathBuf>,
    /// How long a receiver may take to answer.
    #[serde(with = "duration")]
    pub timeout: Duration,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            allow_private: false,
            allow_http: false,
            ca_file: None,
            timeout: Duration::from_secs(15),
        }
    }
}
