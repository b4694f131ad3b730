//! The rules of the verifier: windows, drift, resync, look-ahead, throttle; and what its answers say.

use crate::support::{Verifier, already_used, at, code, digits, secret, text, wrong, wrong_code};
use doorstep::odds::{YEAR, float};
use doorstep::otp::hotp::Hotp;
use doorstep::otp::ocra::suite::Suite;
use doorstep::otp::ocra::verify::codes_per_guess;
use doorstep::otp::record::State;
use doorstep::otp::totp::Totp;
use doorstep::otp::verify::{Authenticator, Drift, Method, Why};
use doorstep::otp::window::Window;
use doorstep::refusal::Refusal;
use doorstep::throttle::{Bucket, Pace};
use proptest::prelude::*;
use std::num::NonZeroU64;

/// Step 60,000,000 begins here.
const NOON: u64 = 1_800_000_000;
const STEP: u64 = NOON / 30;

#[test]
fn an_answer_says_step_shift_and_reason() {
    for (shift, why) in [(-1, Why::Window), (0, Why::Current), (1, Why::Window)] {
        let step = STEP.saturating_add_signed(shift);
        let accepted = Verifier::plain(NOON).present(&code(step), NOON).unwrap();
        assert_eq!((accepted.step, accepted.shift, accepted.why), (step, shift, why));
    }
    for shift in [-2, 2] {
        let step = STEP.saturating_add_signed(shift);
        assert!(wrong_code(Verifier::plain(NOON).present(&code(step), NOON)), "{shift}");
    }
    let reasons = [Why::Current, Why::Window, Why::Drift, Why::LookAhead, Why::Resync];
    let codes = reasons.map(Why::code);
    assert_eq!(codes, ["current", "window", "drift", "look_ahead", "resync"]);
}

#[test]
fn windows_take_what_their_names_say() {
    let takes = |window: &str, shift: i64, now: u64| {
        let window = Window::parse(window).unwrap();
        let code = code((now / 30).saturating_add_signed(shift));
        Verifier::totp(window, Drift::NONE, NOON).present(&code, now).is_ok()
    };
    for into in [0, 14, 15, 29] {
        let now = NOON + into;
        assert_eq!([-1, 0, 1].map(|shift| takes("current", shift, now)), [false, true, false]);
        assert_eq!(
            [-2, -1, 0, 1].map(|shift| takes("current+previous", shift, now)),
            [false, true, true, false]
        );
        assert_eq!(
            [-2, -1, 0, 1].map(|shift| takes("current+half-previous", shift, now)),
            [false, into < 15, true, false]
        );
        assert_eq!(
            [-4, -3, 3, 4].map(|shift| takes("+-3", shift, now)),
            [false, true, true, false]
        );
    }
}

/// 40 s of drift: plain verification refuses it half of the time, ours never.
#[test]
fn a_drifting_clock_is_followed_and_a_repaired_one_is_known_again() {
    let late = |now: u64| code((now - 40) / 30);
    let mut plain = Verifier::plain(NOON);
    let mut ours = Verifier::totp(Window::ONE_EACH, Drift::QUARTZ, NOON);
    let (mut refused, mut by_drift, mut now) = (0, 0, NOON + 4 * 86_400);
    for _ in 0..100 {
        refused += u32::from(plain.present(&late(now), now).is_err());
        match ours.present(&late(now), now) {
            Ok(accepted) => by_drift += u32::from(accepted.why == Why::Drift),
            Err(refusal) => assert_eq!(by_drift, 0, "{refusal:?}: only before it is known"),
        }
        now += 3601;
    }
    assert!((20..50).contains(&refused), "{refused}");
    assert!(by_drift > 20, "{by_drift}");
    assert!((-2..=-1).contains(&ours.state.drift()), "40 s are one step or two");
    // The clock is set right: the centre at zero is tried as well.
    let accepted = ours.present(&code(now / 30 + 1), now).unwrap();
    assert_eq!((accepted.shift, accepted.why), (1, Why::Window));
}

#[test]
fn a_wrong_code_does_not_forget_the_drift() {
    let mut verifier = Verifier::totp(Window::ONE_EACH, Drift::QUARTZ, NOON);
    let now = NOON + 10 * 86_400;
    let step = now / 30;
    verifier.present(&code(step - 1), now).unwrap();
    let drift = verifier.state.drift();
    assert_eq!(drift, -1);
    assert!(wrong_code(verifier.present(&wrong(step - 5..=step + 5), now)));
    assert_eq!(verifier.state.drift(), drift);
}

