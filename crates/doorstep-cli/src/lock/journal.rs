//! The lock's journal: every record since some state. What the records mean is the door's to say.

use crate::error::CliError;
use doorstep::clock;
use doorstep::door::journal::{SNAPSHOT_LENGTH, Writer};
use doorstep::door::record::Record;
use doorstep::door::state::State;
use doorstep::door::{Door, MARKS};
use doorstep::keypad::record::Event;
use doorstep::ledger::Head;
use doorstep::time::Timestamp;
use doorstep_files::FileError;
use doorstep_files::journal::{Folded, Journal};
use std::path::Path;

const FILE: &str = "journal";

/// With more records than this the file is written anew, with the newest of them: about 120 KiB.
const MOST: usize = 4096;
const KEPT: usize = 2048;

/// What a lock knows at some record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) state: State<MARKS>,
    /// The end of its chain, which is never begun anew.
    pub(crate) head: Head,
    /// What the counter said.
    pub(crate) counter: u64,
    /// The number of the record with which it started last; before the oldest that is kept nobody knows.
    pub(crate) started: u64,
}

impl Known {
    /// Seconds from this record until the counter is there. One that went back, as a true clock that was
    /// set back makes it do, counts nothing until it is where it was.
    pub(crate) fn elapsed(&self, counter: u64) -> u32 {
        u32::try_from(counter.saturating_sub(self.counter)).unwrap_or(u32::MAX)
    }

    /// The state when the counter is there.
    pub(crate) fn counted_to(&self, counter: u64) -> State<MARKS> {
        State { keypad: self.state.keypad.counted(self.elapsed(counter)), ..self.state }
    }

    /// What it knows after one record more.
    #[must_use]
    pub(crate) fn then(&self, door: &Door, record: &Record) -> Self {
        let mut counter = self.counter.saturating_add(u64::from(record.elapsed()));
        let mut is_start = false;
        if let Record::Keypad(record) = record {
            match record.event {
                Event::Clock(clock::Event::Elapsed { seconds }) => {
                    counter = counter.saturating_add(seconds);
                }
                // The counter began anew.
                Event::Clock(clock::Event::PowerLost) => (counter, is_start) = (0, true),
                _ => {}
            }
        }
        let head = self.head.then(record.to_bytes().as_ref());
        let started = if is_start { head.seq } else { self.started };
        Self { state: door.then(&self.state, record), head, counter, started }
    }
}

/// What the file holds.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// `u64 installed at || u32 lock generation || u64 counter || u64 number || 32 bytes hash ||
    /// snapshot || lock id`: what was known before the first record, and of which lock.
    base: Vec<u8>,
    pub(crate) records: Vec<Record>,
}

/// Bytes of a base before its snapshot.
const BASE: usize = 60;

impl Folded for Ledger {
    const MAGIC: &'static [u8] = b"doorstep lock 1\n";

    fn replay(records: &[&[u8]]) -> Result<Self, String> {
        let (base, rest) = records.split_first().ok_or("it is empty")?;
        let mut ledger = Self { base: base.to_vec(), records: Vec::with_capacity(rest.len()) };
        for record in rest {
            ledger.apply(record)?;
        }
        Ok(ledger)
    }

    fn apply(&mut self, record: &[u8]) -> Result<(), String> {
        self.records.push(Record::from_bytes(record).ok_or("a record says nothing known")?);
        Ok(())
    }
}

impl Ledger {
    /// When the lock was installed, and what it knew before the first record; `None` when the file is
    /// another lock's.
    pub(crate) fn base(&self, door: &Door) -> Option<(Timestamp, Known)> {
        let (head, rest) = self.base.split_at_checked(BASE)?;
        let (snapshot, id) = rest.split_at_checked(SNAPSHOT_LENGTH)?;
        let (installed, head) = head.split_first_chunk()?;
        let (generation, head) = head.split_first_chunk()?;
        let (counter, head) = head.split_first_chunk()?;
        let (seq, hash) = head.split_first_chunk()?;
        if u32::from_be_bytes(*generation) != door.generation()
            || id != door.id().as_str().as_bytes()
        {
            return None;
        }
        let head = Head { seq: u64::from_be_bytes(*seq), hash: hash.try_into().ok()? };
        let state = State::read(*door.clock(), snapshot)?;
        let (counter, started) = (u64::from_be_bytes(*counter), head.seq);
        let known = Known { state, head, counter, started };
        Some((Timestamp::from_seconds(u64::from_be_bytes(*installed)), known))
    }

