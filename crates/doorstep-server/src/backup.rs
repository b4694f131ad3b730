//! Backups of the database, taken while a server runs, and the way back from one. A database that was set
//! back has forgotten what was used, sent and ended since; what would harm if it happened twice is made void
//! before a server can run on it.

use crate::init::{DATABASE, KEYS, Mode, make_private_dirs};
use crate::keys::{KeyError, Keys};
use crate::store::StoreError;
use crate::store::backup::{self, SetBack};
pub use crate::store::restore::{Access, Open, Voided};
use doorstep::id::IssuerId;
use doorstep::time::Timestamp;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What SQLite puts beside a database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Why a backup was not made, or not brought back. Nothing is left of it then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// Something is already there.
    #[error("{} already exists", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing to copy.
    #[error("there is no {}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The clock must be wrong: whatever is decided by it would be.
    #[error("the backup was made at {made} and the clock says {now}, seconds since 1970")]
    ClockBehind {
        /// When the backup was made.
        made: u64,
        /// What the clock says.
        now: u64,
    },
    /// Only test data takes a simulated clock.
    #[error("simulated clocks are for test data, and this data is real")]
    Simulated,
    /// The keys are not this issuer's, or cannot be had.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file system refused.
    #[error("cannot write {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl BackupError {
    /// What the operator can do.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Exists { .. } => {
                "nothing was overwritten: name another, or move it away first, with the files beside it"
            }
            Self::Missing { .. } => "check the path",
            Self::Simulated => "leave out --clock, and unset DOORSTEP_CLOCK",
            Self::ClockBehind { .. } => "set the clock of this machine, then try again",
            Self::Keys(KeyError::Missing { .. }) => {
                "put keys/ into the directory first, or give the sealed file of backup --with-keys: --keys FILE"
            }
            Self::Keys(error) => error.hint(),
            Self::Store(StoreError::Damaged { .. }) => "take an earlier backup",
            Self::Store(StoreError::Newer { .. }) => "use the newer doorstep that wrote it",
            Self::Store(StoreError::Older { .. }) => "start doorstep serve on it once",
            Self::Store(_) | Self::Io { .. } => {
                "check that there is room, and that the directory belongs to the user that runs doorstep"
            }
        }
    }
}

/// A backup that was made.
#[derive(Debug)]
#[non_exhaustive]
pub struct BackedUp {
    /// Whose it is.
    pub issuer: IssuerId,
    /// Whether its data is real.
    pub mode: Mode,
    /// How long the file is.
    pub bytes: u64,
}

/// Copies the database of a data directory to the new file `out`, as it is at one moment; a server may be
/// running. No keys are in it.
///
/// # Errors
/// [`BackupError`]; nothing is left of `out` then.
pub fn backup(data: &Path, out: &Path, now: Timestamp) -> Result<BackedUp, BackupError> {
    let database = data.join(DATABASE);
    if !database.is_file() {
        return Err(BackupError::Missing { path: database });
    }
    refuse_existing(out)?;
    let fresh = with_suffix(out, ".new");
    remove_database(&fresh)?;
    let made = backup::copy(&database, &fresh, now)
        .map_err(BackupError::from)
        .and_then(|owner| put_in_place(&fresh, out).map(|()| owner));
    let owner = made.inspect_err(|_| drop(remove_database(&fresh)))?;
    let bytes = fs::metadata(out).map_err(io_error(out))?.len();
    Ok(BackedUp { issuer: owner.issuer, mode: owner.mode, bytes })
}

/// Files of `keys/`, by name, as they were sealed beside a backup.
pub type KeyFiles = [(String, Zeroizing<String>)];

/// What to bring back, and how.
#[derive(Debug)]
pub struct Restoring<'a> {
    /// A backup, or a copy of a database that no server was running on.
    pub file: &'a Path,
    /// The data directory, without a database.
    pub data: &'a Path,
    /// The keys, unless they are in the data directory.
    pub keys: Option<&'a KeyFiles>,
    /// Who may talk to the server afterwards.
    pub access: Access,
    /// Now.
    pub now: Timestamp,
    /// Whether that is a simulated clock's.
    pub is_simulated: bool,
    /// Whether it is only to be said what would be void.
    pub rehearsal: bool,
}

/// What was brought back.
#[derive(Debug)]
#[non_exhaustive]
pub struct Restored {
    /// Whose it is.
    pub issuer: IssuerId,
    /// Whether its data is real.
    pub mode: Mode,
    /// When the backup was made; not known of a plain copy.
    pub backup_at: Option<Timestamp>,
    /// The epoch, which tells devices that the issuer's data was set back.
    pub epoch: u64,
    /// What is void.
    pub voided: Voided,
    /// What somebody has to look at.
    pub open: Open,
}

