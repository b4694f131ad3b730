//! Doors that share a TOTP secret with their issuer: the steps that a belief allows, and what an
//! accepted step tells the clock. The codes are judged by [`crate::otp::verify`], like any other.

use super::{Belief, Clue, Interval, Oscillator};
use crate::otp::OtpSecret;
use crate::otp::totp::Totp;
use crate::otp::verify::{Authenticator, Drift, Method};
use crate::otp::window::{MAX_STEPS, Window};

/// Half a step and the time to type, in seconds, after a step begins.
const TYPED_AFTER: u64 = 9;

/// The most steps to either side with eight digits or more, where 81 codes at once are bearable.
const MANY_STEPS: u8 = 40;

/// The authenticator of a door at one moment: as many steps to either side as the time is uncertain, at
/// least one. The drift is the lock's own, and its belief follows it, so the authenticator remembers
/// none. A clock that is further off is set by a set-time code.
#[must_use]
pub fn authenticator(secret: &OtpSecret, totp: Totp, now: &Interval) -> Authenticator {
    let window = Window::around(steps(&totp, now));
    Authenticator::new(secret, Method::Totp { totp, window, drift: Drift::NONE })
}

/// How many steps to either side are taken: at most [`MAX_STEPS`], with eight digits or more 40.
#[must_use]
pub fn steps(totp: &Totp, now: &Interval) -> u8 {
    u8::try_from(needed(totp, now)).unwrap_or(u8::MAX).clamp(1, most_steps(totp))
}

/// How many steps to either side hold all times that it may be.
fn needed(totp: &Totp, now: &Interval) -> u64 {
    let late = now.latest.since(now.probable);
    let early = now.probable.since(now.earliest);
    late.max(early).div_ceil(totp.period.get())
}

/// For how many counted seconds more codes of steps are taken if nothing is heard, as [`Belief::lasts`]: until
/// the time is more uncertain than they reach.
#[must_use]
pub fn lasts(belief: &Belief, totp: &Totp) -> u64 {
    belief.lasts_while(|now| needed(totp, now) <= u64::from(most_steps(totp)))
}

/// For how many seconds at least a verifier that follows nothing takes the codes of an authenticator that is
/// right: until an oscillator of this class, at its worst, ran off by so many steps. What most locks do that
/// begin with TOTP; ours follow the time instead ([`lasts`]).
#[must_use]
pub fn plain_lasts(totp: &Totp, steps: u8, oscillator: Oscillator) -> u64 {
    let reach = totp.period.get().saturating_mul(u64::from(steps)).saturating_mul(1_000_000);
    reach.checked_div(u64::from(oscillator.bound())).unwrap_or(u64::MAX)
}

/// How many steps to either side are ever taken.
pub(crate) const fn most_steps(totp: &Totp) -> u8 {
    if totp.digits.get() >= 8 { MANY_STEPS } else { MAX_STEPS }
}

/// What an accepted step tells of the time. The code was made in its step, or by an authenticator that
/// runs wrong, and typed a little later.
#[must_use]
pub fn clue(totp: &Totp, step: u64) -> Clue {
    let period = totp.period.get();
    let seconds = |seconds: u64| u32::try_from(seconds).unwrap_or(u32::MAX);
    // Steps repeat by 32 bits after millennia, and 0 is no name.
    let code = seconds(step & u64::from(u32::MAX)).max(1);
    Clue {
        about: totp.begins(step).later(period / 2).later(TYPED_AFTER),
        spread: seconds(period / 3),
        reach: seconds(period.saturating_mul(2)),
        code,
    }
}
