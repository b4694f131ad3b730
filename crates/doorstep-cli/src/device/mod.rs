//! A driver's device as a directory: `journal`, the append-only record of everything that happened,
//! and `device.key`, its private key, which a PIN may seal; `pin.tries` counts the wrong ones. `lock`
//! keeps syncs apart, `pin.lock` those who try a PIN.

pub(crate) mod door;
pub(crate) mod journal;
pub(crate) mod key;
pub(crate) mod pin;
pub(crate) mod sync;

use crate::error::CliError;
use std::fs::{File, OpenOptions};
use std::path::Path;

/// Keeps other enrolments and syncs of this device waiting for as long as the file is held. The
/// lock ends with the process, however that ends. Checks at the door do not wait for it.
pub(crate) fn alone(dir: &Path) -> Result<File, CliError> {
    let path = dir.join("lock");
    let lock = || {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
        file.lock()?;
        Ok(file)
    };
    lock().map_err(|error| CliError::io("lock", &path, &error))
}
