//! What a verifier remembers of an account's authenticators, and the records that change it.
//!
//! An account has one ledger. All its authenticators share the attempts, so that a second one does
//! not double the guesses; each has a [`State`] of its own.

use super::verify::{Accepted, Half};
use crate::bytes::{Layout, Stored};
use crate::ledger::{Head, Place};
use crate::refusal::Refusal;
use crate::throttle::Bucket;
use crate::time::Timestamp;
use crate::verifier::{Ledgered, Means};

/// Bytes of an encoded record.
pub const RECORD_LENGTH: usize = 29;

/// Bytes of an encoded state.
pub const STATE_LENGTH: usize = 59;

const STATE_VERSION: u8 = 1;

/// Something that must be durable before the next step of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// When.
    pub at: Timestamp,
    /// From which bucket the attempt was taken; see [`Presenter`].
    pub source: u16,
    /// What happened.
    pub event: Event,
}

/// What a record says. Authenticators are named by their number in the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A code was presented, so one attempt is gone.
    Tried,
    /// A code was accepted: its step, or its counter, and all before are spent.
    Accepted {
        /// Whose.
        authenticator: u16,
        /// The step or the counter.
        step: u64,
        /// The drift to remember, in whole steps.
        drift: i64,
    },
    /// The first code of a resync was found; it opens nothing.
    First {
        /// Whose.
        authenticator: u16,
        /// Its step or counter.
        step: u64,
    },
    /// The second code followed the first.
    Resynced {
        /// Whose.
        authenticator: u16,
        /// The step or counter of the second.
        step: u64,
        /// The drift from which the authenticator's clock is followed from now on.
        drift: i64,
    },
    /// An OCRA challenge was answered. The challenge itself must be marked in the same append.
    Answered {
        /// Whose.
        authenticator: u16,
        /// The counter that went in, if one did.
        counter: Option<u64>,
    },
    /// A recovery code was presented, which takes no attempt ([`super::recovery`]).
    TriedRecovery,
    /// A recovery code was accepted, and is spent.
    Recovered {
        /// Its number among the account's.
        code: u8,
    },
}

impl Event {
    /// The step whose code was accepted, if one was.
    #[cfg(feature = "lock")]
    pub(crate) const fn accepted(&self) -> Option<u64> {
        match self {
            Self::Accepted { step, .. } | Self::Resynced { step, .. } => Some(*step),
            Self::Tried
            | Self::First { .. }
            | Self::Answered { .. }
            | Self::TriedRecovery
            | Self::Recovered { .. } => None,
        }
    }
}

/// Who presents a code, and the attempts it is taken from: 0 for anybody, other numbers for a
/// device that was once given a success. The latter have a bucket of their own, so that whoever
/// guesses elsewhere uses up the attempts of strangers and not those of the holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presenter {
    /// The number of the bucket in the account.
    pub source: u16,
    /// The bucket.
    pub bucket: Bucket,
}

impl Presenter {
    /// Anybody, taking from the account's own bucket.
    #[must_use]
    pub const fn anybody(bucket: Bucket) -> Self {
        Self { source: 0, bucket }
    }

    pub(crate) const fn record(&self, at: Timestamp, event: Event) -> Record {
        Record { at, source: self.source, event }
    }

    /// Whether the throttle takes another attempt, and how many are left after it.
    pub(crate) fn admit(&self, means: Means, now: Timestamp) -> Result<Option<u8>, Refusal> {
        match means {
            Means::Typed => Ok(Some(self.bucket.take(now)?.left())),
            Means::Scanned => Ok(None),
        }
    }
}

impl Record {
    /// The bucket of the record's source after it. A success gives back its own attempt and no
    /// other.
    #[must_use]
    pub fn charge(&self, bucket: Bucket) -> Bucket {
        match self.event {
            Event::Tried => bucket.taken(self.at),
            Event::Accepted { .. } | Event::Resynced { .. } | Event::Answered { .. } => {
                bucket.give_back()
            }
            Event::First { .. } | Event::TriedRecovery | Event::Recovered { .. } => bucket,
        }
    }

