//! What went wrong, and what to do next, as every command tells it.

use doorstep_qr::TooLong;
use std::fmt;
use std::io::ErrorKind;
use std::path::Path;

/// Exit status of a malfunction.
pub(crate) const EXIT_ERROR: u8 = 1;
/// Exit status of wrong usage, as for options that do not exist.
pub(crate) const EXIT_USAGE: u8 = 2;
/// Exit status of a refusal: everything worked, and the answer is no.
pub(crate) const EXIT_REFUSED: u8 = 3;

const USAGE: &str = "usage";

/// A malfunction, with a hint. Never holds a key, a stored secret or a code.
#[derive(Debug)]
pub(crate) struct CliError {
    message: String,
    hint: Option<String>,
    code: String,
    details: Vec<Detail>,
    /// Seconds until it is worth another try, as the server says.
    retry_after: Option<u64>,
}

/// One of several things that are wrong.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Detail {
    /// Where, in the list that was sent: counted from 0.
    pub(crate) row: Option<usize>,
    /// What.
    pub(crate) message: String,
}

impl From<String> for Detail {
    fn from(message: String) -> Self {
        Self { row: None, message }
    }
}

impl From<TooLong> for CliError {
    fn from(error: TooLong) -> Self {
        Self::new(error.to_string())
    }
}

impl CliError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            code: "failed".to_owned(),
            details: Vec::new(),
            retry_after: None,
        }
    }

    /// What was typed cannot be meant.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(message).code(USAGE)
    }

    pub(crate) fn status(&self) -> u8 {
        if self.code == USAGE { EXIT_USAGE } else { EXIT_ERROR }
    }

    pub(crate) fn io(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        let told = Self::new(format!("cannot {doing} {}: {error}", path.display()));
        match error.kind() {
            ErrorKind::NotFound => {
                told.hint("check the path; a relative one begins in the directory you are in")
            }
            ErrorKind::IsADirectory => told.hint("name a file, not a directory"),
            ErrorKind::PermissionDenied => {
                told.hint("this user may not; ls -l says whose it is, and who may")
            }
            _ => told,
        }
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with this hint, if nobody could be reached.
    #[must_use]
    pub(crate) fn if_unreachable(self, hint: &str) -> Self {
        if self.code == "unreachable" { self.hint(hint) } else { self }
    }

    #[must_use]
    pub(crate) fn code(mut self, code: impl Into<String>) -> Self {
        self.code = code.into();
        self
    }

    #[must_use]
    pub(crate) const fn retry_after(mut self, seconds: Option<u64>) -> Self {
        self.retry_after = seconds;
        self
    }

    #[must_use]
    pub(crate) fn details(mut self, details: Vec<Detail>) -> Self {
        self.details = details;
        self
    }

    /// The same faults in other words: `rename` is given each detail's row and text. An error that
    /// is not about rows stays as it is.
    #[must_use]
    pub(crate) fn retell(
        mut self,
        message: String,
        rename: impl Fn(usize, &str) -> Option<String>,
    ) -> Self {
        if self.details.iter().any(|detail| detail.row.is_some()) {
            self.message = message;
        }
        for detail in &mut self.details {
            if let Some(text) = detail.row.and_then(|row| rename(row, &detail.message)) {
                *detail = text.into();
            }
        }
        self
    }

    /// The stable name of the problem, as the server gave it.
    pub(crate) fn name(&self) -> &str {
        &self.code
    }

    /// What went wrong, without what stands around it.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Seconds until it is worth another try, if the server said so.
    pub(crate) const fn wait(&self) -> Option<u64> {
        self.retry_after
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "error": { "code": self.code, "message": self.message, "hint": self.hint, "details": self.details }
        })
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        for detail in &self.details {
            match detail.row {
                Some(row) => write!(f, "\n  row {row}, {}", detail.message)?,
                // The message of an error about one field is that field's.
                None if self.message.contains(&detail.message) => {}
                None => write!(f, "\n  {}", detail.message)?,
            }
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for CliError {}
