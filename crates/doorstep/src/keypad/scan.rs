//! The comparison of typed digits with every tuple that could be meant, in time that does not depend
//! on what matches.

use super::key::PinKey;
use super::profile::Profile;
use super::tuple::{Form, Meeting, Tuple};
use crate::clock::Interval;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// How far beyond what may open an authentic PIN is still recognised, in seconds: so that it is told
/// from a wrong one, and the clock learns of it.
pub const LOOK_AROUND: u64 = 4 * 60 * 60;

/// Lanes of one HMAC.
const BLOCK: u8 = 4;

/// A tuple whose code was typed, and in which epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it means.
    pub tuple: Tuple,
    /// Its epoch.
    pub epoch: u32,
    /// Which of its two codes it is.
    pub form: Form,
}

/// What is compared.
pub(crate) struct Scan<'a> {
    pub(crate) profile: &'a Profile,
    pub(crate) now: Interval,
    pub(crate) form: Form,
    /// The number of the PIN, and of what follows it in a long form.
    pub(crate) typed: (u64, u64),
}

impl Scan<'_> {
    /// Finds what was meant in an epoch. It takes the place of what was found in another one before.
    pub(crate) fn find(&self, epoch: u32, key: &PinKey, hits: &mut Hits) {
        let grace = self.profile.grace();
        let around = Interval {
            earliest: self.now.earliest.earlier(LOOK_AROUND),
            latest: self.now.latest.later(LOOK_AROUND),
            ..self.now
        };
        for (number, class) in (0..).zip(self.profile.classes()) {
            let back = class.seconds().saturating_add(u64::from(grace.late));
            let first = class.index_at(around.earliest.earlier(back)).unwrap_or(0);
            let Some(last) = class.index_at(around.latest.later(u64::from(grace.early))) else {
                continue;
            };
            for index in first..=last {
                let tuple = Tuple { class: *class, index, holder: 0, generation: 0 };
                let hit = match tuple.meets(&self.now, grace) {
                    Meeting::Now => &mut hits.near,
                    _ if tuple.meets(&around, grace) == Meeting::Now => &mut hits.around,
                    Meeting::Early(_) | Meeting::Late(_) => continue,
                };
                self.lanes(number, &tuple, epoch, key, hit);
            }
        }
    }

    fn lanes(&self, class: u8, tuple: &Tuple, epoch: u32, key: &PinKey, hit: &mut Hit) {
        let all = Choice::from(u8::from(self.form == Form::Pin));
        for block in 0..self.profile.lanes().div_ceil(BLOCK) {
            let lanes = block.saturating_mul(BLOCK)..self.profile.lanes();
            for (lane, word) in lanes.zip(key.block(tuple, block)) {
                let (pin, tail) = word.numbers(self.profile.digits());
                let found = pin.ct_eq(&self.typed.0) & (all | tail.ct_eq(&self.typed.1));
                hit.take(&Hit { found, epoch, class, index: tuple.index, lane });
            }
        }
    }
}

/// What was found of each kind.
#[derive(Default)]
pub(crate) struct Hits {
    near: Hit,
    around: Hit,
}

impl Hits {
    /// The tuple that was meant: one that may open now, else one around it.
    pub(crate) fn found(self, profile: &Profile, form: Form) -> Option<Found> {
        let Hit { found, epoch, class, index, lane } = self.near.or(self.around);
        if !bool::from(found) {
            return None;
        }
        let class = *profile.classes().get(usize::from(class))?;
        let (holder, generation) = profile.of_lane(lane);
        Some(Found { tuple: Tuple { class, index, holder, generation }, epoch, form })
    }
}

#[derive(Clone, Copy)]
struct Hit {
    found: Choice,
    epoch: u32,
    class: u8,
    index: u32,
    lane: u8,
}

impl Default for Hit {
    fn default() -> Self {
        Self { found: Choice::from(0), epoch: 0, class: 0, index: 0, lane: 0 }
    }
}

impl Hit {
    fn take(&mut self, other: &Self) {
        self.epoch.conditional_assign(&other.epoch, other.found);
        self.class.conditional_assign(&other.class, other.found);
        self.index.conditional_assign(&other.index, other.found);
        self.lane.conditional_assign(&other.lane, other.found);
        self.found |= other.found;
    }

    fn or(self, other: Self) -> Self {
        if bool::from(self.found) { self } else { other }
    }
}
