//! A vault: one file under a passphrase, written whole or not at all, that several processes may change
//! at once. What is kept in it is up to whoever keeps it.

pub(crate) mod envelope;
pub(crate) mod passphrase;

use crate::clock::Clock;
use crate::error::CliError;
use crate::randomness;
use crate::refused::{Refused, Stop};
use envelope::{BadVault, Envelope, Key};
use passphrase::Source;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Thousands of authenticators; a longer file is none of ours.
const LONGEST: u64 = 16 << 20;

/// What a vault keeps.
pub(crate) trait Content: Clone {
    /// What such a vault is called.
    const KIND: Kind;

    /// As it is sealed.
    fn write(&self) -> Zeroizing<Vec<u8>>;

    /// Reads it; `None` when this program cannot have written it.
    fn read(content: &[u8]) -> Option<Self>;
}

/// One kind of vault: how its file begins, and how people are told of it.
pub(crate) struct Kind {
    /// Begins the file, so that none passes for one of another kind.
    pub(crate) magic: [u8; 7],
    pub(crate) name: &'static str,
    /// What makes one, and what names another.
    pub(crate) missing: &'static str,
    /// What to do with a file that is none.
    pub(crate) foreign: &'static str,
}

/// The file of a content below the user's data directory.
pub(crate) fn default_path(name: &str) -> Option<PathBuf> {
    let directory = |name: &str| {
        let value = std::env::var_os(name).map(PathBuf::from);
        value.filter(|path| path.is_absolute())
    };
    let data = directory("XDG_DATA_HOME")
        .or_else(|| directory("HOME").map(|home| home.join(".local/share")));
    data.map(|data| data.join("doorstep").join(name))
}

/// A vault that is open.
pub(crate) struct Vault<C> {
    path: PathBuf,
    key: Key,
    content: C,
}

impl<C: Content> Vault<C> {
    /// Opens the vault at `path`.
    pub(crate) fn open(path: &Path, passphrase: &Source, clock: &Clock) -> Result<Self, Stop> {
        let path = real(path);
        let Some(file) = read(&path)? else {
            let name = C::KIND.name;
            return Err(CliError::new(format!("there is no {name} at {}", path.display()))
                .hint(C::KIND.missing)
                .code(format!("no_{name}"))
                .into());
        };
        Self::unseal(path, &file, passphrase, clock)
    }

    /// Opens the vault at `path`, or makes it with this content. Whether it was made.
    pub(crate) fn open_or_make(
        path: &Path,
        passphrase: &Source,
        clock: &Clock,
        content: C,
    ) -> Result<(Self, bool), Stop> {
        let path = real(path);
        if let Some(file) = read(&path)? {
            return Ok((Self::unseal(path, &file, passphrase, clock)?, false));
        }
        let chosen = passphrase.ask_new(&format!("the new {}", C::KIND.name))?;
        make_directory(&path)?;
        let _alone = lock(&path)?;
        if let Some(file) = read(&path)? {
            // Another process was faster.
            let (key, content) = unseal(&path, &file, &chosen)?;
            return Ok((Self { path, key, content }, false));
        }
        let key = Self::new_key(&chosen, clock.is_simulated());
        let vault = Self { path, key, content };
        vault.write(&vault.content)?;
        Ok((vault, true))
    }

    fn new_key(passphrase: &str, test: bool) -> Key {
        Key::make(passphrase, C::KIND.magic, test, &mut randomness::source(None))
    }

    fn unseal(
        path: PathBuf,
        file: &[u8],
        passphrase: &Source,
        clock: &Clock,
    ) -> Result<Self, Stop> {
        let name = C::KIND.name;
        let envelope =
            Envelope::parse(file, C::KIND.magic).map_err(|bad| damaged::<C>(&path, bad))?;
        if clock.is_simulated() && !envelope.is_test() {
            return Err(CliError::usage(format!(
                "a simulated clock is for test data, and this {name} is real"
            ))
            .hint("leave out --clock, or unset DOORSTEP_CLOCK")
            .into());
        }
        let passphrase = passphrase.ask(&format!("the {name}"))?;
        let (key, content) = unseal(&path, file, &passphrase)?;
        Ok(Self { path, key, content })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) const fn is_test(&self) -> bool {
        self.key.is_test()
    }

