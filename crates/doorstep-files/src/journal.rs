//! An append-only file that a state is folded from: decided under a lock, flushed before any answer.
//!
//! A crash can tear only the last frame, which nobody was told about; the next append cuts it off.
//! Damage anywhere else is an error, and nothing is granted. The lock belongs to the open file, so
//! it ends with its process however that ends.

use crate::error::FileError;
use crate::{frame, private};
use doorstep::ledger::Head;
use std::fs::{self, File, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a lock that another process holds is tried again, and after which pause: five seconds,
/// for which only a process holds it that does not go on.
const TRIES: u32 = 1000;
const PAUSE: Duration = Duration::from_millis(5);

/// A state that a journal is folded into.
pub trait Folded: Sized {
    /// How such a file begins.
    const MAGIC: &'static [u8];

    /// The state after all records of a file.
    ///
    /// # Errors
    /// What is wrong with them.
    fn replay(records: &[&[u8]]) -> Result<Self, String>;

    /// Takes in one record more.
    ///
    /// # Errors
    /// What is wrong with it.
    fn apply(&mut self, record: &[u8]) -> Result<(), String>;
}

/// An open journal, and the state folded from it.
#[derive(Debug)]
pub struct Journal<S> {
    path: PathBuf,
    file: File,
    /// The end of the last whole frame.
    end: u64,
    head: Head,
    state: S,
}

impl<S: Folded> Journal<S> {
    /// Begins a journal with its first records. It exists whole or not at all.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn create<R: AsRef<[u8]>>(path: &Path, first: &[R]) -> Result<(), FileError> {
        private::write(path, &Self::content(first))
    }

    /// Opens a journal and folds it.
    ///
    /// # Errors
    /// [`FileError`]: it is missing, damaged, or open to others.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let mut file = private::open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(FileError::io("read", path))?;
        let (state, head, end) =
            Self::fold(&bytes).map_err(|what| FileError::damaged(path, what))?;
        Ok(Self { path: path.to_owned(), file, end, head, state })
    }

    /// The state as of the last read.
    pub const fn state(&self) -> &S {
        &self.state
    }

    /// Where the file's chain ended at the last read.
    pub const fn head(&self) -> Head {
        self.head
    }

    /// Takes in what other processes did. When nothing happened that costs one look at the file.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn refresh(&mut self) -> Result<&S, FileError> {
        let metadata =
            fs::symlink_metadata(&self.path).map_err(FileError::io("look at", &self.path))?;
        let ours = self.file.metadata().map_err(FileError::io("look at", &self.path))?;
        if !same(&metadata, &ours) || metadata.len() != self.end {
            self.session()?;
        }
        Ok(&self.state)
    }

    /// Keeps every other process from appending, and takes in what they did. Waits for its turn, but
    /// not for ever.
    ///
    /// # Errors
    /// As [`Journal::open`], and [`FileError::Busy`].
    pub fn session(&mut self) -> Result<Session<'_, S>, FileError> {
        loop {
            self.lock()?;
            let named =
                fs::symlink_metadata(&self.path).map_err(FileError::io("look at", &self.path))?;
            let ours = self.file.metadata().map_err(FileError::io("look at", &self.path))?;
            if same(&named, &ours) {
                break;
            }
            // Another process wrote the journal anew while we waited.
            *self = Self::open(&self.path)?;
        }
        let session = Session { journal: self };
        session.journal.read_on()?;
        Ok(session)
    }

    fn lock(&self) -> Result<(), FileError> {
        for _ in 0..TRIES {
            match self.file.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
                Err(TryLockError::Error(error)) => {
                    return Err(FileError::io("lock", &self.path)(error));
                }
            }
        }
        Err(FileError::Busy { path: self.path.clone() })
    }

    fn content<R: AsRef<[u8]>>(records: &[R]) -> Vec<u8> {
        let mut content = S::MAGIC.to_vec();
        let mut head = Head::EMPTY;
        for record in records {
            head = head.then(record.as_ref());
            content.extend(frame::write(record.as_ref(), &head));
        }
        content
    }

    fn fold(bytes: &[u8]) -> Result<(S, Head, u64), String> {
        let frames = bytes.strip_prefix(S::MAGIC).ok_or("it does not begin like one of these")?;
        let frames = frame::read(frames, Head::EMPTY)?;
        let end = u64::try_from(S::MAGIC.len() + frames.length).unwrap_or(u64::MAX);
        Ok((S::replay(&frames.records)?, frames.head, end))
    }

    /// Takes in what was appended.
    fn read_on(&mut self) -> Result<(), FileError> {
        let mut bytes = Vec::new();
        let mut file = &self.file;
        let metadata = file.metadata().map_err(FileError::io("look at", &self.path))?;
        file.seek(SeekFrom::Start(self.end))
            .and_then(|_| file.read_to_end(&mut bytes))
            .map_err(FileError::io("read", &self.path))?;
        let damaged = |what| FileError::damaged(&self.path, what);
        // Whole frames are never taken back.
        if metadata.len() < self.end {
            return Err(damaged("it is shorter than it was".to_owned()));
        }
        let frames = frame::read(&bytes, self.head).map_err(damaged)?;
        for record in &frames.records {
            self.state.apply(record).map_err(damaged)?;
        }
        self.head = frames.head;
        self.end += u64::try_from(frames.length).unwrap_or(0);
        Ok(())
    }

    fn write_at_end(&mut self, frame: &[u8]) -> std::io::Result<()> {
        // Under the lock nobody else writes, so bytes beyond the end are the torn rest of a crash.
        self.file.set_len(self.end)?;
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(frame)?;
        self.file.sync_data()
    }
}

