//! The records of passes and riders: what must be durable before the next step.

use super::claims::{HolderKey, PassId};
use super::rider::{Bulletin, MAX_REVOKED, Revoked, Rider, Rotation, Token};
use crate::bytes::{Reader, Short};
use crate::clock::{self, Belief};
use crate::ledger::{Head, Place};
use crate::time::{Timestamp, Window};

/// The most bytes of an encoded record: that of a full bulletin.
pub const MAX_LENGTH: usize = 18 + MAX_REVOKED * 4;

/// An encoded record. Its first byte is above those of all other records of a lock.
pub type Bytes = Short<MAX_LENGTH>;

/// Something that happened, and the seconds that the lock had counted since the record before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Seconds counted since the record before.
    pub elapsed: u32,
    /// What happened.
    pub event: Event,
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something was presented and will be verified, so one attempt is gone.
    Tried,
    /// A pass was authentic, whether or not it will open; here is when it was made.
    Verified {
        /// When, if the pass says so.
        issued_at: Option<Timestamp>,
    },
    /// A pass was accepted.
    Opened {
        /// Which.
        id: PassId,
        /// What is remembered of it, if it is counted or was proven by time.
        remembered: Option<Remembered>,
    },
    /// A bulletin or a rotation was authentic. What is not newer than what is known changes the clock only.
    Bulletin {
        /// When it was made.
        issued_at: Timestamp,
        /// Its number.
        sequence: u32,
        /// Which passes are revoked.
        revoked: Revoked,
    },
    /// The issuer answered a challenge of this lock.
    Token {
        /// The time in the answer.
        time: Timestamp,
        /// Counted seconds since the challenge was drawn.
        age: u32,
    },
    /// The issuer has another key.
    Rotation(Rotation),
    /// The lock started, and from now on draws challenges that no other start draws.
    Started,
}

/// What is remembered of a use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// When the window of the pass ends; of one that is not counted, the phone's time in the proof, since an older
    /// proof is none by then.
    pub until: Timestamp,
    /// The phone's time in the proof, if it was one by time. It tells the clock nothing.
    pub proven: Option<Timestamp>,
}

impl Event {
    /// What the clock learns from it.
    #[must_use]
    pub const fn clock(&self) -> Option<clock::Event> {
        match *self {
            Self::Tried
            | Self::Opened { .. }
            | Self::Verified { issued_at: None }
            | Self::Started => None,
            Self::Verified { issued_at: Some(issued_at) }
            | Self::Bulletin { issued_at, .. }
            | Self::Rotation(Rotation { issued_at, .. }) => Some(clock::Event::Signed(issued_at)),
            Self::Token { time, age } => Some(clock::Event::Token { time, age }),
        }
    }

    // Apart: a lock's program is smaller by it.
    #[inline(never)]
    pub(super) const fn of_rider(rider: &Rider, age: u32) -> Self {
        match *rider {
            Rider::Bulletin(Bulletin { issued_at, sequence, revoked, .. }) => {
                Self::Bulletin { issued_at, sequence, revoked }
            }
            Rider::Token(Token { issued_at, .. }) => Self::Token { time: issued_at, age },
            Rider::Rotation(rotation) => Self::Rotation(rotation),
        }
    }
}

impl Record {
    /// What a lock believes after it.
    #[must_use]
    pub fn believed(&self, belief: Belief) -> Belief {
        let counted = belief.then(&clock::Event::Elapsed { seconds: u64::from(self.elapsed) });
        self.event.clock().map_or(counted, |event| counted.then(&event))
    }

    /// The record as it is appended: `u8 kind || u32 elapsed ||` what the kind needs.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Bytes::EMPTY;
        let mut put = |kind: u8, parts: &[&[u8]]| {
            // The longest is the bulletin's, by which the room is measured.
            let _ = out.push(&[kind]).and_then(|()| out.push(&self.elapsed.to_be_bytes()));
            let _ = parts.iter().try_for_each(|part| out.push(part));
        };
        let time = |at: Timestamp| at.seconds().to_be_bytes();
        match &self.event {
            Event::Tried => put(64, &[]),
            Event::Verified { issued_at: None } => put(65, &[]),
            Event::Verified { issued_at: Some(issued_at) } => put(66, &[&time(*issued_at)]),
            Event::Opened { id, remembered: None } => put(67, &[id.as_bytes()]),
            Event::Opened { id, remembered: Some(Remembered { until, proven: None }) } => {
                put(68, &[&time(*until), id.as_bytes()]);
            }
            Event::Opened { id, remembered: Some(Remembered { until, proven: Some(at) }) } => {
                put(72, &[&time(*until), &time(*at), id.as_bytes()]);
            }
            Event::Bulletin { issued_at, sequence, revoked } => {
                let revoked = revoked.prefixes().as_flattened();
                put(69, &[&time(*issued_at), &sequence.to_be_bytes(), revoked]);
            }
            Event::Token { time: at, age } => put(70, &[&time(*at), &age.to_be_bytes()]),
            Event::Rotation(Rotation { issued_at, sequence, key, window }) => {
                let (from, until) = (time(window.from()), time(window.until()));
                let key = HolderKey::of(key);
                put(71, &[&time(*issued_at), &sequence.to_be_bytes(), &from, &until, key.bytes()]);
            }
            Event::Started => put(73, &[]),
        }
        out
    }

    /// Where it belongs after `head`.
    pub(crate) fn place(&self, head: Head) -> Place {
        Place::of(head, self.to_bytes().as_ref())
    }

    /// Reads a record that was appended; `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader::new(bytes);
        let [kind] = from.take()?;
        let elapsed = u32::from_be_bytes(from.take()?);
        let small = |from: &mut Reader<'_>| from.take().map(u32::from_be_bytes);
        let event = match kind {
            64 => Event::Tried,
            65 => Event::Verified { issued_at: None },
            66 => Event::Verified { issued_at: Some(from.time()?) },
            67 => Event::Opened { id: PassId::from_bytes(from.rest())?, remembered: None },
            68 | 72 => {
                let until = from.time()?;
                let proven = if kind == 72 { Some(from.time()?) } else { None };
                let remembered = Some(Remembered { until, proven });
                Event::Opened { id: PassId::from_bytes(from.rest())?, remembered }
            }
            69 => Event::Bulletin {
                issued_at: from.time()?,
                sequence: small(&mut from)?,
                revoked: Revoked::from_bytes(from.rest())?,
            },
            70 => Event::Token { time: from.time()?, age: small(&mut from)? },
            71 => Event::Rotation(Rotation {
                issued_at: from.time()?,
                sequence: small(&mut from)?,
                window: Window::new(from.time()?, from.time()?)?,
                key: HolderKey::from_bytes(from.rest())?.signer()?,
            }),
            73 => Event::Started,
            _ => return None,
        };
        let record = Self { elapsed, event };
        // A record has one encoding.
        (record.to_bytes().as_ref() == bytes).then_some(record)
    }
}
