//! TLS by files: the certificate and its key, read at start and again when the operator says so.

use crate::config::server::Server;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// One of the two files is named, and not the other.
    #[error("server.tls_certificate and server.tls_key belong together, and one is not set")]
    Half,
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file holds no certificate, or no key.
    #[error("{} does not hold {wanted} as PEM", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
    },
    /// Certificate and key do not fit each other, or are of a kind that is not taken.
    #[error("the certificate in {} cannot be served with this key", path.display())]
    Refused {
        /// The certificate.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

impl TlsError {
    /// What the operator can do.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Half => "name both files, or neither for plain HTTP behind a proxy",
            Self::Io { .. } => "check the path, and that the user that runs doorstep may read it",
            Self::Malformed { .. } => {
                "it begins with -----BEGIN ...; the chain has one after another"
            }
            Self::Refused { .. } => "take the key that the certificate was made for",
        }
    }
}

/// A certificate with its key.
pub(crate) struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads the files that the settings name; `None` if they name none.
    pub(crate) fn open(settings: &Server) -> Result<Option<Self>, TlsError> {
        let (certificate, key) = match (&settings.tls_certificate, &settings.tls_key) {
            (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
            (None, None) => return Ok(None),
            _ => return Err(TlsError::Half),
        };
        let current = RwLock::new(Arc::new(read(&certificate, &key)?));
        Ok(Some(Self { certificate, key, current }))
    }

    /// Reads both files again.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        let read = Arc::new(read(&self.certificate, &self.key)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(())
    }

    /// For the next connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

fn read(certificate: &Path, key: &Path) -> Result<ServerConfig, TlsError> {
    let chain = certificates(certificate)?;
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| unreadable(key, "a private key", error))?;
    let refused = |source| TlsError::Refused { path: certificate.to_owned(), source };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(refused)?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(refused)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The certificates in a file, at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    const WANTED: &str = "a certificate";
    let unreadable = |error| unreadable(path, WANTED, error);
    let chain = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    if chain.is_empty() {
        return Err(TlsError::Malformed { path: path.to_owned(), wanted: WANTED });
    }
    Ok(chain)
}

fn unreadable(path: &Path, wanted: &'static str, error: pem::Error) -> TlsError {
    let path = path.to_owned();
    match error {
        pem::Error::Io(source) => TlsError::Io { path, source },
        _ => TlsError::Malformed { path, wanted },
    }
}