fn same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// The journal while no other process can append. It ends when it is dropped.
#[derive(Debug)]
pub struct Session<'a, S: Folded> {
    journal: &'a mut Journal<S>,
}

impl<S: Folded> Session<'_, S> {
    /// The state, with everything that was ever appended.
    #[must_use]
    pub const fn state(&self) -> &S {
        &self.journal.state
    }

    /// Where the file's chain ends.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.journal.head
    }

    /// Bytes of the file.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.journal.end
    }

    /// Appends a record. On return it is on the disk, or it is not in the journal at all.
    ///
    /// # Errors
    /// [`FileError::NotAppended`]; [`FileError::InDoubt`] when even that is not known.
    pub fn append(&mut self, record: &[u8]) -> Result<(), FileError> {
        let journal = &mut *self.journal;
        let frame = frame::write(record, &journal.head.then(record));
        if let Err(source) = journal.write_at_end(&frame) {
            // Whatever part was written must not come back as a record of something refused.
            let undone = journal.file.set_len(journal.end).and_then(|()| journal.file.sync_data());
            let path = journal.path.clone();
            return Err(match undone {
                Ok(()) => FileError::NotAppended { path, source },
                Err(_) => FileError::InDoubt { path, source },
            });
        }
        journal.read_on()
    }

    /// Writes the journal anew with these records in place of all before, and ends the session.
    /// Whoever waits for the old file finds the new one.
    ///
    /// # Errors
    /// [`FileError`]; the old file is then still the journal, unless its directory could not be
    /// flushed.
    pub fn replace<R: AsRef<[u8]>>(self, records: &[R]) -> Result<(), FileError> {
        let content = Journal::<S>::content(records);
        let path = &self.journal.path;
        let folded = Journal::<S>::fold(&content).map_err(|what| FileError::damaged(path, what))?;
        let (mut file, fresh) = private::begin(path)?;
        file.write_all(&content)
            .and_then(|()| file.sync_all())
            .map_err(FileError::io("write", &fresh))?;
        private::put_in_place(&fresh, path)?;
        (self.journal.state, self.journal.head, self.journal.end) = folded;
        self.journal.file = file;
        Ok(())
    }
}

