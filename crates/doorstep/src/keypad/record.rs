//! The records of a lock: what must be durable before the next step, and what happened to its clock.

use super::control::Command;
use super::tuple::{Form, Tuple};
use crate::bytes::{Layout, Stored};
use crate::clock;
use crate::ledger::{Head, Place};
use crate::time::Timestamp;

/// Bytes of an encoded record.
pub const RECORD_LENGTH: usize = 25;

/// Something that happened at a lock, and the seconds it had counted since the record before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Seconds counted since the record before.
    pub elapsed: u32,
    /// What happened.
    pub event: Event,
}

/// From which attempts one is taken. Each has a bucket of its own, so that a passer-by's wrong PINs
/// keep nobody from the long form, and guests' typing keeps no staff out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// PINs.
    Pin,
    /// Long forms.
    Long,
    /// Control codes.
    Control,
}

impl Source {
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Pin => 0,
            Self::Long => 1,
            Self::Control => 2,
        }
    }

    fn fields(&mut self, layout: &mut Layout<'_>) {
        let mut number = self.number();
        layout.byte(&mut number);
        let all = [Self::Pin, Self::Long, Self::Control];
        *self = all.into_iter().find(|source| source.number() == number).unwrap_or(*self);
    }
}

impl From<Form> for Source {
    fn from(form: Form) -> Self {
        match form {
            Form::Pin => Self::Pin,
            Form::Long => Self::Long,
        }
    }
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something about the time; seconds that passed are in every record.
    Clock(clock::Event),
    /// A code was typed, so one attempt is gone.
    Tried(Source),
    /// It was wrong. It needs not be durable: it spares an attempt if the same is typed again.
    Wrong {
        /// Names the code.
        code: u32,
    },
    /// A PIN was accepted, and is spent if it opens once.
    Opened {
        /// What it means.
        tuple: Tuple,
        /// Its epoch.
        epoch: u32,
        /// Which of its two codes was typed.
        form: Form,
    },
    /// A control code was accepted.
    Obeyed(Command),
}

impl Record {
    /// The record as it is appended: `u8 kind || u32 elapsed ||` what the kind needs, then zeros.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; RECORD_LENGTH] {
        let mut bytes = [0; RECORD_LENGTH];
        // The longest is that of an opening, by which the room is measured.
        let _ = self.store(&mut bytes);
        bytes
    }

    /// Where it belongs after `head`.
    pub(crate) fn place(&self, head: Head) -> Place {
        Place::of(head, &self.to_bytes())
    }

    /// Reads a record that was appended; `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; RECORD_LENGTH]) -> Option<Self> {
        let mut record = Self { elapsed: 0, event: Event::Clock(clock::Event::PowerLost) };
        record.load(bytes)?;
        Some(record)
    }
}

impl Stored for Record {
    fn fields(&mut self, layout: &mut Layout<'_>) {
        let mut kind = self.event.kind();
        layout.byte(&mut kind);
        if layout.is_read() {
            self.event = Event::blank(kind).unwrap_or(self.event);
        }
        layout.word(&mut self.elapsed);
        match &mut self.event {
            Event::Clock(event) => clock_fields(event, layout),
            Event::Tried(source) => source.fields(layout),
            Event::Opened { tuple, epoch, form } => {
                tuple.fields(layout);
                layout.word(epoch);
                let mut source = Source::from(*form);
                source.fields(layout);
                *form = if source == Source::Long { Form::Long } else { Form::Pin };
            }
            Event::Obeyed(Command::Cancel { tuple, epoch }) => {
                tuple.fields(layout);
                layout.word(epoch);
            }
            Event::Wrong { code: number }
            | Event::Obeyed(
                Command::SetTime { index: number }
                | Command::Announce { epoch: number }
                | Command::EndEpoch { epoch: number },
            ) => layout.word(number),
        }
    }
}

fn clock_fields(event: &mut clock::Event, layout: &mut Layout<'_>) {
    match event {
        clock::Event::PowerLost => {}
        clock::Event::Elapsed { seconds } => layout.long(seconds),
        clock::Event::Signed(time) | clock::Event::SetTime { time } => layout.time(time),
        clock::Event::Token { time, age } | clock::Event::Reset { time, age } => {
            layout.time(time);
            layout.word(age);
        }
        clock::Event::Missed { code, by } => {
            layout.word(code);
            layout.word(by);
        }
        clock::Event::Heard(clue) => {
            layout.time(&mut clue.about);
            for number in [&mut clue.spread, &mut clue.reach, &mut clue.code] {
                layout.word(number);
            }
        }
    }
}

impl Event {
    /// The first byte of its record.
    const fn kind(&self) -> u8 {
        match self {
            Self::Tried(_) => 1,
            Self::Wrong { .. } => 2,
            Self::Opened { .. } => 3,
            Self::Obeyed(Command::SetTime { .. }) => 4,
            Self::Obeyed(Command::Cancel { .. }) => 5,
            Self::Obeyed(Command::Announce { .. }) => 6,
            Self::Obeyed(Command::EndEpoch { .. }) => 7,
            Self::Clock(clock::Event::Elapsed { .. }) => 16,
            Self::Clock(clock::Event::PowerLost) => 17,
            Self::Clock(clock::Event::Signed(_)) => 18,
            Self::Clock(clock::Event::Token { .. }) => 19,
            Self::Clock(clock::Event::Reset { .. }) => 20,
            Self::Clock(clock::Event::Missed { .. }) => 21,
            Self::Clock(clock::Event::SetTime { .. }) => 22,
            Self::Clock(clock::Event::Heard(_)) => 23,
        }
    }

    /// An event of a kind, whose fields are to be read; `None` for a kind that there is not.
    const fn blank(kind: u8) -> Option<Self> {
        let (time, tuple, epoch) = (Timestamp::from_seconds(0), Tuple::BLANK, 0);
        let clue = clock::Clue { about: time, spread: 0, reach: 0, code: 0 };
        Some(match kind {
            1 => Self::Tried(Source::Pin),
            2 => Self::Wrong { code: 0 },
            3 => Self::Opened { tuple, epoch, form: Form::Pin },
            4 => Self::Obeyed(Command::SetTime { index: 0 }),
            5 => Self::Obeyed(Command::Cancel { tuple, epoch }),
            6 => Self::Obeyed(Command::Announce { epoch }),
            7 => Self::Obeyed(Command::EndEpoch { epoch }),
            16 => Self::Clock(clock::Event::Elapsed { seconds: 0 }),
            17 => Self::Clock(clock::Event::PowerLost),
            18 => Self::Clock(clock::Event::Signed(time)),
            19 => Self::Clock(clock::Event::Token { time, age: 0 }),
            20 => Self::Clock(clock::Event::Reset { time, age: 0 }),
            21 => Self::Clock(clock::Event::Missed { code: 0, by: 0 }),
            22 => Self::Clock(clock::Event::SetTime { time }),
            23 => Self::Clock(clock::Event::Heard(clue)),
            _ => return None,
        })
    }
}
