//! The records of a lock: what must be durable before the next step, and what happened to its clock.

use super::control::Command;
use super::tuple::{Form, Tuple};
use crate::bytes::{Reader, Writer};
use crate::clock;
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
        let (mut out, elapsed) = (Writer::new(), self.elapsed.to_be_bytes());
        let mut put = |kind: u8, parts: &[&[u8]]| {
            out.put(&[kind]);
            out.put(&elapsed);
            for part in parts {
                out.put(part);
            }
        };
        let time = |time: Timestamp| time.seconds().to_be_bytes();
        match self.event {
            Event::Tried(source) => put(1, &[&[source.number()]]),
            Event::Wrong { code } => put(2, &[&code.to_be_bytes()]),
            Event::Opened { tuple, epoch, form } => {
                let form = [Source::from(form).number()];
                put(3, &[&tuple.to_bytes(), &epoch.to_be_bytes(), &form]);
            }
            Event::Obeyed(Command::SetTime { index }) => put(4, &[&index.to_be_bytes()]),
            Event::Obeyed(Command::Cancel { tuple, epoch }) => {
                put(5, &[&tuple.to_bytes(), &epoch.to_be_bytes()]);
            }
            Event::Obeyed(Command::Announce { epoch }) => put(6, &[&epoch.to_be_bytes()]),
            Event::Obeyed(Command::EndEpoch { epoch }) => put(7, &[&epoch.to_be_bytes()]),
            Event::Clock(event) => match event {
                clock::Event::Elapsed { seconds } => put(16, &[&seconds.to_be_bytes()]),
                clock::Event::PowerLost => put(17, &[]),
                clock::Event::Signed(at) => put(18, &[&time(at)]),
                clock::Event::Token { time: at, age } => put(19, &[&time(at), &age.to_be_bytes()]),
                clock::Event::Reset { time: at, age } => put(20, &[&time(at), &age.to_be_bytes()]),
                clock::Event::Missed { code, by } => {
                    put(21, &[&code.to_be_bytes(), &by.to_be_bytes()]);
                }
                clock::Event::SetTime { time: at } => put(22, &[&time(at)]),
                clock::Event::Heard(clue) => {
                    let [spread, reach, code] =
                        [clue.spread, clue.reach, clue.code].map(u32::to_be_bytes);
                    put(23, &[&time(clue.about), &spread, &reach, &code]);
                }
            },
        }
        out.finish()
    }

    /// Reads a record that was appended; `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; RECORD_LENGTH]) -> Option<Self> {
        let mut from = Reader::new(bytes);
        let [kind] = from.take()?;
        let elapsed = u32::from_be_bytes(from.take()?);
        let mut small = || from.take().map(u32::from_be_bytes);
        let event = match kind {
            2 => Event::Wrong { code: small()? },
            4 => Event::Obeyed(Command::SetTime { index: small()? }),
            6 => Event::Obeyed(Command::Announce { epoch: small()? }),
            7 => Event::Obeyed(Command::EndEpoch { epoch: small()? }),
            21 => Event::Clock(clock::Event::Missed { code: small()?, by: small()? }),
            1 => Event::Tried(match from.take()? {
                [0] => Source::Pin,
                [1] => Source::Long,
                [2] => Source::Control,
                _ => return None,
            }),
            3 => {
                let tuple = Tuple::from_bytes(from.take()?)?;
                let epoch = u32::from_be_bytes(from.take()?);
                let form = match from.take()? {
                    [0] => Form::Pin,
                    [1] => Form::Long,
                    _ => return None,
                };
                Event::Opened { tuple, epoch, form }
            }
            5 => {
                let tuple = Tuple::from_bytes(from.take()?)?;
                let epoch = u32::from_be_bytes(from.take()?);
                Event::Obeyed(Command::Cancel { tuple, epoch })
            }
            16..=23 => Event::Clock(Self::clock(kind, &mut from)?),
            _ => return None,
        };
        let record = Self { elapsed, event };
        // A record has one encoding.
        (record.to_bytes() == *bytes).then_some(record)
    }

    fn clock(kind: u8, from: &mut Reader<'_>) -> Option<clock::Event> {
        if kind == 17 {
            return Some(clock::Event::PowerLost);
        }
        let time = from.time()?;
        let mut small = || from.take().map(u32::from_be_bytes);
        Some(match kind {
            16 => clock::Event::Elapsed { seconds: time.seconds() },
            18 => clock::Event::Signed(time),
            19 => clock::Event::Token { time, age: small()? },
            20 => clock::Event::Reset { time, age: small()? },
            22 => clock::Event::SetTime { time },
            23 => {
                let (spread, reach, code) = (small()?, small()?, small()?);
                clock::Event::Heard(clock::Clue { about: time, spread, reach, code })
            }
            _ => return None,
        })
    }
}
