//! Times as the API writes and reads them: RFC 3339 text, always UTC on the way out.

use doorstep::time::Timestamp;
use serde::{Serialize, Serializer};

/// The first second that is believed: 2020-01-01T00:00:00Z. Earlier ones are clocks that were
/// never set.
const FIRST: u64 = 1_577_836_800;
/// The first second that is not: 2100-01-01T00:00:00Z.
const LAST: u64 = 4_102_444_800;

/// A point in time that goes out as `2026-11-21T17:30:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, utoipa::ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-21T17:30:00Z")]
pub(crate) struct Utc(pub(crate) Timestamp);

impl Serialize for Utc {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&write(self.0))
    }
}

/// Writes a time; a number of seconds when it is beyond what calendars write.
pub(crate) fn write(at: Timestamp) -> String {
    i64::try_from(at.seconds())
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| at.seconds().to_string(), |time| time.to_string())
}

/// Why a text is not a time that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TimeError {
    #[error("not a time with its zone, as in 2026-11-21T17:30:00Z or 2026-11-21T18:30:00+01:00")]
    Malformed,
    #[error("a time before 2020 or after 2099 is taken for a mistake")]
    Absurd,
}

/// Reads a time in any zone; fractions of a second are dropped.
pub(crate) fn read(text: &str) -> Result<Timestamp, TimeError> {
    // The longest sensible one has nanoseconds and an offset.
    if text.len() > 40 {
        return Err(TimeError::Malformed);
    }
    let time: jiff::Timestamp = text.parse().map_err(|_| TimeError::Malformed)?;
    match u64::try_from(time.as_second()) {
        Ok(seconds) if (FIRST..LAST).contains(&seconds) => Ok(Timestamp::from_seconds(seconds)),
        _ => Err(TimeError::Absurd),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_any_zone_and_writes_utc() {
        let at = read("2026-11-21T18:30:00+01:00").unwrap();
        assert_eq!(write(at), "2026-11-21T17:30:00Z");
        assert_eq!(read("2026-11-21T17:30:00.9Z"), Ok(at));
    }

    #[test]
    fn refuses_what_is_no_time_or_no_likely_one() {
        for text in
            ["", "soon", "2026-11-21", "2026-11-21T17:30:00", "2026-02-30T00:00:00Z", "1795282200"]
        {
            assert_eq!(read(text), Err(TimeError::Malformed), "{text}");
        }
        for text in [
            "1970-01-01T00:00:00Z",
            "2019-12-31T23:59:59Z",
            "2100-01-01T00:00:00Z",
            "9999-12-30T00:00:00Z",
        ] {
            assert_eq!(read(text), Err(TimeError::Absurd), "{text}");
        }
        assert_eq!(read(&"2".repeat(10_000)), Err(TimeError::Malformed));
    }

    #[test]
    fn writes_even_the_end_of_time() {
        assert_eq!(write(Timestamp::from_seconds(u64::MAX)), u64::MAX.to_string());
    }
}
