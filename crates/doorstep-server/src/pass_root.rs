//! The root of an issuer's passes: under it, and under nothing else, locks take further keys. It is a file of
//! its own in `keys/`, needed for statements about keys alone, so that it can be kept somewhere else.

use crate::http::problem::{Code, Problem};
use crate::keys::{KeyError, read_private, write_private};
use doorstep::cose::keys::{IssuerKey, Signer};
use doorstep::id::IssuerId;
use doorstep::secret::Secret;
use rand_core::CryptoRng;
use std::path::Path;

/// Its name in `keys/`.
pub(crate) const FILE: &str = "pass-root.key";

/// Where the database keeps its public half, as text.
pub(crate) const META: &str = "pass_root";

/// Makes the root, or reads one that was made before the database knew of it.
pub(crate) fn make(
    keys: &Path,
    issuer: IssuerId,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<IssuerKey, KeyError> {
    let path = keys.join(FILE);
    match read_private(&path, issuer) {
        Err(KeyError::Missing { .. }) => {}
        other => return other.map(|seed| IssuerKey::from_seed(&seed)),
    }
    let seed = Secret::make(rng);
    let io = |source| KeyError::Io { path: path.clone(), source };
    write_private(&path, &seed).map_err(io)?;
    std::fs::File::open(keys).and_then(|dir| dir.sync_all()).map_err(io)?;
    Ok(IssuerKey::from_seed(&seed))
}

/// Reads the root whose public half is known.
///
/// # Errors
/// [`Code::RootMissing`] when it is not there, or another one is.
pub(crate) fn read(keys: &Path, issuer: IssuerId, known: &Signer) -> Result<IssuerKey, Problem> {
    let missing = |detail: String| {
        Problem::new(Code::RootMissing, detail).hint(format!(
            "put {FILE} back into keys/ of the data directory, readable by its owner alone, and take it away again afterwards"
        ))
    };
    let seed =
        read_private(&keys.join(FILE), issuer).map_err(|error| missing(error.to_string()))?;
    let root = IssuerKey::from_seed(&seed);
    if Signer::Ed25519(root.public()) == *known {
        Ok(root)
    } else {
        Err(missing(format!("{FILE} is not the root that the locks have")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng as _;

    #[test]
    fn is_made_once_and_refused_when_it_is_another_or_away() {
        let dir = tempfile::tempdir().unwrap();
        let issuer = IssuerId::parse("iss_1").unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let made = make(dir.path(), issuer, &mut rng).unwrap();
        let known = Signer::Ed25519(made.public());
        assert_eq!(make(dir.path(), issuer, &mut rng).unwrap().public(), made.public());
        assert_eq!(read(dir.path(), issuer, &known).unwrap().public(), made.public());
        let path = dir.path().join(FILE);
        let code = || read(dir.path(), issuer, &known).err().map(|problem| problem.code());
        let kept = std::fs::read(&path).unwrap();
        std::fs::write(&path, "ab").unwrap();
        assert_eq!(code(), Some(Code::RootMissing), "no key");
        std::fs::write(&path, "00".repeat(32)).unwrap();
        assert_eq!(code(), Some(Code::RootMissing), "another");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(code(), Some(Code::RootMissing));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::write(&path, kept).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
            assert_eq!(code(), Some(Code::RootMissing), "others can read it");
        }
    }
}
