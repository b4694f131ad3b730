//! Control codes: what staff, or the next guest, type to set the time, cancel a PIN or end an epoch.

use super::key::ControlKey;
use super::profile::Profile;
use super::tuple::{Class, Divisor, Tuple};
use crate::code::{Code, Shape, number};
use crate::time::Timestamp;
use core::fmt;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// Seconds that a set-time code names.
const STEP: u64 = 300;

/// Set-time codes carry the index of their five minutes by this modulus: 347 days. The lock tries
/// the next ten such spans beyond its trusted floor, so nothing ever rolls over.
const SET_MODULUS: u32 = 100_000;
const SET_SPANS: u32 = 10;

/// Cancel codes carry the index of their window by this one.
const CANCEL_MODULUS: u32 = 10_000;

/// MACs have seven digits.
const MAC: u64 = 10_000_000;

/// What a control code tells a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// It is now within these five minutes.
    SetTime {
        /// Their number since 1970.
        index: u32,
    },
    /// This PIN, and the older ones of the same holder and window, open no more.
    Cancel {
        /// Which.
        tuple: Tuple,
        /// Its epoch.
        epoch: u32,
    },
    /// PINs of this epoch will come; the first that is used ends the epoch before.
    Announce {
        /// The next epoch.
        epoch: u32,
    },
    /// The epochs before this one are over.
    EndEpoch {
        /// The next epoch.
        epoch: u32,
    },
}

impl Command {
    /// The command to set the time at `now`.
    #[must_use]
    pub fn set_time(now: Timestamp) -> Self {
        Self::SetTime { index: u32::try_from(now.seconds() / STEP).unwrap_or(u32::MAX) }
    }

    /// When the five minutes of a set-time code begin.
    #[must_use]
    pub fn set_to(index: u32) -> Timestamp {
        Timestamp::from_seconds(u64::from(index).saturating_mul(STEP))
    }

    /// The epoch whose control key makes the code, when the lock is in `current`. That of an epoch code
    /// is the new one, so that it works once.
    pub(crate) const fn key_epoch(&self, current: u32) -> u32 {
        match self {
            Self::Announce { epoch } | Self::EndEpoch { epoch } | Self::Cancel { epoch, .. } => {
                *epoch
            }
            Self::SetTime { .. } => current,
        }
    }

    /// Whether a lock with this trusted floor finds the command in its code. Codes carry indices by a
    /// modulus: those of windows and times too far ahead, or over, are not found.
    #[must_use]
    pub fn is_found(&self, profile: &Profile, floor: Timestamp) -> bool {
        match self {
            Self::SetTime { index } => {
                let least = set_least(floor);
                let spans = SET_MODULUS.saturating_mul(SET_SPANS);
                (least..least.saturating_add(spans)).contains(index)
            }
            Self::Cancel { tuple, .. } => {
                let least = cancel_least(&tuple.class, profile, floor);
                congruent(tuple.index % CANCEL_MODULUS, CANCEL_MODULUS, least) == tuple.index
            }
            Self::Announce { .. } | Self::EndEpoch { .. } => true,
        }
    }

    /// The earliest trusted floor at which a lock finds the command, unless it is over by then.
    #[must_use]
    pub fn found_from(&self, profile: &Profile) -> Timestamp {
        let Self::Cancel { tuple, .. } = self else { return Timestamp::from_seconds(0) };
        let Some(back) = tuple.index.checked_sub(CANCEL_MODULUS.saturating_sub(1)) else {
            return Timestamp::from_seconds(0);
        };
        let oldest = Tuple { index: back, ..*tuple };
        oldest.until().later(u64::from(profile.grace().late))
    }

    /// The code of the command; `None` for a class that the profile does not have.
    pub(crate) fn code(&self, key: &ControlKey, profile: &Profile) -> Option<Code> {
        let (kind, body) = match self {
            Self::SetTime { index } => (Kind::SetTime, index % SET_MODULUS),
            Self::Cancel { tuple, .. } => {
                let class = profile.classes().iter().position(|class| *class == tuple.class)?;
                let class = u32::try_from(class).ok()?.checked_mul(CANCEL_MODULUS)?;
                (Kind::Cancel, class.checked_add(tuple.index % CANCEL_MODULUS)?)
            }
            Self::Announce { .. } => (Kind::Epoch, 0),
            Self::EndEpoch { .. } => (Kind::Epoch, 1),
        };
        let body = kind.number().saturating_mul(kind.bodies()).saturating_add(u64::from(body));
        Some(Code::from_number(
            body.saturating_mul(MAC).saturating_add(self.mac(key)),
            kind.shape(),
        ))
    }

    /// The seven digits over the whole meaning, of which the code shows only a part.
    fn mac(&self, key: &ControlKey) -> u64 {
        let with = |kind: u8, number: u32| {
            let [a, b, c, d] = number.to_be_bytes();
            key.mac(&[kind, a, b, c, d])
        };
        let mac = match self {
            Self::SetTime { index } => with(1, *index),
            Self::Cancel { tuple, .. } => {
                let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o] = tuple.to_bytes();
                key.mac(&[2, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o])
            }
            Self::Announce { epoch } => with(3, *epoch),
            Self::EndEpoch { epoch } => with(4, *epoch),
        };
        let (_, digits) = const { Divisor::new(MAC) }.divide(mac);
        digits
    }
}

/// What the first two digits of a control code say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    SetTime,
    Cancel,
    Epoch,
}

