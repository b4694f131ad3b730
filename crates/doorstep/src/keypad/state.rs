//! What a lock remembers: its belief about the time, its epoch, its attempts and its marks.

use super::mark::Marks;
use super::odds::PIN_PACE;
use super::record::Source;
use crate::bytes::{Layout, Stored};
use crate::clock::{BELIEF_LENGTH, Belief, Clock, Event};
use crate::throttle::Bucket;
use crate::time::Timestamp;

/// How long the same wrong code is answered from memory, in seconds.
const REPEAT: u64 = 120;

/// Wrong codes that are remembered.
const WRONG: usize = 4;

const VERSION: u8 = 1;
/// Bytes before the marks.
const HEADER: usize = BELIEF_LENGTH + 33;

/// A lock's state, with room for `N` marks. It holds no key and no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State<const N: usize> {
    pub(crate) belief: Belief,
    pub(crate) epoch: u32,
    pub(crate) announced: bool,
    pub(crate) buckets: [Bucket; 3],
    pub(crate) marks: Marks<N>,
    pub(crate) wrong: [(u32, Timestamp); WRONG],
}

impl<const N: usize> State<N> {
    /// A lock that was just installed, in epoch 0.
    #[must_use]
    pub fn new(belief: Belief) -> Self {
        let bucket = Bucket::full(PIN_PACE, belief.floor());
        Self {
            belief,
            epoch: 0,
            announced: false,
            buckets: [bucket; 3],
            marks: Marks::new(),
            wrong: [(0, Timestamp::from_seconds(0)); WRONG],
        }
    }

    /// A lock that was installed anew, in the epoch that its issuer is in.
    #[cfg(feature = "otp")]
    pub(crate) fn in_epoch(belief: Belief, epoch: u32) -> Self {
        Self { epoch, ..Self::new(belief) }
    }

    /// What it believes about the time.
    #[must_use]
    pub const fn belief(&self) -> &Belief {
        &self.belief
    }

    /// Its epoch. PINs of earlier ones open no more.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Whether PINs of the next epoch are taken as well.
    #[must_use]
    pub const fn is_announced(&self) -> bool {
        self.announced
    }

    /// Its marks.
    #[must_use]
    pub const fn marks(&self) -> &Marks<N> {
        &self.marks
    }

    /// Its attempts of one kind. They fill by the trusted floor.
    #[must_use]
    pub const fn bucket(&self, source: Source) -> &Bucket {
        let [pin, long, control] = &self.buckets;
        match source {
            Source::Pin => pin,
            Source::Long => long,
            Source::Control => control,
        }
    }

    pub(crate) const fn set_bucket(&mut self, source: Source, bucket: Bucket) {
        let [pin, long, control] = &mut self.buckets;
        *match source {
            Source::Pin => pin,
            Source::Long => long,
            Source::Control => control,
        } = bucket;
    }

    /// The state after so many counted seconds more.
    #[must_use]
    pub fn counted(&self, seconds: u32) -> Self {
        Self { belief: self.believed(seconds), ..*self }
    }

    /// What it believes then.
    pub(crate) fn believed(&self, seconds: u32) -> Belief {
        self.belief.then(&Event::Elapsed { seconds: u64::from(seconds) })
    }

    /// Whether this code was wrong a moment before the floor.
    pub(crate) fn was_wrong(&self, code: u32, floor: Timestamp) -> bool {
        self.wrong
            .iter()
            .any(|(known, at)| *known == code && code != 0 && floor.since(*at) < REPEAT)
    }

    pub(crate) fn note_wrong(&mut self, code: u32) {
        self.wrong.rotate_right(1);
        if let Some(first) = self.wrong.first_mut() {
            *first = (code, self.belief.floor());
        }
    }

    pub(crate) const fn forget_wrong(&mut self) {
        self.wrong = [(0, Timestamp::from_seconds(0)); WRONG];
    }

    /// Bytes of an encoded state.
    pub const LENGTH: usize = HEADER + Marks::<N>::LENGTH;

    /// Writes the state as a snapshot of the journal; `None` when `out` has not [`State::LENGTH`] bytes. The
    /// wrong codes of the last minutes are not in it.
    #[must_use]
    // Apart, so that its part of the stack is given back before it is read again.
    #[inline(never)]
    pub fn write(&self, out: &mut [u8]) -> Option<()> {
        if out.len() == Self::LENGTH { self.store(out) } else { None }
    }

    /// Reads a snapshot; `None` for anything else.
    #[must_use]
    pub fn read(clock: Clock, bytes: &[u8]) -> Option<Self> {
        let mut state = Self::new(Belief::new(clock, Timestamp::from_seconds(0)));
        state.restore(bytes)?;
        Some(state)
    }

    /// Changes the state into that of a snapshot, where there is no memory for two; `None` for anything else, and
    /// then it is of no use any more.
    #[must_use]
    pub fn restore(&mut self, bytes: &[u8]) -> Option<()> {
        if bytes.len() == Self::LENGTH { self.load(bytes) } else { None }
    }
}

impl<const N: usize> Stored for State<N> {
    fn fields(&mut self, layout: &mut Layout<'_>) {
        if layout.is_read() {
            self.forget_wrong();
        }
        layout.byte(&mut { VERSION });
        self.belief.fields(layout);
        layout.word(&mut self.epoch);
        layout.flag(&mut self.announced);
        for bucket in &mut self.buckets {
            bucket.fields(layout);
        }
        self.marks.fields(layout);
    }
}
