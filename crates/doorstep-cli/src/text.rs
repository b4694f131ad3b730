//! Times, spans and binary values as people and machines write them.

use crate::error::CliError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorstep::time::Timestamp;
use jiff::tz::TimeZone;

/// RFC 3339 in UTC, as the API and `--json` say times.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    instant(at).map_or_else(|| at.seconds().to_string(), |at| at.to_string())
}

/// A time of day in the local zone, as people read it; with the date when it is not the day of `now`.
pub(crate) fn clock_face(at: Timestamp, now: Timestamp) -> String {
    let (Some(at), Some(now)) = (instant(at), instant(now)) else {
        return rfc3339(at);
    };
    let (at, now) = (at.to_zoned(TimeZone::system()), now.to_zoned(TimeZone::system()));
    let format = if at.date() == now.date() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    at.strftime(format).to_string()
}

fn instant(at: Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_second(i64::try_from(at.seconds()).ok()?).ok()
}

/// Reads a point in time: RFC 3339, `2026-03-02 14:30` or `14:30` in the local zone (the next one
/// after `now`), or a span from now such as `+2h`.
pub(crate) fn parse_time(text: &str, now: Timestamp) -> Result<Timestamp, CliError> {
    if let Some(span) = text.strip_prefix('+') {
        return Ok(now.later(parse_span(span)?));
    }
    let wrong = || {
        CliError::usage(format!("\"{text}\" is not a time"))
            .hint("write 14:30, \"2026-03-02 14:30\", 2026-03-02T14:30:00+01:00 or +2h")
    };
    let seconds = |at: jiff::Timestamp| {
        u64::try_from(at.as_second()).map(Timestamp::from_seconds).map_err(|_| wrong())
    };
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return seconds(at);
    }
    if let Ok(at) = text.parse::<jiff::civil::DateTime>() {
        return seconds(at.to_zoned(TimeZone::system()).map_err(|_| wrong())?.timestamp());
    }
    let time = text.parse::<jiff::civil::Time>().map_err(|_| wrong())?;
    let today = instant(now).ok_or_else(wrong)?.to_zoned(TimeZone::system()).date();
    for date in [Some(today), today.tomorrow().ok()].into_iter().flatten() {
        let at = date.to_datetime(time).to_zoned(TimeZone::system()).map_err(|_| wrong())?;
        let at = seconds(at.timestamp())?;
        if at >= now {
            return Ok(at);
        }
    }
    Err(wrong())
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
    fn spans_are_read() {
        assert_eq!(parse_span("2h").unwrap(), 7200);
        assert_eq!(parse_span("1h30m").unwrap(), 5400);
        assert_eq!(parse_span("3d").unwrap(), 3 * 86_400);
        for bad in ["", "2", "-1h", "9999999999999999d", "h"] {
            assert!(parse_span(bad).is_err(), "{bad}");
        }
    }
}
