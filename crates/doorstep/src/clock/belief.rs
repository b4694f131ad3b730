//! The state of a lock's clock, and everything that changes it.

use super::estimate::{Estimate, HOUR, SECOND};
use super::{AfterPowerLoss, Clock, Interval, MAX_UNCERTAINTY};
use crate::bytes::{Reader, Writer};
use crate::time::Timestamp;

/// Bytes of an encoded belief.
pub const BELIEF_LENGTH: usize = 109;

const VERSION: u8 = 1;

/// How far a signed time of unknown age may raise the floor: 7 days. Beyond, only fresh time does.
const SIGNED_JUMP: u64 = 7 * 86_400;

/// How far one set-time code may raise it: 30 days. Beyond, it takes two.
const SET_JUMP: u64 = 30 * 86_400;

/// A set-time code names five minutes and is typed within some more.
const SET_STEP: u64 = 5 * 60;

/// How old a nonce may be whose answer is believed, in seconds.
const NONCE_LIFETIME: u32 = 10 * 60;

/// How long `trust_90min` trusts the power to have been off at most.
const TRUSTED_OFF: u64 = 2 * MAX_UNCERTAINTY;

/// By how much codes that came too early or too late may widen the uncertainty in a day.
const WIDENED_A_DAY: u64 = 15 * 60;

/// The belief reaches this many standard deviations either way, but never beyond
/// [`MAX_UNCERTAINTY`].
const DEVIATIONS: u64 = 4;

/// As many have to be within [`MAX_UNCERTAINTY`] for anything to be granted. It is less than the belief
/// reaches, so that a cut or dead codes, which widen it to the most, leave months until the next guest.
const CERTAIN_DEVIATIONS: u64 = 3;

/// Codes that are remembered, so that each moves the estimate once.
const HEARD: usize = 8;

const DAY: u32 = 86_400;

/// In hours. After that nothing becomes less certain.
const TEN_YEARS: u32 = 87_600;
const MILLISECONDS: u64 = 1_000;
const NEVER: u64 = u64::MAX;

/// What a typed code tells of the time. It is hearsay: whoever types may be early, late, or hold an
/// authenticator whose clock is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clue {
    /// When such a code is typed, most probably.
    pub about: Timestamp,
    /// Standard deviation of that, in seconds.
    pub spread: u32,
    /// By how many seconds it may move the estimate, if that is more than the uncertainty. Back, by
    /// half of it: a code that is typed late is normal.
    pub reach: u32,
    /// Names the code, so that each is heard once; 0 is no name, and is not heard.
    pub code: u32,
}

/// Something that a lock learns about the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The oscillator counted so many seconds.
    Elapsed {
        /// Seconds.
        seconds: u64,
    },
    /// The oscillator stood still, or may have, for nobody knows how long.
    PowerLost,
    /// A time that the issuer signed, which is therefore over; nobody knows for how long.
    Signed(Timestamp),
    /// The issuer's answer to a nonce of this lock: fresh time.
    Token {
        /// The time in the answer.
        time: Timestamp,
        /// Seconds counted since the nonce was drawn.
        age: u32,
    },
    /// A set-time code: staff made it at the lock.
    SetTime {
        /// When its five minutes begin.
        time: Timestamp,
    },
    /// A code was accepted.
    Heard(Clue),
    /// An authentic code was refused because its window was missed.
    Missed {
        /// Names the code, so that each is heard once.
        code: u32,
        /// By how many seconds.
        by: u32,
    },
    /// A clock reset under the root key, bound to a nonce of this lock. The only way back; it comes
    /// with a new epoch, so that what was valid at the earlier time stays revoked.
    Reset {
        /// The time in it.
        time: Timestamp,
        /// Seconds counted since the nonce was drawn.
        age: u32,
    },
}

/// What a lock believes about the time. It holds no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Belief {
    clock: Clock,
    /// Nanoseconds, like all times here: certainly over.
    floor: u64,
    /// Certainly not reached; [`NEVER`] when the oscillator stood still.
    ceiling: u64,
    estimate: Estimate,
    /// Seconds counted since the filter's last step.
    pending: u32,
    /// Seconds counted of the current day, and the milliseconds it was widened by.
    day: u32,
    widened: u32,
    /// The first of two set-time codes.
    announced: u64,
    heard: [u32; HEARD],
}

