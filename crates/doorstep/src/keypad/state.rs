//! What a lock remembers: its belief about the time, its epoch, its attempts and its marks.

use super::mark::{Mark, Marks, What};
use super::odds::PIN_PACE;
use super::record::Source;
use super::tuple::Tuple;
use crate::bytes::{Reader, Writer};
use crate::clock::{BELIEF_LENGTH, Belief, Clock, Event};
use crate::throttle::Bucket;
use crate::time::Timestamp;

/// How long the same wrong code is answered from memory, in seconds.
const REPEAT: u64 = 120;

/// Wrong codes that are remembered.
const WRONG: usize = 4;

const VERSION: u8 = 1;
const HEADER: usize = BELIEF_LENGTH + 34;
const MARK: usize = 28;

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
    pub const LENGTH: usize = HEADER + N * MARK;

    /// Writes the state as a snapshot of the journal; `None` when `out` has not [`State::LENGTH`] bytes. The
    /// wrong codes of the last minutes are not in it.
    #[must_use]
    pub fn write(&self, out: &mut [u8]) -> Option<()> {
        if out.len() != Self::LENGTH {
            return None;
        }
        let (head, rest) = out.split_at_mut_checked(HEADER)?;
        let mut header = Writer::<HEADER>::new();
        header.put(&[VERSION]);
        header.put(&self.belief.to_bytes());
        header.put(&self.epoch.to_be_bytes());
        header.put(&[u8::from(self.announced)]);
        for bucket in &self.buckets {
            header.put(&[bucket.used()]);
            header.put(&bucket.as_of().seconds().to_be_bytes());
        }
        header.put(&[u8::try_from(self.marks.iter().count()).ok()?]);
        head.copy_from_slice(&header.finish());
        rest.fill(0);
        for (place, mark) in rest.chunks_exact_mut(MARK).zip(self.marks.iter()) {
            let mut bytes = Writer::<MARK>::new();
            bytes.put(&[mark.what.number()]);
            bytes.put(&mark.tuple.to_bytes());
            bytes.put(&mark.epoch.to_be_bytes());
            bytes.put(&mark.at.seconds().to_be_bytes());
            place.copy_from_slice(&bytes.finish());
        }
        Some(())
    }

    /// Reads a snapshot; `None` for anything else.
    #[must_use]
    pub fn read(clock: Clock, bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(HEADER)?;
        let mut from = Reader::new(head);
        from.take().filter(|version| *version == [VERSION])?;
        let belief = Belief::from_bytes(clock, &from.take()?)?;
        let epoch = u32::from_be_bytes(from.take()?);
        let announced = match from.take()? {
            [0] => false,
            [1] => true,
            _ => return None,
        };
        let mut state = Self { epoch, announced, ..Self::new(belief) };
        for bucket in &mut state.buckets {
            let [used] = from.take()?;
            *bucket = Bucket::stored(PIN_PACE, used, from.time()?);
        }
        let [count] = from.take()?;
        let (marks, empty) = rest.as_chunks::<MARK>();
        if marks.len() != N || !empty.is_empty() {
            return None;
        }
        for bytes in marks.iter().take(usize::from(count)) {
            let mut from = Reader::new(bytes);
            let [what] = from.take()?;
            let what = What::from_number(what)?;
            let tuple = Tuple::from_bytes(from.take()?)?;
            let epoch = u32::from_be_bytes(from.take()?);
            state.marks.insert(Mark { what, tuple, epoch, at: from.time()? });
        }
        let whole = state.marks.iter().count() == usize::from(count);
        let spare = marks.iter().skip(usize::from(count)).flatten().all(|byte| *byte == 0);
        (whole && spare).then_some(state)
    }
}
