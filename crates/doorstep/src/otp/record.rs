//! What a verifier remembers of one authenticator, and the records that change it.
//!
//! Each authenticator has a ledger of its own: the records do not name it.

use super::verify::{Accepted, Half};
use crate::refusal::Refusal;
use crate::throttle::{Bucket, Pace};
use crate::time::Timestamp;
use crate::verifier::{Ledgered, Means};

/// Bytes of an encoded record.
pub const RECORD_LENGTH: usize = 25;

/// Bytes of an encoded state.
pub const STATE_LENGTH: usize = 73;

const STATE_VERSION: u8 = 1;

/// Something that must be durable before the next step of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// A code was presented, so one attempt is gone.
    Tried {
        /// When.
        at: Timestamp,
    },
    /// A code was accepted: its step, or its counter, and all before are spent.
    Accepted {
        /// When.
        at: Timestamp,
        /// The step or the counter.
        step: u64,
        /// The drift to remember, in whole steps.
        drift: i64,
    },
    /// The first code of a resync was found; it opens nothing.
    First {
        /// When.
        at: Timestamp,
        /// Its step or counter.
        step: u64,
    },
    /// The second code followed the first.
    Resynced {
        /// When.
        at: Timestamp,
        /// The step or counter of the second.
        step: u64,
        /// The drift from which the authenticator's clock is followed from now on.
        drift: i64,
    },
    /// An OCRA challenge was answered. The challenge itself must be marked in the same append.
    Answered {
        /// When.
        at: Timestamp,
        /// The counter that went in, if one did.
        counter: Option<u64>,
    },
}

impl Record {
    /// The record as it is appended: `u8 kind || u64 at || u64 step || i64 drift`.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; RECORD_LENGTH] {
        let (kind, at, step, drift) = match *self {
            Self::Tried { at } => (1, at, 0, 0),
            Self::Accepted { at, step, drift } => (2, at, step, drift),
            Self::First { at, step } => (3, at, step, 0),
            Self::Resynced { at, step, drift } => (4, at, step, drift),
            Self::Answered { at, counter: None } => (5, at, 0, 0),
            Self::Answered { at, counter: Some(counter) } => (6, at, counter, 0),
        };
        let mut out = Writer::new();
        out.put(&[kind]);
        out.put(&at.seconds().to_be_bytes());
        out.put(&step.to_be_bytes());
        out.put(&drift.to_be_bytes());
        out.0
    }

    /// Reads a record that was appended; `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; RECORD_LENGTH]) -> Option<Self> {
        let mut from = Reader(bytes);
        let [kind] = from.take()?;
        let at = from.time()?;
        let step = u64::from_be_bytes(from.take()?);
        let drift = i64::from_be_bytes(from.take()?);
        let record = match kind {
            1 => Self::Tried { at },
            2 => Self::Accepted { at, step, drift },
            3 => Self::First { at, step },
            4 => Self::Resynced { at, step, drift },
            5 => Self::Answered { at, counter: None },
            6 => Self::Answered { at, counter: Some(step) },
            _ => return None,
        };
        // A record has one encoding.
        (record.to_bytes() == *bytes).then_some(record)
    }
}

/// A step, and when it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) step: u64,
    pub(crate) at: Timestamp,
}

/// What a verifier's ledger says about one authenticator. It holds no secret. Every record only
/// raises the step below which nothing is taken, so that neither a clock set back nor a record
/// applied twice makes a code valid again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    pub(crate) last: Option<Seen>,
    pub(crate) first: Option<Seen>,
    pub(crate) drift: i64,
    pub(crate) anchor: Anchor,
    bucket: Bucket,
}

/// The drift that was last established by enrolment or resync, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Anchor {
    pub(crate) drift: i64,
    pub(crate) at: Timestamp,
}

impl State {
    /// The state of an authenticator enrolled at `now`, from which nothing was accepted yet.
    #[must_use]
    pub const fn new(pace: Pace, now: Timestamp) -> Self {
        Self {
            last: None,
            first: None,
            drift: 0,
            anchor: Anchor { drift: 0, at: now },
            bucket: Bucket::full(pace, now),
        }
    }

