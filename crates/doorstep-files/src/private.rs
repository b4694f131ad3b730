//! Files that only their owner may read: opened without following links, refused when somebody else
//! could have chosen what is in them.

use crate::error::FileError;
use rustix::fs::OFlags;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Longer files hold no secret of one line.
const LONGEST_SECRET: u64 = 4096;

/// Write permission of the group and of others.
const OTHERS_WRITE: u32 = 0o022;
/// Any permission of the group and of others.
const OTHERS: u32 = 0o077;
/// What systemd leaves of a credential's permissions.
const CREDENTIAL: u32 = 0o440;
/// In such a directory nobody replaces another user's files.
const STICKY: u32 = 0o1000;

/// Opens a private file for reading and writing.
///
/// # Errors
/// [`FileError`] unless it is a plain file of this user that nobody else can read.
pub fn open(path: &Path) -> Result<File, FileError> {
    let (file, metadata) = open_plain(path, OpenOptions::new().read(true).write(true))?;
    refuse_others(path, &metadata, OTHERS)?;
    Ok(file)
}

/// Reads a private file that holds a secret of one line.
///
/// # Errors
/// As [`open`]; [`FileError::Damaged`] when it holds something else.
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>, FileError> {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY");
    read_secret_beside(path, credentials.as_deref().map(Path::new))
}

/// As [`read_secret`], for a service that systemd gave a directory of `credentials`.
fn read_secret_beside(
    path: &Path,
    credentials: Option<&Path>,
) -> Result<Zeroizing<String>, FileError> {
    let (file, metadata) = open_as(path, OpenOptions::new().read(true))?;
    if !credentials.is_some_and(|directory| is_credential(path, &metadata, directory)) {
        refuse_foreign(path, &metadata)?;
        refuse_others(path, &metadata, OTHERS)?;
    }
    let mut text = Zeroizing::new(String::new());
    file.take(LONGEST_SECRET)
        .read_to_string(&mut text)
        .map_err(FileError::io("read the secret in", path))?;
    let line = text.trim();
    if line.is_empty() || !line.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(FileError::damaged(path, "it does not hold a secret of one line"));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

/// Refuses a secret that other users may read. Of a pipe, only its two ends read.
///
/// # Errors
/// [`FileError::Exposed`]; [`FileError::Io`] when it cannot be looked at.
pub fn refuse_exposed(path: &Path) -> Result<(), FileError> {
    let metadata = fs::metadata(path).map_err(FileError::io("look at", path))?;
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY");
    let given = |directory| is_credential(path, &metadata, Path::new(directory));
    if !metadata.is_file() || credentials.as_deref().is_some_and(given) {
        return Ok(());
    }
    refuse_others(path, &metadata, OTHERS)
}

/// Reads a file that is no secret but decides who is let in: others may read it, and not write it.
///
/// # Errors
/// [`FileError`] unless it is a plain file of this user or of root that nobody else can write.
pub fn read_trusted(path: &Path) -> Result<String, FileError> {
    let options = OpenOptions::new().read(true).to_owned();
    let (mut file, metadata) = open_as(path, &options)?;
    if metadata.uid() != 0 {
        refuse_foreign(path, &metadata)?;
    }
    refuse_others(path, &metadata, OTHERS_WRITE)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(FileError::io("read", path))?;
    Ok(text)
}

/// Refuses a file whose directory lets other users put another file in its place.
///
/// # Errors
/// [`FileError::Exposed`] or [`FileError::Foreign`], for the directory.
pub fn refuse_open_directory(path: &Path) -> Result<(), FileError> {
    let directory = directory_of(path);
    let metadata = fs::metadata(&directory).map_err(FileError::io("look at", &directory))?;
    if metadata.uid() != 0 {
        refuse_foreign(&directory, &metadata)?;
    }
    if metadata.mode() & STICKY != 0 {
        Ok(())
    } else {
        refuse_others(&directory, &metadata, OTHERS_WRITE)
    }
}

/// Writes a private file, whole or not at all. What was there is replaced.
///
/// # Errors
/// [`FileError::Io`].
pub fn write(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let (mut file, fresh) = begin(path)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    written.map_err(FileError::io("write", &fresh))?;
    put_in_place(&fresh, path)
}

/// Writes a private file that must not be there yet.
///
/// # Errors
/// [`FileError::Exists`] when something is there: it is left as it is.
pub fn create(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(FileError::io("make", path))?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    written
        .and_then(|()| File::open(directory_of(path))?.sync_all())
        .map_err(FileError::io("write", path))
}

/// A fresh private file beside `path`. One that a crash left over is dropped.
pub(crate) fn begin(path: &Path) -> Result<(File, PathBuf), FileError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let begun = match fs::remove_file(&fresh) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        // Exclusive, so that no link that somebody put there is followed.
        _ => OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&fresh),
    };
    Ok((begun.map_err(FileError::io("make", &fresh))?, fresh))
}

