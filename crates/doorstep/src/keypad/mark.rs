//! What a lock must remember of single PINs: spent, cancelled, replaced. Room is fixed, and marks are
//! forgotten by the trusted floor alone.

use super::profile::Profile;
use super::tuple::Tuple;
use crate::bytes::{Layout, Stored};
use crate::refusal::Refusal;
use crate::time::Timestamp;

/// What a mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A PIN of a class that opens once did.
    Spent,
    /// The PIN was cancelled, and the older ones of its holder and window.
    Cancelled,
    /// The PIN was used: the older ones of its holder and window open no more.
    Successor,
    /// The place is exclusive and the PIN was used: what began earlier and overlaps opens no more.
    Began,
}

impl What {
    const ALL: [Self; 4] = [Self::Spent, Self::Cancelled, Self::Successor, Self::Began];

    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Spent => 1,
            Self::Cancelled => 2,
            Self::Successor => 3,
            Self::Began => 4,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|what| what.number() == number)
    }
}

/// Something to remember of one PIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What.
    pub what: What,
    /// Of which.
    pub tuple: Tuple,
    /// In which epoch. With the epoch the mark ends, since the PIN does.
    pub epoch: u32,
    /// When it was made, by the estimate.
    pub at: Timestamp,
}

impl Mark {
    /// Bytes of an encoded mark.
    const LENGTH: usize = 28;

    /// None that a lock makes.
    const BLANK: Self =
        Self { what: What::Spent, tuple: Tuple::BLANK, epoch: 0, at: Timestamp::from_seconds(0) };

    /// `u8 what || tuple || u32 epoch || u64 at`.
    fn fields(&mut self, layout: &mut Layout<'_>) {
        let mut what = self.what.number();
        layout.byte(&mut what);
        self.what = What::from_number(what).unwrap_or(self.what);
        self.tuple.fields(layout);
        layout.word(&mut self.epoch);
        layout.time(&mut self.at);
    }

    fn of_the_same_holder(&self, tuple: &Tuple) -> bool {
        let same = |tuple: &Tuple| (tuple.class, tuple.index, tuple.holder);
        same(&self.tuple) == same(tuple)
    }

    /// Whether `other` says nothing that this does not say.
    fn covers(&self, other: &Self) -> bool {
        let older = self.tuple.generation >= other.tuple.generation;
        (self.what, self.epoch) == (other.what, other.epoch)
            && match self.what {
                What::Spent => self.tuple == other.tuple,
                What::Cancelled | What::Successor => self.of_the_same_holder(&other.tuple) && older,
                What::Began => self.tuple.from() == other.tuple.from(),
            }
    }

    /// What it says about a PIN.
    fn refuses(&self, tuple: &Tuple, epoch: u32) -> Option<Refusal> {
        let began = self.tuple.from();
        let refused = self.epoch == epoch
            && match self.what {
                What::Spent => self.tuple == *tuple,
                What::Cancelled => {
                    self.of_the_same_holder(tuple) && tuple.generation <= self.tuple.generation
                }
                What::Successor => {
                    self.of_the_same_holder(tuple) && tuple.generation < self.tuple.generation
                }
                What::Began => tuple.from() < began && tuple.until() > began,
            };
        refused.then_some(match self.what {
            What::Spent => Refusal::AlreadyUsed { at: self.at },
            What::Cancelled => Refusal::Revoked,
            What::Successor | What::Began => Refusal::Superseded,
        })
    }
}

/// Up to `N` marks. A quarter of the room is kept from single use, so that it never crowds out revocations,
/// and an eighth from all but `began` marks: without room for those an exclusive lock opens for nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks<const N: usize> {
    marks: [Option<Mark>; N],
}

impl<const N: usize> Marks<N> {
    /// No marks.
    #[must_use]
    pub const fn new() -> Self {
        Self { marks: [None; N] }
    }

    /// All marks.
    pub fn iter(&self) -> impl Iterator<Item = &Mark> {
        self.marks.iter().filter_map(Option::as_ref)
    }

    /// How many more marks there is room for, of revocations or of single use.
    #[must_use]
    pub fn room(&self, single_use: bool) -> usize {
        let what = if single_use { What::Spent } else { What::Cancelled };
        Self::room_beside(self.iter().count(), what)
    }

    const fn room_beside(used: usize, what: What) -> usize {
        let kept = match what {
            What::Spent => N / 4,
            What::Cancelled | What::Successor => N / 8,
            What::Began => 0,
        };
        N.saturating_sub(used).saturating_sub(kept)
    }

    /// Whether nothing that is remembered speaks against a PIN.
    ///
    /// # Errors
    /// The refusal: already used, revoked or superseded.
    pub fn allow(&self, tuple: &Tuple, epoch: u32) -> Result<(), Refusal> {
        self.iter().find_map(|mark| mark.refuses(tuple, epoch)).map_or(Ok(()), Err)
    }