    /// The state of an authenticator that counts and whose next counter is `next`.
    #[must_use]
    pub fn counting_from(pace: Pace, now: Timestamp, next: u64) -> Self {
        let last = next.checked_sub(1).map(|step| Seen { step, at: now });
        Self { last, ..Self::new(pace, now) }
    }

    /// The state after a record.
    #[must_use]
    pub fn then(mut self, record: &Record) -> Self {
        match *record {
            Record::Tried { at } => self.bucket = self.bucket.taken(at),
            Record::Accepted { at, step, drift } => {
                if self.raise(Seen { step, at }) {
                    self.drift = drift;
                }
            }
            Record::First { at, step } => self.first = Some(Seen { step, at }),
            Record::Resynced { at, step, drift } => {
                if self.raise(Seen { step, at }) {
                    self.drift = drift;
                    self.anchor = Anchor { drift, at };
                }
            }
            Record::Answered { at, counter: Some(step) } => {
                self.raise(Seen { step, at });
            }
            Record::Answered { counter: None, .. } => self.bucket = self.bucket.give_back(),
        }
        self
    }

    /// Whether the step was new.
    fn raise(&mut self, seen: Seen) -> bool {
        let new = !self.is_used(seen.step);
        if new {
            self.last = Some(seen);
            self.bucket = self.bucket.give_back();
        }
        self.first = None;
        new
    }

    /// The step or counter accepted last; it and all before are spent.
    #[must_use]
    pub fn last_step(&self) -> Option<u64> {
        self.last.map(|last| last.step)
    }

    /// How many steps the authenticator's clock was ahead of ours when it was last heard.
    #[must_use]
    pub const fn drift(&self) -> i64 {
        self.drift
    }

    /// The attempts.
    #[must_use]
    pub const fn bucket(&self) -> Bucket {
        self.bucket
    }

    pub(crate) fn is_used(&self, step: u64) -> bool {
        self.last.is_some_and(|last| step <= last.step)
    }

    /// The state as a row of a table or a file holds it.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; STATE_LENGTH] {
        let mut out = Writer::new();
        out.put(&[STATE_VERSION]);
        for seen in [self.last, self.first] {
            out.put(&[u8::from(seen.is_some())]);
            out.put(&seen.map_or(0, |seen| seen.step).to_be_bytes());
            out.put(&seen.map_or(0, |seen| seen.at.seconds()).to_be_bytes());
        }
        out.put(&self.drift.to_be_bytes());
        out.put(&self.anchor.drift.to_be_bytes());
        out.put(&self.anchor.at.seconds().to_be_bytes());
        out.put(&[self.bucket.pace().burst]);
        out.put(&self.bucket.pace().refill.to_be_bytes());
        out.put(&[self.bucket.used()]);
        out.put(&self.bucket.as_of().seconds().to_be_bytes());
        out.0
    }

    /// Reads a state that was stored; `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; STATE_LENGTH]) -> Option<Self> {
        let mut from = Reader(bytes);
        let seen = |from: &mut Reader<'_>| {
            let [there] = from.take()?;
            let seen = Seen { step: u64::from_be_bytes(from.take()?), at: from.time()? };
            Some((there == 1).then_some(seen))
        };
        from.take().filter(|version| *version == [STATE_VERSION])?;
        let (last, first) = (seen(&mut from)?, seen(&mut from)?);
        let drift = i64::from_be_bytes(from.take()?);
        let anchor = Anchor { drift: i64::from_be_bytes(from.take()?), at: from.time()? };
        let [burst] = from.take()?;
        let pace = Pace { burst, refill: u32::from_be_bytes(from.take()?) };
        let [used] = from.take()?;
        let bucket = Bucket::stored(pace, used, from.time()?);
        let state = Self { last, first, drift, anchor, bucket };
        // A state has one encoding.
        (state.to_bytes() == *bytes).then_some(state)
    }
}

