//! What a lock's journal tells, record by record: read and verified by the core, before anything of it is
//! stored.

use crate::store::StoreError;
use crate::store::lock_events::{Event, Form, Kind};
use crate::store::locks::Lock;
use crate::store::pins;
use doorstep::clock;
use doorstep::door::journal::{Journal, JournalError, SNAPSHOT_LENGTH};
use doorstep::door::record::Record;
use doorstep::door::sealed;
use doorstep::door::state::State;
use doorstep::door::{Door, MARKS};
use doorstep::keypad::control::Command;
use doorstep::keypad::record::{Event as Keypad, Source};
use doorstep::keypad::tuple::{self, Tuple};
use doorstep::ledger::Head;
use doorstep::otp::record::Event as Step;
use doorstep::pass::claims::PassId;
use doorstep::pass::record::Event as Pass;
use doorstep::time::Timestamp;
use rusqlite::Connection;

/// More records than a column can count are no lock's.
const MOST: u64 = u64::MAX >> 1;

/// A journal that came home, whole and under the lock's key.
pub(crate) struct Told {
    /// The head before its first record.
    pub(crate) first: Head,
    /// Each record's head, its time by the lock's estimate, and what it tells.
    pub(crate) records: Vec<(Head, Timestamp, What)>,
    /// The head after its last record.
    pub(crate) end: Head,
    /// The state there.
    pub(crate) last: State<MARKS>,
}

/// What a record tells an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A code was typed.
    Tried,
    /// It opened: for a PIN, or for a code of a TOTP door.
    Opened {
        pin: Option<(Tuple, u32)>,
        form: Form,
    },
    /// It opened for a pass.
    OpenedByPass(PassId),
    /// A newer list of revoked passes was brought, or one that told the time alone.
    ListTaken,
    /// A key of the issuer was brought.
    KeyTaken,
    /// An answer to its question for the time was brought.
    TokenTaken,
    /// A code of staff was obeyed.
    Obeyed(Command),
    /// The issuer told the time without a code.
    Signed,
    /// The clock was reset, and this epoch began.
    Reset(u32),
    PowerLost,
    /// Seconds went by, or something else of no interest.
    Other,
}

impl Told {
    /// Reads and verifies a journal, sealed or not.
    pub(crate) fn read(door: &Door, bytes: &mut [u8]) -> Result<Self, JournalError> {
        let bytes = if sealed::is_sealed(bytes) { sealed::open(door, bytes)? } else { bytes };
        let journal = Journal::read(door, bytes)?;
        let ends = journal.head.seq.checked_add(u64::from(journal.count()));
        if ends.is_none_or(|end| end > MOST) {
            return Err(JournalError::Malformed);
        }
        let mut this = Self {
            first: journal.head,
            records: Vec::new(),
            end: journal.head,
            last: journal.before,
        };
        for (record, state, head) in journal.steps(door) {
            let what = What::of(&record, &state);
            this.records.push((head, state.keypad.belief().probable(), what));
            (this.end, this.last) = (head, state);
        }
        Ok(this)
    }

    /// The head after the record of this number, if it is in the journal.
    pub(crate) fn head(&self, number: u64) -> Option<Head> {
        if number == self.first.seq {
            return Some(self.first);
        }
        let index = number.checked_sub(self.first.seq)?.checked_sub(1)?;
        self.records.get(usize::try_from(index).ok()?).map(|(head, _, _)| *head)
    }

    /// The state at the end, as the core writes it.
    pub(crate) fn snapshot(&self) -> Result<Vec<u8>, StoreError> {
        let mut bytes = vec![0; SNAPSHOT_LENGTH];
        let written = self.last.write(&mut bytes);
        written.map(|()| bytes).ok_or(StoreError::Corrupt { column: "locks.state" })
    }
}

impl What {
    fn of(record: &Record, after: &State<MARKS>) -> Self {
        match record {
            Record::Keypad(record) => match record.event {
                Keypad::Tried(Source::Pin | Source::Long | Source::Control) => Self::Tried,
                Keypad::Opened { tuple, epoch, form } => {
                    let form = match form {
                        tuple::Form::Pin => Form::Pin,
                        tuple::Form::Long => Form::Long,
                    };
                    Self::Opened { pin: Some((tuple, epoch)), form }
                }
                Keypad::Obeyed(command) => Self::Obeyed(command),
                Keypad::Clock(event) => match event {
                    clock::Event::PowerLost => Self::PowerLost,
                    clock::Event::Reset { .. } => Self::Reset(after.keypad.epoch()),
                    clock::Event::Signed(_)
                    | clock::Event::Token { .. }
                    | clock::Event::SetTime { .. } => Self::Signed,
                    clock::Event::Elapsed { .. }
                    | clock::Event::Heard(_)
                    | clock::Event::Missed { .. } => Self::Other,
                },
                Keypad::Wrong { .. } => Self::Other,
            },
            Record::Step(record) => match record.event {
                Step::Tried => Self::Tried,
                Step::Accepted { .. } | Step::Resynced { .. } => {
                    Self::Opened { pin: None, form: Form::Totp }
                }
                _ => Self::Other,
            },
            Record::Pass(record) => match record.event {
                Pass::Tried => Self::Tried,
                Pass::Opened { id, .. } => Self::OpenedByPass(id),
                Pass::Bulletin { .. } => Self::ListTaken,
                Pass::Rotation(_) => Self::KeyTaken,
                Pass::Token { .. } => Self::TokenTaken,
                Pass::Verified { .. } | Pass::Started => Self::Other,
            },
        }
    }

    /// The event that is kept of it, if any.
    pub(crate) fn event(
        &self,
        connection: &Connection,
        lock: &Lock,
        at: Timestamp,
    ) -> Result<Option<Event>, StoreError> {
        let event = |kind| Event { kind, at, form: None, epoch: None, pin: None, pass: None };
        let of_pin = |kind, tuple: &Tuple, epoch| {
            let pin = pins::find(connection, lock, tuple, epoch)?;
            Ok::<_, StoreError>(Event { epoch: Some(epoch), pin, ..event(kind) })
        };
        Ok(Some(match self {
            Self::Tried | Self::Other => return Ok(None),
            Self::Opened { pin: Some((tuple, epoch)), form } => {
                Event { form: Some(*form), ..of_pin(Kind::Opened, tuple, *epoch)? }
            }
            Self::OpenedByPass(id) => {
                Event { form: Some(Form::Pass), pass: Some(*id), ..event(Kind::Opened) }
            }
            Self::ListTaken => event(Kind::ListTaken),
            Self::KeyTaken => event(Kind::KeyTaken),
            Self::TokenTaken => event(Kind::TimeSigned),
            Self::Opened { pin: None, form } => Event { form: Some(*form), ..event(Kind::Opened) },
            Self::Obeyed(Command::SetTime { .. }) => event(Kind::TimeSet),
            Self::Obeyed(Command::Cancel { tuple, epoch }) => {
                of_pin(Kind::PinCancelled, tuple, *epoch)?
            }
            Self::Obeyed(Command::Announce { epoch }) => {
                Event { epoch: Some(*epoch), ..event(Kind::EpochAnnounced) }
            }
            Self::Obeyed(Command::EndEpoch { epoch }) => {
                Event { epoch: Some(*epoch), ..event(Kind::EpochEnded) }
            }
            Self::Signed => event(Kind::TimeSigned),
            Self::Reset(epoch) => Event { epoch: Some(*epoch), ..event(Kind::ClockReset) },
            Self::PowerLost => event(Kind::PowerLost),
        }))
    }
}
