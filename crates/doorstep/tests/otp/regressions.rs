//! A test for each way in which one-time-code systems have failed, as far as this method goes.

use crate::support::{PATIENT, Verifier, already_used, at, code, secret, text, wrong, wrong_code};
use doorstep::code::Code;
use doorstep::otp::Digits;
use doorstep::otp::OtpSecret;
use doorstep::otp::otpauth;
use doorstep::otp::record::State;
use doorstep::otp::totp::Totp;
use doorstep::otp::verify::{Authenticator, Drift, Method, begin};
use doorstep::otp::window::Window;
use doorstep::refusal::Refusal;
use doorstep::throttle::{Bucket, Pace};
use proptest::prelude::*;
use std::num::NonZeroU64;

const NOON: u64 = 1_800_000_000;
const STEP: u64 = NOON / 30;

#[test]
fn replay_of_the_same_step_is_refused() {
    let mut verifier = Verifier::plain(NOON);
    assert!(verifier.present(&code(STEP), NOON).is_ok());
    for second in 0..60 {
        let answer = verifier.present(&code(STEP), NOON + second);
        assert_eq!(answer, Err(Refusal::AlreadyUsed { at: at(NOON) }), "{second}");
    }
    assert!(wrong_code(verifier.present(&code(STEP), NOON + 60)), "out of the window");
}

#[test]
fn replay_via_a_neighbouring_step_is_refused() {
    let mut verifier = Verifier::totp(Window::ONE_EACH, Drift::QUARTZ, NOON);
    assert!(verifier.present(&code(STEP), NOON).is_ok());
    assert!(already_used(verifier.present(&code(STEP), NOON + 30)));
    assert!(already_used(verifier.present(&code(STEP - 1), NOON)), "an older step is spent too");
    assert!(verifier.present(&code(STEP + 1), NOON + 30).is_ok());
}

#[test]
fn replay_after_a_restart_is_refused() {
    let mut verifier = Verifier::plain(NOON);
    assert!(verifier.present(&code(STEP), NOON).is_ok());
    let stored = verifier.state.to_bytes();
    let mut restarted = Verifier::plain(NOON);
    restarted.state = State::from_bytes(&stored).unwrap();
    assert!(already_used(restarted.present(&code(STEP), NOON)));
}

#[test]
fn replay_in_another_spelling_is_refused() {
    let mut verifier = Verifier::plain(NOON);
    let code = code(STEP);
    let (head, tail) = code.split_at(3);
    assert!(verifier.present(&format!("{head} {tail}"), NOON).is_ok());
    for spelling in [code.clone(), format!("{head}-{tail}"), format!(" {head}{tail} ")] {
        assert!(already_used(verifier.present(&spelling, NOON)), "{spelling:?}");
    }
}

#[test]
fn limiter_does_not_depend_on_spelling() {
    let mut verifier = Verifier::plain(NOON);
    verifier.bucket = Bucket::full(Pace { burst: 3, refill: 3600 }, at(NOON));
    let bad = wrong(STEP - 2..=STEP + 2);
    let (head, tail) = bad.split_at(3);
    for spelling in [bad.clone(), format!("{head} {tail}"), format!("-{bad}")] {
        assert!(wrong_code(verifier.present(&spelling, NOON)), "{spelling:?}");
    }
    assert!(matches!(verifier.present(&bad, NOON), Err(Refusal::Throttled { .. })));
}

#[test]
fn throttle_is_in_the_core_and_counts_before_comparing() {
    let mut verifier = Verifier::plain(NOON);
    let left = verifier.bucket.left();
    let before = verifier.clone();
    let enrolled = [before.enrolled()];
    let bad = wrong(STEP - 2..=STEP + 2);
    let (attempt, tried) =
        begin(&enrolled, &before.presenter(), &bad, at(NOON), verifier.head).unwrap();
    // Power is cut between the count and the comparison: the attempt is gone all the same.
    verifier.append(attempt.place(), &tried).unwrap();
    drop(attempt);
    assert_eq!(verifier.bucket.left(), left - 1);
}

