//! The comparison of one code with every step of its ranges, in time that does not depend on what
//! matches.

use super::verify::Authenticator;
use crate::code::Code;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// Up to two spans of steps, in order and apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ranges {
    first: (u64, u64),
    second: Option<(u64, u64)>,
}

impl Ranges {
    pub(crate) const fn one(from: u64, to: u64) -> Self {
        Self { first: (from, to), second: None }
    }

    /// The counter accepted last, so that its code is known again, and `count` beyond the next.
    pub(crate) fn after(last: Option<u64>, count: u64) -> Self {
        match last {
            None => Self::one(0, count),
            Some(last) => Self::one(last, last.saturating_add(count).saturating_add(1)),
        }
    }

    pub(crate) fn union(plain: (u64, u64), own: (u64, u64)) -> Self {
        let (low, high) = if plain.0 <= own.0 { (plain, own) } else { (own, plain) };
        if high.0 <= low.1.saturating_add(1) {
            return Self::one(low.0, low.1.max(high.1));
        }
        Self { first: low, second: Some(high) }
    }
}

/// A code and the steps it is compared with. All are computed and compared, whatever matches; only
/// which ranges there are, and what was used, decides how long it takes.
pub(crate) struct Scan<'a> {
    pub(crate) code: &'a Code,
    pub(crate) ranges: Ranges,
    /// The step accepted last.
    pub(crate) last: Option<u64>,
    /// Whether the newest unused step is spent, or else the earliest.
    pub(crate) newest: bool,
}

impl Scan<'_> {
    /// The step to spend. Among steps that share a code: with a clock the newest unused one, so
    /// that the same code is not taken again one step later; with a counter the one accepted last,
    /// which is a replay, then the earliest unused one, so that no codes are skipped.
    pub(crate) fn find(&self, authenticator: &Authenticator) -> Option<u64> {
        let (keyed, digits) = (authenticator.keyed(), authenticator.digits());
        let typed = self.code.number();
        let (mut fresh, mut used) = (Hit::default(), Hit::default());
        for (from, to) in core::iter::once(self.ranges.first).chain(self.ranges.second) {
            for step in from..=to {
                let same = keyed.number(step, digits).ct_eq(&typed);
                if self.last.is_some_and(|last| step <= last) {
                    used.take(step, same);
                } else if self.newest {
                    fresh.take(step, same);
                } else {
                    fresh.take(step, same & !fresh.found);
                }
            }
        }
        let (first, second) = if self.newest { (fresh, used) } else { (used, fresh) };
        first.step().or_else(|| second.step())
    }
}

#[derive(Clone, Copy)]
struct Hit {
    found: Choice,
    step: u64,
}

impl Default for Hit {
    fn default() -> Self {
        Self { found: Choice::from(0), step: 0 }
    }
}

impl Hit {
    fn take(&mut self, step: u64, same: Choice) {
        self.step.conditional_assign(&step, same);
        self.found |= same;
    }

    fn step(self) -> Option<u64> {
        bool::from(self.found).then_some(self.step)
    }
}
