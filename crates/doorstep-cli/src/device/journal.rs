//! The device's journal as a file: appended by compare-and-swap, flushed before any answer.
//!
//! A frame is `u32 length || u32 complement of the length || record || 8 bytes of the chain's head
//! after it`, so every byte is covered. A crash can tear only the last frame, which nobody was told
//! about; the next append cuts it off. Damage anywhere else is an error and nothing is granted.

use crate::error::CliError;
use doorstep::handover::device::Device;
use doorstep::handover::event::Record;
use doorstep::ledger::{Head, Receipt};
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

const FILE: &str = "journal";
const MAGIC: &[u8] = b"doorstep journal 1\n";
const FRAME_HEAD: usize = 8;
const FRAME_CHECK: usize = 8;

/// Whether a record took its place.
#[derive(Debug)]
pub(crate) enum Append {
    /// It did, durably.
    Appended(Receipt),
    /// Another process appended first; the state has been read again.
    Lost,
}

/// An open journal and the state folded from it.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    /// The end of the last whole frame.
    end: u64,
    device: Device,
}

impl Journal {
    /// Begins a journal with its first record. It exists whole or not at all.
    pub(crate) fn create(dir: &Path, first: &Record) -> Result<(), CliError> {
        let path = dir.join(FILE);
        let fresh = dir.join("journal.new");
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&fresh)?;
            file.write_all(MAGIC)?;
            file.write_all(&frame(first))?;
            file.sync_all()?;
            fs::rename(&fresh, &path)?;
            File::open(dir)?.sync_all()
        };
        write().map_err(|error| CliError::io("begin the journal", &path, &error))
    }

    /// Whether a directory holds a journal.
    pub(crate) fn exists(dir: &Path) -> bool {
        dir.join(FILE).exists()
    }

    /// Opens a journal and folds it.
    pub(crate) fn open(dir: &Path) -> Result<Self, CliError> {
        let path = dir.join(FILE);
        let mut file = OpenOptions::new().read(true).write(true).open(&path).map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                CliError::new(format!("{} holds no enrolled device", dir.display()))
                    .hint("enrol one: doorstep driver enrol --dir DIR --ticket FILE")
            } else {
                CliError::io("open", &path, &error)
            }
        })?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| CliError::io("read", &path, &error))?;
        let damaged = |what: String| damaged(&path, &what);
        let frames = bytes
            .strip_prefix(MAGIC)
            .ok_or_else(|| damaged("it does not begin like a journal".to_owned()))?;
        let (records, length) = split(frames, Head::EMPTY).map_err(damaged)?;
        let device = Device::replay(records).map_err(|error| damaged(error.to_string()))?;
        let end = u64::try_from(MAGIC.len() + length).unwrap_or(u64::MAX);
        Ok(Self { path, file, end, device })
    }

    /// The state as of the last read.
    pub(crate) const fn device(&self) -> &Device {
        &self.device
    }

    /// Appends a record if the journal still ends where the record belongs. On return the record
    /// is on the disk, or it is not in the journal at all.
    pub(crate) fn append(&mut self, record: &Record) -> Result<Append, CliError> {
        // The lock belongs to the open file, so it ends with this process however that ends.
        self.file.lock().map_err(|error| CliError::io("lock", &self.path, &error))?;
        let appended = self.append_locked(record);
        self.file.unlock().map_err(|error| CliError::io("unlock", &self.path, &error))?;
        appended
    }

    fn append_locked(&mut self, record: &Record) -> Result<Append, CliError> {
        self.read_on()?;
        if record.place().before != self.device.head() {
            return Ok(Append::Lost);
        }
        let written = self.write_at_end(&frame(record));
        if let Err(error) = written {
            // Whatever part was written must not come back as a record of something refused.
            let undone = self.file.set_len(self.end).and_then(|()| self.file.sync_data());
            let hint = match undone {
                Ok(()) => {
                    "nothing was recorded, so nothing was accepted; free some space and try again"
                }
                Err(_) => {
                    "whether it was recorded is not known: look at `doorstep driver list` before you hand anything over"
                }
            };
            return Err(CliError::io("append to", &self.path, &error).hint(hint));
        }
        self.read_on()?;
        Ok(Append::Appended(record.place().appended()))
    }

    fn write_at_end(&mut self, frame: &[u8]) -> std::io::Result<()> {
        // Under the lock nobody else writes, so bytes beyond the end are the torn rest of a crash.
        self.file.set_len(self.end)?;
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(frame)?;
        self.file.sync_data()
    }

    /// Takes in what other processes appended.
    fn read_on(&mut self) -> Result<(), CliError> {
        let io = |error| CliError::io("read", &self.path, &error);
        self.file.seek(SeekFrom::Start(self.end)).map_err(io)?;
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes).map_err(io)?;
        let (records, length) =
            split(&bytes, self.device.head()).map_err(|what| damaged(&self.path, &what))?;
        for record in records {
            self.device.apply(record).map_err(|error| damaged(&self.path, &error.to_string()))?;
        }
        self.end += u64::try_from(length).unwrap_or(0);
        Ok(())
    }
}

fn damaged(path: &Path, what: &str) -> CliError {
    CliError::new(format!("the journal {} is damaged: {what}", path.display()))
        .hint("nothing is accepted on a damaged journal; enrol this device anew and tell the dispatcher")
        .code("journal_damaged")
}

fn frame(record: &Record) -> Vec<u8> {
    let length = u32::try_from(record.body().len()).unwrap_or(u32::MAX);
    let mut frame = Vec::with_capacity(record.body().len() + FRAME_HEAD + FRAME_CHECK);
    frame.extend(length.to_be_bytes());
    frame.extend((!length).to_be_bytes());
    frame.extend(record.body());
    frame.extend(record.place().after.hash.iter().take(FRAME_CHECK));
    frame
}

/// Splits whole frames off `bytes`: the records, and how many bytes they take. A torn last frame is
/// left over.
fn split(bytes: &[u8], mut head: Head) -> Result<(Vec<&[u8]>, usize), String> {
    let mut records = Vec::new();
    let mut rest = bytes;
    loop {
        let done = bytes.len() - rest.len();
        let Some((length, after)) = rest.split_first_chunk::<4>() else {
            return Ok((records, done));
        };
        let Some((complement, after)) = after.split_first_chunk::<4>() else {
            return Ok((records, done));
        };
        let length = u32::from_be_bytes(*length);
        if u32::from_be_bytes(*complement) != !length {
            // A file may grow before its content arrives; then the new part is zero to the end.
            return if rest.iter().all(|byte| *byte == 0) {
                Ok((records, done))
            } else {
                Err(format!("the frame after record {} has no length", head.seq))
            };
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some((body, after)) = after.split_at_checked(length) else {
            return Ok((records, done));
        };
        let Some((check, after)) = after.split_first_chunk::<FRAME_CHECK>() else {
            return Ok((records, done));
        };
        let next = head.then(body);
        if !next.hash.starts_with(check) {
            return if after.is_empty() {
                Ok((records, done))
            } else {
                Err(format!("record {} is not what was written", next.seq))
            };
        }
        records.push(body);
        head = next;
        rest = after;
    }
}
