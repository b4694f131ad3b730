//! The issuer's keys, on disk beside the database and never in it: who copies the database alone
//! can neither sign routes nor read a code.

use crate::hex;
use crate::seal::SealKey;
use doorstep::cose::keys::{IssuerKey, SoftwareKey};
use doorstep::id::IssuerId;
use doorstep::secret::Secret;
use doorstep_files::{FileError, private};
use hkdf::Hkdf;
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const SIGNING: &str = "signing.key";
const AGREEMENT: &str = "agreement.key";
const MASTER: &str = "master.key";

/// Why the keys cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A key file is missing.
    #[error("the keys of issuer {issuer} are missing: there is no {}", path.display())]
    Missing {
        /// Whose keys are looked for.
        issuer: IssuerId,
        /// The file.
        path: PathBuf,
    },
    /// A key file does not hold a key.
    #[error("{} does not hold a key of 32 bytes in hexadecimal", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The keys belong to another issuer's database.
    #[error("the keys in {} do not belong to issuer {issuer}", path.display())]
    Foreign {
        /// Whose database this is.
        issuer: IssuerId,
        /// The directory of the keys.
        path: PathBuf,
    },
    /// Other users of the machine can read a key file.
    #[error("{} can be read by other users of this machine (mode {mode:o})", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file system refused.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl KeyError {
    /// What the operator can do.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Missing { .. } => {
                "bring keys/ back from its backup; a database without its keys can neither sign nor open anything"
            }
            Self::Malformed { .. } => "bring the file back from its backup",
            Self::Foreign { .. } => {
                "put the keys/ directory that was made with this database beside it"
            }
            Self::Exposed { .. } => "make it private: chmod 600 on the file, 700 on keys/",
            Self::Io { .. } => {
                "check that the directory exists and belongs to the user that runs doorstep"
            }
        }
    }
}

/// The keys of one issuer, in memory.
pub(crate) struct Keys {
    /// Signs routes and acknowledgements.
    pub(crate) signing: IssuerKey,
    /// What devices seal their evidence to.
    pub(crate) agreement: SoftwareKey,
    /// Seals secrets in the database.
    pub(crate) seal: SealKey,
    pepper: Secret<32>,
    check: String,
}

impl Keys {
    /// Draws new keys and writes them to `dir`, which must not exist.
    pub(crate) fn make(dir: &Path, rng: &mut (impl CryptoRng + ?Sized)) -> Result<Self, KeyError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| KeyError::Io { path, source }
        };
        make_private_dir(dir).map_err(io(dir))?;
        let seed = Secret::make(rng);
        let agreement = SoftwareKey::make(rng);
        let master = Secret::make(rng);
        for (name, secret) in
            [(SIGNING, &seed), (AGREEMENT, &agreement.secret()), (MASTER, &master)]
        {
            let path = dir.join(name);
            write_private(&path, secret).map_err(io(&path))?;
        }
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(io(dir))?;
        Ok(Self::from_secrets(&seed, agreement, &master))
    }

    /// Reads the keys of `issuer` from `dir` and makes sure they are its.
    pub(crate) fn open(dir: &Path, issuer: IssuerId, check: &str) -> Result<Self, KeyError> {
        let seed = read_private(&dir.join(SIGNING), issuer)?;
        let path = dir.join(AGREEMENT);
        let agreement = SoftwareKey::from_secret(&read_private(&path, issuer)?)
            .map_err(|_| KeyError::Malformed { path })?;
        let master = read_private(&dir.join(MASTER), issuer)?;
        let keys = Self::from_secrets(&seed, agreement, &master);
        if keys.check != check {
            return Err(KeyError::Foreign { issuer, path: dir.to_owned() });
        }
        Ok(keys)
    }

    fn from_secrets(seed: &Secret<32>, agreement: SoftwareKey, master: &Secret<32>) -> Self {
        let signing = IssuerKey::from_seed(seed);
        let check = Sha256::new()
            .chain_update(derive(master, b"doorstep/key-check/v1").expose())
            .chain_update(signing.public().to_bytes())
            .chain_update(agreement.public().to_bytes())
            .finalize();
        Self {
            seal: SealKey::new(derive(master, b"doorstep/seal/v1").expose()),
            pepper: derive(master, b"doorstep/pepper/v1"),
            check: hex::encode(&check),
            signing,
            agreement,
        }
    }

    /// Says which keys these are without giving anything away; stored in the database.
    pub(crate) fn check(&self) -> &str {
        &self.check
    }

    /// The key of what is left of a code once it is sent.
    pub(crate) const fn pepper(&self) -> &Secret<32> {
        &self.pepper
    }
}

