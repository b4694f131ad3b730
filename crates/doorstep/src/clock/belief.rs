//! The state of a lock's clock, and everything that changes it.

use super::estimate::{Estimate, HOUR, MILLISECOND, SECOND, advanced};
use super::{AfterPowerLoss, Clock, Interval, MAX_UNCERTAINTY};
use crate::bytes::{Layout, Stored};
use crate::time::Timestamp;

/// Bytes of an encoded belief.
pub const BELIEF_LENGTH: usize = 109;

const VERSION: u8 = 1;

/// By how much the clocks of those who told a lock the time may differ: an installer's phone, servers.
const DISAGREEMENT: u64 = 60 * SECOND;

/// How far a signed time of unknown age may raise the floor, in nanoseconds like all times here:
/// 7 days. Beyond, only fresh time does.
const SIGNED_JUMP: u64 = 7 * 86_400 * SECOND;

/// How far one set-time code may raise it: 30 days. Beyond, it takes two.
const SET_JUMP: u64 = 30 * 86_400 * SECOND;

/// A set-time code names five minutes and is typed within five more.
const SET_TYPED: u64 = 2 * 5 * 60 * SECOND;

/// How old a nonce may be whose answer is believed, in seconds.
pub const NONCE_LIFETIME: u32 = 10 * 60;

/// How long `trust_90min` trusts the power to have been off at most.
const TRUSTED_OFF: u64 = 2 * REACH_MOST;

/// By how much codes that came too early or too late may widen the uncertainty in a day, in
/// milliseconds.
const WIDENED_A_DAY: u64 = 15 * 60 * 1_000;

/// The most that a belief reaches either way.
const REACH_MOST: u64 = MAX_UNCERTAINTY * SECOND;

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
const TEN_YEARS: u64 = 87_600;
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

fn fine(at: Timestamp) -> u64 {
    advanced(0, SECOND, at.seconds())
}

