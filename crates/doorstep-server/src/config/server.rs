//! `[server]`: where the service listens, and how long anything may take.

use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How requests are answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How long a request may take, its body included.
    #[serde(with = "duration")]
    pub request_timeout: Duration,
    /// How often the jobs look for work.
    #[serde(with = "duration")]
    pub job_interval: Duration,
    /// How long a stopping server waits for requests that are under way.
    #[serde(with = "duration")]
    pub shutdown_timeout: Duration,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7070)),
            request_timeout: Duration::from_secs(30),
            job_interval: Duration::from_millis(250),
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}
