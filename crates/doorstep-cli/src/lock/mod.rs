//! A virtual lock: a directory, and programs that never talk to the server. `lock.bundle` is what it was
//! provisioned with, `journal` what happened, `hardware.toml` the physics around it.

pub(crate) mod antenna;
mod door;
pub(crate) mod hardware;
pub(crate) mod journal;
pub(crate) mod keypad;
pub(crate) mod listener;
pub(crate) mod reader;

use crate::clock::Clock;
use crate::error::CliError;
use door::clock_record;
use doorstep::clock::{self, AfterPowerLoss};
use doorstep::door::bundle::Bundle;
use doorstep::door::record::Record;
use doorstep::door::state::State;
use doorstep::door::{Door, MARKS};
use doorstep::ledger::Head;
use doorstep::time::Timestamp;
use doorstep_files::journal::{Journal, Session};
use doorstep_files::{FileError, private};
use hardware::{Hardware, Power, Weather};
use journal::{Known, Ledger, told};
use std::fs::File;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

pub(crate) use door::Pressed;

const BUNDLE: &str = "lock.bundle";

/// How many counted seconds are written down at once. What is not written goes with the power: a lock that
/// needs a set-time code then anyway loses an hour of its floor, one that goes on by itself is late for as
/// long, after each cut.
const fn record_interval(clock: &clock::Clock) -> u32 {
    match clock.after_power_loss {
        AfterPowerLoss::NeedTime => 60 * 60,
        AfterPowerLoss::Trust90Min => 5 * 60,
    }
}

/// An opened lock.
pub(crate) struct VirtualLock {
    dir: PathBuf,
    door: Door,
    test: bool,
    journal: Journal<Ledger>,
    clock: Clock,
    /// What was folded last, and at which end of the file.
    folded: Option<(Head, Known)>,
}

/// A lock with power, to which no other process can do anything.
pub(crate) struct Awake<'a> {
    door: &'a Door,
    session: Session<'a, Ledger>,
    known: Known,
    /// The lock's own memory of what is known.
    folded: &'a mut Option<(Head, Known)>,
    counter: u64,
}

/// Whether the lock works.
pub(crate) enum Woken<'a> {
    /// It has no power before this true time.
    Dark {
        until: Timestamp,
    },
    Awake(Box<Awake<'a>>),
}

impl VirtualLock {
    /// Makes a directory the lock of a bundle, switched on now. The installer's clock sets its time.
    pub(crate) fn install(
        dir: &Path,
        bundle: &Bundle,
        weather: Weather,
        now: Timestamp,
    ) -> Result<(), CliError> {
        std::fs::create_dir_all(dir)
            .map_err(|error| CliError::io("make the directory", dir, &error))?;
        // Of two installers at once one waits, and then finds a lock.
        let alone = File::open(dir).and_then(|alone| alone.lock().map(|()| alone));
        let _alone = alone.map_err(|error| CliError::io("lock", dir, &error))?;
        Self::refuse_existing(dir)?;
        let hardware = Hardware::new(bundle.clock.oscillator, weather, now);
        hardware.write_to(dir)?;
        // On one line, however it came.
        let mut text = Zeroizing::new(String::with_capacity(2048));
        let _ = bundle.write(&mut *text);
        private::write(&dir.join(BUNDLE), text.as_bytes()).map_err(told)?;
        journal::create(dir, &Door::new(bundle), now)
    }

    /// Refuses a directory that is a lock already.
    pub(crate) fn refuse_existing(dir: &Path) -> Result<(), CliError> {
        if !journal::exists(dir) {
            return Ok(());
        }
        Err(CliError::new(format!("{} already holds a lock", dir.display()))
            .hint("nothing is overwritten, since what is spent would open again; a lock that begins anew takes a new bundle: doorstep lock provision")
            .code("lock_exists"))
    }

    pub(crate) fn open(dir: &Path, clock: Clock) -> Result<Self, CliError> {
        if !journal::exists(dir) {
            return Err(journal::no_lock(dir));
        }
        let path = dir.join(BUNDLE);
        let damaged = |what: String| {
            CliError::new(what)
                .hint("bring the file back as it was installed")
                .code("bundle_damaged")
        };
        let text = private::read_secret(&path).map_err(|error| match error {
            FileError::Damaged { .. } => damaged(error.to_string()),
            error => told(error),
        })?;
        let bundle = Bundle::parse(&text)
            .map_err(|error| damaged(format!("{}: {error}", path.display())))?;
        if clock.is_simulated() && !bundle.test {
            return Err(not_test());
        }
        let journal = journal::open(dir)?;
        let door = Door::new(&bundle);
        Ok(Self { dir: dir.to_owned(), door, test: bundle.test, journal, clock, folded: None })
    }

    pub(crate) const fn door(&self) -> &Door {
        &self.door
    }

    pub(crate) const fn is_test(&self) -> bool {
        self.test
    }

    pub(crate) const fn ledger(&self) -> &Ledger {
        self.journal.state()
    }

    /// When it was installed, and what it knew before the oldest record that is kept.
    pub(crate) fn base(&self) -> Result<(Timestamp, Known), CliError> {
        self.ledger().base(&self.door).ok_or_else(journal::foreign)
    }

