//! Who comes when, what they type, and whether the core's rules let them in.

use crate::oscillator::Draw;
use crate::{at, whole};
use doorstep::clock::{Belief, Event, Interval, totp};
use doorstep::keypad::odds::beyond;
use doorstep::keypad::profile::Profile;
use doorstep::keypad::tuple::{Class, Grace, Meeting, Tuple};
use doorstep::otp::Digits;
use doorstep::otp::totp::Totp;
use doorstep::time::Timestamp;

const COURT: Class = Class { duration: 60, quantum: 15, phase: 0, one_time: false };

/// What guests type.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Guests {
    /// PINs of an hour.
    Pins,
    /// TOTP codes of 30 seconds.
    Steps,
}

/// What is typed.
#[derive(Clone, Copy)]
pub(crate) enum Entry {
    Pin(Tuple),
    Step(u64),
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Opened,
    /// An honest guest was refused.
    Refused,
    /// Too early even by a perfect clock, and refused.
    TooEarly,
    /// Too early, and let in.
    LetIn,
}

impl Guests {
    /// When somebody who has to do with `visit` really types, and what; in true seconds.
    pub(crate) fn arrive(self, visit: f64, draw: &mut Draw) -> (f64, Entry) {
        match self {
            Self::Steps => {
                // Read from a phone that is right within seconds, typed within some more.
                let read = visit - draw.between(3.0, 15.0) + draw.normal(0.0, 1.0);
                (visit, Entry::Step(at(read).seconds() / 30))
            }
            Self::Pins => {
                let index = COURT.index_at(at(visit)).unwrap_or(0).saturating_add(4);
                let tuple = Tuple { class: COURT, index, holder: 0, generation: 0 };
                let begins = visit + float(tuple.from().since(at(visit)));
                let minutes = match draw.share() {
                    ..0.67 => draw.normal(-1.0, 5.0),
                    0.67..0.97 => draw.between(0.0, 60.0),
                    _ => draw.between(-40.0, -6.0),
                };
                (begins + 60.0 * minutes, Entry::Pin(tuple))
            }
        }
    }

    /// What the lock answers, and what it learns.
    pub(crate) fn enter(self, belief: &mut Belief, seconds: f64, entry: Entry) -> Outcome {
        let Some(now) = belief.now() else { return Outcome::Refused };
        match entry {
            Entry::Step(step) => {
                let totp = Totp { digits: Digits::EIGHT, ..Totp::default() };
                let away = (now.probable.seconds() / 30).abs_diff(step);
                if away > u64::from(totp::steps(&totp, &now)) {
                    // Staff come with a set-time code.
                    let five = at(seconds).seconds() / 300 * 300;
                    *belief = belief.then(&Event::SetTime { time: Timestamp::from_seconds(five) });
                    return Outcome::Refused;
                }
                *belief = belief.then(&Event::Heard(totp::clue(&totp, step)));
                Outcome::Opened
            }
            Entry::Pin(tuple) => {
                let exact = at(seconds);
                let exact = Interval { earliest: exact, probable: exact, latest: exact };
                let honest = tuple.meets(&exact, Grace::PIN) == Meeting::Now;
                match tuple.meets(&now, Grace::PIN) {
                    Meeting::Now => {
                        *belief = belief.then(&Event::Heard(tuple.clue()));
                        if honest { Outcome::Opened } else { Outcome::LetIn }
                    }
                    Meeting::Early(by) | Meeting::Late(by) => {
                        let by = u32::try_from(by).unwrap_or(u32::MAX);
                        *belief = belief.then(&Event::Missed { code: tuple.name(), by });
                        if honest { Outcome::Refused } else { Outcome::TooEarly }
                    }
                }
            }
        }
    }
}

/// The longest that a profile's window is taken beyond itself, in seconds.
pub(crate) fn most_beyond() -> u64 {
    Profile::courts().map_or(0, |courts| beyond(&courts, doorstep::clock::MAX_UNCERTAINTY))
}

/// Exact for every number of seconds here.
pub(crate) fn float(seconds: u64) -> f64 {
    f64::from(u32::try_from(seconds).unwrap_or(u32::MAX))
}

/// How far two times are apart.
pub(crate) fn apart(belief: &Belief, seconds: f64) -> f64 {
    float(belief.probable().seconds().abs_diff(crate::INSTALLED + whole(seconds)))
}
