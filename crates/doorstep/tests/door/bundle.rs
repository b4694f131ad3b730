//! The bundle: read back whole, and refused when a character of it is wrong.

use crate::support::{bundle, written};
use doorstep::clock::{AfterPowerLoss, Clock, Oscillator};
use doorstep::door::bundle::{Bundle, BundleError, PREFIX};
use doorstep::keypad::profile::{Profile, Uses};
use doorstep::keypad::tuple::PinDigits;
use doorstep::otp::Digits;
use doorstep::otp::totp::Totp;

#[test]
fn a_bundle_reads_back() {
    let others = [
        Bundle { steps: None, test: false, ..bundle() },
        Bundle { profile: Profile::general().unwrap(), ..bundle() },
        Bundle {
            profile: Profile::stays(840, 600, 32).unwrap().with_holders(4, 4).unwrap(),
            ..bundle()
        },
        Bundle {
            clock: Clock {
                oscillator: Oscillator::Calibrated,
                after_power_loss: AfterPowerLoss::NeedTime,
            },
            ..bundle()
        },
    ];
    for bundle in others.into_iter().chain([bundle()]) {
        let text = written(&bundle);
        for spelling in [text.clone(), text.to_lowercase(), format!(" {text}\n")] {
            let read = Bundle::parse(&spelling).unwrap();
            assert_eq!(written(&read), text);
            assert_eq!((read.lock, read.generation, read.epoch), (bundle.lock, 2, 4));
            assert_eq!((read.profile, read.clock), (bundle.profile, bundle.clock));
            assert_eq!((read.made_at, read.test), (bundle.made_at, bundle.test));
            assert_eq!(read.root.secret().expose(), bundle.root.secret().expose());
            let totp = |bundle: &Bundle| bundle.steps.as_ref().map(|steps| steps.totp);
            assert_eq!(totp(&read), totp(&bundle));
        }
    }
}

#[test]
fn every_wrong_missing_or_swapped_character_is_seen() {
    let text = written(&bundle());
    for at in PREFIX.len()..text.len() {
        let mut wrong = text.clone().into_bytes();
        wrong[at] = if wrong[at] == b'A' { b'B' } else { b'A' };
        let wrong = String::from_utf8(wrong).unwrap();
        assert_eq!(Bundle::parse(&wrong).unwrap_err(), BundleError::Damaged, "character {at}");
        assert_eq!(Bundle::parse(&text[..at]).unwrap_err(), BundleError::Damaged, "cut at {at}");
        if at + 1 < text.len() && text.as_bytes()[at] != text.as_bytes()[at + 1] {
            let mut wrong = text.clone().into_bytes();
            wrong.swap(at, at + 1);
            let wrong = String::from_utf8(wrong).unwrap();
            assert_eq!(Bundle::parse(&wrong).unwrap_err(), BundleError::Damaged, "swap at {at}");
        }
    }
    for other in
        ["", "DSLOCK", "DSLOCK2:AAAA", "otpauth://totp/a?secret=MZXW6YTBOI", "ＤＳＬＯＣＫ１:"]
    {
        assert_eq!(Bundle::parse(other).unwrap_err(), BundleError::Prefix, "{other}");
    }
    assert_eq!(Bundle::parse(PREFIX).unwrap_err(), BundleError::Damaged);
    let long = format!("{PREFIX}{}", "A".repeat(4096));
    assert_eq!(Bundle::parse(&long).unwrap_err(), BundleError::Damaged);
}

#[test]
fn pins_and_steps_of_one_length_are_no_bundle() {
    let profile = Profile::courts().unwrap();
    let digits = Digits::new(profile.digits().get()).unwrap();
    let mut same = bundle();
    same.profile = profile;
    if let Some(steps) = &mut same.steps {
        steps.totp = Totp { digits, ..Totp::default() };
    }
    assert!(!same.is_unambiguous());
    assert_eq!(Bundle::parse(&written(&same)).unwrap_err(), BundleError::Content);
}

/// Steps of ten digits would hide the codes that end an epoch.
#[test]
fn steps_have_six_to_eight_digits() {
    for digits in 6..=10 {
        let mut bundle = bundle();
        bundle.profile =
            bundle.profile.with_digits(PinDigits::new(if digits == 6 { 7 } else { 6 }).unwrap());
        bundle.steps.as_mut().unwrap().totp.digits = Digits::new(digits).unwrap();
        let read = Bundle::parse(&written(&bundle)).map(|_| ());
        let expected = if digits <= 8 { Ok(()) } else { Err(BundleError::Content) };
        assert_eq!(read, expected, "{digits}");
    }
}

#[test]
fn a_bundle_shows_no_secret_to_a_log() {
    let shown = format!("{:?}", bundle());
    assert!(!shown.contains("7, 7"), "{shown}");
    assert!(!shown.contains("49, 50"), "{shown}");
}

#[test]
fn single_use_is_a_class_of_its_own() {
    let courts = Profile::courts().unwrap();
    let uses = |uses| courts.with_uses(uses).unwrap();
    assert_eq!(uses(Uses::Many), courts);
    assert!(uses(Uses::Once).classes().iter().all(|class| class.one_time));
    let both = uses(Uses::Both);
    assert_eq!(both.classes().len(), 12);
    assert_eq!(both.with_uses(Uses::Both).unwrap(), both);
    assert_eq!(both.with_uses(Uses::Many).unwrap(), courts);
    let stays = Profile::stays(840, 600, 20).unwrap();
    assert!(stays.with_uses(Uses::Once).is_ok());
    assert!(stays.with_uses(Uses::Both).is_err(), "40 classes are too many");
}