#[test]
fn an_hotp_verifier_looks_ahead_and_never_back() {
    let mut verifier = Verifier::hotp(5);
    for counter in [3, 4, 16] {
        assert!(verifier.present(&code(counter), 0).is_err(), "{counter}");
    }
    let accepted = verifier.present(&code(5), 0).unwrap();
    assert_eq!((accepted.step, accepted.shift, accepted.why), (5, 0, Why::Current));
    let accepted = verifier.present(&code(16), 0).unwrap();
    assert_eq!((accepted.step, accepted.shift, accepted.why), (16, 10, Why::LookAhead));
    assert!(verifier.present(&code(10), 0).is_err(), "skipped codes are spent");
    assert!(already_used(verifier.present(&code(16), 0)));
}

/// Counters 2386 and 2394 share a code. The later one must not win: eight codes would be skipped.
#[test]
fn among_counters_that_share_a_code_the_earliest_is_taken() {
    assert_eq!(code(2386), code(2394));
    let mut verifier = Verifier::hotp(2386);
    assert_eq!(verifier.present(&code(2386), 0).unwrap().step, 2386);
    assert!(already_used(verifier.present(&code(2386), 0)), "it is no code of counter 2394 yet");
    verifier.present(&code(2387), 0).unwrap();
    assert_eq!(verifier.present(&code(2394), 0).unwrap().step, 2394);
}

/// Steps 910737 and 910738 share a code. The older one must not win: it would be taken again.
#[test]
fn among_steps_that_share_a_code_the_newest_unused_is_taken() {
    assert_eq!(code(910_737), code(910_738));
    let mut verifier = Verifier::plain(0);
    let now = 910_738 * 30;
    assert_eq!(verifier.present(&code(910_737), now).unwrap().step, 910_738);
    assert!(already_used(verifier.present(&code(910_738), now)));
    // A fresh code is not refused because the step before had the same and is used.
    let mut verifier = Verifier::totp(Window::CURRENT, Drift::NONE, 0);
    assert_eq!(verifier.present(&code(910_737), 910_737 * 30).unwrap().step, 910_737);
    assert_eq!(verifier.present(&code(910_738), 910_738 * 30).unwrap().step, 910_738);
}

#[test]
fn two_codes_that_follow_each_other_bring_a_clock_back() {
    let mut verifier = Verifier::totp(Window::ONE_EACH, Drift::QUARTZ, NOON);
    let theirs = STEP - 50;
    assert!(wrong_code(verifier.present(&code(theirs), NOON)));
    assert_eq!(verifier.first(&code(theirs), 100, NOON), Ok(theirs));
    let accepted = verifier.second(&code(theirs + 1), NOON + 30).unwrap();
    assert_eq!((accepted.step, accepted.shift, accepted.why), (theirs + 1, -50, Why::Resync));
    assert_eq!(verifier.state.drift(), -50);
    // From here on the clock is followed from where the two codes put it, now and later.
    let accepted = verifier.present(&code(theirs + 2), NOON + 60).unwrap();
    assert_eq!((accepted.step, accepted.why), (theirs + 2, Why::Drift));
    assert_eq!(verifier.state.drift(), -50);
    assert!(already_used(verifier.present(&code(theirs + 1), NOON + 60)));
}

#[test]
fn two_codes_that_follow_each_other_bring_a_counter_back() {
    let mut verifier = Verifier::hotp(5);
    assert!(wrong_code(verifier.present(&code(700), 0)));
    assert_eq!(verifier.first(&code(700), 1000, 0), Ok(700));
    assert!(verifier.present(&code(700), 0).is_err(), "the first code alone opens nothing");
    assert_eq!(verifier.second(&code(701), 60).unwrap().step, 701);
    assert_eq!(verifier.present(&code(702), 60).unwrap().why, Why::Current);
    assert!(verifier.first(&code(600), 1000, 60).is_err(), "never back");
}

#[test]
fn a_resync_needs_the_very_next_code_within_a_minute() {
    let started = || {
        let mut verifier = Verifier::totp(Window::ONE_EACH, Drift::QUARTZ, NOON);
        verifier.first(&code(STEP - 50), 100, NOON).unwrap();
        verifier
    };
    assert!(started().second(&code(STEP - 49), NOON + 60).is_ok());
    let until = at(NOON + 60);
    assert_eq!(started().second(&code(STEP - 49), NOON + 61), Err(Refusal::Expired { until }));
    let mut verifier = started();
    for other in [STEP - 51, STEP - 50, STEP - 48, STEP] {
        assert!(wrong_code(verifier.second(&code(other), NOON + 30)), "{other}");
    }
    assert!(verifier.second(&code(STEP - 49), NOON + 30).is_ok());
    assert_eq!(verifier.second(&code(STEP - 48), NOON + 30), Err(Refusal::Unknown));
    assert_eq!(
        Verifier::plain(NOON).second(&code(STEP), NOON),
        Err(Refusal::Unknown),
        "without a first code there is no second"
    );
    // A login in between ends it: what was accepted is newer.
    let mut verifier = started();
    verifier.present(&code(STEP), NOON).unwrap();
    assert_eq!(verifier.second(&code(STEP - 49), NOON + 30), Err(Refusal::Unknown));
}

