//! Bookings as people make them, in local time: every offset from UTC, clocks that change meanwhile, leap
//! days, year ends, and years far ahead. The lock knows none of it, and its PINs open all the same.

use crate::support::{CLOCK, DAY, Door, HOUR, at};
use doorstep::clock::Belief;
use doorstep::keypad::profile::{Profile, Uses};
use doorstep::keypad::state::State;
use doorstep::keypad::tuple::{Class, Tuple};
use doorstep::refusal::Refusal;
use doorstep::time::Window;
use proptest::prelude::*;

/// Seconds of a date's midnight, by the calendar that everybody uses.
fn midnight(year: u64, month: u64, day: u64) -> u64 {
    // Years from March, so that a leap day is the last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    (days - 719_468) * DAY
}

/// Days around which calendars go wrong.
const DAYS: [(u64, u64, u64); 12] = [
    (2028, 2, 28),
    (2028, 2, 29),
    (2027, 2, 28),
    (2026, 12, 31),
    (2027, 1, 1),
    (2027, 3, 28),
    (2027, 10, 31),
    (2027, 4, 4),
    (2038, 1, 19),
    (2100, 2, 28),
    (2100, 3, 1),
    (2099, 12, 31),
];

#[test]
fn dates_are_those_of_the_calendar() {
    for (date, seconds) in [
        ((1970, 1, 1), 0),
        ((2000, 2, 29), 951_782_400),
        ((2027, 1, 15), 1_799_971_200),
        ((2038, 1, 19), 2_147_472_000),
        ((2100, 3, 1), 4_107_542_400),
    ] {
        assert_eq!(midnight(date.0, date.1, date.2), seconds, "{date:?}");
    }
}

fn any_profile() -> impl Strategy<Value = Profile> {
    let stays = (0..1440_u16, 0..=720_u16)
        .prop_map(|(inn, gap)| Profile::stays(inn, (inn + 1440 - gap) % 1440, 14).unwrap());
    let kinds =
        prop_oneof![Just(Profile::courts().unwrap()), Just(Profile::general().unwrap()), stays,];
    let uses = prop_oneof![Just(Uses::Many), Just(Uses::Once), Just(Uses::Both)];
    (kinds, uses).prop_map(|(profile, uses)| profile.with_uses(uses).unwrap())
}

/// Some local time of a day, as seconds of UTC, and how long the clocks there will say it lasts.
fn any_booking() -> impl Strategy<Value = (u64, u64)> {
    let day = prop_oneof![
        (0..DAYS.len()).prop_map(|place| midnight(DAYS[place].0, DAYS[place].1, DAYS[place].2)),
        (midnight(2026, 1, 1) / DAY..midnight(2100, 12, 31) / DAY).prop_map(|day| day * DAY),
    ];
    // From -12:00 to +14:00 in quarters of an hour; clocks may change by an hour, or by half of one.
    let length = prop_oneof![1..16_u64, 1..27 * 96_u64];
    (day, -48..=56_i64, 0..1440_u64, length, -2..=2_i64).prop_map(
        |(day, offset, minute, quarters, change)| {
            let from = (day + minute * 60).saturating_add_signed(-offset * 900);
            (from, (quarters * 900).saturating_add_signed(change * 1800).max(60))
        },
    )
}

