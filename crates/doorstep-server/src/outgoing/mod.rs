//! Requests that the service makes to servers of others, whose addresses people chose: nothing
//! private is reached, no redirect is followed, and nobody's slow or endless answer is waited for.

mod address;

use std::fmt;
use std::fs;
use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    ConnectionDetails, Connector, DefaultConnector, NextTimeout, Transport,
};
use zeroize::Zeroizing;

/// Longer addresses are not taken.
const LONGEST_URL: usize = 2048;
/// Bytes of an answer's head.
const LONGEST_HEAD: usize = 16 * 1024;
/// Bytes of an answer's body; what is longer is not read.
const LONGEST_BODY: u64 = 64 * 1024;

/// What a client may reach, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Addresses of private networks and of this machine too.
    pub(crate) allow_private: bool,
    /// Without TLS too.
    pub(crate) allow_http: bool,
    /// The certificates to trust, in place of the public ones.
    pub(crate) ca_file: Option<PathBuf>,
    /// For one request, from the look-up of the name to the end of the answer.
    pub(crate) timeout: Duration,
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RulesError {
    /// The certificates cannot be read.
    #[error("cannot read the certificates in {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{} holds no certificate in PEM", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
}

/// Why an address is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    /// No URL at all.
    #[error("is not an address like https://example.org/path")]
    Malformed,
    /// More than 2048 bytes.
    #[error("has {0} bytes, more than 2048")]
    Long(usize),
    /// Another scheme.
    #[error("has to begin with https://")]
    NotHttps,
    /// Secrets do not belong into addresses, which end up in logs.
    #[error("names a user or a password")]
    UserInfo,
}

/// An address that may be tried. Where its name leads to is looked at when it is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Url(Uri);

impl Url {
    pub(crate) fn parse(text: &str, allow_http: bool) -> Result<Self, UrlError> {
        if text.len() > LONGEST_URL {
            return Err(UrlError::Long(text.len()));
        }
        // A fragment would be dropped without a word.
        if text.contains('#') {
            return Err(UrlError::Malformed);
        }
        let uri: Uri = text.parse().map_err(|_| UrlError::Malformed)?;
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if allow_http => {}
            Some(_) => return Err(UrlError::NotHttps),
            None => return Err(UrlError::Malformed),
        }
        let authority = uri.authority().ok_or(UrlError::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(UrlError::UserInfo);
        }
        if authority.host().is_empty() {
            return Err(UrlError::Malformed);
        }
        Ok(Self(uri))
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SendError {
    /// Nothing of the request left this machine.
    #[error("not reached: {0}")]
    NotReached(String),
    /// The request left, whole or in part; whether it was taken is not known.
    #[error("no answer: {0}")]
    NoAnswer(String),
}

/// What a server said.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Nothing when it was longer than is read, or broke off.
    pub(crate) body: Vec<u8>,
}

/// A request with a body. Headers may hold secrets, so it is not printed.
pub(crate) struct Post {
    pub(crate) url: Url,
    pub(crate) headers: Vec<(&'static str, Zeroizing<String>)>,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// Makes requests by its rules.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    agent: ureq::Agent,
    allow_http: bool,
    allow_private: bool,
    timeout: Duration,
}

impl Client {
    pub(crate) fn new(rules: &Rules) -> Result<Self, RulesError> {
        let mut tls = TlsConfig::builder();
        if let Some(path) = &rules.ca_file {
            tls = tls.root_certs(certificates(path)?);
        }
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(rules.timeout))
            .max_response_header_size(LONGEST_HEAD)
            .http_status_as_error(false)
            .https_only(!rules.allow_http)
            // A proxy of the environment would look names up by itself.
            .proxy(None)
            .max_redirects(0)
            .user_agent("doorstep")
            .tls_config(tls.build())
            .build();
        let resolver = Guarded::new(rules.allow_private);
        let connector = Reaching(DefaultConnector::default());
        let agent = ureq::Agent::with_parts(config, connector, resolver);
        let Rules { allow_http, allow_private, timeout, .. } = *rules;
        Ok(Self { agent, allow_http, allow_private, timeout })
    }

