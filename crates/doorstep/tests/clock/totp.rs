//! A TOTP door: codes of the same verifier as everywhere, judged by the lock's own belief.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use crate::support::{DAY, NEED_TIME, NOON, at, elapsed};
use doorstep::clock::{Belief, Event, Oscillator, totp};
use doorstep::ledger::Head;
use doorstep::otp::OtpSecret;
use doorstep::otp::record::{Presenter, State};
use doorstep::otp::totp::Totp;
use doorstep::otp::verify::{Accepted, Enrolled, begin};
use doorstep::refusal::Refusal;
use doorstep::throttle::{Bucket, Pace};

/// A door of which only the steps are remembered.
struct Door {
    secret: OtpSecret,
    state: State,
    belief: Belief,
}

impl Door {
    fn present(&mut self, typed: &str) -> Result<Accepted, Refusal> {
        let now = self.belief.now().ok_or(Refusal::ClockUnset)?;
        let authenticator = totp::authenticator(&self.secret, Totp::default(), &now);
        let one = Enrolled { number: 1, authenticator: &authenticator, state: self.state };
        let anybody = Presenter::anybody(Bucket::full(Pace { burst: 9, refill: 1 }, at(0)));
        let all = [one];
        let (attempt, _) = begin(&all, &anybody, typed, now.probable, Head::EMPTY)?;
        let receipt = attempt.place().appended();
        let matched = attempt.counted(receipt).unwrap().compare()?;
        let (spending, accepted) = one.spend(&matched, &anybody, now.probable, Head::EMPTY)?;
        self.state = self.state.then(now.probable, &accepted.event);
        let receipt = spending.place().appended();
        let found = *spending.granted(receipt).unwrap().found();
        self.belief = self.belief.then(&Event::Heard(totp::clue(&Totp::default(), found.step)));
        Ok(found)
    }
}

/// 40 millionths fast for three years, with one code a week: in the end more than an hour in all.
#[test]
fn a_drifting_totp_door_lasts() {
    let secret = OtpSecret::from_bytes(b"12345678901234567890").unwrap();
    let keyed = Totp::default().keyed(&secret);
    let mut door =
        Door { state: State::new(at(NOON)), belief: Belief::new(NEED_TIME, at(NOON)), secret };
    for week in 1..=156_u64 {
        let truth = NOON + week * 7 * DAY;
        door.belief = door.belief.then(&elapsed(7 * DAY + 24));
        let step = (truth - 9) / 30;
        let code = Totp::default().code(&keyed, step);
        let code = String::from_utf8(code.expose().to_vec()).unwrap();
        let accepted = door.present(&code).unwrap();
        assert_eq!(accepted.step, step, "week {week}");
        assert!(matches!(door.present(&code), Err(Refusal::AlreadyUsed { .. })));
    }
    assert!(door.belief.now().unwrap().uncertainty() < 60);
}

/// A clock that was set once and counts on, at its class's worst: the code of the true step is among those
/// of one step to either side until the day that is told, and not for long after.
#[test]
fn a_verifier_that_follows_nothing_lasts_as_computed() {
    for oscillator in Oscillator::ALL {
        let seconds = totp::plain_lasts(&Totp::default(), 1, oscillator);
        let ran_off = |counted: u64| counted * u64::from(oscillator.bound()) / 1_000_000;
        let taken = |true_time: u64, by: u64| ((true_time + by) / 30).abs_diff(true_time / 30) <= 1;
        let begins = NOON - NOON % 30;
        assert!((0..30).all(|second| taken(begins + second, ran_off(seconds))), "{oscillator:?}");
        let late = 2 * seconds + 1_000_000;
        assert!((0..30).all(|second| !taken(begins + second, ran_off(late))), "{oscillator:?}");
    }
}
