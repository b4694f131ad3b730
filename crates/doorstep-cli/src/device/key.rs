//! The private key of a device without key hardware: a file that only its owner reads.

use crate::error::CliError;
use doorstep::cose::keys::SoftwareKey;
use doorstep::secret::Secret;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use zeroize::Zeroizing;

const FILE: &str = "device.key";

/// Stores a new key, whole or not at all. Whoever calls has made sure that there is none, and that
/// nobody else stores one at the same time.
pub(crate) fn store(dir: &Path, key: &SoftwareKey) -> Result<(), CliError> {
    let path = dir.join(FILE);
    let fresh = dir.join("device.key.new");
    let write = || {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(key.secret().expose())?;
        file.sync_all()?;
        fs::rename(&fresh, &path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|error| CliError::io("store the device's key in", &path, &error))
}

/// Loads the key; `None` when there is none.
pub(crate) fn load(dir: &Path) -> Result<Option<SoftwareKey>, CliError> {
    let path = dir.join(FILE);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CliError::io("read", &path, &error)),
    };
    let mut bytes = Zeroizing::new([0; 32]);
    let damaged = || {
        CliError::new(format!("{} is not a device's key", path.display()))
            .hint("enrol the device anew, in an empty directory")
    };
    file.read_exact(bytes.as_mut()).map_err(|_| damaged())?;
    SoftwareKey::from_secret(&Secret::from_bytes(*bytes)).map(Some).map_err(|_| damaged())
}
