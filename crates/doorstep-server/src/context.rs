//! What every part of the service is handed: the store, the keys, the clock, the randomness and
//! the settings. Nothing in this crate reads a clock or draws randomness in another way.

use crate::config::Config;
use crate::config::webhooks::Webhooks;
use crate::health::Heartbeat;
use crate::http::key_cache::KeyCache;
use crate::http::limits::Limits;
use crate::http::metrics::Metrics;
use crate::http::problem::Problem;
use crate::ids::symbols;
use crate::init::{DATABASE, KEYS, Mode};
use crate::jobs::outbox::Outbox;
use crate::jobs::webhooks::Telling;
use crate::keys::{KeyError, Keys};
use crate::messages::{MessagesError, Messenger};
use crate::outgoing::{Client, Rules};
use crate::store::pass_keys::Algorithm;
use crate::store::value::parsed;
use crate::store::{Store, StoreError, idempotency, meta};
use crate::tls::{Tls, TlsError};
use crate::wallet::Wallets;
use crate::{pass_keys, pass_root};
use doorstep::cose::keys::{IssuerKey, PublicKey, Signer};
use doorstep::handover::enrolment::Welcome;
use doorstep::id::{DeviceId, IssuerId};
use doorstep::time::Timestamp;
use rand_core::CryptoRng;
use std::fs::{File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Tells the time; the binary's real clock, or a test's.
pub trait Clock: Send + Sync {
    /// UTC now, in whole seconds.
    fn now(&self) -> Timestamp;
}

/// Randomness that may be shared between threads.
pub type SharedRng = Box<dyn CryptoRng + Send>;

/// Why a data directory cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no database.
    #[error("there is no doorstep data in {}", path.display())]
    Missing {
        /// The directory.
        path: PathBuf,
    },
    /// The database is a backup's: codes that were used since would be good again.
    #[error("the database in {} is a copy that doorstep backup made", path.display())]
    Backup {
        /// The directory.
        path: PathBuf,
    },
    /// Another program serves this directory.
    #[error("another doorstep server runs on {}", path.display())]
    Running {
        /// The directory.
        path: PathBuf,
    },
    /// The lock file cannot be used.
    #[error("cannot use {}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The keys cannot be had.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// Messages cannot be sent by the settings.
    #[error(transparent)]
    Messages(#[from] MessagesError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The settings of webhooks cannot be used.
    #[error("section [webhooks]: {what}")]
    Webhooks {
        /// What is wrong.
        what: String,
    },
}

impl OpenError {
    /// What the operator can do.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "make it with: doorstep init",
            Self::Backup { .. } => {
                "move the file away, then bring it back with: doorstep restore FILE"
            }
            Self::Running { .. } => "stop it first, or choose another data directory",
            Self::Io { .. } => "check that the directory belongs to the user that runs doorstep",
            Self::Keys(error) => error.hint(),
            Self::Messages(_) => {
                "put the setting right in doorstep.toml; doorstep config show says where each comes from"
            }
            Self::Webhooks { .. } => "name a file of certificates in PEM, or leave ca_file out",
            Self::Store(StoreError::NotDurable { .. }) => {
                "put the data directory on a local disk: network and some container file systems cannot do this"
            }
            Self::Store(StoreError::Newer { .. }) => "use the newer doorstep that wrote it",
            Self::Store(StoreError::Older { .. }) => "start doorstep serve on it once",
            Self::Store(_) => {
                "check the disk, and bring the directory back from its backup if it is damaged"
            }
        }
    }
}

/// What tells receivers of events.
fn client(settings: &Webhooks) -> Result<Client, OpenError> {
    let rules = Rules {
        allow_private: settings.allow_private,
        allow_http: settings.allow_http,
        ca_file: settings.ca_file.clone(),
        timeout: settings.timeout,
    };
    Client::new(&rules).map_err(|error| OpenError::Webhooks { what: error.to_string() })
}