    /// Reads an address by the rules of this client.
    pub(crate) fn url(&self, text: &str) -> Result<Url, UrlError> {
        Url::parse(text, self.allow_http)
    }

    /// Connects to a server and sends it nothing; says what was reached.
    pub(crate) fn reach(&self, url: &Url) -> Result<String, SendError> {
        let timeout = NextTimeout { after: self.timeout.into(), ..NextTimeout::default() };
        let resolver = Guarded::new(self.allow_private);
        let found = resolver.resolve(&url.0, self.agent.config(), timeout).map_err(told)?;
        let mut tried = Vec::new();
        for address in found.iter() {
            match TcpStream::connect_timeout(address, self.timeout) {
                Ok(_) => return Ok(format!("{address} takes connections")),
                Err(error) => tried.push(format!("{address}: {error}")),
            }
        }
        Err(SendError::NotReached(tried.join(", ")))
    }

    /// Sends it and waits for the answer, whatever its status.
    pub(crate) async fn post(&self, post: Post) -> Result<Answer, SendError> {
        let agent = self.agent.clone();
        tokio::task::spawn_blocking(move || send(&agent, &post))
            .await
            .unwrap_or_else(|error| Err(SendError::NoAnswer(error.to_string())))
    }
}

fn certificates(path: &Path) -> Result<RootCerts, RulesError> {
    let pem = fs::read(path).map_err(|source| RulesError::Io { path: path.to_owned(), source })?;
    let certificates: Vec<Certificate<'static>> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(RulesError::NoCertificate { path: path.to_owned() });
    }
    Ok(RootCerts::Specific(Arc::new(certificates)))
}

fn send(agent: &ureq::Agent, post: &Post) -> Result<Answer, SendError> {
    let mut request = agent.post(post.url.0.clone());
    for (name, value) in &post.headers {
        request = request.header(*name, value.as_str());
    }
    let mut response = request.send(post.body.as_slice()).map_err(told)?;
    let body = response.body_mut().with_config().limit(LONGEST_BODY).read_to_vec();
    Ok(Answer { status: response.status().as_u16(), body: body.unwrap_or_default() })
}

/// What an error means for the request.
fn told(error: ureq::Error) -> SendError {
    use ureq::Error;
    match error {
        Error::Other(error) => match error.downcast::<SendError>() {
            Ok(error) => *error,
            Err(error) => SendError::NoAnswer(error.to_string()),
        },
        // What is wrong with the request itself is seen before anything is sent.
        Error::Http(_) | Error::BadUri(_) | Error::RequireHttpsOnly(_) => {
            SendError::NotReached(error.to_string())
        }
        other => SendError::NoAnswer(other.to_string()),
    }
}

fn not_reached(error: &ureq::Error) -> ureq::Error {
    ureq::Error::Other(Box::new(SendError::NotReached(error.to_string())))
}

/// Looks a name up once. The connection is made to what is given back here and to nothing else, so
/// a name cannot lead elsewhere after it was looked at.
#[derive(Debug)]
struct Guarded {
    inner: DefaultResolver,
    allow_private: bool,
}

impl Guarded {
    fn new(allow_private: bool) -> Self {
        Self { inner: DefaultResolver::default(), allow_private }
    }
}

impl Resolver for Guarded {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found =
            self.inner.resolve(uri, config, timeout).map_err(|error| not_reached(&error))?;
        let mut permitted = self.empty();
        for address in found.iter() {
            if address::permitted(address.ip(), self.allow_private) {
                permitted.push(*address);
            }
        }
        if permitted.is_empty() {
            // Not which address: whoever named the host may have no business with this network.
            let error = SendError::NotReached("the host is not on the public internet".to_owned());
            return Err(ureq::Error::Other(Box::new(error)));
        }
        Ok(permitted)
    }
}

/// Connects, and tells a connection that failed from a request that got no answer.
#[derive(Debug)]
struct Reaching(DefaultConnector);

impl Connector<()> for Reaching {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        self.0.connect(details, chained).map_err(|error| not_reached(&error))
    }
}

#[cfg(test)]
mod tests;