    pub(crate) const fn content(&self) -> &C {
        &self.content
    }

    /// Changes the vault: what other processes wrote is read again, and when this returns the
    /// change is on the disk. If `change` stops, nothing is written.
    pub(crate) fn update<T>(
        &mut self,
        change: impl FnOnce(&mut C) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        let _alone = lock(&self.path)?;
        self.read_again()?;
        let mut changed = self.content.clone();
        let answer = change(&mut changed)?;
        self.write(&changed)?;
        self.content = changed;
        Ok(answer)
    }

    /// Seals the vault under another passphrase.
    pub(crate) fn change_passphrase(&mut self, passphrase: &str) -> Result<(), Stop> {
        let _alone = lock(&self.path)?;
        self.read_again()?;
        self.key = Self::new_key(passphrase, self.key.is_test());
        Ok(self.write(&self.content)?)
    }

    fn read_again(&mut self) -> Result<(), Stop> {
        let file = read(&self.path)?.ok_or_else(|| {
            CliError::new(format!("the {} {} is gone", C::KIND.name, self.path.display()))
                .hint("nothing was changed; bring the file back and try again")
        })?;
        let envelope =
            Envelope::parse(&file, C::KIND.magic).map_err(|bad| damaged::<C>(&self.path, bad))?;
        if !envelope.fits(&self.key) {
            return Err(Refused::new(
                "passphrase_changed",
                format!("the {}'s passphrase was changed meanwhile", C::KIND.name),
                "nothing was changed; try again with the new one",
            )
            .into());
        }
        self.content = content(&self.path, &envelope, &self.key)?;
        Ok(())
    }

    /// Replaces the file. A crash leaves the old vault or the new one, and at worst a left-over
    /// beside it that the next change overwrites.
    fn write(&self, content: &C) -> Result<(), CliError> {
        let sealed = self.key.seal(&content.write(), &mut randomness::source(None));
        doorstep_files::private::write(&self.path, &sealed).map_err(|error| {
            let name = C::KIND.name;
            CliError::new(format!("the {name} was not written: {error}")).hint(format!(
                "free some space, or see who owns the directory; the {name} is as it was"
            ))
        })
    }
}

fn unseal<C: Content>(path: &Path, file: &[u8], passphrase: &str) -> Result<(Key, C), Stop> {
    let envelope = Envelope::parse(file, C::KIND.magic).map_err(|bad| damaged::<C>(path, bad))?;
    let key = envelope.key(passphrase).map_err(|_| {
        Refused::new(
            "wrong_passphrase",
            "wrong passphrase",
            "try again; if it is surely right, the file is damaged: restore it from a backup",
        )
    })?;
    let content = content(path, &envelope, &key)?;
    Ok((key, content))
}

fn content<C: Content>(path: &Path, envelope: &Envelope<'_>, key: &Key) -> Result<C, CliError> {
    let content = envelope.open(key).map_err(|bad| damaged::<C>(path, bad))?;
    C::read(&content).ok_or_else(|| damaged::<C>(path, BadVault::Version))
}

fn damaged<C: Content>(path: &Path, bad: BadVault) -> CliError {
    let (path, name) = (path.display(), C::KIND.name);
    match bad {
        BadVault::NotOne => CliError::new(format!("{path} is not a {name}")).hint(C::KIND.foreign),
        BadVault::Version => {
            CliError::new(format!("{path} was written by a newer doorstep")).hint("update this one")
        }
        BadVault::Head | BadVault::Content => {
            CliError::new(format!("the {name} {path} is damaged"))
                .hint("restore it from a backup; nothing was changed")
        }
    }
    .code(format!("bad_{name}"))
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

/// Makes the directory that the file is to be in.
fn make_directory(path: &Path) -> Result<(), CliError> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = dir.unwrap_or_else(|| Path::new("."));
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|error| CliError::io("make the directory", dir, &error))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
