//! `[server]`: where the service listens, and how long anything may take.

use ipnet::IpNet;
use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// How requests are answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The certificate with those between it and the root, as PEM. With it TLS is spoken; it and its key
    /// are read again on SIGHUP.
    pub tls_certificate: Option<PathBuf>,
    /// The certificate's key, as PEM.
    pub tls_key: Option<PathBuf>,
    /// Another address, for metrics and health without an API key and without TLS.
    pub metrics_listen: Option<SocketAddr>,
    /// The addresses of proxies whose `X-Forwarded-For` is believed, or networks of theirs (`10.0.0.0/8`).
    pub trusted_proxies: Vec<Proxies>,
    /// Requests of one API key in a minute; 0 takes any number.
    pub requests_per_minute: u32,
    /// Refused codes of one API key in a minute, over all accounts and deliveries; 0 takes any number.
    pub refusals_per_minute: u32,
    /// Failures of one address in a minute to prove who it is; 0 takes any number.
    pub failures_per_minute: u32,
    /// Connections that are open at once; 0 takes any number. Others wait until one of them ends.
    pub connections: u32,
    /// The same of one address, which is hung up on beyond it; 0 takes any number. Trusted proxies have as many
    /// as there are.
    pub connections_per_address: u32,
    /// How long a request may take, its body included, and how long a client may read nothing.
    #[serde(with = "duration")]
    pub request_timeout: Duration,
    /// How often the jobs look for work.
    #[serde(with = "duration")]
    pub job_interval: Duration,
    /// How long a stopping server waits for requests that are under way.
    #[serde(with = "duration")]
    pub shutdown_timeout: Duration,
}

/// A proxy, or a network of proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Proxies(IpNet);

impl Proxies {
    /// Whether an address is one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl From<IpAddr> for Proxies {
    fn from(address: IpAddr) -> Self {
        Self(address.to_canonical().into())
    }
}

impl From<Proxies> for String {
    fn from(proxies: Proxies) -> Self {
        let Proxies(network) = proxies;
        if network.prefix_len() == network.max_prefix_len() {
            network.addr().to_string()
        } else {
            network.to_string()
        }
    }
}

impl TryFrom<String> for Proxies {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(address.into());
        }
        let network: IpNet =
            text.parse().map_err(|_| "neither an address nor a network such as 10.0.0.0/8")?;
        // Of 10.1.2.3/8 nobody knows which was meant.
        if network != network.trunc() {
            return Err("an address within a network: write 10.0.0.0/8, not 10.1.2.3/8");
        }
        // Addresses are asked for as what they are, so no network of disguised ones would ever match.
        match network {
            IpNet::V6(net) if net.addr().to_ipv4_mapped().is_some() => {
                Err("an IPv4 network written as IPv6: write 10.0.0.0/8, not ::ffff:10.0.0.0/104")
            }
            network => Ok(Self(network)),
        }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7070)),
            tls_certificate: None,
            tls_key: None,
            metrics_listen: None,
            trusted_proxies: Vec::new(),
            requests_per_minute: 600_000,
            refusals_per_minute: 600,
            failures_per_minute: 60,
            connections: 800,
            connections_per_address: 200,
            request_timeout: Duration::from_secs(30),
            job_interval: Duration::from_millis(250),
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}