#[test]
fn a_resync_has_a_named_limit() {
    for reach in [1000, u16::MAX] {
        let mut verifier = Verifier::plain(NOON);
        assert!(verifier.first(&code(STEP + 1001), reach, NOON).is_err());
        assert!(verifier.first(&code(STEP - 1001), reach, NOON).is_err());
        assert!(verifier.first(&code(STEP + 1000), reach, NOON).is_ok());
        let mut verifier = Verifier::hotp(0);
        assert!(verifier.first(&code(1001), reach, 0).is_err());
        assert!(verifier.first(&code(1000), reach, 0).is_ok());
    }
}

#[test]
fn a_minute_is_two_steps_where_steps_are_long() {
    let totp = Totp { period: NonZeroU64::new(120).unwrap(), ..Totp::default() };
    let method = Method::Totp { totp, window: Window::ONE_EACH, drift: Drift::QUARTZ };
    let authenticator = Authenticator::new(&secret(), method);
    let mut verifier = Verifier::new(authenticator, State::new(at(NOON)));
    let step = NOON / 120;
    verifier.first(&code(step - 50), 100, NOON).unwrap();
    assert!(verifier.second(&code(step - 49), NOON + 150).is_ok());
}

#[test]
fn before_t0_there_are_no_codes() {
    let totp = Totp { t0: at(NOON), ..Totp::default() };
    let authenticator = Authenticator::totp(&secret(), totp);
    let mut verifier = Verifier::new(authenticator, State::new(at(0)));
    let early = Err(Refusal::NotYetValid { from: at(NOON) });
    assert_eq!(verifier.present(&code(0), NOON - 1), early);
    assert_eq!(verifier.first(&code(0), 10, 0).err(), early.err());
    assert_eq!(verifier.present(&code(0), NOON).unwrap().step, 0);
}

#[test]
fn ten_digits_are_verified_like_six() {
    let totp = Totp { digits: digits(10), ..Totp::default() };
    let authenticator = Authenticator::totp(&secret(), totp);
    let mut verifier = Verifier::new(authenticator, State::new(at(NOON)));
    let shown = text(totp.code_at(&totp.keyed(&secret()), at(NOON)).unwrap().expose());
    assert_eq!(verifier.present(&code(STEP), NOON), Err(Refusal::Mistyped));
    assert!(wrong_code(verifier.present("9999999999", NOON)));
    assert_eq!(verifier.present(&shown, NOON).unwrap().step, STEP);
}

/// What a robot that never stops guesses in a year, as `docs/otp.md` says it.
#[test]
fn the_throttle_bounds_what_is_guessed_in_a_year() {
    let tries = float(Pace::AUTHENTICATOR.attempts_within(YEAR));
    let totp = Totp::default();
    let window = |name, drift| {
        let window = Window::parse(name).unwrap();
        Method::Totp { totp, window, drift }.codes_per_guess()
    };
    let ocra =
        |suite, name| codes_per_guess(&Suite::parse(suite).unwrap(), Window::parse(name).unwrap());
    for (codes, count, percent) in [
        (window("+-1", Drift::NONE), 3, "0.7"),
        (window("+-1", Drift::QUARTZ), 6, "1.3"),
        (Authenticator::hotp(&secret(), Hotp::default()).method().codes_per_guess(), 11, "2.4"),
        (window("+-10", Drift::NONE), 21, "4.6"),
        (window("+-10", Drift::QUARTZ), 42, "9.2"),
        (ocra("OCRA-1:HOTP-SHA1-6:QN08", "+-10"), 1, "0.2"),
        (ocra("OCRA-1:HOTP-SHA1-6:C-QN08", "+-10"), 11, "2.4"),
        (ocra("OCRA-1:HOTP-SHA1-6:QN08-T30S", "+-1"), 3, "0.7"),
        (ocra("OCRA-1:HOTP-SHA1-6:C-QN08-T30S", "+-1"), 33, "7.3"),
    ] {
        let codes_f64 = f64::from(u32::try_from(codes).unwrap());
        let year = format!("{:.1}", 100.0 * tries * codes_f64 / 1e6);
        assert_eq!((codes, year.as_str()), (count, percent));
    }
}

