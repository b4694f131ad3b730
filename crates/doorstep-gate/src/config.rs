//! `gate.toml`: read strictly, so that a setting with a typing error never means its default.

use crate::error::GateError;
use doorstep::otp::window::Window;
use doorstep_files::private;
use jiff::SignedDuration;
use serde::{Deserialize, Deserializer};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU8;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The settings of a gate.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the web gate listens.
    #[serde(default = "listen")]
    pub listen: SocketAddr,
    /// Who decides for the web gate.
    pub verify: Verify,
    /// The state file; beside `gate.toml` unless it says where.
    #[serde(default = "state")]
    pub state: PathBuf,
    /// The key file.
    #[serde(default = "key")]
    pub key: PathBuf,
    /// Which steps around now are taken.
    #[serde(default = "window", deserialize_with = "read_window")]
    pub window: Window,
    /// How authenticator apps call this gate.
    #[serde(default = "issuer")]
    pub issuer: String,
    /// Sessions of the web gate.
    #[serde(default)]
    pub session: Session,
    /// The proxy in front of the web gate.
    #[serde(default)]
    pub proxy: Proxy,
    /// Guessing from one address.
    #[serde(default)]
    pub limits: Limits,
    /// The service, for `verify = "service"` and for PAM.
    pub service: Option<Service>,
}

/// Who decides whether a code is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    /// The state file of this host.
    Local,
    /// The service.
    Service,
}

/// How long who was let in stays in.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Session {
    /// From the code on, in seconds.
    #[serde(deserialize_with = "read_seconds")]
    pub lifetime: u64,
    /// From the last page on, in seconds; without it only the lifetime counts.
    #[serde(deserialize_with = "read_some_seconds")]
    pub idle: Option<u64>,
    /// Whether sessions outlive a restart of this host's system.
    pub survive_reboot: bool,
}

impl Default for Session {
    fn default() -> Self {
        Self { lifetime: 12 * 60 * 60, idle: None, survive_reboot: false }
    }
}

/// The proxy in front.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Proxy {
    /// From which addresses the header is believed.
    pub addresses: Vec<IpAddr>,
    /// The header in which the proxy says who asks; the last address in it counts.
    pub client_address: String,
    /// How browsers reach the login page, such as `https://wiki.example`; without it the way there is
    /// relative, which Traefik does not pass on unless told to.
    pub origin: Option<String>,
    /// Whether browsers come without TLS, so that cookies must be sent in clear.
    pub plain_http: bool,
}

impl Default for Proxy {
    fn default() -> Self {
        Self {
            addresses: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            client_address: "x-real-ip".to_owned(),
            origin: None,
            plain_http: false,
        }
    }
}

/// What one address may try, over all accounts. Known devices have attempts of their own.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Codes that may follow each other at once.
    pub burst: NonZeroU8,
    /// Seconds until one more is taken.
    #[serde(deserialize_with = "read_seconds")]
    pub refill: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { burst: const { NonZeroU8::new(30).unwrap() }, refill: 60 }
    }
}

/// The service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its address, `https://` or, on this host, `http://`.
    pub url: String,
    /// The file with the API key.
    pub key_file: PathBuf,
    /// How long an answer may take.
    #[serde(default = "timeout", deserialize_with = "read_duration")]
    pub timeout: Duration,
}

impl Config {
    /// Reads `gate.toml`. Its paths are relative to its own directory.
    ///
    /// # Errors
    /// [`GateError::File`] when others may write it; [`GateError::Config`] with the line.
    pub fn read(path: &Path) -> Result<Self, GateError> {
        private::refuse_open_directory(path)?;
        Self::parse(&private::read_trusted(path)?, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, GateError> {
        let wrong = |what: String| GateError::Config { path: path.to_owned(), what };
        let mut config: Self =
            toml::from_str(text).map_err(|error| wrong(error.to_string().trim_end().to_owned()))?;
        if config.verify == Verify::Service && config.service.is_none() {
            return Err(wrong("verify = \"service\" needs a section [service]".to_owned()));
        }
        let is_origin = |origin: &String| {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            let part_of_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
            host.is_some_and(|host| !host.is_empty() && host.bytes().all(part_of_host))
        };
        if let Some(origin) = config.proxy.origin.as_ref().filter(|origin| !is_origin(origin)) {
            return Err(wrong(format!("\"{origin}\" is not an origin like https://wiki.example")));
        }
        let beside = |file: &mut PathBuf| {
            *file = path.parent().unwrap_or_else(|| Path::new("")).join(&*file)
        };
        beside(&mut config.state);
        beside(&mut config.key);
        if let Some(service) = &mut config.service {
            let local = ["http://127.0.0.1:", "http://[::1]:", "http://localhost:"];
            let url = &service.url;
            if !url.starts_with("https://") && !local.iter().any(|start| url.starts_with(start)) {
                return Err(wrong(format!("\"{url}\" is not https, and not on this host")));
            }
            beside(&mut service.key_file);
        }
        Ok(config)
    }
}

fn listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 7171))
}