impl Kind {
    const ALL: [Self; 3] = [Self::SetTime, Self::Cancel, Self::Epoch];

    const fn number(self) -> u64 {
        match self {
            Self::SetTime => 1,
            Self::Cancel => 2,
            Self::Epoch => 3,
        }
    }

    /// How many numbers stand between the first two digits and the MAC.
    const fn bodies(self) -> u64 {
        match self {
            Self::SetTime => 100_000,
            Self::Cancel => 1_000_000,
            Self::Epoch => 10,
        }
    }

    pub(crate) fn shape(self) -> Shape {
        let length = match self {
            Self::SetTime => 14,
            Self::Cancel => 15,
            Self::Epoch => 10,
        };
        Shape::keypad(length).unwrap_or(Shape::DIGITS_10)
    }
}

/// A control code that was typed.
#[derive(Clone)]
pub(crate) struct Order {
    kind: Kind,
    body: u32,
    mac: u64,
}

/// Shows nothing of what was typed.
impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Order(..)")
    }
}

impl Order {
    /// The order in a code that begins with 0; `None` for a type or length that there is not.
    pub(crate) fn read(code: &Code) -> Option<Self> {
        let (rest, mac) = code.expose().split_last_chunk::<7>()?;
        let (first, body) = rest.split_first_chunk::<2>()?;
        let is = |kind: &Kind| kind.shape() == code.shape() && kind.number() == number(first);
        let kind = Kind::ALL.into_iter().find(is)?;
        Some(Self { kind, body: u32::try_from(number(body)).ok()?, mac: number(mac) })
    }

    /// The command that was meant, among all that it may be; the MAC tells. All are compared, whichever
    /// it is.
    pub(crate) fn find(
        &self,
        keys: &[(u32, ControlKey)],
        next: (u32, &ControlKey),
        profile: &Profile,
        floor: Timestamp,
    ) -> Option<Command> {
        let candidate = |number| self.candidate(number, keys, next, profile, floor);
        let (found, which) = self.compare(candidate);
        if bool::from(found) { candidate(which).map(|(_, command)| command) } else { None }
    }

    /// Whether one of the candidates has the MAC that was typed, and which. It is a function of its own
    /// in the program too, so that no branch in here passes for the answer's (`scripts/constant-time`).
    #[inline(never)]
    fn compare<'a>(
        &self,
        candidate: impl Fn(u32) -> Option<(&'a ControlKey, Command)>,
    ) -> (Choice, u32) {
        let (mut found, mut which) = (Choice::from(0), 0);
        for number in 0.. {
            let Some((key, command)) = candidate(number) else { break };
            let hit = command.mac(key).ct_eq(&self.mac) & !found;
            which.conditional_assign(&number, hit);
            found |= hit;
        }
        (found, which)
    }

    /// One of the commands that may be meant, and the key whose MAC it then has; `None` after the last.
    fn candidate<'a>(
        &self,
        number: u32,
        keys: &'a [(u32, ControlKey)],
        next: (u32, &'a ControlKey),
        profile: &Profile,
        floor: Timestamp,
    ) -> Option<(&'a ControlKey, Command)> {
        // So many for each key.
        let place = |each: u32| {
            let key = usize::try_from(number.checked_div(each)?).ok()?;
            Some((keys.get(key)?, number.checked_rem(each)?))
        };
        Some(match self.kind {
            Kind::SetTime => {
                let ((_, key), span) = place(SET_SPANS)?;
                let first = congruent(self.body, SET_MODULUS, set_least(floor));
                let index = first.saturating_add(SET_MODULUS.saturating_mul(span));
                (key, Command::SetTime { index })
            }
            Kind::Cancel => {
                let ((epoch, key), lane) = place(u32::from(profile.lanes()))?;
                let class = usize::try_from(self.body.checked_div(CANCEL_MODULUS)?).ok()?;
                let class = *profile.classes().get(class)?;
                let least = cancel_least(&class, profile, floor);
                let index = congruent(self.body % CANCEL_MODULUS, CANCEL_MODULUS, least);
                let (holder, generation) = profile.of_lane(u8::try_from(lane).ok()?);
                let tuple = Tuple { class, index, holder, generation };
                (key, Command::Cancel { tuple, epoch: *epoch })
            }
            Kind::Epoch => {
                let (epoch, key) = next;
                match (self.body, number) {
                    (0, 0) => (key, Command::Announce { epoch }),
                    (1, 0) => (key, Command::EndEpoch { epoch }),
                    _ => return None,
                }
            }
        })
    }
}

/// The first five minutes that a set-time code may mean.
fn set_least(floor: Timestamp) -> u32 {
    u32::try_from(floor.seconds() / STEP).unwrap_or(u32::MAX)
}

/// The oldest window that a cancel code may mean: the first that is not over.
fn cancel_least(class: &Class, profile: &Profile, floor: Timestamp) -> u32 {
    let back = class.seconds().saturating_add(u64::from(profile.grace().late));
    class.index_at(floor.earlier(back)).unwrap_or(0)
}

/// The least number from `least` on that leaves `rest` by the modulus.
fn congruent(rest: u32, modulus: u32, least: u32) -> u32 {
    let remainder = least.checked_rem(modulus).unwrap_or(0);
    let ahead = if rest >= remainder {
        rest.saturating_sub(remainder)
    } else {
        rest.saturating_add(modulus).saturating_sub(remainder)
    };
    least.saturating_add(ahead)
}