// Apart, since a lock's processor divides by a call of many words.
#[inline(never)]
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
        let earliest = self.earliest();
        let latest = self.estimate.at.saturating_add(reach).min(self.ceiling);
        // What floor and ceiling leave may be certain enough, however wide the estimate has become.
        let left = self.ceiling.saturating_sub(self.floor) / 2;
        let needed = self.deviations(CERTAIN_DEVIATIONS).min(left);
        let certain = needed <= REACH_MOST;
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
        self.lasts_while(|_| true)
    }

    /// The most that [`Belief::lasts`] tells: it looks no further ahead.
    pub const LASTS_AT_MOST: u64 = TEN_YEARS * 3_600;

    /// The same of what is granted only while the time is known well enough.
    pub(crate) fn lasts_while(self, enough: impl Fn(&Interval) -> bool) -> u64 {
        let hour = u64::from(HOUR);
        let mut belief = self;
        for hours in 0..TEN_YEARS {
            if !belief.now().is_some_and(|now| enough(&now)) {
                return hours.saturating_sub(1).saturating_mul(hour);
            }
            belief = belief.then(&Event::Elapsed { seconds: hour });
        }
        Self::LASTS_AT_MOST
    }

    /// By how many billionths a counted second is believed to be too short.
    #[must_use]
    pub const fn rate(&self) -> i64 {
        self.estimate.rate
    }

    /// The belief after `event`. What an event may not do it does not do: its effect, or none, is
    /// seen in what comes back.
    #[must_use]
    pub fn then(mut self, event: &Event) -> Self {
        self.learn(event);
        self
    }

    /// Changes the belief into the one after `event`, where there is no memory for two.
    pub(crate) fn learn(&mut self, event: &Event) {
        match *event {
            Event::Elapsed { seconds } => self.elapsed(seconds),
            Event::PowerLost => self.power_lost(),
            Event::Signed(time) => self.signed(fine(time)),
            Event::Token { time, age } => self.answered(fine(time), age, self.floor),
            Event::Reset { time, age } => self.answered(fine(time), age, 0),
            Event::SetTime { time } => self.set(fine(time)),
            Event::Heard(clue) => self.heard(&clue),
            Event::Missed { code, by } => self.missed(code, by),
        }
        self.settle();
    }

    fn elapsed(&mut self, seconds: u64) {
        let bound = u64::from(self.clock.oscillator.bound()).saturating_mul(1_000);
        self.floor = advanced(self.floor, SECOND.saturating_sub(bound), seconds);
        self.ceiling = advanced(self.ceiling, SECOND.saturating_add(bound), seconds);
        self.estimate.count(seconds);
        let (hours, pending) = split(self.pending, seconds, HOUR);
        let (days, day) = split(self.day, seconds, DAY);
        let noise = self.clock.oscillator.noise();
        for _ in 0..hours.min(TEN_YEARS) {
            self.estimate.age(noise);
        }
        (self.pending, self.day) = (pending, day);
        if days > 0 {
            self.widened = 0;
        }
    }

    fn power_lost(&mut self) {
        if self.clock.after_power_loss == AfterPowerLoss::NeedTime || self.is_lost() {
            self.ceiling = NEVER;
            return;
        }
        // Off for 90 minutes at most since the earliest time it may have been, so that a second cut
        // adds nothing to the first, neither to the estimate nor to the ceiling.
        let (known, earliest) = (self.now().is_some(), self.earliest());
        self.ceiling = self.ceiling.max(earliest.saturating_add(TRUSTED_OFF));
        if !known {
            return;
        }
        self.estimate.at = earliest.saturating_add(TRUSTED_OFF / 2);
        (self.estimate.offset_variance, self.estimate.covariance) = (0, 0);
        self.estimate.widen(deviation(MAX_UNCERTAINTY));
    }

    fn signed(&mut self, time: u64) {
        if time > self.floor.saturating_add(SIGNED_JUMP) {
            return;
        }
        if time > self.ceiling.saturating_add(DISAGREEMENT) {
            // Later than any oscillator of this class can be: it stood still and nobody noticed.
            self.power_lost();
            if time > self.ceiling {
                // Longer than the power is trusted to have been off, so nothing is known of how long.
                self.ceiling = NEVER;
            }
        } else if time > self.ceiling {
            self.ceiling = time.saturating_add(DISAGREEMENT);
        }
        self.floor = self.floor.max(time);
    }

    /// The answer to a nonce. `floor` is what it must not fall below: a reset may.
    fn answered(&mut self, time: u64, age: u32, floor: u64) {
        // The nonce's age was counted, so it is a little wrong as well.
        let latest = advanced(time, SECOND, u64::from(age).saturating_add(2));
        if age <= NONCE_LIFETIME && latest >= floor {
            self.restart(time.max(floor), latest);
        }
    }

    fn set(&mut self, time: u64) {
        if time <= self.floor {
            return;
        }
        let far = |from: u64| time > from.saturating_add(SET_JUMP);
        // A far jump takes a second code, later than the first and close to it.
        let announced =
            self.announced > self.floor && time > self.announced && !far(self.announced);
        if far(self.floor) && !announced {
            self.announced = time;
        } else {
            self.restart(time, time.saturating_add(SET_TYPED));
        }
    }

    /// Fresh time ends whatever was believed before: the rate too, since codes moved it.
    fn restart(&mut self, floor: u64, latest: u64) {
        let half = latest.saturating_sub(floor) / 2;
        let seconds = (half / SECOND).saturating_add(1);
        let noise = self.clock.oscillator.noise();
        self.estimate = Estimate::new(floor.saturating_add(half), deviation(seconds), noise);
        (self.floor, self.ceiling, self.announced) = (floor, latest, 0);
    }

    fn heard(&mut self, clue: &Clue) {
        if !self.is_news(clue.code) {
            return;
        }
        let reach = milliseconds(clue.reach).max(self.reach() / MILLISECOND);
        let reach = i64::try_from(reach).unwrap_or(i64::MAX);
        let spread = i64::from(clue.spread.max(1)).saturating_mul(1_000);
        self.estimate.hear(fine(clue.about), spread, reach, reach / 2);
    }

    fn missed(&mut self, code: u32, by: u32) {
        if !self.is_news(code) {
            return;
        }
        let reach = self.reach() / MILLISECOND;
        let more = milliseconds(by)
            .min(WIDENED_A_DAY.saturating_sub(u64::from(self.widened)))
            .min((REACH_MOST / MILLISECOND).saturating_sub(reach));
        let wider = i64::try_from(reach.saturating_add(more).div_ceil(DEVIATIONS));
        self.estimate.widen(wider.unwrap_or(0));
        self.widened = self.widened.saturating_add(more.try_into().unwrap_or(u32::MAX));
    }

    /// Whether a code is listened to: the time is known, and the code was not heard before. It is
    /// remembered.
    fn is_news(&mut self, code: u32) -> bool {
        let news = self.now().is_some() && !self.heard.contains(&code);
        if news {
            self.heard.rotate_right(1);
            if let Some(first) = self.heard.first_mut() {
                *first = code;
            }
        }
        news
    }

    /// Nothing moves the estimate out of what is certain, or the rate out of the oscillator's class.
    fn settle(&mut self) {
        let bound = i64::from(self.clock.oscillator.bound()).saturating_mul(1_000);
        self.ceiling = self.ceiling.max(self.floor);
        self.estimate.at = self.estimate.at.clamp(self.floor, self.ceiling);
        self.estimate.rate = self.estimate.rate.clamp(bound.saturating_neg(), bound);
    }

    /// The earliest that it may be, in nanoseconds.
    fn earliest(&self) -> u64 {
        self.estimate.at.saturating_sub(self.reach()).max(self.floor)
    }

    /// How far the belief reaches either way, in nanoseconds.
    fn reach(&self) -> u64 {
        self.deviations(DEVIATIONS).min(REACH_MOST)
    }

    /// So many standard deviations, in nanoseconds.
    fn deviations(&self, count: u64) -> u64 {
        let one = u64::try_from(self.estimate.deviation()).unwrap_or(0);
        one.saturating_mul(count).saturating_mul(MILLISECOND)
    }

    /// The belief as it is stored. The layout is in `docs/clock.md`.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; BELIEF_LENGTH] {
        let mut bytes = [0; BELIEF_LENGTH];
        // As long as its fields.
        let _ = self.store(&mut bytes);
        bytes
    }

    /// Reads a belief that was stored; `None` for anything else. Whoever reads one cannot know how
    /// long it was stored, so that [`Event::PowerLost`] is to follow unless the seconds since were
    /// counted.
    #[must_use]
    pub fn from_bytes(clock: Clock, bytes: &[u8; BELIEF_LENGTH]) -> Option<Self> {
        let mut belief = Self::new(clock, Timestamp::from_seconds(0));
        belief.load(bytes)?;
        Some(belief)
    }
}

