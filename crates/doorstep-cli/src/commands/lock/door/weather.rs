//! `doorstep lock weather`: what the lock's oscillator is exposed to, of which the lock knows nothing.

use super::At;
use crate::error::CliError;
use crate::lock::Woken;
use crate::lock::hardware::{Power, Weather};
use crate::output::{Answer, WARN};
use crate::text::{clock_face, rfc3339, span_text};
use serde_json::json;

pub(crate) const EXAMPLES: &str = "Examples:\n  doorstep lock weather --temperature -10 --dir court-3\n  doorstep lock weather --drift-ppm 20.5 --dir court-3\n  doorstep lock weather --dir court-3              # how it is, and how far off the lock's time is\n\nA crystal loses 0.034 ppm for each squared degree away from 25. What was counted before stays.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    at: At,
}

/// Other weather, from now on.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Change {
    /// By how many millionths the oscillator is too fast at 25 degrees
    #[arg(long, value_name = "PPM", allow_negative_numbers = true, value_parser = thousandths)]
    drift_ppm: Option<i64>,
    /// Its temperature, in degrees Celsius
    #[arg(long, value_name = "DEGREES", allow_negative_numbers = true, value_parser = thousandths)]
    temperature: Option<i64>,
}

impl Change {
    pub(crate) const fn is_none(&self) -> bool {
        self.drift_ppm.is_none() && self.temperature.is_none()
    }

    /// The weather with what is changed.
    pub(crate) fn over(&self, before: Weather) -> Result<Weather, CliError> {
        Weather::new(
            self.drift_ppm.unwrap_or(before.drift_ppb),
            self.temperature.unwrap_or(before.millidegrees),
        )
    }
}

/// Reads a decimal number with up to three places as thousandths.
fn thousandths(text: &str) -> Result<i64, String> {
    let wrong = || format!("\"{text}\" is not a number with up to three decimal places");
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, places) = digits.split_once('.').unwrap_or((digits, "0"));
    let all = [whole, places].iter().all(|part| {
        (1..=9).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    });
    if !all || places.len() > 3 {
        return Err(wrong());
    }
    let number: i64 = format!("{whole}{places:0<3}").parse().map_err(|_| wrong())?;
    Ok(if negative { -number } else { number })
}

/// Thousandths as a decimal number.
fn decimal(thousandths: i64) -> String {
    let (sign, size) = (if thousandths < 0 { "-" } else { "" }, thousandths.unsigned_abs());
    let text = format!("{sign}{}.{:03}", size / 1000, size % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub(crate) fn run(args: &Args) -> Result<Answer, CliError> {
    let mut lock = args.at.open()?;
    let hardware = if args.change.is_none() {
        lock.hardware()?
    } else {
        let weather = args.change.over(lock.hardware()?.weather())?;
        lock.tinker(|hardware, now| hardware.expose_to(weather, now))?
    };
    let now = args.at.clock.now()?;
    let believes = match lock.wake()? {
        Woken::Awake(awake) => Some(awake.belief().probable()),
        Woken::Dark { .. } => None,
    };
    let (weather, ppm) = (hardware.weather(), decimal(hardware.ppb()));
    let off_until = match hardware.at(now) {
        Power::Off { until } => Some(until),
        Power::On(_) => None,
    };
    let (ahead, behind) =
        believes.map_or((0, 0), |believes| (believes.since(now), now.since(believes)));
    let number = |text: String| serde_json::from_str::<serde_json::Number>(&text).ok();
    let json = json!({
        "drift_ppm": number(decimal(weather.drift_ppb)), "temperature": number(decimal(weather.millidegrees)),
        "ppm": number(ppm.clone()), "true_time": rfc3339(now), "no_power_until": off_until.map(rfc3339),
        "believes": believes.map(rfc3339),
        "ahead_seconds": believes.map(|_| i64::try_from(ahead).unwrap_or(i64::MAX) - i64::try_from(behind).unwrap_or(i64::MAX)),
    });
    let drift = decimal(weather.drift_ppb);
    let degrees = decimal(weather.millidegrees);
    let off = match (off_until, ahead, behind) {
        (Some(until), ..) => format!("{WARN}no power{WARN:#} until {}", clock_face(until, now)),
        (None, 0, 0) => "the lock has the time to the second".to_owned(),
        (None, 0, _) => format!("the lock is {} behind", span_text(behind)),
        (None, ..) => format!("the lock is {} ahead", span_text(ahead)),
    };
    let text = format!(
        "drift        {drift} ppm at 25 degrees\ntemperature  {degrees} degrees\ncounts       {ppm} ppm off\ntrue time    {}\n{off}",
        rfc3339(now)
    );
    Ok(Answer::new(json, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_and_written() {
        for (text, number) in
            [("20", 20_000), ("-0.5", -500), ("0.034", 34), ("25.10", 25_100), ("-0", 0)]
        {
            assert_eq!(thousandths(text), Ok(number), "{text}");
            assert_eq!(thousandths(&decimal(number)), Ok(number), "{text}");
        }
        assert_eq!(
            (decimal(-500), decimal(20_000), decimal(25_100)),
            ("-0.5".to_owned(), "20".to_owned(), "25.1".to_owned())
        );
        for bad in ["", "-", ".5", "5.", "1.2345", "--1", "+1", "1e3", "١", "12345678901"] {
            assert!(thousandths(bad).is_err(), "{bad}");
        }
    }
}
