//! What a benchmark says beside its median: times of single steps, and how long the slowest took.

use std::time::{Duration, Instant};

/// Times one step after the other.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// How long it is since the start, or since the last lap.
    pub(crate) fn lap(&mut self) -> Duration {
        let before = std::mem::replace(self, Self::start());
        self.0.duration_since(before.0)
    }
}

/// Prints how long half, 99 % and all of these took at most.
pub(crate) fn tell(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let within = |part: usize| times.get((times.len() * part / 100).min(times.len().max(1) - 1));
    let within = |part| within(part).copied().unwrap_or_default();
    eprintln!(
        "{name}: {} times, half within {:.1?}, 99 % within {:.1?}, all within {:.1?}",
        times.len(),
        within(50),
        within(99),
        within(100)
    );
}