/// An issuer's data directory, open, with what is needed to work on it.
pub struct Context {
    pub(crate) store: Store,
    pub(crate) keys: Keys,
    pub(crate) config: Config,
    issuer: IssuerId,
    mode: Mode,
    clock: Arc<dyn Clock>,
    rng: Mutex<SharedRng>,
    /// Puts messages in words and knows the provider.
    pub(crate) messenger: Messenger,
    /// Messages on their way, so that none is sent twice.
    pub(crate) outbox: Arc<Outbox>,
    /// API keys that were looked up.
    pub(crate) key_cache: KeyCache,
    /// How often everybody asked.
    pub(crate) limits: Limits,
    /// What was answered, for the metrics.
    pub(crate) metrics: Metrics,
    /// When the jobs came round last.
    pub(crate) heartbeat: Heartbeat,
    /// The certificate, once it is served.
    pub(crate) tls: OnceLock<Tls>,
    /// How often phones asked.
    pub(crate) wallets: Wallets,
    /// Who is being told of events.
    pub(crate) telling: Telling,
    first_request: u128,
    requests: AtomicU64,
}

impl Context {
    /// Opens the data directory that `config` names.
    ///
    /// # Errors
    /// [`OpenError`]: no data, keys missing or of another issuer, or a database that would not
    /// survive a power cut.
    pub fn open(config: Config, clock: Arc<dyn Clock>, rng: SharedRng) -> Result<Self, OpenError> {
        let path = config.data_dir.join(DATABASE);
        if !path.is_file() {
            return Err(OpenError::Missing { path: config.data_dir });
        }
        let store = Store::open(&path)?;
        let read = |key, column| {
            store
                .read_now(|connection| meta::get(connection, key))?
                .ok_or(StoreError::Corrupt { column })
        };
        if store.read_now(|connection| meta::get(connection, meta::BACKUP))?.is_some() {
            return Err(OpenError::Backup { path: config.data_dir });
        }
        let issuer = parsed("meta.issuer", &read(meta::ISSUER, "meta.issuer")?, IssuerId::parse)?;
        let mode = parsed("meta.mode", &read(meta::MODE, "meta.mode")?, Mode::parse)?;
        let check = read(meta::KEY_CHECK, "meta.key_check")?;
        let keys = Keys::open(&config.data_dir.join(KEYS), issuer, &check)?;
        let messenger = Messenger::open(&config)?;
        let mut rng = rng;
        if store.read_now(|connection| meta::get(connection, pass_root::META))?.is_none() {
            // Made before there were passes.
            let root = pass_root::make(&config.data_dir.join(KEYS), issuer, &mut rng)?;
            let now = clock.now();
            let first = pass_keys::make(&keys, Algorithm::Ed25519, (None, now), &mut rng)?;
            store.write_now(move |connection| pass_keys::begin(connection, &root, &first))?;
        }
        let telling = Telling::new(client(&config.webhooks)?);
        let mut first_request = [0; 16];
        rng.fill_bytes(&mut first_request);
        Ok(Self {
            store,
            keys,
            config,
            issuer,
            mode,
            clock,
            rng: Mutex::new(rng),
            messenger,
            outbox: Arc::default(),
            key_cache: KeyCache::default(),
            limits: Limits::default(),
            metrics: Metrics::default(),
            heartbeat: Heartbeat::default(),
            tls: OnceLock::new(),
            wallets: Wallets::default(),
            telling,
            first_request: u128::from_be_bytes(first_request),
            requests: AtomicU64::new(0),
        })
    }

    /// The business whose data this is.
    #[must_use]
    pub const fn issuer(&self) -> IssuerId {
        self.issuer
    }

    /// Whether the data is real.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new name for a request. Names are counted from a random start and not drawn, so that with
    /// a seed the number of requests does not change which codes are made.
    pub(crate) fn name_request(&self) -> String {
        let count = self.requests.fetch_add(1, Ordering::Relaxed);
        format!("req_{}", symbols(self.first_request.wrapping_add(u128::from(count))))
    }

    /// What a device is told that was enrolled at this time.
    pub(crate) fn welcome(
        &self,
        device: DeviceId,
        key: &PublicKey,
        managed: bool,
        time: Timestamp,
    ) -> Welcome {
        Welcome {
            issuer: self.issuer,
            signing_key: self.keys.signing.public().to_bytes(),
            agreement_key: self.keys.agreement.public().to_bytes(),
            device,
            device_key: key.to_bytes(),
            time,
            test: self.mode == Mode::Test,
            managed,
        }
    }

    /// Lends the randomness to `draw`.
    pub(crate) fn with_rng<T>(&self, draw: impl FnOnce(&mut (dyn CryptoRng + Send)) -> T) -> T {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        draw(rng.as_mut())
    }