/// Brings a backup back. The database gets its name last, so that no server can start on one whose codes were
/// not made void.
///
/// # Errors
/// [`BackupError`]; nothing is left in the directory then.
pub fn restore(order: &Restoring<'_>) -> Result<Restored, BackupError> {
    if !order.file.is_file() {
        return Err(BackupError::Missing { path: order.file.to_owned() });
    }
    let database = order.data.join(DATABASE);
    refuse_existing(&database)?;
    // SQLite would read the log of a database that is gone into this one.
    BESIDE.iter().try_for_each(|suffix| refuse_existing(&with_suffix(&database, suffix)))?;
    let is_made = !order.data.exists();
    make_private_dirs(order.data).map_err(io_error(order.data))?;
    let fresh = with_suffix(&database, ".new");
    let keys = order.data.join("keys.new");
    let restored = bring_back(order, &fresh, &keys);
    if order.rehearsal || restored.is_err() {
        remove_database(&fresh)?;
        if keys.exists() {
            fs::remove_dir_all(&keys).map_err(io_error(&keys))?;
        }
        if is_made {
            fs::remove_dir(order.data).map_err(io_error(order.data))?;
        }
        return restored;
    }
    if order.keys.is_some() {
        put_in_place(&keys, &order.data.join(KEYS))?;
    }
    put_in_place(&fresh, &database)?;
    restored
}

fn bring_back(order: &Restoring<'_>, fresh: &Path, keys: &Path) -> Result<Restored, BackupError> {
    remove_database(fresh)?;
    let found = match order.keys {
        Some(files) => {
            refuse_existing(&order.data.join(KEYS))?;
            write_keys(files, keys)?;
            keys.to_owned()
        }
        None => order.data.join(KEYS),
    };
    copy_private(order.file, fresh)?;
    // The log of a database that was copied as a file belongs to it.
    let log = with_suffix(order.file, "-wal");
    if log.is_file() {
        copy_private(&log, &with_suffix(fresh, "-wal"))?;
    }
    let (now, rehearsal) = (order.now, order.rehearsal);
    let set_back = backup::set_back(fresh, order.access, now, rehearsal, |owner| {
        if let Some(made) = owner.backup_at.filter(|made| *made > now) {
            return Err(BackupError::ClockBehind { made: made.seconds(), now: now.seconds() });
        }
        if order.is_simulated && owner.mode == Mode::Live {
            return Err(BackupError::Simulated);
        }
        match Keys::open(&found, owner.issuer, &owner.key_check) {
            // What would be void can be said without them.
            Err(KeyError::Missing { .. }) if rehearsal => Ok(()),
            other => other.map(drop).map_err(BackupError::from),
        }
    });
    let (owner, SetBack { epoch, voided, open }) = set_back?;
    File::open(fresh).and_then(|file| file.sync_all()).map_err(io_error(fresh))?;
    Ok(Restored {
        issuer: owner.issuer,
        mode: owner.mode,
        backup_at: owner.backup_at,
        epoch,
        voided,
        open,
    })
}

fn write_keys(files: &KeyFiles, dir: &Path) -> Result<(), BackupError> {
    if dir.exists() {
        fs::remove_dir_all(dir).map_err(io_error(dir))?;
    }
    make_private_dirs(dir).map_err(io_error(dir))?;
    for (name, content) in files {
        let path = dir.join(name);
        // A sealed file is the operator's own; its names still lead nowhere else.
        if Path::new(name).file_name() != Some(name.as_ref()) {
            return Err(KeyError::Malformed { path }.into());
        }
        doorstep_files::private::create(&path, content.as_bytes())
            .map_err(|error| io_error(&path)(io::Error::other(error)))?;
    }
    Ok(())
}

fn copy_private(from: &Path, to: &Path) -> Result<(), BackupError> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut copy = options.open(to).map_err(io_error(to))?;
    let mut source = File::open(from).map_err(io_error(from))?;
    io::copy(&mut source, &mut copy).and_then(|_| copy.sync_all()).map_err(io_error(to))
}

fn refuse_existing(path: &Path) -> Result<(), BackupError> {
    if path.symlink_metadata().is_ok() {
        return Err(BackupError::Exists { path: path.to_owned() });
    }
    Ok(())
}

/// Removes a database that a crash left half made, and what SQLite put beside it.
fn remove_database(path: &Path) -> Result<(), BackupError> {
    let beside = BESIDE.iter().map(|suffix| with_suffix(path, suffix));
    for path in beside.chain([path.to_owned()]) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error(&path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Gives a finished file or directory its name, durably.
fn put_in_place(fresh: &Path, path: &Path) -> Result<(), BackupError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(fresh)
        .and_then(|fresh| fresh.sync_all())
        .and_then(|()| fs::rename(fresh, path))
        .and_then(|()| File::open(directory)?.sync_all())
        .map_err(io_error(path))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> BackupError {
    move |source| BackupError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
