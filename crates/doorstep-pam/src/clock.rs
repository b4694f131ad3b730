//! The only place where the module learns the time: the system's clock, or the file of a test.

use doorstep::time::Timestamp;
use std::path::Path;

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
pub(crate) fn system() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    // A clock before 1970 is as good as none: no code is right then.
    Timestamp::from_seconds(since.map_or(0, |since| since.as_secs()))
}

/// A file with one line, UTC seconds.
pub(crate) fn simulated(path: &Path) -> Option<Timestamp> {
    let text = std::fs::read_to_string(path).ok()?;
    text.trim().parse().ok().map(Timestamp::from_seconds)
}
