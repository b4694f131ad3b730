//! How a real oscillator counts: its rate, the parabola of temperature, weather, age, and batteries.

use doorstep::clock::Oscillator;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use std::f64::consts::TAU;

pub(crate) const DAY: f64 = 86_400.0;

/// Where a lock hangs.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Place {
    Outdoors,
    Indoors,
}

/// Seeded chance.
pub(crate) struct Draw(ChaCha8Rng);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Between 0 and 1.
    pub(crate) fn share(&mut self) -> f64 {
        (f64::from(self.0.next_u32()) + 0.5) / 4_294_967_296.0
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    pub(crate) fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        let radius = (-2.0 * self.share().ln()).sqrt();
        mean + deviation * radius * (TAU * self.share()).cos()
    }

    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.share().ln()
    }
}

/// The truth about one lock, day by day.
pub(crate) struct Truth {
    oscillator: Oscillator,
    place: Place,
    /// True seconds since it was installed, and those it counted.
    now: f64,
    counted: f64,
    day: f64,
    /// Millionths.
    rate: f64,
    base: f64,
    parabola: f64,
    turnover: f64,
    ageing: f64,
    season: f64,
    weather: f64,
}

impl Truth {
    pub(crate) fn new(oscillator: Oscillator, place: Place, draw: &mut Draw) -> Self {
        let base = match oscillator {
            Oscillator::Crystal => draw.between(-20.0, 20.0) + draw.normal(0.0, 5.0),
            Oscillator::Compensated => draw.between(-2.0, 2.0),
            Oscillator::Calibrated => draw.between(-500.0, 500.0),
        };
        let mut truth = Self {
            oscillator,
            place,
            now: 0.0,
            counted: 0.0,
            day: 0.0,
            rate: 0.0,
            base,
            parabola: draw.normal(-0.034, 0.003),
            turnover: draw.between(20.0, 30.0),
            ageing: draw.normal(0.0, 1.5).clamp(-3.0, 3.0),
            season: draw.share(),
            weather: 0.0,
        };
        truth.set_rate(draw);
        truth
    }

    /// True seconds at the beginning of the current day.
    pub(crate) fn dawn(&self) -> f64 {
        self.day * DAY
    }

    /// Seconds that the lock counted.
    pub(crate) const fn counted(&self) -> f64 {
        self.counted
    }

    /// Counts up to a true second of the day.
    pub(crate) fn count_until(&mut self, now: f64) {
        self.counted += (now - self.now).max(0.0) * (1.0 + self.rate * 1e-6);
        self.now = self.now.max(now);
    }

    pub(crate) fn end_day(&mut self, draw: &mut Draw) {
        self.day += 1.0;
        self.count_until(self.day * DAY);
        self.set_rate(draw);
    }

    fn set_rate(&mut self, draw: &mut Draw) {
        self.rate = match self.oscillator {
            Oscillator::Crystal => {
                let (mean, season, weather, diurnal) = match self.place {
                    Place::Outdoors => (10.0, 10.0, 3.5, 5.0),
                    Place::Indoors => (21.0, 2.0, 0.5, 1.0),
                };
                let keep = 0.78_f64;
                self.weather =
                    keep * self.weather + draw.normal(0.0, weather * (1.0 - keep * keep).sqrt());
                let year = (TAU * (self.day / 365.25 + self.season)).sin();
                let away = mean + season * year + self.weather - self.turnover;
                let aged = (1.0 + self.day / 30.0).ln() / (1.0_f64 + 365.0 / 30.0).ln();
                self.base
                    + self.parabola * (away * away + diurnal * diurnal / 2.0)
                    + self.ageing * aged
            }
            Oscillator::Compensated => self.base + draw.normal(0.0, 0.3) + 0.5 * self.day / 365.25,
            Oscillator::Calibrated => self.base + draw.normal(0.0, 100.0),
        };
    }

    /// Whether a battery was swapped today in a way that stopped the seconds; the clock then stood
    /// still, which makes it late and never early.
    pub(crate) fn battery_swapped(&mut self, draw: &mut Draw) -> bool {
        if draw.share() > 0.7 / 365.25 {
            return false;
        }
        let stopped = match draw.share() {
            ..0.30 => 60.0 * 4.0 * draw.normal(0.0, 1.0).exp(),
            // Back to what was stored, up to an hour ago.
            0.30..0.32 => 60.0 * 4.0 * draw.normal(0.0, 1.0).exp() + draw.between(0.0, 3600.0),
            _ => return false,
        };
        self.counted -= stopped;
        true
    }
}