    /// The record as it is appended:
    /// `u8 kind || u16 source || u16 authenticator || u64 at || u64 step || i64 drift`.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; RECORD_LENGTH] {
        let mut bytes = [0; RECORD_LENGTH];
        // As long as its fields.
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
        let at = Timestamp::from_seconds(0);
        let mut record = Self { at, source: 0, event: Event::Tried };
        record.load(bytes)?;
        Some(record)
    }
}

impl Stored for Record {
    fn fields(&mut self, layout: &mut Layout<'_>) {
        let (mut kind, mut authenticator, mut step, mut drift) = match self.event {
            Event::Tried => (1, 0, 0, 0),
            Event::Accepted { authenticator, step, drift } => (2, authenticator, step, drift),
            Event::First { authenticator, step } => (3, authenticator, step, 0),
            Event::Resynced { authenticator, step, drift } => (4, authenticator, step, drift),
            Event::Answered { authenticator, counter: None } => (5, authenticator, 0, 0),
            Event::Answered { authenticator, counter: Some(step) } => (6, authenticator, step, 0),
            Event::TriedRecovery => (7, 0, 0, 0),
            Event::Recovered { code } => (8, 0, u64::from(code), 0),
        };
        layout.byte(&mut kind);
        layout.half(&mut self.source);
        layout.half(&mut authenticator);
        layout.time(&mut self.at);
        layout.long(&mut step);
        layout.signed(&mut drift);
        self.event = match kind {
            2 => Event::Accepted { authenticator, step, drift },
            3 => Event::First { authenticator, step },
            4 => Event::Resynced { authenticator, step, drift },
            5 => Event::Answered { authenticator, counter: None },
            6 => Event::Answered { authenticator, counter: Some(step) },
            7 => Event::TriedRecovery,
            8 => Event::Recovered { code: u8::try_from(step).unwrap_or(0) },
            _ => Event::Tried,
        };
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
    pub const fn new(now: Timestamp) -> Self {
        Self { last: None, first: None, drift: 0, anchor: Anchor { drift: 0, at: now } }
    }

    /// The state of an authenticator that counts and whose next counter is `next`.
    #[must_use]
    pub fn counting_from(now: Timestamp, next: u64) -> Self {
        let last = next.checked_sub(1).map(|step| Seen { step, at: now });
        Self { last, ..Self::new(now) }
    }

    /// The state after something happened to this authenticator at `at`.
    #[must_use]
    pub fn then(mut self, at: Timestamp, event: &Event) -> Self {
        match *event {
            Event::Accepted { step, drift, .. } => {
                if self.raise(Seen { step, at }) {
                    self.drift = drift;
                }
            }
            Event::First { step, .. } => self.first = Some(Seen { step, at }),
            Event::Resynced { step, drift, .. } => {
                if self.raise(Seen { step, at }) {
                    self.drift = drift;
                    self.anchor = Anchor { drift, at };
                }
            }
            Event::Answered { counter: Some(step), .. } => {
                self.raise(Seen { step, at });
            }
            Event::Answered { counter: None, .. }
            | Event::Tried
            | Event::TriedRecovery
            | Event::Recovered { .. } => {}
        }
        self
    }

    /// Whether the step was new.
    fn raise(&mut self, seen: Seen) -> bool {
        let new = !self.is_used(seen.step);
        if new {
            self.last = Some(seen);
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

    pub(crate) fn is_used(&self, step: u64) -> bool {
        self.last.is_some_and(|last| step <= last.step)
    }

    /// The state as a row of a table or a file holds it.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; STATE_LENGTH] {
        let mut bytes = [0; STATE_LENGTH];
        // As long as its fields.
        let _ = self.store(&mut bytes);
        bytes
    }

    /// Reads a state that was stored; `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; STATE_LENGTH]) -> Option<Self> {
        let mut state = Self::new(Timestamp::from_seconds(0));
        state.load(bytes)?;
        Some(state)
    }
}

impl Stored for State {
    fn fields(&mut self, layout: &mut Layout<'_>) {
        layout.byte(&mut { STATE_VERSION });
        for seen in [&mut self.last, &mut self.first] {
            let blank = Seen { step: 0, at: Timestamp::from_seconds(0) };
            let (mut there, mut fields) = (seen.is_some(), seen.unwrap_or(blank));
            layout.flag(&mut there);
            layout.long(&mut fields.step);
            layout.time(&mut fields.at);
            *seen = there.then_some(fields);
        }
        layout.signed(&mut self.drift);
        layout.signed(&mut self.anchor.drift);
        layout.time(&mut self.anchor.at);
    }
}

/// What the ledger says when a presenter tries one authenticator.
pub(crate) struct Standing<'a> {
    pub(crate) presenter: &'a Presenter,
    pub(crate) state: &'a State,
}