#[test]
fn concurrent_presentations_of_one_code_are_granted_once() {
    let mut verifier = Verifier::plain(NOON);
    let now = at(NOON);
    let before = verifier.clone();
    let enrolled = [before.enrolled()];
    let mut matches = Vec::new();
    for _ in 0..8 {
        let (attempt, tried) =
            begin(&enrolled, &verifier.presenter(), &code(STEP), now, verifier.head).unwrap();
        let receipt = verifier.append(attempt.place(), &tried).unwrap();
        matches.push(attempt.counted(receipt).unwrap().compare().unwrap());
    }
    // All of them name their spending on the same state; the ledger takes one, and the others,
    // which read the state again, are refused.
    let all_read = verifier.clone();
    let mut grants = 0;
    for matched in &matches {
        let spend =
            |read: &Verifier| read.enrolled().spend(matched, &read.presenter(), now, read.head);
        let (spending, record) = spend(&all_read).unwrap();
        match verifier.append(spending.place(), &record) {
            Some(receipt) => grants += u32::from(spending.granted(receipt).is_ok()),
            None => assert!(matches!(spend(&verifier), Err(Refusal::AlreadyUsed { .. }))),
        }
    }
    assert_eq!(grants, 1);
}

/// The same with threads that share a ledger, and start again from reading it when an append was
/// lost to another.
#[test]
fn threads_that_present_one_code_are_granted_once() {
    use std::sync::{Barrier, Mutex};
    for round in 0..20 {
        let now = at(NOON + round * 30);
        let shown = code(STEP + round);
        let ledger = Mutex::new(Verifier::plain(NOON));
        let start = Barrier::new(8);
        let present = || {
            start.wait();
            loop {
                let mine = ledger.lock().unwrap().clone();
                let enrolled = [mine.enrolled()];
                let begun = begin(&enrolled, &mine.presenter(), &shown, now, mine.head);
                let (attempt, tried) = begun.unwrap();
                let place = *attempt.place();
                let Some(receipt) = ledger.lock().unwrap().append(&place, &tried) else { continue };
                let matched = attempt.counted(receipt).unwrap().compare().ok()?;
                loop {
                    let mine = ledger.lock().unwrap().clone();
                    let spent = mine.enrolled().spend(&matched, &mine.presenter(), now, mine.head);
                    let (spending, record) = spent.ok()?;
                    let place = *spending.place();
                    if let Some(receipt) = ledger.lock().unwrap().append(&place, &record) {
                        return spending.granted(receipt).ok();
                    }
                }
            }
        };
        let grants = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(present)).collect();
            threads.into_iter().filter_map(|thread| thread.join().unwrap()).count()
        });
        assert_eq!(grants, 1, "round {round}");
        let left = ledger.into_inner().unwrap().bucket.left();
        assert_eq!(left, PATIENT.burst - 7, "eight were counted, and one came back");
    }
}

/// Codes recorded earlier are no way to move an authenticator back.
#[test]
fn resync_is_monotonic() {
    let mut verifier = Verifier::totp(Window::ONE_EACH, Drift::QUARTZ, NOON);
    verifier.present(&code(STEP), NOON).unwrap();
    for recorded in [STEP - 40, STEP - 1, STEP] {
        let answer = verifier.first(&code(recorded), 100, NOON + 60);
        assert_eq!(answer, Err(Refusal::AlreadyUsed { at: at(NOON) }));
    }
    assert_eq!(verifier.state.last_step(), Some(STEP));
    // Nor is a pair of which the first was recorded before and the login came in between.
    let mut verifier = Verifier::totp(Window::ONE_EACH, Drift::QUARTZ, NOON);
    verifier.first(&code(STEP - 40), 100, NOON).unwrap();
    let now = at(NOON + 1);
    let before = verifier.clone();
    let (attempt, tried) = before
        .enrolled()
        .begin_second(&before.presenter(), &code(STEP - 39), now, verifier.head)
        .unwrap();
    let receipt = verifier.append(attempt.place(), &tried).unwrap();
    let matched = attempt.counted(receipt).unwrap().compare().unwrap();
    verifier.present(&code(STEP), NOON + 1).unwrap();
    let spent =
        verifier.enrolled().spend_second(&matched, &verifier.presenter(), now, verifier.head);
    assert!(matches!(spent, Err(Refusal::AlreadyUsed { .. })));
}

#[test]
fn clock_set_back_revives_nothing() {
    let mut verifier = Verifier::totp(Window::ONE_EACH, Drift::QUARTZ, NOON);
    let first = code(STEP);
    assert!(verifier.present(&first, NOON).is_ok());
    verifier.present(&code(STEP + 10), NOON + 300).unwrap();
    for now in [NOON, NOON - 30, NOON + 30] {
        assert!(already_used(verifier.present(&first, now)), "{now}");
    }
    // The first code of a resync does not live on, and no attempt comes back.
    verifier.first(&code(STEP + 60), 100, NOON + 300).unwrap();
    assert!(verifier.second(&code(STEP + 61), NOON).is_err());
    let mut verifier = Verifier::plain(NOON);
    verifier.bucket = Bucket::full(Pace { burst: 1, refill: 100 }, at(NOON));
    assert!(wrong_code(verifier.present(&wrong(STEP - 2..=STEP + 2), NOON)));
    for now in [0, NOON - 1_000_000, NOON + 99] {
        assert!(matches!(verifier.present("000000", now), Err(Refusal::Throttled { .. })));
    }
}

