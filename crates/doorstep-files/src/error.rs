//! Why a file cannot be used, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why a file cannot be used. Nothing is granted on it then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// There is no such file.
    #[error("there is no {}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A symbolic link, a directory, a pipe: whoever made it chose what is read.
    #[error("{} is not a plain file", path.display())]
    NotPlain {
        /// The file.
        path: PathBuf,
    },
    /// It belongs to another user.
    #[error("{} belongs to user {owner}, and this runs as user {user}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who asks.
        user: u32,
    },
    /// Other users can read it, or put another in its place.
    #[error("{} is open to other users of this machine (mode {mode:o})", path.display())]
    Exposed {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Its content is not what was written.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How that shows.
        what: String,
    },
    /// A record could not be written, and nothing of it is left.
    #[error("cannot append to {}: {source}", path.display())]
    NotAppended {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A record could not be written, and what is left of it is not known.
    #[error("cannot append to {}, nor undo it: {source}", path.display())]
    InDoubt {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another process has locked it and does not go on.
    #[error("{} is locked by another process", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// There is one already.
    #[error("there is a {} already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl FileError {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { path },
            io::ErrorKind::AlreadyExists => Self::Exists { path },
            _ => Self::Io { doing, path, source },
        }
    }

    pub(crate) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }

    /// What the operator can do.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "bring it back from its backup, or begin anew",
            Self::NotPlain { .. } => "put the file itself there, not a link to it",
            Self::Foreign { .. } => "run this as the user whose file it is, or give it to this one",
            Self::Exposed { .. } => {
                "make it private: chmod 600 on the file, and no write for others on its directory"
            }
            Self::Damaged { .. } => {
                "nothing is accepted on it; keep it aside, and begin anew or bring back a backup"
            }
            Self::NotAppended { .. } => {
                "nothing was recorded, so nothing was accepted; free some space and try again"
            }
            Self::InDoubt { .. } => {
                "whether it was recorded is not known; look before anything is done"
            }
            Self::Busy { .. } => {
                "see which process has it open (fuser FILE), and end the one that hangs"
            }
            Self::Exists { .. } => {
                "nothing is overwritten; remove it if what was to make it never finished"
            }
            Self::Io { .. } => "check the file, its directory and the disk",
        }
    }
}
