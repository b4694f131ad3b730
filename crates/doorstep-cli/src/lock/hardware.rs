//! The physics of a virtual lock: true time, an oscillator that drifts with the weather, a battery. The
//! lock itself learns from all this what a real one does: a count of seconds, and a reset flag.

use crate::error::CliError;
use doorstep::clock::Oscillator;
use doorstep::time::Timestamp;
use doorstep_files::private;
use serde::Deserialize;
use std::path::Path;

const FILE: &str = "hardware.toml";

const SECOND: i128 = 1_000_000_000;

/// A tuning fork loses 0.034 millionths for each squared degree away from 25 degrees.
const PARABOLA: i64 = 34;
const TURNOVER: i64 = 25_000;

/// The furthest from a true second that an oscillator can be, in billionths: a tenth of it.
const MOST_DRIFT: i64 = 100_000_000;

/// Degrees that an oscillator works at, in thousandths.
const COLDEST: i64 = -60_000;
const HOTTEST: i64 = 120_000;

/// What a lock is told by its hardware, and all that it ever learns of the time by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Seconds counted since there is power.
    pub(crate) counter: u64,
    /// The reset flag: the counter began anew, and nobody knows for how long it stood still.
    pub(crate) power_was_lost: bool,
}

/// Whether there is power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Power {
    /// Not before this true time.
    Off { until: Timestamp },
    /// There is.
    On(Reading),
}

/// What the oscillator is exposed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Weather {
    /// By how many billionths it is too fast at 25 degrees.
    pub(crate) drift_ppb: i64,
    /// Its temperature, in thousandths of a degree.
    pub(crate) millidegrees: i64,
}

impl Weather {
    /// A drift in thousandths of a millionth and a temperature in thousandths of a degree, if an
    /// oscillator can be so.
    pub(crate) fn new(drift_ppb: i64, millidegrees: i64) -> Result<Self, CliError> {
        if drift_ppb.abs() > MOST_DRIFT {
            return Err(CliError::usage("an oscillator drifts by at most 100000 ppm")
                .hint("a crystal drifts by 20 ppm, a bad one by 100"));
        }
        if !(COLDEST..=HOTTEST).contains(&millidegrees) {
            return Err(CliError::usage("an oscillator works from -60 to 120 degrees"));
        }
        Ok(Self { drift_ppb, millidegrees })
    }
}

/// The oscillator, the battery, and what was counted so far. Only its file knows the true time.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hardware {
    oscillator: String,
    drift_ppb: i64,
    temperature_millidegrees: i64,
    /// When the oscillator began to count as it does now, in true seconds.
    since: u64,
    /// What it had counted by then, in nanoseconds, so that parts of a second are never lost.
    counted_ns: u64,
    power_was_lost: bool,
    no_power_until: Option<u64>,
}

impl Hardware {
    /// Hardware that is switched on now.
    pub(crate) fn new(oscillator: Oscillator, weather: Weather, now: Timestamp) -> Self {
        Self {
            oscillator: oscillator.name().to_owned(),
            drift_ppb: weather.drift_ppb,
            temperature_millidegrees: weather.millidegrees,
            since: now.seconds(),
            counted_ns: 0,
            power_was_lost: false,
            no_power_until: None,
        }
    }

    pub(crate) fn read_from(dir: &Path) -> Result<Self, CliError> {
        let path = dir.join(FILE);
        let text = private::read_trusted(&path)
            .map_err(|error| CliError::new(error.to_string()).hint(error.hint()))?;
        let damaged = |what: String| {
            CliError::new(format!("{} is damaged: {what}", path.display()))
                .hint("bring it back from its backup, or install the lock anew")
        };
        let hardware: Self =
            toml::from_str(&text).map_err(|error| damaged(error.message().to_owned()))?;
        if !Oscillator::ALL.iter().any(|one| one.name() == hardware.oscillator) {
            return Err(damaged(format!("there is no oscillator \"{}\"", hardware.oscillator)));
        }
        Weather::new(hardware.drift_ppb, hardware.temperature_millidegrees)
            .map_err(|_| damaged("no oscillator is so".to_owned()))?;
        Ok(hardware)
    }