#[test]
fn leading_zeros_are_kept_and_wanted() {
    let step = (0..).find(|step| code(*step).starts_with("000")).unwrap();
    let shown = code(step);
    let mut verifier = Verifier::hotp(step);
    assert_eq!(shown.len(), 6);
    for other in [shown.trim_start_matches('0'), &shown[1..], &format!("0{shown}")] {
        assert_eq!(verifier.present(other, 0), Err(Refusal::Mistyped), "{other}");
    }
    assert!(verifier.present(&shown, 0).is_ok());
}

#[test]
fn only_ascii_digits_are_digits() {
    let mut verifier = Verifier::plain(NOON);
    let left = verifier.bucket.left();
    let shown = code(STEP);
    let full_width: String =
        shown.chars().map(|digit| char::from_u32(u32::from(digit) + 0xFEE0).unwrap()).collect();
    let arabic: String =
        shown.chars().map(|digit| char::from_u32(u32::from(digit) + 0x630).unwrap()).collect();
    let bold: String =
        shown.chars().map(|digit| char::from_u32(u32::from(digit) + 0x1D79E).unwrap()).collect();
    for typed in [
        full_width,
        arabic,
        bold,
        format!("+{shown}"),
        format!("{shown}\n"),
        format!("{}_{}", &shown[..3], &shown[3..]),
        format!("{}\u{a0}{}", &shown[..3], &shown[3..]),
        format!("0x{shown}"),
        format!("{shown}.0"),
        format!("{shown}\0"),
        shown.repeat(1000),
    ] {
        assert_eq!(verifier.present(&typed, NOON), Err(Refusal::Mistyped), "{typed:?}");
    }
    assert_eq!(verifier.bucket.left(), left, "none of them was compared");
}

#[test]
fn empty_code_never_matches() {
    for typed in ["", " ", "-", "   -  ", "\0"] {
        assert_eq!(Verifier::plain(NOON).present(typed, NOON), Err(Refusal::Mistyped));
        assert_eq!(Verifier::plain(NOON).first(typed, 10, NOON), Err(Refusal::Mistyped));
        assert_eq!(Verifier::plain(NOON).second(typed, NOON), Err(Refusal::Mistyped));
    }
    assert!(OtpSecret::from_bytes(&[]).is_none(), "nor is there an empty secret");
}

#[test]
fn secret_length_is_fixed_where_it_is_made() {
    use rand_core::SeedableRng;
    let secret = OtpSecret::make(&mut rand_chacha::ChaCha20Rng::seed_from_u64(7));
    assert_eq!(secret.expose().len(), 20, "160 bits, counted in bytes");
    let mut written = String::new();
    doorstep::otp::text::write_base32(&secret, &mut written).unwrap();
    assert_eq!(written.len(), 32);
}

#[test]
fn period_0_and_digits_beyond_10_cannot_be_written() {
    assert_eq!(NonZeroU64::new(0), None);
    assert!(Digits::new(11).is_none() && Digits::new(0).is_none() && Digits::new(5).is_none());
    let uri = |rest: &str| format!("otpauth://totp/Ex:al?secret=GEZDGNBVGY3TQOJQGEZDGNBV&{rest}");
    for rest in
        ["period=0", "period=-30", "digits=0", "digits=-6", "digits=11", "digits=4294967302"]
    {
        assert!(otpauth::parse(&uri(rest)).is_err(), "{rest}");
    }
    assert!(otpauth::parse(&uri("period=30")).is_ok());
    for label in ["", "/", "/:", "/%3A"] {
        let uri = format!("otpauth://totp{label}?secret=GEZDGNBVGY3TQOJQ");
        assert!(otpauth::parse(&uri).is_ok(), "an empty label is no crash: {label}");
    }
}

