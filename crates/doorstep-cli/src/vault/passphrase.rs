//! Passphrases: typed without an echo, or read from a file for scripts.

use crate::error::CliError;
use crate::refused::{Refused, Stop};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Longer files hold no passphrase.
const LONGEST: u64 = 4096;

/// Fewer characters are soon searched by whoever copies the vault, Argon2id or not.
const SHORT: usize = 12;

/// Where a passphrase comes from.
pub(crate) enum Source {
    /// The terminal, whatever standard input is.
    Terminal,
    /// The first line of a file; `-` is standard input.
    File(PathBuf),
    /// Typed on a screen that was there already.
    Given(Zeroizing<String>),
}

impl Source {
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        file.map_or(Self::Terminal, Self::File)
    }

    pub(crate) fn is_stdin(&self) -> bool {
        matches!(self, Self::File(path) if path == Path::new("-"))
    }

    /// The passphrase that something was sealed under.
    pub(crate) fn ask(&self, what: &str) -> Result<Zeroizing<String>, CliError> {
        match self {
            Self::Terminal => prompt(&format!("Passphrase of {what}: ")),
            Self::File(path) => read_line(path),
            Self::Given(passphrase) => Ok(passphrase.clone()),
        }
    }

    /// A passphrase to seal something under: asked for twice, so that a typo locks nobody out.
    pub(crate) fn ask_new(&self, what: &str) -> Result<Zeroizing<String>, Stop> {
        let passphrase = match self {
            Self::Terminal => {
                let first = prompt(&format!("New passphrase of {what}: "))?;
                if prompt("The same again: ")? != first {
                    return Err(Refused::new(
                        "passphrases_differ",
                        "the two passphrases differ",
                        "nothing was changed; try again",
                    )
                    .into());
                }
                first
            }
            Self::File(path) => read_line(path)?,
            Self::Given(passphrase) => passphrase.clone(),
        };
        if passphrase.is_empty() {
            return Err(Refused::new(
                "empty_passphrase",
                "an empty passphrase protects nothing",
                "nothing was changed; choose a few random words",
            )
            .into());
        }
        if passphrase.chars().count() < SHORT {
            let _ = writeln!(
                anstream::stderr(),
                "warning: a passphrase under {SHORT} characters is soon found; a few random words are better"
            );
        }
        Ok(passphrase)
    }
}

fn prompt(text: &str) -> Result<Zeroizing<String>, CliError> {
    rpassword::prompt_password(text).map(Zeroizing::new).map_err(|error| {
        CliError::new(format!("cannot ask for a passphrase: {error}"))
            .hint("without a terminal, give --passphrase-file FILE")
    })
}

fn read_line(path: &Path) -> Result<Zeroizing<String>, CliError> {
    let mut text = Zeroizing::new(String::with_capacity(4096));
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(LONGEST).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text))
    };
    read.map_err(|error| CliError::io("read the passphrase from", path, &error))?;
    let line = text.split('\n').next().unwrap_or_default();
    Ok(Zeroizing::new(line.strip_suffix('\r').unwrap_or(line).to_owned()))
}