/// Gives a finished file its name, durably.
pub(crate) fn put_in_place(fresh: &Path, path: &Path) -> Result<(), FileError> {
    let done = fs::rename(fresh, path).and_then(|()| File::open(directory_of(path))?.sync_all());
    done.map_err(FileError::io("put in its place", path))
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Whether systemd handed this file over. It is root's, and of mode 0440 because the list that lets
/// the service's user in shows as the group's bits.
fn is_credential(path: &Path, metadata: &Metadata, directory: &Path) -> bool {
    let is_trusted =
        |found: &Metadata| [0, rustix::process::geteuid().as_raw()].contains(&found.uid());
    directory.is_absolute()
        && path.parent() == Some(directory)
        && is_trusted(metadata)
        && metadata.mode() & 0o7777 & !CREDENTIAL == 0
        && fs::metadata(directory)
            .is_ok_and(|found| is_trusted(&found) && found.mode() & OTHERS_WRITE == 0)
}

fn open_plain(path: &Path, options: &OpenOptions) -> Result<(File, Metadata), FileError> {
    let (file, metadata) = open_as(path, options)?;
    refuse_foreign(path, &metadata)?;
    Ok((file, metadata))
}

fn open_as(path: &Path, options: &OpenOptions) -> Result<(File, Metadata), FileError> {
    // A pipe in the file's place must not hold us up.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = options.clone().custom_flags(flags).open(path).map_err(|error| {
        let link = fs::symlink_metadata(path).is_ok_and(|found| !found.is_file());
        let path = path.to_owned();
        if link { FileError::NotPlain { path } } else { FileError::io("open", &path)(error) }
    })?;
    let metadata = file.metadata().map_err(FileError::io("look at", path))?;
    if metadata.is_file() {
        Ok((file, metadata))
    } else {
        Err(FileError::NotPlain { path: path.to_owned() })
    }
}

fn refuse_foreign(path: &Path, metadata: &Metadata) -> Result<(), FileError> {
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner == user {
        return Ok(());
    }
    Err(FileError::Foreign { path: path.to_owned(), owner, user })
}

fn refuse_others(path: &Path, metadata: &Metadata, bits: u32) -> Result<(), FileError> {
    let mode = metadata.mode() & 0o7777;
    if mode & bits == 0 {
        return Ok(());
    }
    Err(FileError::Exposed { path: path.to_owned(), mode })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_systemd_hands_over_is_taken_from_its_directory_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (given, other) = (dir.path().join("given"), tempfile::tempdir().unwrap());
        fs::create_dir(&given).unwrap();
        set_mode(&given, 0o750);
        let path = given.join("token");
        write(&path, b"secret").unwrap();
        set_mode(&path, 0o440);
        assert_eq!(read_secret_beside(&path, Some(&given)).unwrap().as_str(), "secret");
        for credentials in [None, Some(other.path()), Some(dir.path()), Some(Path::new("given"))] {
            let refused = read_secret_beside(&path, credentials);
            assert!(matches!(refused, Err(FileError::Exposed { .. })), "{credentials:?}");
        }
        for mode in [0o444, 0o460, 0o640] {
            set_mode(&path, mode);
            assert!(read_secret_beside(&path, Some(&given)).is_err(), "{mode:o}");
        }
        set_mode(&path, 0o440);
        set_mode(&given, 0o770);
        assert!(read_secret_beside(&path, Some(&given)).is_err(), "others may put files there");
    }

    /// CVE-2024-47191: a link in place of the file, read by root.
    #[test]
    fn links_pipes_and_directories_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        write(&real, b"secret\n").unwrap();
        assert_eq!(read_secret(&real).unwrap().as_str(), "secret");
        let link = dir.path().join("link");
        symlink(&real, &link).unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        for path in [&link, &pipe, &dir.path().to_owned()] {
            assert!(matches!(open(path), Err(FileError::NotPlain { .. })), "{path:?}");
            assert!(matches!(read_secret(path), Err(FileError::NotPlain { .. })), "{path:?}");
            assert!(matches!(read_trusted(path), Err(FileError::NotPlain { .. })), "{path:?}");
        }
        symlink("nowhere", dir.path().join("real.new")).unwrap();
        write(&real, b"other\n").unwrap();
        assert_eq!(read_secret(&real).unwrap().as_str(), "other");
        assert!(
            !dir.path().join("nowhere").exists(),
            "a link left in the way is not written through"
        );
    }

    #[test]
    fn files_that_others_can_read_or_replace_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write(&path, b"secret\n").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        for mode in [0o640, 0o604, 0o660, 0o666] {
            set_mode(&path, mode);
            assert!(matches!(open(&path), Err(FileError::Exposed { .. })), "{mode:o}");
            assert!(matches!(read_secret(&path), Err(FileError::Exposed { .. })), "{mode:o}");
            assert_eq!(read_trusted(&path).is_ok(), mode & 0o022 == 0, "{mode:o}");
        }
        refuse_open_directory(&path).unwrap();
        for (mode, fine) in [(0o755, true), (0o775, false), (0o777, false), (0o1777, true)] {
            set_mode(dir.path(), mode);
            assert_eq!(refuse_open_directory(&path).is_ok(), fine, "{mode:o}");
        }
        if rustix::process::geteuid().is_root() {
            set_mode(&path, 0o600);
            std::os::unix::fs::chown(&path, Some(12345), None).unwrap();
            assert!(matches!(open(&path), Err(FileError::Foreign { owner: 12345, .. })));
            assert!(matches!(read_trusted(&path), Err(FileError::Foreign { .. })));
        }
    }

    #[test]
    fn what_is_there_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        create(&path, b"first").unwrap();
        assert!(matches!(create(&path, b"other"), Err(FileError::Exists { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_secret_is_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for text in ["", "\n", "two\nlines\n", "with space", "ключ"] {
            write(&path, text.as_bytes()).unwrap();
            assert!(matches!(read_secret(&path), Err(FileError::Damaged { .. })), "{text:?}");
        }
        fs::remove_file(&path).unwrap();
        assert!(matches!(read_secret(&path), Err(FileError::Missing { .. })));
    }
}