impl<S: Folded> Drop for Session<'_, S> {
    fn drop(&mut self) {
        // Should that fail, the lock ends with the file.
        drop(self.journal.file.unlock());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt as _;

    /// All records, one after the other.
    #[derive(Debug, PartialEq)]
    struct Lines(Vec<Vec<u8>>);

    impl Folded for Lines {
        const MAGIC: &'static [u8] = b"lines 1\n";

        fn replay(records: &[&[u8]]) -> Result<Self, String> {
            if records.is_empty() {
                return Err("it is empty".to_owned());
            }
            Ok(Self(records.iter().map(|record| record.to_vec()).collect()))
        }

        fn apply(&mut self, record: &[u8]) -> Result<(), String> {
            self.0.push(record.to_vec());
            Ok(())
        }
    }

    fn begun() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        Journal::<Lines>::create(&path, &["first"]).unwrap();
        (dir, path)
    }

    fn lines(path: &Path) -> Vec<Vec<u8>> {
        Journal::<Lines>::open(path).unwrap().state().0.clone()
    }

    #[test]
    fn what_one_appends_the_other_sees() {
        let (_dir, path) = begun();
        let mut one = Journal::<Lines>::open(&path).unwrap();
        let mut other = Journal::<Lines>::open(&path).unwrap();
        one.session().unwrap().append(b"second").unwrap();
        assert_eq!(other.state().0.len(), 1);
        assert_eq!(other.refresh().unwrap(), one.state());
        let head = one.session().unwrap().head();
        assert_eq!(other.session().unwrap().head(), head);
    }

    #[test]
    fn who_waits_while_the_journal_is_written_anew_goes_on_in_the_new_one() {
        let (_dir, path) = begun();
        let mut one = Journal::<Lines>::open(&path).unwrap();
        let session = one.session().unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let mut other = Journal::<Lines>::open(&path).unwrap();
                other.session().unwrap().append(b"last").unwrap();
            });
            // Left over by a crash.
            fs::write(path.with_file_name("journal.new"), "half").unwrap();
            session.replace(&["summary"]).unwrap();
            waiting.join().unwrap();
        });
        assert_eq!(lines(&path), [b"summary".to_vec(), b"last".to_vec()]);
        assert_eq!(one.refresh().unwrap().0.len(), 2, "by whom it was written anew as well");
        assert!(!path.with_file_name("journal.new").exists());
    }

    #[test]
    fn a_lock_that_is_never_given_back_ends_in_an_error() {
        let (_dir, path) = begun();
        let mut one = Journal::<Lines>::open(&path).unwrap();
        let mut other = Journal::<Lines>::open(&path).unwrap();
        let held = one.session().unwrap();
        assert!(matches!(other.session(), Err(FileError::Busy { .. })));
        drop(held);
        assert!(other.session().is_ok());
    }

    #[test]
    fn a_torn_end_is_cut_off_and_damage_before_it_is_refused() {
        let (_dir, path) = begun();
        let mut journal = Journal::<Lines>::open(&path).unwrap();
        let long = "third, and longer than what will be written over its torn half";
        for record in ["second", long] {
            journal.session().unwrap().append(record.as_bytes()).unwrap();
        }
        let whole = fs::read(&path).unwrap();
        let last = whole.len() - long.len() - 16;
        for cut in last..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(lines(&path).len(), 2, "cut at {cut}");
            let mut journal = Journal::<Lines>::open(&path).unwrap();
            // Shorter than what was torn, of which nothing may be left behind it.
            journal.session().unwrap().append(b"x").unwrap();
            assert_eq!(lines(&path)[2], b"x", "cut at {cut}");
        }
        for index in 0..last {
            let mut damaged = whole.clone();
            damaged[index] ^= 1;
            fs::write(&path, &damaged).unwrap();
            let error = Journal::<Lines>::open(&path).unwrap_err();
            assert!(matches!(error, FileError::Damaged { .. }), "byte {index}: {error}");
        }
        fs::write(&path, [whole.as_slice(), &[0; 40]].concat()).unwrap();
        assert_eq!(lines(&path).len(), 3, "a file that grew before its content came");
    }

    #[test]
    fn damage_is_seen_by_who_has_the_journal_open() {
        let (_dir, path) = begun();
        let mut journal = Journal::<Lines>::open(&path).unwrap();
        let file = private::open(&path).unwrap();
        file.write_all_at(&[7; 64], journal.session().unwrap().length()).unwrap();
        assert!(matches!(journal.session(), Err(FileError::Damaged { .. })));
        // An older copy that was put over it, in place.
        let (_dir, path) = begun();
        let older = fs::read(&path).unwrap();
        let mut journal = Journal::<Lines>::open(&path).unwrap();
        journal.session().unwrap().append(b"second").unwrap();
        fs::write(&path, older).unwrap();
        assert!(matches!(journal.session(), Err(FileError::Damaged { .. })));
        assert!(matches!(journal.refresh(), Err(FileError::Damaged { .. })));
        fs::remove_file(&path).unwrap();
        assert!(matches!(journal.session(), Err(FileError::Missing { .. })));
        assert!(matches!(journal.refresh(), Err(FileError::Missing { .. })));
    }
}
