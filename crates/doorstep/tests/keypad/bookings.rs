//! Bookings rounded outward: every offset, every length, every profile.

use crate::support::{DAY, HOUR, MIDNIGHT, at};
use doorstep::keypad::profile::{MAX_CLASSES, Profile, ProfileError};
use doorstep::keypad::tuple::Class;
use doorstep::time::Window;
use proptest::prelude::*;

fn window(from: u64, until: u64) -> Window {
    Window::new(at(from), at(until)).unwrap()
}

proptest! {
    /// Of any time and offset from UTC, leap days and year ends among them: the true window holds what
    /// was asked for, begins on its grid, and is less than a quantum too long at either end.
    #[test]
    fn the_true_window_holds_the_booking(from in 0..u64::from(u32::MAX), minutes in 1..=40_320_u64) {
        let profile = Profile::general().unwrap();
        let wanted = window(from, from + minutes * 60);
        match profile.fit(&wanted, false) {
            None => prop_assert!(minutes > 40_320 - 1440),
            Some(fit) => {
                prop_assert!(fit.window.from() <= wanted.from() && fit.window.until() >= wanted.until());
                let quantum = u64::from(fit.class.quantum) * 60;
                prop_assert_eq!(fit.window.from().seconds() % quantum, 0);
                prop_assert!(wanted.from().since(fit.window.from()) < quantum);
                let better = profile.classes().iter().any(|class| {
                    let index = class.index_at(wanted.from()).unwrap();
                    let tuple = doorstep::keypad::tuple::Tuple { class: *class, index, holder: 0, generation: 0 };
                    class.seconds() < fit.class.seconds() && tuple.until() >= wanted.until()
                });
                prop_assert!(!better, "a shorter one holds it as well");
            }
        }
    }
}

#[test]
fn courts_on_the_quarter_hour_are_not_rounded_at_all() {
    let courts = Profile::courts().unwrap();
    for quarter in 0..96 {
        for minutes in [30, 60, 90, 120, 180, 240] {
            let from = MIDNIGHT + quarter * 900;
            let wanted = window(from, from + minutes * 60);
            assert_eq!(courts.fit(&wanted, false).unwrap().window, wanted);
        }
    }
    let odd = courts.fit(&window(MIDNIGHT + 60, MIDNIGHT + HOUR + 60), false).unwrap();
    assert_eq!(odd.window, window(MIDNIGHT, MIDNIGHT + HOUR + 1800));
    assert!(courts.fit(&window(MIDNIGHT, MIDNIGHT + 4 * HOUR + 1), false).is_none());
    assert!(courts.fit(&window(MIDNIGHT, MIDNIGHT + HOUR), true).is_none(), "no single use here");
}

/// The last guest never gets the next guest's room: check-out is before check-in.
#[test]
fn what_fits_off_the_grid_fits_whenever_it_begins_and_no_more_does() {
    for profile in [Profile::courts().unwrap(), Profile::general().unwrap()] {
        let longest = profile.longest_off_grid();
        let held = |from: u64, seconds| profile.fit(&window(from, from + seconds), false).is_some();
        for from in [0, 1, 899, 900, 43_200, 86_399].map(|offset| MIDNIGHT + offset) {
            assert!(held(from, longest), "{from}");
        }
        // A second before the next window begins, the one that holds it began the longest ago.
        assert!(!held(MIDNIGHT - 1, longest + 2));
        assert!(held(MIDNIGHT, profile.longest()));
    }
}

#[test]
fn stays_end_at_check_out() {
    let stays = Profile::stays(14 * 60, 10 * 60, 21).unwrap();
    for nights in 1..=21_u64 {
        for early in [0, 1, 5] {
            let from = MIDNIGHT + 14 * HOUR + early * HOUR;
            let wanted = window(from, MIDNIGHT + nights * DAY + 10 * HOUR);
            let fit = stays.fit(&wanted, false).unwrap();
            assert_eq!(
                fit.window,
                window(MIDNIGHT + 14 * HOUR, MIDNIGHT + nights * DAY + 10 * HOUR)
            );
        }
    }
    // Over MIDNIGHT of UTC, over a leap day, over the end of a year.
    let east = Profile::stays(3 * 60, 60, 3).unwrap();
    for (from, until) in [(1_835_406_000, 1_835_571_600), (1_830_308_400, 1_830_387_600)] {
        let fit = east.fit(&window(from, until), false).unwrap();
        assert_eq!(fit.window, window(from, until));
    }
    // Auckland in summer: in at 02:00 UTC, out at 21:00 UTC of the day before.
    let far_east = Profile::stays(2 * 60, 21 * 60, 3).unwrap();
    let (from, until) = (MIDNIGHT + 2 * HOUR, MIDNIGHT + DAY + 21 * HOUR);
    assert_eq!(far_east.fit(&window(from, until), false).unwrap().window, window(from, until));
    assert_eq!(Profile::stays(600, 660, 3), Err(ProfileError::CheckOut));
    assert!(Profile::stays(1440, 600, 3).is_err() && Profile::stays(60, 1441, 3).is_err());
    assert!(Profile::stays(840, 600, 0).is_err() && Profile::stays(840, 600, 33).is_err());
}

#[test]
fn profiles_that_cannot_be_are_refused() {
    let class = Class { duration: 60, quantum: 15, phase: 0, one_time: false };
    assert_eq!(Profile::new(&[], false), Err(ProfileError::Classes(0)));
    assert_eq!(Profile::new(&[class; MAX_CLASSES + 1], false), Err(ProfileError::Classes(33)));
    for wrong in [
        Class { duration: 0, ..class },
        Class { quantum: 0, ..class },
        Class { phase: 15, ..class },
    ] {
        assert_eq!(Profile::new(&[wrong], false), Err(ProfileError::Class(wrong)));
    }
    for (holders, generations) in [(0, 1), (1, 0), (17, 1), (5, 4)] {
        assert_eq!(
            Profile::with_lanes(&[class], false, holders, generations),
            Err(ProfileError::Lanes)
        );
    }
    let year = Class { duration: 525_600, quantum: 1, ..class };
    assert_eq!(Profile::new(&[year; 32], false), Err(ProfileError::Guessable));
}
