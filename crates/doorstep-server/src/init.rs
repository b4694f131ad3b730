//! Makes an issuer's data directory: its keys, its database, and whether it is a test for ever.

use crate::ids::make_id;
use crate::keys::{KeyError, Keys};
use crate::store::pass_keys::Algorithm;
use crate::store::{Store, StoreError, meta};
use crate::{pass_keys, pass_root};
use doorstep::id::IssuerId;
use doorstep::time::Timestamp;
use rand_core::CryptoRng;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

/// The database's file name in the data directory.
pub(crate) const DATABASE: &str = "doorstep.db";
/// The directory of the keys in the data directory.
pub(crate) const KEYS: &str = "keys";

/// Whether data is real. Chosen once, when the directory is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Simulated clocks and seeded randomness are allowed.
    Test,
    /// Neither is.
    Live,
}

impl Mode {
    /// The name in the database, the API and API keys.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Live => "live",
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, ()> {
        [Self::Test, Self::Live].into_iter().find(|mode| mode.as_str() == text).ok_or(())
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a data directory was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// Something is already there.
    #[error("{} already exists", path.display())]
    Exists {
        /// The file or directory.
        path: PathBuf,
    },
    /// The directory cannot be made.
    #[error("cannot make {}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The keys cannot be written.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The database cannot be made.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl InitError {
    /// What the operator can do.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Exists { .. } => "choose another directory, or go on with the one that is there",
            Self::Io { .. } | Self::Store(_) => "check that the directory can be written",
            Self::Keys(error) => error.hint(),
        }
    }
}

/// Makes `dir` (mode 0700), `dir/keys/` and the database, and draws the issuer's id.
///
/// # Errors
/// [`InitError::Exists`] when keys or a database are already there: nothing is overwritten.
pub fn init(
    dir: &Path,
    mode: Mode,
    rng: &mut (impl CryptoRng + ?Sized),
    now: Timestamp,
) -> Result<IssuerId, InitError> {
    let database = dir.join(DATABASE);
    let keys = dir.join(KEYS);
    for path in [&database, &keys] {
        if path.symlink_metadata().is_ok() {
            return Err(InitError::Exists { path: path.clone() });
        }
    }
    let io = |source| InitError::Io { path: dir.to_owned(), source };
    make_private_dirs(dir).map_err(io)?;
    let issuer = make_id("iss", now, rng);
    let issuer =
        IssuerId::parse(&issuer).map_err(|_| StoreError::Corrupt { column: "meta.issuer" })?;
    // Keys first: a database without keys looks whole and is not, keys without a database are
    // only in the way.
    let path = keys;
    let keys = Keys::make(&path, rng)?;
    let root = pass_root::make(&path, issuer, rng)?;
    let first = pass_keys::make(&keys, Algorithm::Ed25519, (None, now), rng)?;
    Store::make(&database, |connection| {
        meta::put(connection, meta::ISSUER, issuer.as_str())?;
        meta::put(connection, meta::MODE, mode.as_str())?;
        meta::put(connection, meta::KEY_CHECK, keys.check())?;
        pass_keys::begin(connection, &root, &first)
    })?;
    fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(io)?;
    Ok(issuer)
}

pub(crate) fn make_private_dirs(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    fn make(dir: &Path) -> Result<IssuerId, InitError> {
        let now = Timestamp::from_seconds(1_800_000_000);
        init(dir, Mode::Test, &mut ChaCha20Rng::seed_from_u64(1), now)
    }

    #[test]
    fn makes_a_directory_once() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("a/b");
        let issuer = make(&data).unwrap();
        assert!(issuer.as_str().starts_with("iss_"));
        let before = fs::read(data.join("keys/master.key")).unwrap();
        assert!(matches!(make(&data), Err(InitError::Exists { .. })));
        assert_eq!(fs::read(data.join("keys/master.key")).unwrap(), before);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_any_of_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        make(dir.path()).unwrap();
        let store = Store::open(&dir.path().join(DATABASE)).unwrap();
        for entry in fs::read_dir(dir.path()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{}", entry.path().display());
        }
        drop(store);
    }

    #[test]
    fn refuses_leftovers_and_files_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(KEYS)).unwrap();
        assert!(
            matches!(make(dir.path()), Err(InitError::Exists { .. })),
            "keys without a database"
        );

        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(DATABASE), "").unwrap();
        assert!(
            matches!(make(dir.path()), Err(InitError::Exists { .. })),
            "a database without keys"
        );
        assert!(!dir.path().join(KEYS).exists(), "and nothing was made");

        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(make(&file).is_err(), "a file where the directory should be");
    }
}