    /// Takes the lock for itself and does what is due: a power loss that it did not know of, the record of
    /// what was counted.
    pub(crate) fn wake(&mut self) -> Result<Woken<'_>, CliError> {
        journal::compact(&mut self.journal, &self.door)?;
        let session = self.journal.session().map_err(told)?;
        let mut hardware = Hardware::read_from(&self.dir)?;
        let reading = match hardware.at(self.clock.now()?) {
            Power::Off { until } => return Ok(Woken::Dark { until }),
            Power::On(reading) => reading,
        };
        let folded = &mut self.folded;
        let known = fold(session.head(), session.state(), &self.door, folded)?;
        let counter = reading.counter;
        let mut awake = Awake { door: &self.door, session, known, folded, counter };
        if reading.power_was_lost {
            awake.append(clock_record(clock::Event::PowerLost))?;
            hardware.clear_reset_flag();
            hardware.write_to(&self.dir)?;
        }
        // What a lock that is never switched off writes interval by interval, in one record.
        let interval = record_interval(self.door.clock());
        awake.note_elapsed(awake.elapsed() / interval * interval)?;
        Ok(Woken::Awake(Box::new(awake)))
    }

    /// What it knew at the last record, and what it knows now. Without power that is the same.
    pub(crate) fn look(&mut self) -> Result<(Known, State<MARKS>), CliError> {
        let known = self.known()?;
        let counter = match self.hardware()?.at(self.clock.now()?) {
            Power::On(reading) if !reading.power_was_lost => reading.counter,
            _ => known.counter,
        };
        Ok((known, known.counted_to(counter)))
    }

    /// What a running lock does all the time: it looks at its counter, and writes down what is due.
    /// Without power it does nothing, until that true time.
    pub(crate) fn tick(&mut self) -> Result<Result<State<MARKS>, Timestamp>, CliError> {
        let reading = match self.hardware()?.at(self.clock.now()?) {
            Power::Off { until } => return Ok(Err(until)),
            Power::On(reading) => reading,
        };
        let interval = record_interval(self.door.clock());
        if reading.power_was_lost || self.known()?.elapsed(reading.counter) >= interval {
            drop(self.wake()?);
        }
        Ok(Ok(self.known()?.counted_to(reading.counter)))
    }

    fn known(&mut self) -> Result<Known, CliError> {
        self.journal.refresh().map_err(told)?;
        fold(self.journal.head(), self.journal.state(), &self.door, &mut self.folded)
    }

    /// How many records there ever were.
    pub(crate) fn records(&mut self) -> Result<u64, CliError> {
        Ok(self.known()?.head.seq)
    }

    pub(crate) fn hardware(&self) -> Result<Hardware, CliError> {
        Hardware::read_from(&self.dir)
    }

    /// Does something to the hardware while no other process uses the lock.
    pub(crate) fn tinker(
        &mut self,
        with: impl FnOnce(&mut Hardware, Timestamp),
    ) -> Result<Hardware, CliError> {
        let _session = self.journal.session().map_err(told)?;
        let mut hardware = Hardware::read_from(&self.dir)?;
        with(&mut hardware, self.clock.now()?);
        hardware.write_to(&self.dir)?;
        Ok(hardware)
    }
}

/// What is known at the end of the file: what was folded before, if nobody has written since.
fn fold(
    end: Head,
    ledger: &Ledger,
    door: &Door,
    folded: &mut Option<(Head, Known)>,
) -> Result<Known, CliError> {
    if let Some((_, known)) = folded.filter(|(folded, _)| *folded == end) {
        return Ok(known);
    }
    let (_, base) = ledger.base(door).ok_or_else(journal::foreign)?;
    let known = ledger.steps(door, base).last().map_or(base, |(_, known)| known);
    *folded = Some((end, known));
    Ok(known)
}

impl Awake<'_> {
    fn elapsed(&self) -> u32 {
        self.known.elapsed(self.counter)
    }

    /// What it knows now.
    pub(crate) fn state(&self) -> State<MARKS> {
        self.known.counted_to(self.counter)
    }

    pub(crate) const fn door(&self) -> &Door {
        self.door
    }

    /// Seconds counted since there is power.
    pub(crate) const fn counter(&self) -> u64 {
        self.counter
    }

    /// How many records there ever were.
    pub(crate) const fn records(&self) -> u64 {
        self.known.head.seq
    }

    /// Whether the power was lost since there were so many records, whoever found out.
    pub(crate) const fn lost_power_since(&self, records: u64) -> bool {
        self.known.started > records
    }

    fn append(&mut self, record: Record) -> Result<(), CliError> {
        self.session.append(record.to_bytes().as_ref()).map_err(told)?;
        self.known = self.known.then(self.door, &record);
        *self.folded = Some((self.session.head(), self.known));
        Ok(())
    }
}

/// Real locks run on real time.
pub(crate) fn not_test() -> CliError {
    CliError::new("a simulated clock is for test data, and this lock's is real")
        .hint("leave out --clock, or unset DOORSTEP_CLOCK")
}
