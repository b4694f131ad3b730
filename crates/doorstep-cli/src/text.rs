//! Times, spans and binary values as people and machines write them.

use crate::error::CliError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorstep::time::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

/// RFC 3339 in UTC, as the API and `--json` say times.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    instant(at).map_or_else(|| at.seconds().to_string(), |at| at.to_string())
}

/// A time of day in the local zone, as people read it; with the date when it is not the day of `now`.
pub(crate) fn clock_face(at: Timestamp, now: Timestamp) -> String {
    face(at, now, "%H:%M")
}

/// The same with its seconds.
pub(crate) fn exact_face(at: Timestamp, now: Timestamp) -> String {
    face(at, now, "%H:%M:%S")
}

fn face(at: Timestamp, now: Timestamp, time: &str) -> String {
    let (Some(at), Some(now)) = (instant(at), instant(now)) else {
        return rfc3339(at);
    };
    let (at, now) = (at.to_zoned(TimeZone::system()), now.to_zoned(TimeZone::system()));
    let date = if at.date() == now.date() { "" } else { "%Y-%m-%d " };
    at.strftime(&format!("{date}{time}")).to_string()
}

/// From when until when, as people read it in a zone: `Mon 2 Mar 2026, 14:00 to 15:00`.
pub(crate) fn span_face(from: Timestamp, until: Timestamp, zone: &TimeZone) -> String {
    let (Some(first), Some(last)) = (instant(from), instant(until)) else {
        return format!("{} to {}", rfc3339(from), rfc3339(until));
    };
    let (first, last) = (first.to_zoned(zone.clone()), last.to_zoned(zone.clone()));
    // Where clocks change in between, the zones' names tell the two hours apart.
    let day = "%a %-d %b %Y, ";
    let time = if first.offset() == last.offset() { "%H:%M" } else { "%H:%M (%Z)" };
    let again =
        if first.date() == last.date() { String::new() } else { last.strftime(day).to_string() };
    format!("{}{} to {again}{}", first.strftime(day), first.strftime(time), last.strftime(time))
}

/// A zone by its IANA name; without one, that of whoever sits here.
pub(crate) fn zone(name: Option<&str>) -> Result<TimeZone, CliError> {
    let Some(name) = name else { return Ok(TimeZone::system()) };
    TimeZone::get(name).map_err(|_| {
        CliError::usage(format!("\"{name}\" is not a time zone of this machine")).hint(
            "name one as Europe/Madrid or UTC; the system's zone data is in /usr/share/zoneinfo",
        )
    })
}

fn instant(at: Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_second(i64::try_from(at.seconds()).ok()?).ok()
}

/// Reads a point in time: RFC 3339, `2026-03-02 14:30` or `14:30` in the local zone (the next one
/// after `now`), or a span from now such as `+2h`.
pub(crate) fn parse_time(text: &str, now: Timestamp) -> Result<Timestamp, CliError> {
    parse_time_in(text, now, &TimeZone::system())
}

/// The same in another zone.
pub(crate) fn parse_time_in(
    text: &str,
    now: Timestamp,
    zone: &TimeZone,
) -> Result<Timestamp, CliError> {
    if let Some(span) = text.strip_prefix('+') {
        return Ok(now.later(parse_span(span)?));
    }
    let wrong = || {
        CliError::usage(format!("\"{text}\" is not a time"))
            .hint("write 14:30, \"2026-03-02 14:30\", 2026-03-02T14:30:00+01:00 or +2h")
    };
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return seconds(at).ok_or_else(wrong);
    }
    if let Ok(at) = text.parse::<jiff::civil::DateTime>() {
        return local(at, zone)?.ok_or_else(wrong);
    }
    let time = text.parse::<jiff::civil::Time>().map_err(|_| wrong())?;
    let today = instant(now).ok_or_else(wrong)?.to_zoned(zone.clone()).date();
    for date in [Some(today), today.tomorrow().ok()].into_iter().flatten() {
        let at = local(date.to_datetime(time), zone)?.ok_or_else(wrong)?;
        if at >= now {
            return Ok(at);
        }
    }
    Err(wrong())
}

fn seconds(at: jiff::Timestamp) -> Option<Timestamp> {
    u64::try_from(at.as_second()).ok().map(Timestamp::from_seconds)
}

