//! The rules, over random histories: what rises, what bounds, what reads back.

use crate::support::{
    DAY, NEED_TIME, NOON, TRUSTING, after, any_clock, any_event, any_guest_event, at, elapsed, pin,
    step,
};
use doorstep::clock::{BELIEF_LENGTH, Belief, Clock, Event, MAX_UNCERTAINTY, Oscillator};
use doorstep::time::Timestamp;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn the_floor_only_rises_and_bounds_the_belief(
        clock in any_clock(),
        events in proptest::collection::vec(any_event(), 0..60),
    ) {
        let mut belief = Belief::new(clock, at(NOON));
        for event in &events {
            let next = belief.then(event);
            prop_assert!(next.floor() >= belief.floor(), "{event:?}");
            prop_assert!(next.probable() >= next.floor());
            if let Some(now) = next.now() {
                prop_assert!(now.earliest >= next.floor());
                prop_assert!(now.earliest <= now.probable && now.probable <= now.latest);
                prop_assert!(now.uncertainty() <= MAX_UNCERTAINTY);
            }
            prop_assert!(next.rate().unsigned_abs() <= u64::from(clock.oscillator.bound()) * 1000);
            let stored = next.to_bytes();
            prop_assert_eq!(Belief::from_bytes(clock, &stored), Some(next));
            belief = next;
        }
    }

    /// Attackers who hold valid PINs or an authenticator, or control the power.
    #[test]
    fn nothing_that_guests_do_moves_the_floor(
        clock in any_clock(),
        days in 0..400_u64,
        events in proptest::collection::vec((any_guest_event(), 0..2 * DAY), 0..60),
    ) {
        let start = Belief::new(clock, at(NOON)).then(&elapsed(days * DAY));
        let (mut poisoned, mut counted) = (start, 0);
        for (event, seconds) in &events {
            poisoned = poisoned.then(event).then(&elapsed(*seconds));
            counted += seconds;
        }
        prop_assert_eq!(poisoned.floor(), start.then(&elapsed(counted)).floor());
    }

    #[test]
    fn it_does_not_matter_how_seconds_are_portioned(
        clock in any_clock(),
        portions in proptest::collection::vec(0..5 * DAY, 1..30),
    ) {
        let start = Belief::new(clock, at(NOON)).then(&pin(NOON, 7));
        let events: Vec<Event> = portions.iter().map(|seconds| elapsed(*seconds)).collect();
        let whole = start.then(&elapsed(portions.iter().sum()));
        prop_assert_eq!(after(start, &events), whole);
    }

    /// The oscillator may run anywhere in its class: the truth is never outside what is certain.
    #[test]
    fn the_floor_has_always_passed(
        clock in any_clock(),
        share in -1.0..=1.0_f64,
        days in 1..2000_u32,
    ) {
        let bound = f64::from(clock.oscillator.bound()) * 1e-6;
        let counted = u64::from(days) * DAY;
        let truth = f64::from(days) * 86_400.0 * (1.0 + share * bound);
        let floor = Belief::new(clock, at(NOON)).then(&elapsed(counted)).floor();
        let passed = f64::from(u32::try_from(floor.since(at(NOON))).unwrap());
        prop_assert!(passed <= truth + 1.0, "{passed} {truth}");
        prop_assert!(passed >= truth - 2.0 * bound * f64::from(days) * 86_400.0 - 1.0);
    }

    #[test]
    fn no_poisoning_outlives_fresh_time(
        clock in any_clock(),
        events in proptest::collection::vec((any_guest_event(), 0..2 * DAY), 0..60),
        age in 0..600_u32,
    ) {
        let (mut poisoned, mut counted) = (Belief::new(clock, at(NOON)), 0);
        for (event, seconds) in &events {
            poisoned = poisoned.then(event).then(&elapsed(*seconds));
            counted += seconds;
        }
        let truth = at(NOON + counted);
        let healed = poisoned.then(&Event::Token { time: truth.earlier(u64::from(age)), age });
        let now = healed.now().unwrap();
        prop_assert!(now.earliest <= truth && truth <= now.latest);
        prop_assert!(now.uncertainty() <= u64::from(age) / 2 + 2);
        prop_assert_eq!(healed.rate(), 0);
    }

    #[test]
    fn other_bytes_are_no_belief(clock in any_clock(), bytes in proptest::collection::vec(any::<u8>(), BELIEF_LENGTH)) {
        let mut bytes: [u8; BELIEF_LENGTH] = bytes.try_into().unwrap();
        for version in [bytes[0], 1] {
            bytes[0] = version;
            if let Some(read) = Belief::from_bytes(clock, &bytes) {
                prop_assert_eq!(read.to_bytes(), bytes);
            }
        }
    }
}

#[test]
fn the_ends_of_time_do_not_overflow() {
    for start in [0, u64::MAX] {
        let belief = Belief::new(NEED_TIME, at(start));
        let events = [
            elapsed(u64::MAX),
            Event::Signed(at(u64::MAX)),
            Event::SetTime { time: at(u64::MAX) },
            Event::Token { time: at(u64::MAX), age: 600 },
            pin(u64::MAX, 3),
            Event::PowerLost,
            Event::Missed { code: 4, by: u32::MAX },
            Event::Reset { time: at(0), age: 0 },
        ];
        let end = after(belief, &events);
        assert_eq!((end.floor(), end.is_lost()), (at(0), false), "a reset is the way back");
    }
}

