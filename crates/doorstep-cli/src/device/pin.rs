//! The PIN of a device: what people type, and how often a wrong one may be.
//!
//! A PIN is short, so wrong ones are counted, durably and before they are tried. That holds against who
//! finds the device, and not against who copies its files: SECURITY.md.

use crate::client::read_secret;
use crate::error::CliError;
use crate::refused::{Refused, Stop};
use doorstep_files::private;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Wrong PINs in a row; then the key is erased.
pub(crate) const MOST_TRIES: u8 = 10;

const TRIES: &str = "pin.tries";
const LOCK: &str = "pin.lock";

/// Four to twelve digits.
pub(crate) struct Pin(Zeroizing<String>);

impl Pin {
    fn parse(text: Zeroizing<String>) -> Result<Self, Stop> {
        if !(4..=12).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Refused::new(
                "not_a_pin",
                "a PIN is 4 to 12 digits",
                "nothing was changed and nothing was counted; try again",
            )
            .into());
        }
        Ok(Self(text))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

/// Where a PIN comes from: a file, or the terminal.
pub(crate) struct PinSource(Option<PathBuf>);

impl PinSource {
    pub(crate) const fn new(file: Option<PathBuf>) -> Self {
        Self(file)
    }

    /// The PIN that the device has.
    pub(crate) fn ask(&self) -> Result<Pin, Stop> {
        Pin::parse(match &self.0 {
            Some(file) => read_secret(file, "PIN")?,
            None => prompt("PIN: ")?,
        })
    }

    /// A PIN that it is to have: asked for twice, so that a typo locks nobody out.
    pub(crate) fn ask_new(&self) -> Result<Pin, Stop> {
        let Some(file) = &self.0 else {
            let first = prompt("New PIN: ")?;
            if prompt("The same again: ")? != first {
                return Err(Refused::new(
                    "pins_differ",
                    "the two PINs differ",
                    "nothing was changed; try again",
                )
                .into());
            }
            return Pin::parse(first);
        };
        Pin::parse(read_secret(file, "PIN")?)
    }
}

fn prompt(text: &str) -> Result<Zeroizing<String>, CliError> {
    rpassword::prompt_password(text).map(Zeroizing::new).map_err(|error| {
        CliError::new(format!("cannot ask for the PIN: {error}"))
            .hint("without a terminal, give --pin-file FILE or set DOORSTEP_PIN_FILE")
    })
}

/// The wrong PINs of one device, while nobody else tries one.
pub(crate) struct Tries<'a> {
    dir: &'a Path,
    _alone: File,
}

impl<'a> Tries<'a> {
    pub(crate) fn open(dir: &'a Path) -> Result<Self, CliError> {
        let path = dir.join(LOCK);
        let lock = || {
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        let alone = lock().map_err(|error| CliError::io("lock", &path, &error))?;
        Ok(Self { dir, _alone: alone })
    }

    /// Those so far.
    pub(crate) fn count(&self) -> Result<u8, CliError> {
        let path = self.dir.join(TRIES);
        match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(|_| {
                CliError::new(format!("{} is damaged", path.display()))
                    .hint("enrol the device anew, in an empty directory")
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(CliError::io("read", &path, &error)),
        }
    }

    /// On return the number is on the disk.
    pub(crate) fn set(&self, tries: u8) -> Result<(), CliError> {
        private::write(&self.dir.join(TRIES), format!("{tries}\n").as_bytes())
            .map_err(|error| CliError::new(error.to_string()).hint(error.hint()))
    }
}