/// The one moment at which clocks in the zone show this.
///
/// # Errors
/// When they skip it, or show it twice, because they are changed.
fn local(at: jiff::civil::DateTime, zone: &TimeZone) -> Result<Option<Timestamp>, CliError> {
    let moment = zone.to_ambiguous_zoned(at);
    let how_often = match moment.offset() {
        jiff::tz::AmbiguousOffset::Unambiguous { .. } => {
            return Ok(moment.unambiguous().ok().and_then(|at| seconds(at.timestamp())));
        }
        jiff::tz::AmbiguousOffset::Gap { .. } => "never",
        jiff::tz::AmbiguousOffset::Fold { .. } => "twice",
    };
    Err(CliError::usage(format!(
        "clocks there show {at} {how_often}, because they are changed then"
    ))
    .hint("write the time with its offset, as in 2026-10-25T02:30:00+01:00"))
}

/// Reads a span such as `2h`, `90m`, `1h 30m` or `45s`, in seconds.
pub(crate) fn parse_span(text: &str) -> Result<u64, CliError> {
    let wrong = || {
        CliError::usage(format!("\"{text}\" is not a span of time"))
            .hint("write 45s, 30m, 2h, 1h30m or 3d")
    };
    let span: jiff::SignedDuration = match text.strip_suffix('d').map(str::parse::<i64>) {
        Some(Ok(days)) => {
            jiff::SignedDuration::from_secs(days.checked_mul(86_400).ok_or_else(wrong)?)
        }
        _ => text.parse().map_err(|_| wrong())?,
    };
    u64::try_from(span.as_secs()).map_err(|_| wrong())
}

/// A span as people say it, in its two largest units.
pub(crate) fn span_text(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut rest = seconds;
    let parts = units.map(|(size, unit)| {
        let count = rest / size;
        rest %= size;
        (count, unit)
    });
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(parts.len() - 1);
    let said = parts.iter().skip(first).take(2).enumerate();
    let said = said.filter(|(place, (count, _))| *place == 0 || *count > 0);
    said.map(|(_, (count, unit))| format!("{count} {unit}")).collect::<Vec<_>>().join(" ")
}

/// Whether a character changes how others are shown: controls, and the marks that reorder text.
pub(crate) fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061C}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

/// A name of somebody else's without what would move a terminal's cursor or hide the rest of the line.
pub(crate) fn safe(name: &str) -> String {
    name.chars().take(120).map(shown).collect()
}

/// The same of a text of any length.
pub(crate) fn safe_text(text: &str) -> String {
    text.chars().map(shown).collect()
}

fn shown(c: char) -> char {
    if hides(c) { '\u{fffd}' } else { c }
}

/// A time in an answer of the server.
pub(crate) fn time_of(value: &Value) -> Result<Timestamp, CliError> {
    let at = value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let at = at.and_then(|at| u64::try_from(at.as_second()).ok());
    at.map(Timestamp::from_seconds)
        .ok_or_else(|| CliError::new("the server's answer holds something that is not a time"))
}