    /// The earliest mark that speaks against a PIN.
    #[must_use]
    pub fn against(&self, tuple: &Tuple, epoch: u32) -> Option<&Mark> {
        self.iter().filter(|mark| mark.refuses(tuple, epoch).is_some()).min_by_key(|mark| mark.at)
    }

    /// Whether all of these can be remembered, once the epochs before `epoch` are over and their marks gone.
    #[must_use]
    pub fn has_room(&self, marks: &[Option<Mark>], epoch: u32) -> bool {
        let mut used = self.iter().filter(|mark| mark.epoch >= epoch).count();
        let mut news = marks.iter().flatten().filter(|mark| !self.is_covered(mark));
        news.all(|mark| {
            // They are of different kinds, so none is in place of another.
            let room = Self::room_beside(used, mark.what) > 0;
            let replaced = self.iter().filter(|known| mark.covers(known)).count();
            used = used.saturating_add(1).saturating_sub(replaced);
            room
        })
    }

    fn is_covered(&self, mark: &Mark) -> bool {
        self.iter().any(|known| known.covers(mark))
    }

    /// Remembers a mark in place of those that it covers.
    pub(crate) fn insert(&mut self, mark: Mark) {
        if self.is_covered(&mark) {
            return;
        }
        for place in &mut self.marks {
            if place.is_some_and(|known| mark.covers(&known)) {
                *place = None;
            }
        }
        if let Some(place) = self.marks.iter_mut().find(|place| place.is_none()) {
            *place = Some(mark);
        }
    }

    /// Forgets what can matter no more: marks of ended epochs, and of PINs whose window with its
    /// grace is over by the trusted floor. An issuer so ages what it knows of a lock's marks.
    pub fn prune(&mut self, floor: Timestamp, epoch: u32, profile: &Profile) {
        let late = u64::from(profile.grace().late);
        let over = |until: Timestamp| until.later(late) <= floor;
        // Once the newest beginning is over, whatever an older one ended is as well.
        let begun = self.iter().filter(|mark| mark.what == What::Began && mark.epoch == epoch);
        let first = Timestamp::from_seconds(0);
        let newest = begun.map(|mark| mark.tuple.from()).fold(first, Ord::max);
        for place in &mut self.marks {
            let Some(mark) = place else { continue };
            let done = match mark.what {
                What::Began => {
                    let from = mark.tuple.from();
                    let newer = newest > from && over(newest);
                    newer || over(from.later(profile.longest()))
                }
                What::Spent | What::Cancelled | What::Successor => over(mark.tuple.until()),
            };
            if done || mark.epoch < epoch {
                *place = None;
            }
        }
    }
}

impl<const N: usize> Marks<N> {
    /// Bytes of encoded marks.
    pub(super) const LENGTH: usize = 1 + N * Mark::LENGTH;

    /// `u8 count || marks`, then zeros for each place without one.
    pub(super) fn fields(&mut self, layout: &mut Layout<'_>) {
        if layout.is_read() {
            self.marks = [None; N];
        }
        let mut count = u8::try_from(self.iter().count()).unwrap_or(u8::MAX);
        layout.byte(&mut count);
        for place in 0..N {
            if place >= usize::from(count) {
                layout.bytes(&mut [0; Mark::LENGTH]);
                continue;
            }
            let mut mark = self.iter().nth(place).copied().unwrap_or(Mark::BLANK);
            mark.fields(layout);
            // One that is known already changes nothing.
            self.insert(mark);
        }
    }
}

impl<const N: usize> Default for Marks<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// The marks that the first use of a PIN leaves: single use, the end of older generations, the end
/// of what began earlier where the place is exclusive.
#[must_use]
pub fn of_use(tuple: &Tuple, epoch: u32, at: Timestamp, profile: &Profile) -> [Option<Mark>; 3] {
    let mark = |what, wanted: bool| wanted.then_some(Mark { what, tuple: *tuple, epoch, at });
    [
        mark(What::Spent, tuple.class.one_time),
        mark(What::Successor, tuple.generation > 0),
        mark(What::Began, profile.is_exclusive()),
    ]
}

/// Whether the use of one PIN ends another at the same lock. Each is a tuple and its epoch. The issuer
/// predicts by it what a lock will do, as far as anybody comes.
#[must_use]
pub fn ends(used: (&Tuple, u32), other: (&Tuple, u32), profile: &Profile) -> bool {
    let ((used, epoch), (other, other_epoch)) = (used, other);
    let marks = of_use(used, epoch, used.from(), profile);
    other_epoch < epoch
        || marks.iter().flatten().any(|mark| mark.refuses(other, other_epoch).is_some())
}