#[test]
fn the_throttle_is_inside_and_only_its_own_token_comes_back() {
    let mut verifier = Verifier::plain(NOON);
    verifier.bucket = Bucket::full(Pace { burst: 3, refill: 3600 }, at(NOON));
    let bad = wrong(STEP - 2..=STEP + 2);
    assert_eq!(verifier.present(&bad, NOON), Err(Refusal::WrongCode { left: Some(2) }));
    assert_eq!(verifier.present(&bad, NOON), Err(Refusal::WrongCode { left: Some(1) }));
    assert!(verifier.present(&code(STEP), NOON).is_ok());
    assert_eq!(verifier.bucket.left(), 1, "a success clears nothing");
    assert_eq!(verifier.present(&bad, NOON), Err(Refusal::WrongCode { left: Some(0) }));
    let until = at(NOON + 3600);
    let throttled = Err(Refusal::Throttled { until: Some(until) });
    assert_eq!(verifier.present(&code(STEP + 1), NOON + 30), throttled, "nor a right code");
    assert_eq!(verifier.first(&code(STEP + 1), 10, NOON + 30).err(), throttled.err());
    let later = NOON + 3600;
    assert!(verifier.present(&code(later / 30), later).is_ok());
}

proptest! {
    /// However codes are presented, a code is only taken within the window around a clock that
    /// runs wrong by no more than was allowed since enrolment (the total acceptance interval).
    #[test]
    fn the_total_acceptance_interval_is_bounded(
        presentations in proptest::collection::vec((0_u64..200_000, -8_i64..=8), 1..40),
    ) {
        let drift = Drift { parts_per_million: 500, most: 3 };
        let mut verifier = Verifier::totp(Window::ONE_EACH, drift, NOON);
        let mut now = NOON;
        for (pause, shift) in presentations {
            now += pause;
            let allowed = ((now - NOON) * 500 / 30_000_000).min(3);
            let step = (now / 30).saturating_add_signed(shift);
            let before = verifier.state.last_step();
            if let Ok(accepted) = verifier.present(&code(step), now) {
                prop_assert!(accepted.shift.unsigned_abs() <= allowed + 1);
                prop_assert!(Some(accepted.step) > before);
            }
            prop_assert!(verifier.state.drift().unsigned_abs() <= allowed);
        }
    }

    /// A verifier agrees with the simplest thing that could be written: a list of all steps.
    #[test]
    fn a_verifier_agrees_with_a_list(
        presentations in proptest::collection::vec((0_u64..90, -4_i64..=4), 1..60),
        window in 0_u8..4,
    ) {
        let window = Window::plus_minus(window).unwrap();
        let reach = match window.to_string().strip_prefix("+-") {
            Some(reach) => reach.parse::<i64>().unwrap(),
            None => 0,
        };
        let mut verifier = Verifier::totp(window, Drift::NONE, NOON);
        let mut used: Option<u64> = None;
        let mut now = NOON;
        for (pause, shift) in presentations {
            now += pause;
            let typed = code((now / 30).saturating_add_signed(shift));
            let steps = (-reach..=reach).map(|shift| (now / 30).saturating_add_signed(shift));
            let right: Vec<u64> = steps.filter(|step| code(*step) == typed).collect();
            let newest = right.iter().copied().rfind(|step| used.is_none_or(|used| *step > used));
            match (verifier.present(&typed, now), newest) {
                (Ok(accepted), Some(newest)) => prop_assert_eq!(accepted.step, newest),
                (Err(Refusal::AlreadyUsed { .. }), None) => prop_assert!(!right.is_empty()),
                (Err(Refusal::WrongCode { .. }), None) => prop_assert!(right.is_empty()),
                (answer, wanted) => prop_assert!(false, "{answer:?}, wanted {wanted:?}"),
            }
            used = newest.or(used);
        }
    }

    /// The same for counters.
    #[test]
    fn a_counter_never_goes_back(
        start in prop_oneof![Just(0_u64), Just(u64::MAX - 3), any::<u64>()],
        ahead in proptest::collection::vec(-3_i64..14, 1..20),
    ) {
        let method = Method::Hotp { hotp: Hotp::default(), look_ahead: 10 };
        let state = State::counting_from(at(0), start);
        let mut verifier = Verifier::new(Authenticator::new(&secret(), method), state);
        for ahead in ahead {
            let next = verifier.state.last_step().map_or(0, |last| last.saturating_add(1));
            let before = verifier.state.last_step();
            if let Ok(accepted) = verifier.present(&code(next.saturating_add_signed(ahead)), 0) {
                prop_assert!(Some(accepted.step) > before);
                prop_assert!(accepted.step <= next.saturating_add(10));
            }
            prop_assert!(verifier.state.last_step() >= before);
        }
    }
}
