//! The odds, against the lock itself.

use crate::support::{CLOCK, MIDNIGHT, at, root};
use doorstep::clock::{Belief, Event, Interval};
use doorstep::keypad::issue::Pin;
use doorstep::keypad::odds::{Odds, acceptable};
use doorstep::keypad::profile::Profile;
use doorstep::keypad::tuple::{Form, Grace, Meeting, PinDigits, Tuple};

fn profiles() -> [Profile; 3] {
    [Profile::courts(), Profile::general(), Profile::stays(840, 600, 14)].map(Result::unwrap)
}

fn interval(around: u64, uncertainty: u64) -> Interval {
    let [earliest, probable, latest] = [around - uncertainty, around, around + uncertainty].map(at);
    Interval { earliest, probable, latest }
}

/// Every tuple that may open at a moment.
fn open_tuples(profile: &Profile, now: &Interval) -> Vec<Tuple> {
    let mut tuples = Vec::new();
    for class in profile.classes() {
        let around = class.index_at(now.latest).unwrap();
        // Two hours beyond what any uncertainty reaches.
        let [back, ahead] =
            [class.duration + 225, 225].map(|minutes| minutes / u32::from(class.quantum) + 1);
        for index in around.saturating_sub(back)..around + ahead {
            for holder in 0..profile.holders() {
                for generation in 0..profile.generations() {
                    let tuple = Tuple { class: *class, index, holder, generation };
                    if tuple.meets(now, Grace::PIN) == Meeting::Now {
                        tuples.push(tuple);
                    }
                }
            }
        }
    }
    tuples
}

#[test]
fn the_acceptable_are_never_more_than_counted_and_sometimes_as_many() {
    for profile in profiles() {
        for uncertainty in [0, 120, 900, 45 * 60] {
            let counted = acceptable(&profile, uncertainty);
            let mut most = 0;
            for quarter in 0..96 {
                for second in [0, 1, 300, 600, 899] {
                    let now = interval(MIDNIGHT + quarter * 900 + second, uncertainty);
                    let open = u64::try_from(open_tuples(&profile, &now).len()).unwrap();
                    assert!(open <= counted, "{open} {counted}");
                    most = most.max(open);
                }
            }
            assert!(most * 10 >= counted * 9, "{most} {counted}");
        }
    }
}

#[test]
fn default_digits_keep_a_robot_below_one_in_a_hundred_a_year() {
    for profile in profiles() {
        assert!(Odds::new(&profile).robot_year < 0.01);
        let fewer = PinDigits::new(profile.digits().get() - 1).unwrap();
        assert!(Odds::with_digits(&profile, fewer).robot_year >= 0.01, "and no more than it takes");
    }
    let [courts, general, stays] = profiles().map(|profile| profile.digits().get());
    assert_eq!((courts, general, stays), (9, 9, 9));
}

#[test]
fn the_table_of_the_specification_is_what_is_computed() {
    let specification = include_str!("../../../../docs/kp1.md");
    for (name, profile) in ["courts", "general", "stays(14:00, 10:00, 14)"].iter().zip(profiles()) {
        let Odds { acceptable, guess, robot_year } = Odds::new(&profile);
        let digits = profile.digits().get();
        let acceptable = match acceptable {
            1000.. => format!("{},{:03}", acceptable / 1000, acceptable % 1000),
            _ => acceptable.to_string(),
        };
        let guess = format!("{guess:.1e}").replace("e-", "e-0");
        let robot = robot_year * 100.0;
        let row = format!("| {name} | {acceptable} | {digits} | {guess} | {robot:.2} % |");
        assert!(specification.lines().any(|line| line == row), "{row}");
    }
}

#[test]
fn the_table_of_security_is_what_is_computed() {
    let table = include_str!("../../../../SECURITY.md");
    let [courts, general, stays] = profiles().map(|profile| {
        assert_eq!(profile.digits().get(), 9);
        Odds::new(&profile)
    });
    let long = PinDigits::new(9).unwrap().pins() * 100_000;
    // Ten spans, or four lanes, in two epochs; an epoch code has the key of the next alone.
    let [set_time, cancel, epoch] = [20, 8, 1].map(|may| Odds::of(may, 10_000_000));
    for (what, Odds { acceptable, guess, robot_year }) in [
        ("PIN, courts, 9 digits", courts),
        ("PIN, general, 9 digits", general),
        ("PIN, stays of 14 nights, 9 digits", stays),
        ("long form, general, 14 digits", Odds::of(general.acceptable, long)),
        ("set-time code, of ten spans", set_time),
        ("cancel code, of four lanes", cancel),
        ("epoch code", epoch),
    ] {
        let guess = format!("{guess:.1e}");
        let (digits, power) = guess.split_once("e-").unwrap();
        let robot = robot_year * 100.0;
        let row = format!("| {what} | {acceptable} | {digits}e-{power:0>2} | {robot:.2} % |");
        assert!(table.lines().any(|line| line == row), "{row}");
    }
}

/// With six digits, so that something is hit: every guess of a sample against the real derivation.
#[test]
fn guesses_hit_as_often_as_computed() {
    let profile = Profile::courts().unwrap().with_digits(PinDigits::new(6).unwrap());
    let now = interval(MIDNIGHT, 45 * 60);
    let mut open = vec![false; 1_000_000];
    let (mut expected, mut hits) = (0.0, 0.0);
    for epoch in 0..40 {
        open.fill(false);
        let tuples = open_tuples(&profile, &now);
        for tuple in &tuples {
            let code = Pin::derive(&root(), epoch, &profile, tuple).unwrap().code(Form::Pin);
            let text = String::from_utf8(code.expose().to_vec()).unwrap();
            open[text.parse::<usize>().unwrap()] = true;
        }
        expected += f64::from(u32::try_from(tuples.len()).unwrap());
        hits += f64::from(u32::try_from(open.iter().filter(|hit| **hit).count()).unwrap());
    }
    // Of V tuples about V^2 / 2M share their PIN with another; Poisson around that.
    let share = expected * (1.0 - expected / 40.0 / 2.0 / 900_000.0);
    assert!((hits - share).abs() < 5.0 * (expected - share).sqrt().max(1.0), "{hits} {share}");
    let odds = Odds::new(&profile);
    assert!(hits / 40.0 / 900_000.0 <= odds.guess);
}

/// The acceptance interval never exceeds the window, its grace and twice the largest uncertainty.
#[test]
fn acceptance_is_bounded() {
    for profile in profiles() {
        let mut belief = Belief::new(CLOCK, at(MIDNIGHT));
        for week in 0..80 {
            belief = belief.then(&Event::Elapsed { seconds: 7 * 86_400 });
            let Some(now) = belief.now() else { continue };
            for tuple in open_tuples(&profile, &now) {
                let bound = 10 * 60 + 5 * 60 + 2 * 45 * 60;
                let reach = now.latest.since(now.earliest) + 900;
                assert!(reach <= bound, "week {week}");
                assert!(tuple.from().seconds() <= now.latest.seconds() + 600);
                assert!(tuple.until().seconds() + 300 > now.earliest.seconds());
            }
        }
    }
}
