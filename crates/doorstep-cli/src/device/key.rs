//! The private key of a device without key hardware: a file that only its owner reads, and that a PIN
//! may seal.

use super::pin::{MOST_TRIES, Pin, Tries};
use crate::error::CliError;
use crate::refused::{Refused, Stop};
use crate::vault::envelope::{Envelope, Key as SealingKey};
use doorstep::cose::keys::SoftwareKey;
use doorstep::secret::Secret;
use doorstep_files::private;
use rand_core::CryptoRng;
use serde_json::json;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use zeroize::Zeroizing;

const FILE: &str = "device.key";
/// Begins a file that a PIN seals.
const SEALED: [u8; 7] = *b"dsdrive";
/// Neither kind of file is as long.
const LONGEST: u64 = 4096;

/// A key as it lies on the disk.
pub(crate) enum Stored {
    Open(SoftwareKey),
    /// Under a PIN.
    Sealed(Vec<u8>),
}

/// Stores a new key, whole or not at all. Whoever calls has made sure that there is none, and that
/// nobody else stores one at the same time.
pub(crate) fn store(dir: &Path, key: &SoftwareKey) -> Result<(), CliError> {
    write(dir, key.secret().expose())
}

fn write(dir: &Path, content: &[u8]) -> Result<(), CliError> {
    private::write(&dir.join(FILE), content)
        .map_err(|error| CliError::new(error.to_string()).hint(error.hint()))
}

/// Puts the key under a PIN, in place of what was there.
pub(crate) fn seal(
    dir: &Path,
    key: &SoftwareKey,
    pin: &Pin,
    test: bool,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<(), CliError> {
    let tries = Tries::open(dir)?;
    let sealed = SealingKey::make(pin.expose(), SEALED, test, rng).seal(key.secret().expose(), rng);
    write(dir, &sealed)?;
    tries.set(0)
}

/// Loads the key; `None` when there is none.
pub(crate) fn load(dir: &Path) -> Result<Option<Stored>, CliError> {
    let path = dir.join(FILE);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CliError::io("read", &path, &error)),
    };
    let mut content = Zeroizing::new(Vec::with_capacity(4096));
    file.take(LONGEST)
        .read_to_end(&mut content)
        .map_err(|error| CliError::io("read", &path, &error))?;
    if content.starts_with(&SEALED) && content.len() > 32 {
        return Ok(Some(Stored::Sealed(content.to_vec())));
    }
    read(&content).map(|key| Some(Stored::Open(key))).ok_or_else(|| damaged(dir))
}

fn read(content: &[u8]) -> Option<SoftwareKey> {
    let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(content.try_into().ok()?);
    SoftwareKey::from_secret(&Secret::from_bytes(*bytes)).ok()
}

fn damaged(dir: &Path) -> CliError {
    CliError::new(format!("{} is not a device's key", dir.join(FILE).display()))
        .hint("enrol the device anew, in an empty directory")
}

/// Opens a key that a PIN seals. The try is counted, durably, before the PIN is tried; after
/// [`MOST_TRIES`] wrong ones the key is erased.
pub(crate) fn unseal(dir: &Path, pin: &Pin) -> Result<SoftwareKey, Stop> {
    let tries = Tries::open(dir)?;
    // Somebody else may have erased it, or changed the PIN, before the lock was ours.
    let sealed = match load(dir)? {
        Some(Stored::Sealed(sealed)) => sealed,
        Some(Stored::Open(key)) => return Ok(key),
        None => return Err(erased().into()),
    };
    let before = tries.count()?;
    if before >= MOST_TRIES {
        erase(dir)?;
        return Err(erased().into());
    }
    let count = before.saturating_add(1);
    tries.set(count)?;
    let envelope = Envelope::parse(&sealed, SEALED).map_err(|_| damaged(dir))?;
    if let Ok(key) = envelope.key(pin.expose()) {
        let content = envelope.open(&key).map_err(|_| damaged(dir))?;
        tries.set(0)?;
        return Ok(read(&content).ok_or_else(|| damaged(dir))?);
    }
    let left = MOST_TRIES.saturating_sub(count);
    if left == 0 {
        erase(dir)?;
        return Err(erased().into());
    }
    let mut refused = Refused::new(
        "wrong_pin",
        format!("the PIN is wrong, {left} tries left"),
        "after the last one the device's key is erased and it must be enrolled anew",
    );
    refused.details = json!({ "tries_left": left });
    Err(refused.into())
}

fn erase(dir: &Path) -> Result<(), CliError> {
    let path = dir.join(FILE);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(CliError::io("erase", &path, &error));
        }
        _ => {}
    }
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|error| CliError::io("erase", &path, &error))
}

/// What a device without its key can still do.
pub(crate) fn erased() -> Refused {
    Refused::new(
        "key_erased",
        "this device has no key any more: nothing can be handed over with it",
        "tell the dispatcher to report it lost (doorstep driver lose), and enrol in an empty directory; \
         keep this one: doorstep driver journal export --with-claims brings out what was not synced",
    )
}