impl Stored for Belief {
    fn fields(&mut self, layout: &mut Layout<'_>) {
        layout.byte(&mut { VERSION });
        let Estimate { at, rate, offset_variance, covariance, rate_variance } = &mut self.estimate;
        for time in [&mut self.floor, &mut self.ceiling, at, &mut self.announced] {
            layout.long(time);
        }
        for number in [rate, offset_variance, covariance, rate_variance] {
            layout.signed(number);
        }
        let small = [&mut self.pending, &mut self.day, &mut self.widened];
        for number in small.into_iter().chain(&mut self.heard) {
            layout.word(number);
        }
        // One that was stored is settled.
        (self.pending, self.day) = (self.pending.min(HOUR - 1), self.day.min(DAY - 1));
        self.settle();
    }
}

/// The standard deviation, in milliseconds, that a belief of so many seconds either way rests on.
fn deviation(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(1_000) / DEVIATIONS).unwrap_or(i64::MAX)
}

fn milliseconds(seconds: u32) -> u64 {
    u64::from(seconds).saturating_mul(1_000)
}

/// Whole spans in the seconds since the last one ended, and what is left.
fn split(since: u32, seconds: u64, span: u32) -> (u64, u32) {
    let (seconds, span) = (u64::from(since).saturating_add(seconds), u64::from(span));
    let left = seconds.checked_rem(span).and_then(|left| left.try_into().ok());
    (seconds.checked_div(span).unwrap_or(0), left.unwrap_or(0))
}