    /// Reads the root of passes, which may have been taken off the machine.
    pub(crate) fn read_root(&self, known: &Signer) -> Result<IssuerKey, Problem> {
        pass_root::read(&self.config.data_dir.join(KEYS), self.issuer, known)
    }

    /// What a server does before it answers: of requests that the one before it left under way nobody
    /// knows how they ended.
    pub(crate) fn prepare(&self) -> Result<(), StoreError> {
        let lost = self.store.write_now(idempotency::lose_running)?;
        if lost > 0 {
            tracing::warn!(lost, "requests were cut off; their repetitions are refused");
        }
        Ok(())
    }

    /// Reads the certificate and its key again; connections that are open keep the old one. Says
    /// whether there is one.
    ///
    /// # Errors
    /// [`TlsError`]; the old certificate is then served on.
    pub fn reload_certificate(&self) -> Result<bool, TlsError> {
        match self.tls.get() {
            Some(tls) => tls.reload().map(|()| true),
            None => Ok(false),
        }
    }

    /// Makes sure that this is the only server on the directory, for as long as the file is held.
    pub(crate) fn lock(&self) -> Result<File, OpenError> {
        let path = self.config.data_dir.join("serve.lock");
        let io = |source| OpenError::Io { path: path.clone(), source };
        let mut options = File::options();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                Err(OpenError::Running { path: self.config.data_dir.clone() })
            }
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init::init;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;
    use std::path::Path;

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_seconds(1_800_000_000)
        }
    }

    fn make(dir: &Path, seed: u64) {
        init(dir, Mode::Live, &mut ChaCha20Rng::seed_from_u64(seed), Still.now()).unwrap();
    }

    fn open(dir: &Path) -> Result<Context, OpenError> {
        let rng = Box::new(ChaCha20Rng::seed_from_u64(9));
        Context::open(Config::new(dir.to_owned()), Arc::new(Still), rng)
    }

    #[test]
    fn opens_what_init_made() {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path(), 1);
        assert_eq!(open(dir.path()).unwrap().mode(), Mode::Live);
    }

    #[test]
    fn data_from_before_there_were_passes_gets_a_root_and_a_key_once() {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path(), 1);
        let database = rusqlite::Connection::open(dir.path().join(DATABASE)).unwrap();
        database
            .execute_batch("DELETE FROM meta WHERE key = 'pass_root'; DELETE FROM pass_keys;")
            .unwrap();
        let root = dir.path().join(KEYS).join(pass_root::FILE);
        std::fs::remove_file(&root).unwrap();
        let known = || open(dir.path()).unwrap().store.read_now(pass_keys::root).unwrap();
        let first = known();
        let kept = std::fs::read(&root).unwrap();
        assert_eq!(known(), first);
        assert_eq!(std::fs::read(&root).unwrap(), kept);
        assert!(open(dir.path()).unwrap().read_root(&first).is_ok());
        let count = "SELECT count(*) FROM pass_keys";
        assert_eq!(database.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
    }

    #[test]
    fn a_database_without_its_keys_is_refused_with_the_issuer_named() {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path(), 1);
        let issuer = open(dir.path()).unwrap().issuer();
        std::fs::rename(dir.path().join("keys"), dir.path().join("away")).unwrap();
        let error = open(dir.path()).err().unwrap();
        assert!(matches!(error, OpenError::Keys(KeyError::Missing { .. })));
        assert!(error.to_string().contains(issuer.as_str()));
        assert!(error.hint().contains("keys/"));

        let other = tempfile::tempdir().unwrap();
        make(other.path(), 2);
        std::fs::rename(other.path().join("keys"), dir.path().join("keys")).unwrap();
        let error = open(dir.path()).err().unwrap();
        assert!(
            matches!(error, OpenError::Keys(KeyError::Foreign { .. })),
            "another issuer's keys"
        );
    }

    #[test]
    fn no_data_empty_data_and_foreign_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(open(dir.path()), Err(OpenError::Missing { .. })));
        assert!(!dir.path().join(DATABASE).exists(), "and nothing was made");
        std::fs::write(dir.path().join(DATABASE), "").unwrap();
        assert!(matches!(open(dir.path()), Err(OpenError::Store(StoreError::Corrupt { .. }))));
        std::fs::write(
            dir.path().join(DATABASE),
            "not a database at all, but long enough to be looked at",
        )
        .unwrap();
        assert!(matches!(open(dir.path()), Err(OpenError::Store(_))));
    }
}