/// The API's way to write bytes.
pub(crate) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads bytes out of an answer of the server.
pub(crate) fn from_base64url(text: &str) -> Result<Vec<u8>, CliError> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| CliError::new("the server's answer holds something that is not base64url"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        parse_time(text, Timestamp::from_seconds(0)).unwrap()
    }

    #[test]
    fn times_are_read_in_every_form() {
        let now = at("2026-03-02T09:00:00Z");
        assert_eq!(
            parse_time("2026-03-02T10:30:00+01:00", now).unwrap(),
            at("2026-03-02T09:30:00Z")
        );
        assert_eq!(parse_time("+90m", now).unwrap(), now.later(5400));
        let face = parse_time("14:30", now).unwrap();
        assert!(face >= now && face.since(now) <= 86_400);
        for bad in [
            "",
            "25:00",
            "tomorrow",
            "2026-13-01 10:00",
            "+",
            "+1 fortnight",
            "1960-01-01T00:00:00Z",
        ] {
            assert!(parse_time(bad, now).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_time_that_clocks_skip_or_show_twice_is_asked_for_again() {
        let now = Timestamp::from_seconds(0);
        let madrid = zone(Some("Europe/Madrid")).unwrap();
        let read = |text: &str| parse_time_in(text, now, &madrid);
        assert_eq!(read("2026-03-29 01:59").unwrap(), at("2026-03-29T00:59:00Z"));
        assert_eq!(read("2026-03-29 03:00").unwrap(), at("2026-03-29T01:00:00Z"));
        let skipped = read("2026-03-29 02:30").unwrap_err().to_string();
        assert!(skipped.contains("never") && skipped.contains("offset"), "{skipped}");
        let twice = read("2026-10-25 02:30").unwrap_err().to_string();
        assert!(twice.contains("twice"), "{twice}");
        assert_eq!(read("2026-10-25T02:30:00+02:00").unwrap(), at("2026-10-25T00:30:00Z"));
        assert_eq!(read("2026-10-25T02:30:00+01:00").unwrap(), at("2026-10-25T01:30:00Z"));
        // The day on which they skip an hour: half past two, read in the morning before.
        let eve = at("2026-03-28T23:30:00Z");
        assert!(parse_time_in("02:30", eve, &madrid).is_err());
        assert!(zone(Some("Europe/Atlantis")).is_err());
    }

    #[test]
    fn leap_days_year_ends_and_every_offset_are_read() {
        let now = Timestamp::from_seconds(0);
        let utc = zone(Some("UTC")).unwrap();
        assert_eq!(
            parse_time_in("2028-02-29 12:00", now, &utc).unwrap(),
            at("2028-02-29T12:00:00Z")
        );
        assert!(parse_time_in("2026-02-29 12:00", now, &utc).is_err());
        assert_eq!(
            parse_time_in("00:15", at("2026-12-31T23:50:00Z"), &utc).unwrap(),
            at("2027-01-01T00:15:00Z")
        );
        let noon = at("2026-12-31T12:00:00Z");
        for quarter in -48..=56_i64 {
            let (hours, minutes) = (quarter.abs() / 4, quarter.abs() % 4 * 15);
            let sign = if quarter < 0 { '-' } else { '+' };
            let there = noon.seconds().checked_add_signed(quarter * 900).unwrap();
            let there = rfc3339(Timestamp::from_seconds(there));
            let text = format!("{}{sign}{hours:02}:{minutes:02}", there.trim_end_matches('Z'));
            assert_eq!(at(&text), noon, "{text}");
        }
        for (name, text) in [
            ("Asia/Kathmandu", "2026-12-31 17:45"),
            ("Pacific/Chatham", "2027-01-01 01:45"),
            ("Pacific/Kiritimati", "2027-01-01 02:00"),
            ("Pacific/Pago_Pago", "2026-12-31 01:00"),
        ] {
            assert_eq!(
                parse_time_in(text, now, &zone(Some(name)).unwrap()).unwrap(),
                noon,
                "{name}"
            );
        }
    }

    #[test]
    fn a_window_is_told_in_its_place() {
        let madrid = zone(Some("Europe/Madrid")).unwrap();
        let told = |from, until| span_face(at(from), at(until), &madrid);
        assert_eq!(
            told("2026-03-02T13:00:00Z", "2026-03-02T14:00:00Z"),
            "Mon 2 Mar 2026, 14:00 to 15:00"
        );
        assert_eq!(
            told("2026-12-31T22:00:00Z", "2027-01-02T10:00:00Z"),
            "Thu 31 Dec 2026, 23:00 to Sat 2 Jan 2027, 11:00"
        );
        assert_eq!(
            told("2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"),
            "Sun 25 Oct 2026, 02:30 (CEST) to 02:30 (CET)"
        );
    }

    #[test]
    fn spans_are_said() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (719, "11 min 59 s"),
            (8_640, "2 h 24 min"),
            (3_601, "1 h"),
            (90_000, "1 d 1 h"),
            (400 * 86_400, "400 d"),
        ] {
            assert_eq!(span_text(seconds), text);
        }
    }

    #[test]
    fn spans_are_read() {
        assert_eq!(parse_span("2h").unwrap(), 7200);
        assert_eq!(parse_span("1h30m").unwrap(), 5400);
        assert_eq!(parse_span("3d").unwrap(), 3 * 86_400);
        for bad in ["", "2", "-1h", "9999999999999999d", "h"] {
            assert!(parse_span(bad).is_err(), "{bad}");
        }
    }
}