const fn fine(at: Timestamp) -> u64 {
    at.seconds().saturating_mul(SECOND)
}

const fn coarse(at: u64) -> Timestamp {
    Timestamp::from_seconds(at / SECOND)
}

impl Belief {
    /// A lock that was just told the time by its issuer.
    #[must_use]
    pub fn new(clock: Clock, now: Timestamp) -> Self {
        let now = fine(now);
        let estimate = Estimate::new(now, 1_000, clock.oscillator.noise());
        let later = now.saturating_add(SECOND);
        Self {
            clock,
            floor: now,
            ceiling: later,
            estimate,
            pending: 0,
            day: 0,
            widened: 0,
            announced: 0,
            heard: [0; HEARD],
        }
    }

    /// A time that has certainly passed. It is to be stored each hour and whenever an event other
    /// than [`Event::Elapsed`] raised it.
    #[must_use]
    pub const fn floor(&self) -> Timestamp {
        coarse(self.floor)
    }

    /// Whether the oscillator stood still and no fresh time came since.
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        self.ceiling == NEVER
    }

    /// When it is, if that is known well enough to grant anything.
    #[must_use]
    pub fn now(&self) -> Option<Interval> {
        let reach = self.reach();
        let earliest = self.estimate.at.saturating_sub(reach).max(self.floor);
        let latest = self.estimate.at.saturating_add(reach).min(self.ceiling);
        // What floor and ceiling leave may be certain enough, however wide the estimate has become.
        let left = self.ceiling.saturating_sub(self.floor) / 2;
        let needed = self.deviations(CERTAIN_DEVIATIONS).min(left);
        let certain = needed <= MAX_UNCERTAINTY.saturating_mul(SECOND);
        (!self.is_lost() && certain).then_some(Interval {
            earliest: coarse(earliest),
            probable: coarse(self.estimate.at),
            latest: coarse(latest),
        })
    }

    /// The best guess, however uncertain: for status lines, never for a decision.
    #[must_use]
    pub const fn probable(&self) -> Timestamp {
        coarse(self.estimate.at)
    }

    /// How uncertain the estimate is either way, in seconds, whether or not that is too much.
    #[must_use]
    pub fn uncertainty(&self) -> u64 {
        self.deviations(DEVIATIONS) / SECOND
    }

    /// For how many counted seconds more anything is granted if nothing is heard, in whole hours and ten
    /// years at most: the day on which codes begin to fail.
    #[must_use]
    pub fn lasts(self) -> u64 {
        let hour = u64::from(HOUR);
        let mut belief = self;
        for hours in 0..TEN_YEARS {
            if belief.now().is_none() {
                return u64::from(hours).saturating_sub(1).saturating_mul(hour);
            }
            belief = belief.then(&Event::Elapsed { seconds: hour });
        }
        u64::from(TEN_YEARS).saturating_mul(hour)
    }

    /// By how many billionths a counted second is believed to be too short.
    #[must_use]
    pub const fn rate(&self) -> i64 {
        self.estimate.rate
    }

    /// The belief after `event`. What an event may not do it does not do: its effect, or none, is
    /// seen in what comes back.
    #[must_use]
    pub fn then(self, event: &Event) -> Self {
        match *event {
            Event::Elapsed { seconds } => self.elapsed(seconds),
            Event::PowerLost => self.power_lost(),
            Event::Signed(time) => self.signed(fine(time)),
            Event::Token { time, age } if age <= NONCE_LIFETIME => self.fresh(fine(time), age),
            Event::Reset { time, age } if age <= NONCE_LIFETIME => {
                Self { floor: 0, ..self }.fresh(fine(time), age)
            }
            Event::Token { .. } | Event::Reset { .. } => self,
            Event::SetTime { time } => self.set(fine(time)),
            Event::Heard(clue) => self.heard(&clue),
            Event::Missed { code, by } => self.missed(code, by),
        }
        .settled()
    }

    fn elapsed(self, seconds: u64) -> Self {
        let bound = u64::from(self.clock.oscillator.bound()).saturating_mul(1_000);
        let slow = SECOND.saturating_sub(bound).saturating_mul(seconds);
        let fast = SECOND.saturating_add(bound).saturating_mul(seconds);
        let noise = self.clock.oscillator.noise();
        let counted = u64::from(self.pending).saturating_add(seconds);
        let split = |seconds: u64, span: u32| {
            let rest = seconds.checked_rem(u64::from(span)).and_then(|rest| rest.try_into().ok());
            (seconds.checked_div(u64::from(span)).unwrap_or(0), rest.unwrap_or(0))
        };
        let (hours, pending) = split(counted, HOUR);
        let (days, day) = split(u64::from(self.day).saturating_add(seconds), DAY);
        let mut estimate = self.estimate.counted(seconds);
        for _ in 0..hours.min(u64::from(TEN_YEARS)) {
            estimate = estimate.aged(noise);
        }
        Self {
            floor: self.floor.saturating_add(slow),
            ceiling: self.ceiling.saturating_add(fast),
            estimate,
            pending,
            day,
            widened: if days > 0 { 0 } else { self.widened },
            ..self
        }
    }

    fn power_lost(self) -> Self {
        if self.clock.after_power_loss == AfterPowerLoss::NeedTime || self.is_lost() {
            return Self { ceiling: NEVER, ..self };
        }
        let off = TRUSTED_OFF.saturating_mul(SECOND);
        let ceiling = self.ceiling.saturating_add(off);
        // Off for 90 minutes at most since the earliest time it may have been, so that a second cut
        // adds nothing to the first.
        let Some(now) = self.now() else { return Self { ceiling, ..self } };
        let at = fine(now.earliest).max(self.floor).saturating_add(off / 2);
        let estimate = Estimate { at, offset_variance: 0, covariance: 0, ..self.estimate };
        Self { ceiling, estimate: estimate.widened(deviation(MAX_UNCERTAINTY)), ..self }
    }

    fn signed(self, time: u64) -> Self {
        if time > self.floor.saturating_add(SIGNED_JUMP.saturating_mul(SECOND)) {
            return self;
        }
        // Later than any oscillator of this class can be: it stood still and nobody noticed.
        let this = if time > self.ceiling { self.power_lost() } else { self };
        Self { floor: this.floor.max(time), ceiling: this.ceiling.max(time), ..this }
    }

    fn fresh(self, time: u64, age: u32) -> Self {
        // The nonce's age was counted, so it is a little wrong as well.
        let age = u64::from(age).saturating_add(2);
        let latest = time.saturating_add(age.saturating_mul(SECOND));
        if latest < self.floor {
            return self;
        }
        self.restart(time, latest)
    }

    fn set(self, time: u64) -> Self {
        if time <= self.floor {
            return self;
        }
        let far = |from: u64| time > from.saturating_add(SET_JUMP.saturating_mul(SECOND));
        // A far jump takes a second code, later than the first and close to it.
        let announced =
            self.announced > self.floor && time > self.announced && !far(self.announced);
        if far(self.floor) && !announced {
            return Self { announced: time, ..self };
        }
        let typed = SET_STEP.saturating_mul(2).saturating_mul(SECOND);
        self.restart(time, time.saturating_add(typed))
    }

    /// Fresh time ends whatever was believed before: the rate too, since codes moved it.
    fn restart(self, earliest: u64, latest: u64) -> Self {
        let floor = self.floor.max(earliest);
        let latest = latest.max(floor);
        let half = latest.saturating_sub(floor) / 2;
        let seconds = (half / SECOND).saturating_add(1);
        let noise = self.clock.oscillator.noise();
        let estimate = Estimate::new(floor.saturating_add(half), deviation(seconds), noise);
        Self { floor, ceiling: latest, estimate, announced: 0, ..self }
    }

    fn heard(self, clue: &Clue) -> Self {
        if self.now().is_none() || self.heard.contains(&clue.code) {
            return self;
        }
        let reach =
            u64::from(clue.reach).saturating_mul(MILLISECONDS).max(self.reach() / 1_000_000);
        let reach = i64::try_from(reach).unwrap_or(i64::MAX);
        let spread = i64::from(clue.spread.max(1)).saturating_mul(1_000);
        let estimate = self.estimate.heard(fine(clue.about), spread, reach, reach / 2);
        Self { estimate, ..self }.remember(clue.code)
    }

    fn missed(self, code: u32, by: u32) -> Self {
        if self.now().is_none() || self.heard.contains(&code) {
            return self;
        }
        let reach = self.reach() / 1_000_000;
        let most = |limit: u64, used: u64| limit.saturating_mul(MILLISECONDS).saturating_sub(used);
        let more = u64::from(by)
            .saturating_mul(MILLISECONDS)
            .min(most(WIDENED_A_DAY, u64::from(self.widened)))
            .min(most(MAX_UNCERTAINTY, reach));
        let wider = i64::try_from(reach.saturating_add(more).div_ceil(DEVIATIONS));
        let estimate = self.estimate.widened(wider.unwrap_or(0));
        let widened = self.widened.saturating_add(more.try_into().unwrap_or(u32::MAX));
        Self { estimate, widened, ..self }.remember(code)
    }

    fn remember(mut self, code: u32) -> Self {
        self.heard.rotate_right(1);
        if let Some(first) = self.heard.first_mut() {
            *first = code;
        }
        self
    }

    /// Nothing moves the estimate out of what is certain, or the rate out of the oscillator's class.
    fn settled(mut self) -> Self {
        let bound = i64::from(self.clock.oscillator.bound()).saturating_mul(1_000);
        self.ceiling = self.ceiling.max(self.floor);
        self.estimate.at = self.estimate.at.clamp(self.floor, self.ceiling);
        self.estimate.rate = self.estimate.rate.clamp(bound.saturating_neg(), bound);
        self
    }

    /// How far the belief reaches either way, in nanoseconds.
    fn reach(&self) -> u64 {
        self.deviations(DEVIATIONS).min(MAX_UNCERTAINTY.saturating_mul(SECOND))
    }

    /// So many standard deviations, in nanoseconds.
    fn deviations(&self, count: u64) -> u64 {
        let one = u64::try_from(self.estimate.deviation()).unwrap_or(0);
        one.saturating_mul(count).saturating_mul(1_000_000)
    }

    /// The belief as it is stored. The layout is in `docs/clock.md`.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; BELIEF_LENGTH] {
        let mut out = Writer::new();
        out.put(&[VERSION]);
        for time in [self.floor, self.ceiling, self.estimate.at, self.announced] {
            out.put(&time.to_be_bytes());
        }
        let Estimate { rate, offset_variance, covariance, rate_variance, .. } = self.estimate;
        for number in [rate, offset_variance, covariance, rate_variance] {
            out.put(&number.to_be_bytes());
        }
        for number in [self.pending, self.day, self.widened].into_iter().chain(self.heard) {
            out.put(&number.to_be_bytes());
        }
        out.finish()
    }

    /// Reads a belief that was stored; `None` for anything else. Whoever reads one cannot know how
    /// long it was stored, so that [`Event::PowerLost`] is to follow unless the seconds since were
    /// counted.
    #[must_use]
    pub fn from_bytes(clock: Clock, bytes: &[u8; BELIEF_LENGTH]) -> Option<Self> {
        let mut from = Reader::new(bytes);
        from.take().filter(|version| *version == [VERSION])?;
        let mut time = || from.take().map(u64::from_be_bytes);
        let (floor, ceiling, at, announced) = (time()?, time()?, time()?, time()?);
        let mut number = || from.take().map(i64::from_be_bytes);
        let (rate, offset_variance) = (number()?, number()?);
        let (covariance, rate_variance) = (number()?, number()?);
        let estimate = Estimate { at, rate, offset_variance, covariance, rate_variance };
        let mut small = || from.take().map(u32::from_be_bytes);
        let (pending, day, widened) = (small()?, small()?, small()?);
        let mut heard = [0; HEARD];
        for code in &mut heard {
            *code = small()?;
        }
        let belief =
            Self { clock, floor, ceiling, estimate, pending, day, widened, announced, heard };
        (belief.settled() == belief && pending < HOUR && day < DAY).then_some(belief)
    }
}

/// The standard deviation, in milliseconds, that a belief of so many seconds either way rests on.
fn deviation(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(MILLISECONDS) / DEVIATIONS).unwrap_or(i64::MAX)
}