/// The door of a lock whose clock was just set.
fn door(profile: Profile, now: u64) -> Door {
    let mut door = Door::new(profile, now);
    door.state = State::new(Belief::new(CLOCK, at(now)));
    door.pause = 0;
    door
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// The true window holds the booking, begins on its class's grid, and no shorter one holds it, nor one
    /// as long that begins later.
    #[test]
    fn every_booking_is_rounded_outward_and_no_further(
        profile in any_profile(),
        (from, seconds) in any_booking(),
        once: bool,
    ) {
        let wanted = Window::new(at(from), at(from + seconds)).unwrap();
        let fit = profile.fit(&wanted, once);
        let holds = |class: &Class, index: u32| {
            let tuple = Tuple { class: *class, index, holder: 0, generation: 0 };
            tuple.from() <= wanted.from() && tuple.until() >= wanted.until()
        };
        for class in profile.classes().iter().filter(|class| class.one_time == once) {
            let grid = u64::from(class.quantum) * 60;
            let last = (from - u64::from(class.phase) * 60) / grid;
            for back in 0..3 {
                let index = u32::try_from(last - back).unwrap();
                if holds(class, index) {
                    let fit = fit.expect("something holds it");
                    prop_assert!(fit.class.duration <= class.duration);
                }
            }
        }
        let Some(fit) = fit else { return Ok(()) };
        prop_assert!(holds(&fit.class, fit.index) && fit.class.one_time == once);
        prop_assert!(!holds(&fit.class, fit.index + 1), "one later holds it as well");
        let grid = u64::from(fit.class.quantum) * 60;
        prop_assert_eq!((fit.window.from().seconds() - u64::from(fit.class.phase) * 60) % grid, 0);
        prop_assert_eq!(fit.window.length(), u64::from(fit.class.duration) * 60);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// From the booking to the lock and back: the PIN opens at the edges of the true window with its grace, and
    /// not a moment beyond what a clock that was just set leaves uncertain.
    #[test]
    fn a_pin_opens_at_the_edges_of_its_true_window(
        profile in any_profile(),
        (from, seconds) in any_booking(),
        once: bool,
    ) {
        let wanted = Window::new(at(from), at(from + seconds)).unwrap();
        let Some(fit) = profile.fit(&wanted, once) else { return Ok(()) };
        let tuple = fit.tuple(1, 0);
        let (begins, ends) = (fit.window.from().seconds(), fit.window.until().seconds());
        for now in [begins - 600, from, from + seconds - 1, ends - 1, ends + 299] {
            let mut door = door(profile, now);
            let pin = door.pin(&tuple, 0);
            prop_assert_eq!(door.open(&pin).map(|found| found.tuple), Ok(tuple), "{}", now);
        }
        let mut early = door(profile, begins - 610);
        let not_yet = Refusal::NotYetValid { from: at(begins - 600) };
        prop_assert_eq!(early.open(&early.pin(&tuple, 0)), Err(not_yet));
        let mut late = door(profile, ends + 310);
        let expired = Refusal::Expired { until: at(ends + 300) };
        prop_assert_eq!(late.open(&late.pin(&tuple, 0)), Err(expired));
    }
}

/// 29 February, and the 28th of a year that looks like a leap year and is none.
#[test]
fn a_night_over_the_end_of_february() {
    let stays = Profile::stays(14 * 60, 10 * 60, 3).unwrap();
    for (from, until) in [
        ((2028, 2, 28), (2028, 2, 29)),
        ((2028, 2, 29), (2028, 3, 1)),
        ((2100, 2, 28), (2100, 3, 1)),
        ((2026, 12, 31), (2027, 1, 1)),
    ] {
        let from = midnight(from.0, from.1, from.2) + 14 * HOUR;
        let until = midnight(until.0, until.1, until.2) + 10 * HOUR;
        let fit = stays.fit(&Window::new(at(from), at(until)).unwrap(), false).unwrap();
        assert_eq!(fit.window, Window::new(at(from), at(until)).unwrap());
        assert_eq!(fit.class.duration, 20 * 60, "one night");
    }
}

/// Indices are 32 bits: on the finest grid there is, they last for eight thousand years.
#[test]
fn indices_outlast_everybody() {
    let minute = Class { duration: 1, quantum: 1, phase: 0, one_time: false };
    let far = midnight(9999, 12, 31);
    assert_eq!(minute.index_at(at(far)).map(u64::from), Some(far / 60));
    let beyond = u64::from(u32::MAX) * 60 + 60;
    assert_eq!(minute.index_at(at(beyond)), None);
    let last = Tuple { class: minute, index: u32::MAX, holder: 0, generation: 0 };
    assert_eq!(last.until(), at(beyond));
    let coarse = Class { duration: u32::MAX, quantum: u16::MAX, phase: 0, one_time: false };
    let last = Tuple { class: coarse, index: u32::MAX, holder: 0, generation: 0 };
    assert!(last.until() > last.from(), "nothing wraps");
    let early = Class { phase: 1439, quantum: 1440, ..minute };
    assert_eq!(early.index_at(at(0)), None, "before the first beginning there is none");
}