#[test]
fn codes_follow_a_clock_that_runs_wrong() {
    // 40 millionths fast for a year, one code a week: without them it would be 21 minutes.
    let mut belief = Belief::new(NEED_TIME, at(NOON + 24));
    let mut worst = 0;
    for week in 1..=52_u64 {
        // Typed 24 seconds into a step.
        let truth = NOON + week * 7 * DAY + 24;
        belief = belief.then(&elapsed(7 * DAY + 24));
        let now = belief.now().unwrap();
        assert!(now.earliest <= at(truth) && at(truth) <= now.latest, "week {week}: {now:?}");
        if week > 4 {
            worst = worst.max(now.probable.seconds().abs_diff(truth));
        }
        belief = belief.then(&step(truth, u32::try_from(week).unwrap()));
    }
    assert!(worst < 30, "{worst}");
    assert!((-42_000..-38_000).contains(&belief.rate()), "{}", belief.rate());
}

#[test]
fn an_unused_lock_says_when_it_no_longer_knows() {
    let days = |oscillator| {
        let clock = Clock { oscillator, ..NEED_TIME };
        let mut belief = Belief::new(clock, at(NOON));
        let mut days = 0_u32;
        while belief.now().is_some() && days < 4000 {
            belief = belief.then(&elapsed(DAY));
            days += 1;
        }
        days
    };
    let [crystal, compensated, calibrated] = Oscillator::ALL.map(days);
    assert!((300..500).contains(&crystal), "{crystal}");
    assert_eq!(compensated, 4000);
    assert!((14..40).contains(&calibrated), "{calibrated}");
}

#[test]
fn what_is_certain_narrows_what_is_probable() {
    let clock = Clock { oscillator: Oscillator::Compensated, ..NEED_TIME };
    let year = Belief::new(clock, at(NOON)).then(&elapsed(365 * DAY));
    // 6 millionths of a year are 189 seconds.
    assert!(year.uncertainty() > 200);
    assert!(year.now().unwrap().uncertainty() <= 190);
}

#[test]
fn a_code_typed_late_moves_half_as_far_as_one_typed_early() {
    let start = Belief::new(NEED_TIME, at(NOON)).then(&elapsed(200 * DAY));
    let truth = start.probable();
    let moved = |about: Timestamp| {
        let next = start.then(&pin(about.seconds(), 1)).probable();
        (next.since(truth), truth.since(next))
    };
    let (forward, back) = (moved(truth.later(7_200)).0, moved(truth.earlier(7_200)).1);
    assert!(forward > 60 && back > 30, "{forward} {back}");
    assert!(forward.abs_diff(2 * back) <= 2, "{forward} {back}");
}

#[test]
fn set_time_of_staff_is_taken_once_and_only_forward() {
    let belief = Belief::new(NEED_TIME, at(NOON)).then(&elapsed(DAY)).then(&Event::PowerLost);
    let set = |time| belief.then(&Event::SetTime { time: at(time) });
    for time in [0, NOON, belief.floor().seconds()] {
        assert!(set(time).is_lost(), "{time}");
    }
    let healed = set(NOON + 3 * DAY);
    let now = healed.now().unwrap();
    assert_eq!((healed.floor(), now.earliest), (at(NOON + 3 * DAY), at(NOON + 3 * DAY)));
    assert_eq!(now.latest, at(NOON + 3 * DAY + 600));
}

#[test]
fn a_far_jump_takes_two_set_time_codes_that_agree() {
    let belief = Belief::new(NEED_TIME, at(NOON)).then(&Event::PowerLost);
    let set = |days: u64, index: u64| Event::SetTime { time: at(NOON + days * DAY + 300 * index) };
    assert!(!belief.then(&set(29, 0)).is_lost());
    for refused in [
        &[set(60, 0)][..],
        &[set(60, 0), set(60, 0)],
        &[set(60, 1), set(60, 0)],
        &[set(60, 0), set(300, 0)],
    ] {
        assert!(after(belief, refused).is_lost(), "{refused:?}");
    }
    let healed = after(belief, &[set(60, 0), set(60, 1)]);
    assert_eq!(healed.floor(), at(NOON + 60 * DAY + 300));
}

#[test]
fn trusting_locks_take_off_time_from_the_earliest_moment() {
    let belief = Belief::new(TRUSTING, at(NOON)).then(&elapsed(DAY));
    let before = belief.now().unwrap();
    let once = belief.then(&Event::PowerLost);
    let now = once.now().unwrap();
    assert!(now.earliest.seconds().abs_diff(before.earliest.seconds()) <= 1);
    assert!(now.latest.since(before.earliest) <= 90 * 60 + 1);
    let again = after(once, &[Event::PowerLost; 5]).now().unwrap();
    assert!(again.latest.since(before.earliest) <= 90 * 60 + 1, "cuts do not add up");
    assert!(once.then(&elapsed(60 * DAY)).now().is_some(), "and it lasts until a guest comes");
}
