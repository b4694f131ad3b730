//! The vault: one file, written whole or not at all, that several processes may change at once.

use super::authenticator::{Authenticator, read_all, write_all};
use super::envelope::{BadVault, Envelope, Key};
use super::passphrase::Source;
use super::{Refused, Stop};
use crate::clock::Clock;
use crate::error::CliError;
use crate::randomness;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Thousands of authenticators; a longer file is none of ours.
const LONGEST: u64 = 16 << 20;

/// A vault that is open.
pub(crate) struct Vault {
    path: PathBuf,
    key: Key,
    authenticators: Vec<Authenticator>,
}

impl Vault {
    /// Opens the vault at `path`.
    pub(crate) fn open(path: &Path, passphrase: &Source, clock: &Clock) -> Result<Self, Stop> {
        let path = real(path);
        let Some(file) = read(&path)? else {
            return Err(CliError::new(format!("there is no vault at {}", path.display()))
                .hint("doorstep auth add makes one; --vault FILE names another")
                .code("no_vault")
                .into());
        };
        Self::unseal(path, &file, passphrase, clock)
    }

    /// Opens the vault at `path`, or makes it. Whether it was made.
    pub(crate) fn open_or_make(
        path: &Path,
        passphrase: &Source,
        clock: &Clock,
    ) -> Result<(Self, bool), Stop> {
        let path = real(path);
        if let Some(file) = read(&path)? {
            return Ok((Self::unseal(path, &file, passphrase, clock)?, false));
        }
        let chosen = passphrase.ask_new("the new vault")?;
        let dir = directory(&path);
        let mut builder = DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|error| Stop::from(CliError::io("make the directory", dir, &error)))?;
        let _alone = lock(&path)?;
        if let Some(file) = read(&path)? {
            // Another process was faster.
            let (key, authenticators) = unseal(&path, &file, &chosen)?;
            return Ok((Self { path, key, authenticators }, false));
        }
        let key = Key::make(&chosen, clock.is_simulated(), &mut randomness::source(None));
        let vault = Self { path, key, authenticators: Vec::new() };
        vault.write(&[])?;
        Ok((vault, true))
    }

    fn unseal(
        path: PathBuf,
        file: &[u8],
        passphrase: &Source,
        clock: &Clock,
    ) -> Result<Self, Stop> {
        let envelope = Envelope::parse(file).map_err(|bad| damaged(&path, bad))?;
        if clock.is_simulated() && !envelope.is_test() {
            return Err(CliError::usage(
                "a simulated clock is for test data, and this vault is real",
            )
            .hint("leave out --clock, or unset DOORSTEP_CLOCK")
            .into());
        }
        let passphrase = passphrase.ask("the vault")?;
        let (key, authenticators) = unseal(&path, file, &passphrase)?;
        Ok(Self { path, key, authenticators })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) const fn is_test(&self) -> bool {
        self.key.is_test()
    }

    pub(crate) fn authenticators(&self) -> &[Authenticator] {
        &self.authenticators
    }

    /// Changes the vault: what other processes wrote is read again, and when this returns the
    /// change is on the disk. If `change` stops, nothing is written.
    pub(crate) fn update<T>(
        &mut self,
        change: impl FnOnce(&mut Vec<Authenticator>) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        let _alone = lock(&self.path)?;
        self.read_again()?;
        let mut changed = self.authenticators.clone();
        let answer = change(&mut changed)?;
        self.write(&changed)?;
        self.authenticators = changed;
        Ok(answer)
    }

    /// Seals the vault under another passphrase.
    pub(crate) fn change_passphrase(&mut self, passphrase: &str) -> Result<(), Stop> {
        let _alone = lock(&self.path)?;
        self.read_again()?;
        self.key = Key::make(passphrase, self.key.is_test(), &mut randomness::source(None));
        Ok(self.write(&self.authenticators)?)
    }

    fn read_again(&mut self) -> Result<(), Stop> {
        let file = read(&self.path)?.ok_or_else(|| {
            CliError::new(format!("the vault {} is gone", self.path.display()))
                .hint("nothing was changed; bring the file back and try again")
        })?;
        let envelope = Envelope::parse(&file).map_err(|bad| damaged(&self.path, bad))?;
        if !envelope.fits(&self.key) {
            return Err(Refused::new(
                "passphrase_changed",
                "the vault's passphrase was changed meanwhile",
                "nothing was changed; try again with the new one",
            )
            .into());
        }
        self.authenticators = content(&self.path, &envelope, &self.key)?;
        Ok(())
    }

    /// Replaces the file. A crash leaves the old vault or the new one, and at worst a left-over
    /// beside it that the next change overwrites.
    fn write(&self, authenticators: &[Authenticator]) -> Result<(), CliError> {
        let content = write_all(authenticators);
        let sealed = self.key.seal(&content, &mut randomness::source(None));
        doorstep_files::private::write(&self.path, &sealed).map_err(|error| {
            CliError::new(format!("the vault was not written: {error}"))
                .hint("free some space, or see who owns the directory; the vault is as it was")
        })
    }
}

fn unseal(path: &Path, file: &[u8], passphrase: &str) -> Result<(Key, Vec<Authenticator>), Stop> {
    let envelope = Envelope::parse(file).map_err(|bad| damaged(path, bad))?;
    let key = envelope.key(passphrase).map_err(|_| {
        Refused::new(
            "wrong_passphrase",
            "wrong passphrase",
            "try again; if it is surely right, the file is damaged: restore it from a backup",
        )
    })?;
    let authenticators = content(path, &envelope, &key)?;
    Ok((key, authenticators))
}

fn content(
    path: &Path,
    envelope: &Envelope<'_>,
    key: &Key,
) -> Result<Vec<Authenticator>, CliError> {
    let content = envelope.open(key).map_err(|bad| damaged(path, bad))?;
    read_all(&content).ok_or_else(|| damaged(path, BadVault::Version))
}

fn damaged(path: &Path, bad: BadVault) -> CliError {
    let path = path.display();
    match bad {
        BadVault::NotOne => CliError::new(format!("{path} is not a vault")).hint(
            "give the vault's own file with --vault; other apps' files go to doorstep auth import",
        ),
        BadVault::Version => {
            CliError::new(format!("{path} was written by a newer doorstep")).hint("update this one")
        }
        BadVault::Head | BadVault::Content => CliError::new(format!("the vault {path} is damaged"))
            .hint("restore it from a backup; nothing was changed"),
    }
    .code("bad_vault")
}

/// Keeps other writers waiting for as long as the file is held. The lock ends with the process,
/// however that ends; the file stays, and locks nobody out.
fn lock(vault: &Path) -> Result<File, CliError> {
    let path = beside(vault, ".lock");
    let lock = || {
        let mut options = OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).mode(0o600).open(&path)?;
        file.lock()?;
        Ok(file)
    };
    lock().map_err(|error| CliError::io("lock", &path, &error))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, CliError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CliError::io("read", path, &error)),
    };
    let mut bytes = Vec::new();
    file.take(LONGEST)
        .read_to_end(&mut bytes)
        .map_err(|error| CliError::io("read", path, &error))?;
    Ok(Some(bytes))
}

/// The file behind links, so that whoever comes by another name meets the same lock, and the link
/// stays a link.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