    pub(crate) fn write_to(&self, dir: &Path) -> Result<(), CliError> {
        let dark = self.no_power_until.map(|until| format!("no_power_until = {until}\n"));
        let text = format!(
            "# The physics of a virtual lock. The lock knows nothing of it but what a count of seconds\n\
             # and a reset flag tell. Change it with: doorstep lock weather, doorstep lock pull-power\n\
             oscillator = \"{}\"\ndrift_ppb = {}\ntemperature_millidegrees = {}\n\
             since = {}\ncounted_ns = {}\npower_was_lost = {}\n{}",
            self.oscillator,
            self.drift_ppb,
            self.temperature_millidegrees,
            self.since,
            self.counted_ns,
            self.power_was_lost,
            dark.unwrap_or_default(),
        );
        private::write(&dir.join(FILE), text.as_bytes())
            .map_err(|error| CliError::new(error.to_string()).hint(error.hint()))
    }

    /// What the lock reads at a true time.
    pub(crate) fn at(&self, now: Timestamp) -> Power {
        match self.no_power_until {
            Some(until) if now.seconds() < until => {
                Power::Off { until: Timestamp::from_seconds(until) }
            }
            _ => Power::On(Reading {
                counter: self.counted(now) / 1_000_000_000,
                power_was_lost: self.power_was_lost,
            }),
        }
    }

    /// The lock has seen its reset flag.
    pub(crate) const fn clear_reset_flag(&mut self) {
        self.power_was_lost = false;
        self.no_power_until = None;
    }

    /// There is no power from now on for so many seconds. What was counted is gone with it.
    pub(crate) fn pull_power(&mut self, now: Timestamp, seconds: u64) {
        let until = now.later(seconds).seconds();
        self.no_power_until = Some(until);
        self.power_was_lost = true;
        self.since = until;
        self.counted_ns = 0;
    }

    pub(crate) const fn weather(&self) -> Weather {
        Weather { drift_ppb: self.drift_ppb, millidegrees: self.temperature_millidegrees }
    }

    /// It counts on in other weather. What it counted before stays.
    pub(crate) fn expose_to(&mut self, weather: Weather, now: Timestamp) {
        self.counted_ns = self.counted(now);
        self.since = self.since.max(now.seconds());
        self.drift_ppb = weather.drift_ppb;
        self.temperature_millidegrees = weather.millidegrees;
    }

    /// By how many billionths it is too fast as it is now.
    pub(crate) fn ppb(&self) -> i64 {
        if self.oscillator != Oscillator::Crystal.name() {
            return self.drift_ppb;
        }
        let away = self.temperature_millidegrees - TURNOVER;
        self.drift_ppb - PARABOLA * away * away / 1_000_000
    }

    /// Nanoseconds counted. A true time before the beginning of a piece counts nothing: a clock that
    /// was set back takes nothing away either.
    fn counted(&self, now: Timestamp) -> u64 {
        let seconds = now.seconds().saturating_sub(self.since);
        let counted = i128::from(seconds) * (SECOND + i128::from(self.ppb()));
        let sum = i128::from(self.counted_ns).saturating_add(counted);
        // More than 292 years do not fit the file's numbers.
        u64::try_from(sum.min(i128::from(i64::MAX))).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: u64 = 86_400;
    const BEGUN: u64 = 1_800_000_000;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(BEGUN + seconds)
    }

    fn crystal(ppm: i64, degrees: i64) -> Hardware {
        let weather = Weather::new(ppm * 1_000, degrees * 1_000).unwrap();
        Hardware::new(Oscillator::Crystal, weather, at(0))
    }

    fn counter(hardware: &Hardware, seconds: u64) -> u64 {
        match hardware.at(at(seconds)) {
            Power::On(reading) => reading.counter,
            Power::Off { .. } => panic!("no power"),
        }
    }

    #[test]
    fn a_crystal_counts_as_its_data_sheet_says() {
        // At its turnover point the drift alone counts: 20 ppm of a day are 1.728 s.
        assert_eq!(counter(&crystal(20, 25), 1_000 * DAY), 1_000 * DAY + 1_728);
        assert_eq!(counter(&crystal(-20, 25), 1_000 * DAY), 1_000 * DAY - 1_728);
        // Ten degrees to either side cost 3.4 ppm, 45 cost 68.85.
        assert_eq!(crystal(0, 35).ppb(), -3_400);
        assert_eq!(crystal(0, 15).ppb(), -3_400);
        assert_eq!(crystal(20, -20).ppb(), 20_000 - 68_850);
        assert_eq!(counter(&crystal(0, 35), 1_000_000), 999_996, "3.4 s are missing");
        // Parts that are compensated know no parabola.
        let weather = Weather::new(2_000, -20_000).unwrap();
        assert_eq!(Hardware::new(Oscillator::Compensated, weather, at(0)).ppb(), 2_000);
    }

