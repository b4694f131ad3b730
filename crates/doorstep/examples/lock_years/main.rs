//! A thousand locks over three years: drift, weather, age and battery swaps on one side, the core's
//! belief about the time on the other, and guests in between. `docs/lock-years.md` is what it prints:
//!
//! ```text
//! cargo run --release --package doorstep --example lock_years -- docs
//! ```

mod guests;
mod oscillator;
mod report;

use doorstep::clock::{AfterPowerLoss, Belief, Clock, Event, Oscillator};
use doorstep::time::Timestamp;
use guests::{Entry, Guests, Outcome};
use oscillator::{DAY, Draw, Place, Truth};
use report::{Row, Run};
use std::path::Path;

/// When the locks are installed.
const INSTALLED: u64 = 1_800_000_000;

const YEARS: f64 = 3.0;

/// The first of the seeds that no parameter was ever chosen by.
const HELD_OUT: u64 = 1_000_000_000;

/// What is simulated.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    name: &'static str,
    oscillator: Oscillator,
    place: Place,
    guests: Guests,
    /// Entries a day.
    rate: f64,
    swaps: bool,
}

pub(crate) fn at(seconds: f64) -> Timestamp {
    Timestamp::from_seconds(INSTALLED.saturating_add(whole(seconds)))
}

/// The whole seconds of a time that is not negative.
#[expect(clippy::as_conversions, reason = "there is no other way from a float; it saturates")]
pub(crate) fn whole(seconds: f64) -> u64 {
    seconds.max(0.0) as u64
}

/// One lock's life.
fn live(case: &Case, seed: u64, run: &mut Run) {
    let mut draw = Draw::new(seed);
    let mut truth = Truth::new(case.oscillator, case.place, &mut draw);
    let clock = Clock { oscillator: case.oscillator, after_power_loss: AfterPowerLoss::Trust90Min };
    let mut belief = Belief::new(clock, Timestamp::from_seconds(INSTALLED));
    let (mut told, mut refused) = (0, 0_u32);
    let mut next = draw.exponential(1.0 / case.rate);
    let mut coming: Vec<(f64, Entry)> = Vec::new();
    for day in 0..whole(YEARS * 365.0) {
        let midnight = truth.dawn() + DAY;
        while next * DAY < midnight {
            coming.push(case.guests.arrive(next * DAY, &mut draw));
            next += draw.exponential(1.0 / case.rate);
        }
        // Nobody arrives before he thought of it, so all of today's are known by now.
        coming.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let tomorrow = coming.split_off(coming.partition_point(|(seconds, _)| *seconds < midnight));
        for (seconds, entry) in std::mem::replace(&mut coming, tomorrow) {
            truth.count_until(seconds);
            belief = catch_up(belief, &truth, &mut told);
            let outcome = case.guests.enter(&mut belief, seconds, entry);
            refused += u32::from(outcome == Outcome::Refused);
            run.entry(&belief, seconds, outcome);
        }
        truth.end_day(&mut draw);
        belief = catch_up(belief, &truth, &mut told);
        if case.swaps && truth.battery_swapped(&mut draw) {
            belief = belief.then(&Event::PowerLost);
        }
        run.day(day, &belief, truth.dawn(), truth.counted());
    }
    run.lock(refused);
}

/// Tells the belief of the seconds that were counted since it was told last.
fn catch_up(belief: Belief, truth: &Truth, told: &mut u64) -> Belief {
    let counted = whole(truth.counted());
    let seconds = counted.saturating_sub(*told);
    *told = counted.max(*told);
    belief.then(&Event::Elapsed { seconds })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder =
        std::env::args().nth(1).ok_or("hint: name the folder that is to get the report")?;
    let locks = match std::env::args().nth(2) {
        None => 1000,
        Some(count) => count.parse()?,
    };
    let rows = |first: u64| -> Vec<Row> {
        let row = |case| {
            let mut run = Run::default();
            for seed in first..first.saturating_add(locks) {
                live(case, seed, &mut run);
            }
            let row = Row::new(case, run);
            eprintln!("{}", row.line());
            row
        };
        CASES.iter().map(row).collect()
    };
    report::write(Path::new(&folder), locks, &rows(0), &rows(HELD_OUT))?;
    Ok(())
}

const fn case(name: &'static str, guests: Guests, rate: f64, swaps: bool) -> Case {
    Case { name, oscillator: Oscillator::Crystal, place: Place::Outdoors, guests, rate, swaps }
}

const MONTH: f64 = 1.0 / 30.4;
const WEEK: f64 = 1.0 / 7.0;

const CASES: [Case; 14] = [
    case("step codes, 10 a day", Guests::Steps, 10.0, false),
    case("step codes, 1 a day", Guests::Steps, 1.0, false),
    case("step codes, 1 a week", Guests::Steps, WEEK, false),
    case("step codes, 1 a month", Guests::Steps, MONTH, false),
    case("PINs, 10 a day", Guests::Pins, 10.0, false),
    case("PINs, 1 a day", Guests::Pins, 1.0, false),
    case("PINs, 1 a week", Guests::Pins, WEEK, false),
    case("PINs, 1 a month", Guests::Pins, MONTH, false),
    case("PINs, 10 a day, swaps", Guests::Pins, 10.0, true),
    case("PINs, 1 a day, swaps", Guests::Pins, 1.0, true),
    case("PINs, 1 a week, swaps", Guests::Pins, WEEK, true),
    case("PINs, 1 a month, swaps", Guests::Pins, MONTH, true),
    Case {
        place: Place::Indoors,
        ..case("PINs, 1 a month, swaps, indoors", Guests::Pins, MONTH, true)
    },
    Case {
        oscillator: Oscillator::Compensated,
        ..case("PINs, 1 a month, swaps, compensated", Guests::Pins, MONTH, true)
    },
];