fn state() -> PathBuf {
    "gate.state".into()
}

fn key() -> PathBuf {
    "gate.key".into()
}

fn issuer() -> String {
    "doorstep gate".to_owned()
}

const fn window() -> Window {
    Window::ONE_EACH
}

const fn timeout() -> Duration {
    Duration::from_secs(3)
}

fn read_window<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Window, D::Error> {
    let name = String::deserialize(deserializer)?;
    let names = "current, current+half-previous, current+previous, +-1 to +-10";
    Window::parse(&name).ok_or_else(|| serde::de::Error::custom(format!("not a window: {names}")))
}

fn read_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let wrong = |_| serde::de::Error::custom("not a span of time: write 45s, 30m, 12h");
    let span: SignedDuration = String::deserialize(deserializer)?.parse().map_err(wrong)?;
    if span < SignedDuration::from_secs(1) {
        return Err(serde::de::Error::custom("less than a second would let nobody in"));
    }
    Duration::try_from(span).map_err(wrong)
}

fn read_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    read_duration(deserializer).map(|span| span.as_secs())
}

fn read_some_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    read_seconds(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("/etc/doorstep/gate.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_filled_in_and_paths_are_beside_the_file() {
        let config = parse("verify = \"local\"").unwrap();
        assert_eq!(config.state, Path::new("/etc/doorstep/gate.state"));
        assert_eq!((config.session.lifetime, config.session.idle), (43_200, None));
        let config = parse("verify = \"local\"\nstate = \"/var/lib/gate\"\n[session]\nlifetime = \"90m\"\nidle = \"5m\"").unwrap();
        assert_eq!(config.state, Path::new("/var/lib/gate"));
        assert_eq!((config.session.lifetime, config.session.idle), (5400, Some(300)));
    }

    #[test]
    fn errors_name_the_line_and_nothing_falls_back_to_a_default() {
        for (text, line, part) in [
            ("", "", "verify"),
            ("verify = \"lokal\"", "line 1", "lokal"),
            ("verify = \"local\"\nlissten = \"x\"", "line 2", "lissten"),
            ("verify = \"local\"\n[session]\nlifetme = \"1h\"", "line 3", "lifetme"),
            ("verify = \"local\"\n[session]\nlifetime = 3600", "line 3", "string"),
            ("verify = \"local\"\n[session]\nlifetime = \"-1h\"", "line 3", "second"),
            ("verify = \"local\"\n[session]\nlifetime = \"0s\"", "line 3", "lifetime"),
            ("verify = \"local\"\n[session]\nidle = \"500ms\"", "line 3", "idle"),
            ("verify = \"local\"\n[limits]\nburst = 0", "line 3", "burst"),
            (
                "verify = \"local\"\n[service]\nurl = \"https://a\"\nkey_file = \"k\"\ntimeout = \"0s\"",
                "line 5",
                "timeout",
            ),
            ("verify = \"local\"\n[limits]\nrefill = \"500ms\"", "line 3", "refill"),
            ("verify = \"local\"\n[proxy]\norigin = \"https://a.example/b\"", "", "origin"),
            ("verify = \"local\"\nwindow = \"+-11\"", "line 2", "window"),
            ("verify = \"service\"", "", "[service]"),
            ("verify = \"local\"\nverify = \"service\"", "line 2", "duplicate"),
            (
                "verify = \"local\"\n[service]\nurl = \"http://otp.example\"\nkey_file = \"k\"",
                "",
                "https",
            ),
            (
                "verify = \"local\"\n[service]\nurl = \"http://127.0.0.1.example:80\"\nkey_file = \"k\"",
                "",
                "https",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(line) && error.contains(part), "{text:?}: {error}");
        }
    }
}