    #[test]
    fn nothing_is_lost_where_the_weather_changes() {
        let mut hourly = crystal(100, 25);
        for hour in 1..=10_000 {
            let weather = hourly.weather();
            hourly.expose_to(weather, at(hour * 3_600));
        }
        assert_eq!(counter(&hourly, 36_000_000), 36_003_600);
        // 0.4 s a day too slow for five days, then as much too fast: whole seconds would lose some.
        let mut hardware = crystal(0, 25);
        for day in 0..10 {
            let ppb = if day < 5 { -4_630 } else { 4_630 };
            hardware.expose_to(Weather::new(ppb, 25_000).unwrap(), at(day * DAY));
        }
        assert_eq!(counter(&hardware, 10 * DAY), 10 * DAY);
        assert_eq!(counter(&hardware, 10 * DAY - 1), 10 * DAY - 2);
    }

    #[test]
    fn without_power_nothing_counts_and_the_flag_tells() {
        let mut hardware = crystal(50, 25);
        hardware.expose_to(hardware.weather(), at(DAY / 2));
        hardware.pull_power(at(DAY), 3 * 3_600);
        let until = at(DAY + 3 * 3_600);
        for seconds in [DAY, DAY + 1, DAY + 3 * 3_600 - 1] {
            assert_eq!(hardware.at(at(seconds)), Power::Off { until });
        }
        // Weather in the dark changes how it counts afterwards, and nothing else.
        hardware.expose_to(Weather::new(0, 25_000).unwrap(), at(DAY + 60));
        assert_eq!(hardware.at(until), Power::On(Reading { counter: 0, power_was_lost: true }));
        assert_eq!(counter(&hardware, DAY + 3 * 3_600 + 77), 77);
        hardware.clear_reset_flag();
        assert_eq!(
            hardware.at(until.later(78)),
            Power::On(Reading { counter: 78, power_was_lost: false })
        );
        hardware.pull_power(until.later(100), 10);
        hardware.pull_power(until.later(105), 1);
        assert_eq!(
            hardware.at(until.later(107)),
            Power::On(Reading { counter: 1, power_was_lost: true }),
            "a battery that is put back early"
        );
    }

    #[test]
    fn its_file_says_all_of_it_and_nothing_else_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut hardware = crystal(-7, 31);
        for dark in [false, true] {
            if dark {
                hardware.pull_power(at(5), 60);
            }
            hardware.write_to(dir.path()).unwrap();
            assert_eq!(Hardware::read_from(dir.path()).unwrap(), hardware);
        }
        let text = std::fs::read_to_string(dir.path().join(FILE)).unwrap();
        for (from, to) in [
            ("crystal", "sundial"),
            ("drift_ppb = -7000", "drift_ppb = 100000001"),
            ("temperature_millidegrees = 31000", "temperature_millidegrees = 120001"),
            ("counted_ns = 0", "counted_ns = -1"),
            ("power_was_lost", "power_is_lost"),
            ("since = 1800000065\n", ""),
        ] {
            assert!(text.contains(from), "{text}");
            std::fs::write(dir.path().join(FILE), text.replace(from, to)).unwrap();
            assert!(Hardware::read_from(dir.path()).is_err(), "{to}");
        }
    }

    proptest! {
        #[test]
        fn the_counter_never_goes_back_while_time_does_not(
            steps in proptest::collection::vec((0_u64..DAY * 40, -100_000_i64..100_000, -60_i64..=120), 1..30)
        ) {
            let (mut hardware, mut seconds, mut before) = (crystal(0, 25), 0, 0);
            for (passed, ppb, degrees) in steps {
                let weather = Weather::new(ppb, degrees * 1_000).unwrap();
                hardware.expose_to(weather, at(seconds));
                prop_assert_eq!(counter(&hardware, seconds), before);
                seconds += passed;
                let count = counter(&hardware, seconds);
                prop_assert!(count >= before);
                // Half a per mille is further off than any of these.
                prop_assert!((count - before).abs_diff(passed) <= passed / 1_000 + 1);
                // Looked at from before, it stands still at worst.
                prop_assert!(counter(&hardware, seconds / 2) <= count);
                before = count;
            }
        }
    }
}
