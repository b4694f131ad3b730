//! The only place where a program learns the time: the system's clock, or a simulated one.

use crate::error::CliError;
use doorstep::time::Timestamp;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where the time comes from: the operating system, or a file with one line, UTC seconds. That does not tick;
/// `doorstep clock advance` moves it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Clock {
    /// Simulated clock (test data only)
    #[arg(id = "clock", long = "clock", env = "DOORSTEP_CLOCK", value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Clock {
    pub(crate) const SYSTEM: Self = Self::new(None);

    pub(crate) const fn new(file: Option<PathBuf>) -> Self {
        Self { file }
    }

    pub(crate) const fn is_simulated(&self) -> bool {
        self.file.is_some()
    }

    pub(crate) fn now(&self) -> Result<Timestamp, CliError> {
        match &self.file {
            None => Ok(system_now()),
            Some(path) => read(path),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
fn system_now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    // A clock before 1970 is as good as none; every window is then still to come.
    Timestamp::from_seconds(since.map_or(0, |since| since.as_secs()))
}

/// By when something must be over, however the system's clock is set meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    began: Instant,
    span: Duration,
}

impl Deadline {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub(crate) fn after(span: Duration) -> Self {
        Self { began: Instant::now(), span }
    }

    /// What is left; `None` when it is over.
    pub(crate) fn left(&self) -> Option<Duration> {
        self.span.checked_sub(self.began.elapsed()).filter(|left| !left.is_zero())
    }
}

/// What a clock file says.
pub(crate) fn read(path: &Path) -> Result<Timestamp, CliError> {
    let text = fs::read_to_string(path)
        .map_err(|error| CliError::io("read the clock file", path, &error))?;
    text.trim().parse().map(Timestamp::from_seconds).map_err(|_| {
        CliError::new(format!("clock file {} does not hold UTC seconds", path.display())).hint(
            "make one with: doorstep clock advance 0s --clock FILE --from 2026-03-02T09:00:00Z",
        )
    })
}

/// The start of 2100: no clock of a test needs more, and RFC 3339 has no years beyond 9999.
const LATEST: Timestamp = Timestamp::from_seconds(4_102_444_800);

/// Sets a simulated clock, so that readers see the old time or the new one and nothing between.
pub(crate) fn set(path: &Path, now: Timestamp) -> Result<(), CliError> {
    if now > LATEST {
        return Err(CliError::usage("a simulated clock goes up to the year 2100"));
    }
    if path.exists() {
        // Whatever else is in the file is not ours to lose.
        read(path)?;
    }
    let fresh = path.with_extension("new");
    fs::write(&fresh, format!("{}\n", now.seconds()))
        .and_then(|()| fs::rename(&fresh, path))
        .map_err(|error| CliError::io("write the clock file", path, &error))
}