impl Ledgered<Accepted> for Standing<'_> {
    fn admit(&self, means: Means, now: Timestamp) -> Result<Option<u8>, Refusal> {
        self.presenter.admit(means, now)
    }

    fn still(&self, found: &Accepted, _: Timestamp) -> Result<(), Refusal> {
        unused(self.state, found.step)
    }
}

impl Ledgered<Half> for Standing<'_> {
    fn admit(&self, means: Means, now: Timestamp) -> Result<Option<u8>, Refusal> {
        self.presenter.admit(means, now)
    }

    fn still(&self, found: &Half, _: Timestamp) -> Result<(), Refusal> {
        unused(self.state, found.step)
    }
}

pub(crate) fn unused(state: &State, step: u64) -> Result<(), Refusal> {
    match state.last {
        Some(last) if state.is_used(step) => Err(Refusal::AlreadyUsed { at: last.at }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record() -> impl Strategy<Value = Record> {
        let parts = (0..8_u8, any::<u64>(), any::<u64>(), any::<i64>(), any::<(u16, u16, u8)>());
        parts.prop_map(|(kind, at, step, drift, (source, authenticator, code))| {
            let event = match kind {
                0 => Event::Tried,
                1 => Event::Accepted { authenticator, step, drift },
                2 => Event::First { authenticator, step },
                3 => Event::Resynced { authenticator, step, drift },
                4 => Event::Answered { authenticator, counter: None },
                5 => Event::Answered { authenticator, counter: Some(step) },
                6 => Event::TriedRecovery,
                _ => Event::Recovered { code },
            };
            Record { at: Timestamp::from_seconds(at), source, event }
        })
    }

    proptest! {
        #[test]
        fn records_and_states_read_back(records in proptest::collection::vec(record(), 0..20)) {
            let mut state = State::new(Timestamp::from_seconds(7));
            for record in &records {
                prop_assert_eq!(Record::from_bytes(&record.to_bytes()), Some(*record));
                let next = state.then(record.at, &record.event);
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
    fn an_event_applied_twice_or_out_of_order_changes_nothing() {
        let at = Timestamp::from_seconds(1000);
        let accepted = |step, drift| Event::Accepted { authenticator: 1, step, drift };
        let once = State::new(at).then(at, &accepted(4, 0));
        assert_eq!(once.then(at, &accepted(4, 0)), once);
        assert_eq!(once.then(at, &accepted(3, -1)), once);
    }

    #[test]
    fn a_success_gives_back_its_own_attempt_and_recovery_takes_none() {
        let at = Timestamp::from_seconds(1000);
        let full = Bucket::full(crate::throttle::Pace { burst: 5, refill: 100 }, at);
        let after = |events: &[Event]| {
            let records = events.iter().map(|event| Record { at, source: 0, event: *event });
            records.fold(full, |bucket, record| record.charge(bucket)).left()
        };
        let accepted = Event::Accepted { authenticator: 1, step: 4, drift: 0 };
        assert_eq!(after(&[Event::Tried, Event::Tried, Event::Tried, accepted]), 3);
        let first = Event::First { authenticator: 1, step: 4 };
        assert_eq!(after(&[Event::Tried, first]), 4, "half of a resync is no success");
        let recovered = Event::Recovered { code: 2 };
        assert_eq!(after(&[Event::Tried, Event::TriedRecovery, recovered]), 4);
    }
}
