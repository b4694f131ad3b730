//! The choice of a profile on the command line: places have local hours, locks only UTC.

use crate::clock::Clock;
use crate::error::CliError;
use crate::text::zone;
use clap::ValueEnum;
use doorstep::keypad::profile::{Profile, Uses};
use doorstep::keypad::tuple::PinDigits;
use doorstep::time::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

const DAY: i64 = 1440;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// By the hour: 30 minutes to 4 hours, one party at a time
    Courts,
    /// From half an hour to 28 days
    General,
    /// Nights, from check-in to check-out, one party at a time
    Stays,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Often {
    /// As often as the guest comes
    Many,
    /// Once
    Once,
    /// As each booking says
    Both,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Choice {
    /// Which windows it takes
    #[arg(long, value_enum, default_value = "courts")]
    profile: Kind,
    /// How often a PIN opens
    #[arg(long, value_enum, default_value = "many")]
    uses: Often,
    /// How many PINs a window can have at once, each for another holder
    #[arg(long)]
    holders: Option<u8>,
    /// How many PINs a holder can have, one after the other
    #[arg(long)]
    generations: Option<u8>,
    /// Digits of a PIN, 6 to 10, instead of the fewest that keep a robot below 1 % a year
    #[arg(long)]
    digits: Option<u8>,
    /// Local hour of check-in, for stays
    #[arg(long, default_value = "15:00")]
    check_in: String,
    /// Local hour of check-out, for stays
    #[arg(long, default_value = "10:00")]
    check_out: String,
    /// The longest stay
    #[arg(long, default_value_t = 14)]
    nights: u8,
    /// Time zone of these hours, as Europe/Madrid; yours by default
    #[arg(long)]
    zone: Option<String>,
}

impl Choice {
    /// The profile as the core has it.
    pub(crate) fn profile(&self) -> Result<Profile, CliError> {
        let wrong = |error: doorstep::keypad::profile::ProfileError| {
            CliError::usage(error.to_string())
                .hint("fewer holders, generations or windows; check-out before check-in")
        };
        let profile = match self.profile {
            Kind::Courts => Profile::courts(),
            Kind::General => Profile::general(),
            Kind::Stays => {
                let (check_in, check_out) = self.hours()?;
                Profile::stays(check_in, check_out, self.nights)
            }
        };
        let uses = match self.uses {
            Often::Many => Uses::Many,
            Often::Once => Uses::Once,
            Often::Both => Uses::Both,
        };
        let profile = profile.and_then(|profile| profile.with_uses(uses)).map_err(wrong)?;
        let holders = self.holders.unwrap_or_else(|| profile.holders());
        let generations = self.generations.unwrap_or_else(|| profile.generations());
        let profile = profile.with_holders(holders, generations).map_err(wrong)?;
        match self.digits {
            None => Ok(profile),
            Some(digits) => PinDigits::new(digits)
                .map(|digits| profile.with_digits(digits))
                .ok_or_else(|| CliError::usage(format!("a PIN has 6 to 10 digits, not {digits}"))),
        }
    }

    /// The same as the server is asked for it.
    pub(crate) fn json(&self) -> Result<Value, CliError> {
        // What is wrong with it is said here, in the words of the command line.
        self.profile()?;
        let name = |value: Option<clap::builder::PossibleValue>| {
            value.map(|value| value.get_name().to_owned())
        };
        let mut body = json!({
            "kind": name(self.profile.to_possible_value()),
            "uses": name(self.uses.to_possible_value()),
        });
        let numbers =
            [("holders", self.holders), ("generations", self.generations), ("digits", self.digits)];
        for (name, number) in numbers {
            if let Some(number) = number {
                body[name] = json!(number);
            }
        }
        if matches!(self.profile, Kind::Stays) {
            let (check_in, check_out) = self.hours()?;
            let hour = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
            body["check_in"] = json!(hour(check_in));
            body["check_out"] = json!(hour(check_out));
            body["nights"] = json!(self.nights);
        }
        Ok(body)
    }

    /// Check-in and check-out in minutes of the UTC day. Where clocks are changed, the earliest and the
    /// latest of a year, so that no guest stands before the door for an hour.
    fn hours(&self) -> Result<(u16, u16), CliError> {
        let zone = zone(self.zone.as_deref())?;
        let year = year(Clock::SYSTEM.now()?, &zone);
        let hour = |text: &str| {
            text.parse::<Time>().map_err(|_| {
                CliError::usage(format!("\"{text}\" is not an hour of the day")).hint("write 15:00")
            })
        };
        let minutes = |time: Time| i64::from(time.hour()) * 60 + i64::from(time.minute());
        let (earliest, latest) = offsets(&zone, year);
        let utc = |local: i64, offset: i64| {
            u16::try_from((local - offset).rem_euclid(DAY)).unwrap_or_default()
        };
        // An hour is earlier in UTC the further east the clocks are.
        let check_in = utc(minutes(hour(&self.check_in)?), latest);
        let check_out = utc(minutes(hour(&self.check_out)?), earliest);
        Ok((check_in, check_out))
    }
}

fn year(now: Timestamp, zone: &TimeZone) -> i16 {
    let now =
        i64::try_from(now.seconds()).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
    now.unwrap_or_default().to_zoned(zone.clone()).year()
}

/// The least and the greatest offset from UTC in a year, in minutes.
fn offsets(zone: &TimeZone, year: i16) -> (i64, i64) {
    let first = jiff::civil::date(year, 1, 1);
    let noons = first.series(jiff::Span::new().days(1)).take_while(|date| date.year() == year);
    let offsets = noons.filter_map(|date| {
        let at = zone.to_zoned(date.at(12, 0, 0, 0)).ok()?;
        Some(i64::from(at.offset().seconds()) / 60)
    });
    offsets.fold((i64::MAX, i64::MIN), |(least, greatest), offset| {
        (least.min(offset), greatest.max(offset))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Words {
        #[command(flatten)]
        choice: Choice,
    }

    fn hours(zone: &str) -> (u16, u16) {
        let words = ["-", "--profile", "stays", "--check-in", "15:00", "--check-out", "10:00"];
        let words = Words::parse_from(words.into_iter().chain(["--zone", zone]));
        assert!(words.choice.profile().is_ok(), "{zone}");
        words.choice.hours().unwrap()
    }

    #[test]
    fn local_hours_become_the_widest_of_the_utc_year() {
        assert_eq!(hours("UTC"), (15 * 60, 10 * 60));
        // 13:00 UTC in summer and 14:00 in winter; out at 08:00 and 09:00.
        assert_eq!(hours("Europe/Madrid"), (13 * 60, 9 * 60));
        assert_eq!(hours("Asia/Kathmandu"), (9 * 60 + 15, 4 * 60 + 15));
        // Over midnight of UTC: in at 02:00, out at 22:00 of the day before.
        assert_eq!(hours("Pacific/Auckland"), (2 * 60, 22 * 60));
        assert_eq!(hours("Pacific/Honolulu"), (60, 20 * 60));
    }

    #[test]
    fn an_hour_that_cannot_be_is_refused() {
        for (option, value) in [
            ("--check-in", "25:00"),
            ("--check-in", "09:00"),
            ("--nights", "0"),
            ("--holders", "9"),
            ("--digits", "5"),
            ("--zone", "Europe/Atlantis"),
        ] {
            let words = Words::parse_from(["-", "--profile", "stays", option, value]);
            assert!(words.choice.profile().is_err(), "{option} {value}");
        }
    }
}
