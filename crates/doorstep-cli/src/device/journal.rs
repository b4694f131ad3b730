//! The device's journal as a file: appended by compare-and-swap, flushed before any answer.

use crate::error::CliError;
use doorstep::handover::device::Device;
use doorstep::handover::event::Record;
use doorstep::ledger::Receipt;
use doorstep_files::FileError;
use doorstep_files::journal::{self, Folded};
use std::path::Path;

const FILE: &str = "journal";

/// Whether a record took its place.
#[derive(Debug)]
pub(crate) enum Append {
    /// It did, durably.
    Appended(Receipt),
    /// Another process appended first; the state has been read again.
    Lost,
}

#[derive(Debug)]
struct Ledger(Device);

impl Folded for Ledger {
    const MAGIC: &'static [u8] = b"doorstep journal 1\n";

    fn replay(records: &[&[u8]]) -> Result<Self, String> {
        let device = Device::replay(records.iter().copied()).map_err(|error| error.to_string());
        device.map(Self)
    }

    fn apply(&mut self, record: &[u8]) -> Result<(), String> {
        self.0.apply(record).map_err(|error| error.to_string())
    }
}

/// The records of a device's journal, without their meaning.
struct Bodies(Vec<Vec<u8>>);

impl Folded for Bodies {
    const MAGIC: &'static [u8] = Ledger::MAGIC;

    fn replay(records: &[&[u8]]) -> Result<Self, String> {
        Ok(Self(records.iter().map(|record| record.to_vec()).collect()))
    }

    fn apply(&mut self, record: &[u8]) -> Result<(), String> {
        self.0.push(record.to_vec());
        Ok(())
    }
}

/// All records of the journal in a directory.
pub(crate) fn bodies(dir: &Path) -> Result<Vec<Vec<u8>>, CliError> {
    let journal = journal::Journal::<Bodies>::open(&dir.join(FILE)).map_err(told)?;
    Ok(journal.state().0.clone())
}

/// An open journal and the state folded from it.
#[derive(Debug)]
pub(crate) struct Journal(journal::Journal<Ledger>);

impl Journal {
    /// Begins a journal with its first record. It exists whole or not at all.
    pub(crate) fn create(dir: &Path, first: &Record) -> Result<(), CliError> {
        journal::Journal::<Ledger>::create(&dir.join(FILE), &[first.body()]).map_err(told)
    }

    /// Whether a directory holds a journal.
    pub(crate) fn exists(dir: &Path) -> bool {
        dir.join(FILE).exists()
    }

    /// Opens a journal and folds it.
    pub(crate) fn open(dir: &Path) -> Result<Self, CliError> {
        journal::Journal::open(&dir.join(FILE)).map(Self).map_err(|error| match error {
            FileError::Missing { .. } => {
                CliError::new(format!("{} holds no enrolled device", dir.display()))
                    .hint("enrol one: doorstep driver enrol --dir DIR --ticket FILE")
            }
            error => told(error),
        })
    }

    /// The state as of the last read.
    pub(crate) const fn device(&self) -> &Device {
        &self.0.state().0
    }

    /// Appends a record if the journal still ends where the record belongs. On return the record
    /// is on the disk, or it is not in the journal at all.
    pub(crate) fn append(&mut self, record: &Record) -> Result<Append, CliError> {
        let mut session = self.0.session().map_err(told)?;
        if record.place().before != session.head() {
            return Ok(Append::Lost);
        }
        session.append(record.body()).map_err(told)?;
        Ok(Append::Appended(record.place().appended()))
    }
}

/// What a driver does about a journal that cannot be used.
fn told(error: FileError) -> CliError {
    let told = CliError::new(error.to_string());
    match error {
        FileError::Damaged { .. } => told
            .hint("nothing is accepted on a damaged journal; enrol this device anew and tell the dispatcher")
            .code("journal_damaged"),
        FileError::InDoubt { .. } => told.hint(
            "whether it was recorded is not known: look at `doorstep driver list` before you hand anything over",
        ),
        error => told.hint(error.hint()),
    }
}
