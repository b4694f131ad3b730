//! What went wrong at a gate. Nobody is let in then.

use doorstep_files::FileError;
use std::path::PathBuf;

/// What went wrong. It never holds a key, a stored secret or a code.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// `gate.toml` does not say what a gate needs.
    #[error("{}: {what}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong, and in which line.
        what: String,
    },
    /// The key file belongs to another state file.
    #[error("the key in {} does not belong to this state file", path.display())]
    WrongKey {
        /// The key file.
        path: PathBuf,
    },
    /// A sealed secret does not open: the state file was put together from two.
    #[error("the secret of an authenticator does not open")]
    Sealed,
    /// Simulated clocks are for test data.
    #[error("this gate is real, and takes no simulated clock")]
    Real,
    /// There is such an account already, or too many authenticators.
    #[error("{0}")]
    Unfit(&'static str),
    /// No such account.
    #[error("there is no account {0}")]
    NoAccount(String),
    /// The service gave no verdict.
    #[error("the service gave no verdict: {0}")]
    NoVerdict(String),
    /// A defect of doorstep itself.
    #[error("a defect of doorstep itself: {0}")]
    Defect(&'static str),
}

impl GateError {
    /// What the operator can do.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::File(error) => error.hint(),
            Self::Config { .. } => {
                "docs/gate.md lists every setting; doorstep gate init writes an example"
            }
            Self::WrongKey { .. } => {
                "put the key file that was made with this state file in its place"
            }
            Self::Sealed => {
                "bring back a backup of the state file, or enrol that authenticator anew"
            }
            Self::Real => {
                "leave out the clock; simulated time works with doorstep gate init --test"
            }
            Self::Unfit(_) => "see doorstep gate list",
            Self::NoAccount(_) => "see doorstep gate list; add one with doorstep gate add NAME",
            Self::NoVerdict(_) => {
                "is the service running, and is its address and key right in gate.toml?"
            }
            Self::Defect(_) => "please report it",
        }
    }
}