    fn write_base(door: &Door, installed: Timestamp, known: &Known) -> Vec<u8> {
        let mut base = Vec::with_capacity(BASE + SNAPSHOT_LENGTH + 64);
        base.extend(installed.seconds().to_be_bytes());
        base.extend(door.generation().to_be_bytes());
        base.extend(known.counter.to_be_bytes());
        base.extend(known.head.seq.to_be_bytes());
        base.extend(known.head.hash);
        let mut snapshot = [0; SNAPSHOT_LENGTH];
        // The length is the state's own.
        let _ = known.state.write(&mut snapshot);
        base.extend(snapshot);
        base.extend(door.id().as_str().as_bytes());
        base
    }

    /// All that is known after each of the records.
    pub(crate) fn steps<'a>(
        &'a self,
        door: &'a Door,
        base: Known,
    ) -> impl Iterator<Item = (&'a Record, Known)> {
        self.records.iter().scan(base, |known, record| {
            *known = known.then(door, record);
            Some((record, *known))
        })
    }
}

/// Whether a directory holds a lock.
pub(crate) fn exists(dir: &Path) -> bool {
    dir.join(FILE).exists()
}

/// Begins a journal. It exists whole or not at all.
pub(crate) fn create(dir: &Path, door: &Door, now: Timestamp) -> Result<(), CliError> {
    let known = Known { state: door.install(now), head: Head::EMPTY, counter: 0, started: 0 };
    let base = Ledger::write_base(door, now, &known);
    Journal::<Ledger>::create(&dir.join(FILE), &[base]).map_err(told)
}

pub(crate) fn open(dir: &Path) -> Result<Journal<Ledger>, CliError> {
    Journal::open(&dir.join(FILE)).map_err(|error| match error {
        FileError::Missing { .. } => no_lock(dir),
        error => told(error),
    })
}

/// Writes the file anew without its oldest records once there are too many. What they did stays.
pub(crate) fn compact(journal: &mut Journal<Ledger>, door: &Door) -> Result<(), CliError> {
    if journal.state().records.len() <= MOST {
        return Ok(());
    }
    let session = journal.session().map_err(told)?;
    let ledger = session.state();
    // Another process may have been faster.
    let Some(old) = ledger.records.len().checked_sub(KEPT).filter(|old| *old > MOST - KEPT) else {
        return Ok(());
    };
    let (installed, base) = ledger.base(door).ok_or_else(foreign)?;
    let known = ledger.steps(door, base).take(old).last().map_or(base, |(_, known)| known);
    let mut records = vec![Ledger::write_base(door, installed, &known)];
    let kept = ledger.records.iter().skip(old);
    records.extend(kept.map(|record| record.to_bytes().as_ref().to_vec()));
    session.replace(&records).map_err(told)
}

/// The journal as the server takes it.
pub(crate) fn export(ledger: &Ledger, door: &Door, base: &Known) -> Vec<u8> {
    let mut bytes = Vec::new();
    let count = u32::try_from(ledger.records.len()).unwrap_or(u32::MAX);
    let out = |piece: &[u8]| bytes.extend_from_slice(piece);
    let mut writer = Writer::new(door, &base.state, base.head, count, out);
    for record in &ledger.records {
        writer.record(record.to_bytes().as_ref());
    }
    writer.finish();
    bytes
}

pub(crate) fn no_lock(dir: &Path) -> CliError {
    CliError::new(format!("{} holds no lock", dir.display()))
        .hint("give the directory of one with --dir, or make one: doorstep lock install BUNDLE --dir DIR")
        .code("no_lock")
}

pub(crate) fn foreign() -> CliError {
    CliError::new("the journal is not one of the lock that lock.bundle names")
        .hint("nothing opens with it; bring back the files that belong together, or install the lock anew")
        .code("journal_foreign")
}

/// What an operator does about a journal that cannot be used.
pub(crate) fn told(error: FileError) -> CliError {
    let told = CliError::new(error.to_string());
    match error {
        FileError::Damaged { .. } => told
            .hint("nothing opens on a damaged journal; keep it aside and install the lock anew, with a new bundle")
            .code("journal_damaged"),
        error => told.hint(error.hint()),
    }
}
