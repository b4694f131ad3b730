//! The provider `log`: a file with one message a line, for tests and for gateways that follow a file.

use super::{Outcome, Outgoing};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// The file.
pub(crate) struct Log {
    path: PathBuf,
    /// Held by who appends: a failed append cuts the file off where it began.
    alone: Arc<Mutex<()>>,
}

impl Log {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, alone: Arc::default() }
    }

    /// Appends messages, all or none.
    pub(super) async fn send(&self, messages: &[Outgoing]) -> Outcome {
        let mut lines = Zeroizing::new(Vec::new());
        for message in messages {
            lines.extend_from_slice(&message.json());
            lines.push(b'\n');
        }
        let (path, alone) = (self.path.clone(), Arc::clone(&self.alone));
        let appended = tokio::task::spawn_blocking(move || {
            let _alone = alone.lock().unwrap_or_else(PoisonError::into_inner);
            append(&path, &lines)
        });
        match appended.await {
            Ok(Ok(())) => Outcome::Taken(None),
            Ok(Err(error @ AppendError::Io { .. })) => Outcome::Failed(said(&error)),
            Ok(Err(error @ AppendError::Torn { .. })) => Outcome::Unknown(said(&error)),
            Err(error) => Outcome::Unknown(error.to_string()),
        }
    }
}

fn said(error: &AppendError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Why messages are not in the file, or not known to be.
#[derive(Debug, thiserror::Error)]
enum AppendError {
    #[error("cannot append to {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The next line would continue the torn one.
    #[error(
        "cannot append to {}, nor set it back to the {length} bytes it had ({back})", path.display()
    )]
    Torn {
        path: PathBuf,
        length: u64,
        back: io::Error,
        #[source]
        source: io::Error,
    },
}

/// Appends lines to the file, which only its owner can read, and returns once they are on disk.
/// When that fails, the file is as long as before.
fn append(path: &Path, lines: &[u8]) -> Result<(), AppendError> {
    let io = |source| AppendError::Io { path: path.to_owned(), source };
    let mut options = File::options();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    if length == 0 {
        // It may be new, and its name not on disk yet.
        File::open(directory(path)).and_then(|directory| directory.sync_all()).map_err(io)?;
    }
    whole_or_nothing(path, &file, length, |mut file| {
        file.write_all(lines)?;
        file.sync_all()
    })
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn whole_or_nothing(
    path: &Path,
    file: &File,
    length: u64,
    write: impl FnOnce(&File) -> io::Result<()>,
) -> Result<(), AppendError> {
    let Err(source) = write(file) else { return Ok(()) };
    let path = path.to_owned();
    Err(match file.set_len(length).and_then(|()| file.sync_all()) {
        Ok(()) => AppendError::Io { path, source },
        Err(back) => AppendError::Torn { path, length, back, source },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_file_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("messages.jsonl");
        append(&path, b"one\n").unwrap();
        let file = File::options().append(true).open(&path).unwrap();
        let failed = whole_or_nothing(&path, &file, 4, |mut file| {
            file.write_all(b"tw")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(matches!(failed, Err(AppendError::Io { .. })), "{failed:?}");
        append(&path, b"three\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\nthree\n");
    }

    #[test]
    fn a_file_that_cannot_be_set_back_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("messages.jsonl");
        std::fs::write(&path, "one\ntw").unwrap();
        let read_only = File::open(&path).unwrap();
        let failed =
            whole_or_nothing(&path, &read_only, 4, |mut file| file.write_all(b"o\n")).unwrap_err();
        assert!(failed.to_string().contains("nor set it back to the 4 bytes"), "{failed}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_said() {
        let failed = append(Path::new("/dev/full"), b"one\n").unwrap_err();
        assert!(matches!(failed, AppendError::Torn { .. }), "{failed}");
    }

    #[test]
    fn a_file_without_a_directory_is_in_the_current_one() {
        assert_eq!(directory(Path::new("messages.jsonl")), Path::new("."));
        assert_eq!(directory(Path::new("a/messages.jsonl")), Path::new("a"));
    }
}
