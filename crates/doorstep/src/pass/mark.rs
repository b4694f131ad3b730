//! What a lock remembers of passes whose uses are counted, or that were proven by time. Room is fixed, and
//! marks are forgotten by the trusted floor alone.

use super::claims::{Pass, PassId};
use super::reader::GRACE;
use super::record::Remembered;
use crate::bytes::Layout;
use crate::refusal::Refusal;
use crate::time::Timestamp;

/// The uses of one pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which pass.
    pub id: PassId,
    /// How often it opened.
    pub uses: u8,
    /// When it opened first and last, by the estimate.
    pub first: Timestamp,
    /// When it opened last.
    pub last: Timestamp,
    /// When it can be forgotten, but for the grace: the end of the window, or, of a pass that is not counted, the
    /// last proof by time.
    pub until: Timestamp,
    /// The phone's time in the last proof by time; the next one must be later.
    pub proven: Option<Timestamp>,
}

/// Bytes of an encoded mark.
const MARK: usize = 51;

impl Mark {
    /// None that a lock makes.
    const BLANK: Self = Self {
        id: PassId::BLANK,
        uses: 0,
        first: Timestamp::from_seconds(0),
        last: Timestamp::from_seconds(0),
        until: Timestamp::from_seconds(0),
        proven: None,
    };

    /// `u8 length of the id || id, zeros to 16 || u8 uses || u64 first || u64 last || u64 end || u8 proven by time
    /// || u64 that time`.
    fn fields(&mut self, layout: &mut Layout<'_>) {
        self.id.fields(layout);
        layout.byte(&mut self.uses);
        for time in [&mut self.first, &mut self.last, &mut self.until] {
            layout.time(time);
        }
        let (mut proven, zero) = (self.proven.is_some(), Timestamp::from_seconds(0));
        let mut at = self.proven.unwrap_or(zero);
        layout.flag(&mut proven);
        layout.time(&mut at);
        self.proven = Some(at).filter(|_| proven);
    }
}

/// Up to `N` marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks<const N: usize> {
    marks: [Option<Mark>; N],
    /// The latest end of a mark that was forgotten.
    forgotten: Timestamp,
}

impl<const N: usize> Marks<N> {
    /// No marks.
    #[must_use]
    pub const fn new() -> Self {
        Self { marks: [None; N], forgotten: Timestamp::from_seconds(0) }
    }

    /// All marks.
    pub fn iter(&self) -> impl Iterator<Item = &Mark> {
        self.marks.iter().filter_map(Option::as_ref)
    }

    /// How many more there is room for.
    #[must_use]
    pub fn room(&self) -> usize {
        N.saturating_sub(self.iter().count())
    }

    /// When a pass opened first; `None` when it never did, or is not counted.
    #[must_use]
    pub fn first(&self, id: &PassId) -> Option<Timestamp> {
        self.of(id).map(|mark| mark.first)
    }

    fn of(&self, id: &PassId) -> Option<&Mark> {
        self.iter().find(|mark| mark.id == *id)
    }

    /// When it was proven last by time, or may have been: of one without a mark the mark may be forgotten.
    pub(super) fn proven(&self, id: &PassId) -> Option<Timestamp> {
        let forgotten = Some(self.forgotten).filter(|at| at.seconds() > 0);
        self.of(id).map_or(forgotten, |mark| mark.proven)
    }

    /// Whether a pass has uses left. One that is counted and whose mark may have been forgotten has
    /// none, also after the clock was reset to a time before its end.
    pub(super) fn allow(&self, pass: &Pass) -> Result<(), Refusal> {
        let Some(mark) = self.of(&pass.id) else {
            let until = pass.window.until();
            let over = pass.is_counted() && until <= self.forgotten;
            return if over { Err(Refusal::Expired { until }) } else { Ok(()) };
        };
        match pass.scope.uses.most() {
            Some(most) if mark.uses >= most => Err(Refusal::AlreadyUsed { at: mark.last }),
            _ => Ok(()),
        }
    }

    /// Whether one more use of a pass can be remembered.
    pub(super) fn has_room(&self, id: &PassId) -> bool {
        self.of(id).is_some() || self.room() > 0
    }

    /// Remembers a use.
    // Apart: a lock's program is smaller by it.
    #[inline(never)]
    pub(super) fn insert(&mut self, id: PassId, used: &Remembered, at: Timestamp) {
        let Remembered { until, proven } = *used;
        if let Some(mark) = self.marks.iter_mut().flatten().find(|mark| mark.id == id) {
            mark.uses = mark.uses.saturating_add(1);
            mark.last = at;
            mark.until = mark.until.max(until);
            mark.proven = mark.proven.max(proven);
        } else if let Some(place) = self.marks.iter_mut().find(|place| place.is_none()) {
            *place = Some(Mark { id, uses: 1, first: at, last: at, until, proven });
        }
    }

    /// Forgets what can matter no more: passes whose window with its grace is over by the trusted floor.
    pub(super) fn prune(&mut self, floor: Timestamp) {
        for place in &mut self.marks {
            let Some(mark) = place else { continue };
            if mark.until.later(GRACE) <= floor {
                self.forgotten = self.forgotten.max(mark.until);
                *place = None;
            }
        }
    }
}

impl<const N: usize> Marks<N> {
    /// Bytes of encoded marks.
    pub(super) const LENGTH: usize = 8 + N * MARK;

    /// `u64 latest end forgotten`, then for each place a mark, or zeros.
    pub(super) fn fields(&mut self, layout: &mut Layout<'_>) {
        layout.time(&mut self.forgotten);
        for place in &mut self.marks {
            let mut mark = place.unwrap_or(Mark::BLANK);
            mark.fields(layout);
            *place = Some(mark).filter(|mark| mark.id != PassId::BLANK);
        }
    }
}

impl<const N: usize> Default for Marks<N> {
    fn default() -> Self {
        Self::new()
    }
}
