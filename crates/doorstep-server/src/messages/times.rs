//! Where customers are: zones, the hours in which they sleep, and times as they read them.

use doorstep::time::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Span, Zoned};

/// Reads the name of a zone, such as `Europe/Madrid`.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    // The library would take a path as well.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
        return None;
    }
    TimeZone::get(name).ok()
}

/// A time where the customer is.
pub(super) fn there(at: Timestamp, zone: &TimeZone) -> Option<Zoned> {
    let seconds = i64::try_from(at.seconds()).ok()?;
    Some(jiff::Timestamp::from_second(seconds).ok()?.to_zoned(zone.clone()))
}

/// Hours of the day in which nobody is to be woken; they may pass midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QuietHours {
    from: Time,
    until: Time,
}

impl QuietHours {
    /// Reads `22:00-07:00`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (from, until) = text.split_once('-')?;
        let (from, until) = (time_of_day(from)?, time_of_day(until)?);
        (from != until).then_some(Self { from, until })
    }

    /// When the quiet hours end that `now` is in; `None` outside of them.
    pub(crate) fn end(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let now = there(now, zone)?;
        let time = now.time();
        let quiet = if self.from < self.until {
            (self.from..self.until).contains(&time)
        } else {
            time >= self.from || time < self.until
        };
        if !quiet {
            return None;
        }
        let mut day = now.date();
        if time >= self.until {
            day = day.checked_add(Span::new().days(1)).ok()?;
        }
        // Where the clock is set forward over it, what exists next.
        let end = zone.to_ambiguous_zoned(day.to_datetime(self.until)).compatible().ok()?;
        u64::try_from(end.timestamp().as_second()).ok().map(Timestamp::from_seconds)
    }
}

fn time_of_day(text: &str) -> Option<Time> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<i8>().ok()).flatten()
    };
    Time::new(number(hour)?, number(minute)?, 0, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::utc;

    fn end(hours: &str, now: &str, place: &str) -> Option<String> {
        let hours = QuietHours::parse(hours).unwrap();
        hours.end(utc::read(now).unwrap(), &zone(place).unwrap()).map(utc::write)
    }

    #[test]
    fn quiet_hours_pass_midnight_and_are_those_of_the_place() {
        // Madrid is an hour ahead of UTC in January and two in July.
        for (now, until) in [
            ("2027-01-15T20:59:59Z", None),
            ("2027-01-15T21:00:00Z", Some("2027-01-16T06:00:00Z")),
            ("2027-01-15T23:30:00Z", Some("2027-01-16T06:00:00Z")),
            ("2027-01-16T05:59:59Z", Some("2027-01-16T06:00:00Z")),
            ("2027-01-16T06:00:00Z", None),
            ("2027-07-15T20:00:00Z", Some("2027-07-16T05:00:00Z")),
        ] {
            assert_eq!(end("22:00-07:00", now, "Europe/Madrid").as_deref(), until, "{now}");
        }
        let noon = end("13:00-15:00", "2027-01-15T12:30:00Z", "Europe/Madrid");
        assert_eq!(noon.as_deref(), Some("2027-01-15T14:00:00Z"));
        assert_eq!(end("13:00-15:00", "2027-01-15T11:30:00Z", "Europe/Madrid"), None);
    }

    #[test]
    fn a_night_with_another_hour_ends_at_the_hour_of_the_wall() {
        let end = |now| end("22:00-02:30", now, "Europe/Madrid");
        // On 28 March 2027 the clock goes from 02:00 to 03:00: 02:30 is not there.
        assert_eq!(end("2027-03-27T23:00:00Z").as_deref(), Some("2027-03-28T01:30:00Z"));
        // On 31 October it goes from 03:00 to 02:00: the first 02:30.
        assert_eq!(end("2027-10-30T23:00:00Z").as_deref(), Some("2027-10-31T00:30:00Z"));
    }

    #[test]
    fn what_is_no_zone_and_no_hours_is_refused() {
        for text in ["", "Europe/Atlantis", "../../etc/passwd", "/etc/localtime", "Europe/Madrid\n"]
        {
            assert!(zone(text).is_none(), "{text:?}");
        }
        for text in
            ["", "22:00", "22-07", "24:00-07:00", "22:00-22:00", "+2:00-07:00", "22:60-1:00"]
        {
            assert!(QuietHours::parse(text).is_none(), "{text:?}");
        }
    }
}