impl Ledgered<Accepted> for State {
    fn admit(&self, means: Means, now: Timestamp) -> Result<Option<u8>, Refusal> {
        admit(self, means, now)
    }

    fn still(&self, found: &Accepted, _: Timestamp) -> Result<(), Refusal> {
        unused(self, found.step)
    }
}

impl Ledgered<Half> for State {
    fn admit(&self, means: Means, now: Timestamp) -> Result<Option<u8>, Refusal> {
        admit(self, means, now)
    }

    fn still(&self, found: &Half, _: Timestamp) -> Result<(), Refusal> {
        unused(self, found.step)
    }
}

/// Whether the throttle takes another attempt, and how many are left after it.
pub(crate) fn admit(state: &State, means: Means, now: Timestamp) -> Result<Option<u8>, Refusal> {
    match means {
        Means::Typed => Ok(Some(state.bucket.take(now)?.left())),
        Means::Scanned => Ok(None),
    }
}

pub(crate) fn unused(state: &State, step: u64) -> Result<(), Refusal> {
    match state.last {
        Some(last) if step <= last.step => Err(Refusal::AlreadyUsed { at: last.at }),
        _ => Ok(()),
    }
}

struct Writer<const N: usize>([u8; N], usize);

impl<const N: usize> Writer<N> {
    const fn new() -> Self {
        Self([0; N], 0)
    }

    fn put(&mut self, bytes: &[u8]) {
        for (place, byte) in self.0.iter_mut().skip(self.1).zip(bytes) {
            *place = *byte;
        }
        self.1 = self.1.saturating_add(bytes.len());
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn time(&mut self) -> Option<Timestamp> {
        self.take().map(|bytes| Timestamp::from_seconds(u64::from_be_bytes(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record() -> impl Strategy<Value = Record> {
        (0..6_u8, any::<u64>(), any::<u64>(), any::<i64>()).prop_map(|(kind, at, step, drift)| {
            let at = Timestamp::from_seconds(at);
            match kind {
                0 => Record::Tried { at },
                1 => Record::Accepted { at, step, drift },
                2 => Record::First { at, step },
                3 => Record::Resynced { at, step, drift },
                4 => Record::Answered { at, counter: None },
                _ => Record::Answered { at, counter: Some(step) },
            }
        })
    }

    proptest! {
        #[test]
        fn records_and_states_read_back(records in proptest::collection::vec(record(), 0..20)) {
            let mut state = State::new(Pace { burst: 3, refill: 100 }, Timestamp::from_seconds(7));
            for record in &records {
                prop_assert_eq!(Record::from_bytes(&record.to_bytes()), Some(*record));
                let next = state.then(record);
                prop_assert!(next.last_step() >= state.last_step(), "a step never comes back");
                prop_assert_eq!(State::from_bytes(&next.to_bytes()), Some(next));
                state = next;
            }
        }

        #[test]
        fn other_bytes_are_neither_record_nor_state(
            record in any::<[u8; RECORD_LENGTH]>(),
            state in proptest::collection::vec(any::<u8>(), STATE_LENGTH),
        ) {
            if let Some(read) = Record::from_bytes(&record) {
                prop_assert_eq!(read.to_bytes(), record);
            }
            let state: [u8; STATE_LENGTH] = state.try_into().unwrap();
            if let Some(read) = State::from_bytes(&state) {
                prop_assert_eq!(read.to_bytes(), state);
            }
        }
    }

    #[test]
    fn a_record_applied_twice_gives_nothing_back_twice() {
        let at = Timestamp::from_seconds(1000);
        let mut state = State::new(Pace { burst: 5, refill: 100 }, at);
        for _ in 0..3 {
            state = state.then(&Record::Tried { at });
        }
        let accepted = Record::Accepted { at, step: 4, drift: 0 };
        let once = state.then(&accepted);
        assert_eq!((state.bucket().left(), once.bucket().left()), (2, 3));
        assert_eq!(once.then(&accepted), once);
        assert_eq!(once.then(&Record::Accepted { at, step: 3, drift: -1 }), once);
    }
}