fn derive(master: &Secret<32>, info: &[u8]) -> Secret<32> {
    let mut key = Zeroizing::new([0; 32]);
    // Never fails: HKDF-SHA256 gives up to 8,160 bytes.
    let _ = Hkdf::<Sha256>::new(None, master.expose()).expand(info, key.as_mut());
    Secret::from_bytes(*key)
}

fn make_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

pub(crate) fn write_private(path: &Path, secret: &Secret<32>) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let text = Zeroizing::new(hex::encode(secret.expose()));
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

pub(crate) fn read_private(path: &Path, issuer: IssuerId) -> Result<Secret<32>, KeyError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(KeyError::Missing { issuer, path: path.to_owned() });
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(KeyError::Malformed { path: path.to_owned() });
        }
        Err(source) => {
            return Err(KeyError::Io { path: path.to_owned(), source });
        }
    };
    private::refuse_exposed(path).map_err(|error| match error {
        FileError::Exposed { path, mode } => KeyError::Exposed { path, mode: mode & 0o777 },
        other => KeyError::Io { path: path.to_owned(), source: io::Error::other(other) },
    })?;
    let bytes = hex::decode(text.trim_end())
        .ok_or_else(|| KeyError::Malformed { path: path.to_owned() })?;
    Ok(Secret::from_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    fn issuer() -> IssuerId {
        IssuerId::parse("iss_1").unwrap()
    }

    fn made() -> (tempfile::TempDir, PathBuf, Keys) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let keys = Keys::make(&path, &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
        (dir, path, keys)
    }

    #[test]
    fn opens_what_it_made() {
        let (_dir, path, made) = made();
        let opened = Keys::open(&path, issuer(), made.check()).unwrap();
        assert_eq!(opened.signing.public(), made.signing.public());
        assert_eq!(opened.agreement.public(), made.agreement.public());
        assert_eq!(opened.pepper().expose(), made.pepper().expose());
    }

    #[test]
    fn missing_foreign_and_damaged_keys_are_refused() {
        let (_dir, path, made) = made();
        let refusal = |check: &str| Keys::open(&path, issuer(), check).err();
        assert!(matches!(refusal("another"), Some(KeyError::Foreign { .. })));

        let kept = fs::read_to_string(path.join(MASTER)).unwrap();
        fs::write(path.join(MASTER), &kept[..60]).unwrap();
        assert!(matches!(refusal(made.check()), Some(KeyError::Malformed { .. })));

        fs::remove_file(path.join(MASTER)).unwrap();
        let missing = refusal(made.check()).unwrap();
        assert!(matches!(missing, KeyError::Missing { .. }));
        assert!(missing.to_string().contains("iss_1"), "it names the issuer");

        assert!(
            matches!(
                Keys::make(&path, &mut ChaCha20Rng::seed_from_u64(2)),
                Err(KeyError::Io { .. })
            ),
            "nothing is overwritten"
        );
    }

    #[cfg(unix)]
    #[test]
    fn key_files_are_private_and_must_stay_so() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_dir, path, made) = made();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        for name in [SIGNING, AGREEMENT, MASTER] {
            assert_eq!(mode(&path.join(name)), 0o600);
        }
        fs::set_permissions(path.join(SIGNING), fs::Permissions::from_mode(0o644)).unwrap();
        let refusal = Keys::open(&path, issuer(), made.check()).err();
        assert!(matches!(refusal, Some(KeyError::Exposed { mode: 0o644, .. })));
    }
}