#[test]
fn the_ends_of_time_are_safe() {
    for now in [0, 1, 29, u64::MAX - 1, u64::MAX] {
        let step = now / 30;
        let mut verifier = Verifier::totp(Window::plus_minus(10).unwrap(), Drift::QUARTZ, 0);
        assert_eq!(verifier.present(&code(step), now).unwrap().step, step, "{now}");
        assert!(already_used(verifier.present(&code(step), now)));
        assert!(verifier.first(&code(step + 1), 1000, now).is_ok());
    }
    let mut last = Verifier::hotp(u64::MAX);
    assert!(last.present(&code(u64::MAX), 0).is_ok());
    assert!(already_used(last.present(&code(u64::MAX), 0)));
    assert!(last.present(&code(0), 0).is_err(), "a counter does not begin again");
    assert!(last.first(&code(0), 1000, 0).is_err());
    // A period of one second, where a step is a second.
    let totp = Totp { period: NonZeroU64::MIN, ..Totp::default() };
    let authenticator = Authenticator::totp(&secret(), totp);
    for now in [0, u64::MAX] {
        let state = State::new(at(now));
        let mut verifier = Verifier::new(authenticator.clone(), state);
        let shown = text(totp.code_at(&totp.keyed(&secret()), at(now)).unwrap().expose());
        assert!(verifier.present(&shown, now).is_ok(), "{now}");
    }
}

#[test]
fn digits_are_those_that_were_enrolled() {
    let totp = Totp { digits: Digits::EIGHT, ..Totp::default() };
    let authenticator = Authenticator::totp(&secret(), totp);
    let mut verifier = Verifier::new(authenticator, State::new(at(NOON)));
    let eight = text(totp.code_at(&totp.keyed(&secret()), at(NOON)).unwrap().expose());
    assert_eq!(&eight[2..], code(STEP), "six digits are the end of eight");
    assert_eq!(verifier.present(&code(STEP), NOON), Err(Refusal::Mistyped));
    assert!(verifier.present(&eight, NOON).is_ok());
}

/// The whole window is scanned: where in it a code lies changes nothing but the answer. (That no
/// comparison ends early is in the code: one loop without a way out.)
#[test]
fn whole_window_is_scanned_whatever_matches() {
    let window = Window::plus_minus(10).unwrap();
    for shift in -10..=10_i64 {
        let mut verifier = Verifier::totp(window, Drift::NONE, NOON);
        let accepted = verifier.present(&code(STEP.saturating_add_signed(shift)), NOON).unwrap();
        assert_eq!(accepted.shift, shift);
    }
}

#[test]
fn no_secret_and_no_code_is_printed() {
    let verifier = Verifier::plain(NOON);
    let enrolled = [verifier.enrolled()];
    let (attempt, _) =
        begin(&enrolled, &verifier.presenter(), &code(STEP), at(NOON), verifier.head).unwrap();
    let printed = format!("{attempt:?} {:?} {:?}", verifier.authenticator, secret());
    assert!(!printed.contains(&code(STEP)), "{printed}");
    for part in ["12345678901234567890", "3132333435", "49, 50, 51", "GEZDGNBV"] {
        assert!(!printed.contains(part), "{printed}");
    }
}

proptest! {
    /// Drift is remembered in whole steps of any period, so that a code is never another one
    /// shifted by part of a step, and never taken twice.
    #[test]
    fn drift_is_whole_steps(
        period in 1_u64..200, start in 1_000_000_000_u64..2_000_000_000,
        moves in proptest::collection::vec((1_u64..500_000, -2_i64..=2), 1..20),
    ) {
        let totp = Totp { period: NonZeroU64::new(period).unwrap(), ..Totp::default() };
        let method = Method::Totp { totp, window: Window::ONE_EACH, drift: Drift::QUARTZ };
        let mut verifier =
            Verifier::new(Authenticator::new(&secret(), method), State::new(at(start)));
        let mut now = start;
        let mut taken = Vec::new();
        for (pause, shift) in moves {
            now += pause;
            let step = (now / period).saturating_add_signed(shift);
            if let Ok(accepted) = verifier.present(&code(step), now) {
                prop_assert!(!taken.contains(&accepted.step));
                prop_assert_eq!(accepted.step.wrapping_sub(now / period), accepted.shift.cast_unsigned());
                taken.push(accepted.step);
            }
        }
    }

    #[test]
    fn digits_round_trip(counter in any::<u64>(), count in 6_u8..=10) {
        let digits = Digits::new(count).unwrap();
        let hotp = doorstep::otp::hotp::Hotp { digits, ..Default::default() };
        let shown = hotp.code(&hotp.keyed(&secret()), counter);
        prop_assert_eq!(shown.expose().len(), usize::from(count));
        let read = Code::parse(&text(shown.expose()), digits.shape()).unwrap();
        prop_assert_eq!(read.expose(), shown.expose());
    }

    #[test]
    fn no_typed_text_makes_the_verifier_panic(typed in any::<String>(), now in any::<u64>()) {
        let mut verifier = Verifier::totp(Window::ONE_EACH, Drift::QUARTZ, 0);
        let _ = verifier.present(&typed, now);
        let _ = verifier.first(&typed, u16::MAX, now);
        let _ = verifier.second(&typed, now);
    }
}
