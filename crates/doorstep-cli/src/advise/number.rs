//! Numbers that an advice rests on, each from a function of the core, and how people read them.

use crate::text::span_text;
use doorstep::clock::Belief;
use doorstep::odds::{YEAR, float};
use serde_json::{Value as Json, json};

/// A number with its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    Chance(f64),
    Seconds(f64),
    /// Seconds, and nobody looked any further.
    AtLeast(f64),
    Bytes(u64),
    Count(f64),
}

/// A number and what it is of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Number {
    /// Its stable name for programs.
    pub(crate) name: &'static str,
    /// What it is, in words.
    pub(crate) label: String,
    pub(crate) value: Value,
}

impl Number {
    pub(crate) fn chance(name: &'static str, label: impl Into<String>, chance: f64) -> Self {
        Self { name, label: label.into(), value: Value::Chance(chance) }
    }

    pub(crate) fn seconds(name: &'static str, label: impl Into<String>, seconds: f64) -> Self {
        Self { name, label: label.into(), value: Value::Seconds(seconds) }
    }

    /// For how long a lock opens without a visitor.
    pub(crate) fn silent(seconds: u64) -> Self {
        let label = "a new lock without a visitor opens for".to_owned();
        Self { name: "silent", label, value: Value::lasting(seconds) }
    }

    pub(crate) fn bytes(name: &'static str, label: impl Into<String>, bytes: usize) -> Self {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        Self { name, label: label.into(), value: Value::Bytes(bytes) }
    }

    pub(crate) fn count(name: &'static str, label: impl Into<String>, count: f64) -> Self {
        Self { name, label: label.into(), value: Value::Count(count) }
    }

    pub(crate) fn to_json(&self) -> Json {
        match self.value {
            Value::Chance(number)
            | Value::Seconds(number)
            | Value::AtLeast(number)
            | Value::Count(number) => json!(number),
            Value::Bytes(number) => json!(number),
        }
    }
}

impl Value {
    /// How long a clock lasts, of which the core looks some years ahead.
    pub(crate) fn lasting(seconds: u64) -> Self {
        let all = float(seconds);
        if seconds < Belief::LASTS_AT_MOST { Self::Seconds(all) } else { Self::AtLeast(all) }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&match self {
            Self::Chance(number) => chance(*number),
            Self::Seconds(number) => duration(*number),
            Self::AtLeast(number) => format!("at least {}", duration(*number)),
            Self::Bytes(number) => format!("{number} bytes"),
            Self::Count(number) => count(*number),
        })
    }
}

/// A chance: in percent while that has digits that say something, else one in so many.
pub(crate) fn chance(chance: f64) -> String {
    if chance <= 0.0 {
        return "none".to_owned();
    }
    if chance >= 0.001 {
        return format!("{:.2} %", 100.0 * chance);
    }
    format!("1 in {}", count(1.0 / chance))
}

/// A count that people can read aloud.
pub(crate) fn count(number: f64) -> String {
    for (size, name) in [(1e18, ""), (1e12, " trillion"), (1e9, " billion"), (1e6, " million")] {
        if number >= size {
            return if name.is_empty() {
                format!("{number:.0e}").replace('e', " x 10^").replace("1 x ", "")
            } else {
                format!("{}{name}", short(number / size))
            };
        }
    }
    let digits = format!("{number:.0}");
    match digits.len().checked_sub(3).filter(|at| *at > 0) {
        Some(at) => {
            let (thousands, rest) = digits.split_at(at);
            format!("{thousands},{rest}")
        }
        None => digits,
    }
}

fn short(number: f64) -> String {
    if number < 10.0 { format!("{number:.1}") } else { format!("{:.0}", number) }
}

/// How long something takes, from a blink to ages.
pub(crate) fn duration(seconds: f64) -> String {
    let years = seconds / float(YEAR);
    if years >= 2.0 {
        return format!("{} years", count(years));
    }
    if seconds < 0.1 {
        return "less than 0.1 s".to_owned();
    }
    if seconds < 1.0 {
        return format!("{seconds:.1} s");
    }
    span_text(format!("{seconds:.0}").parse().unwrap_or(u64::MAX))
}

/// A span that is as long as it says, as options take it: `90m`, `28d`.
pub(crate) fn span(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let whole = units.iter().find(|(size, _)| seconds > 0 && seconds.is_multiple_of(*size));
    whole.map_or_else(
        || format!("{seconds}s"),
        |(size, unit)| format!("{}{unit}", seconds.checked_div(*size).unwrap_or(0)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_said_as_people_say_them() {
        for (number, said) in [
            (1.0 / 8192.0, "1 in 8,192"),
            (0.0031, "0.31 %"),
            (1.0, "100.00 %"),
            (1e-15, "1 in 1000 trillion"),
            (2f64.powi(-128), "1 in 3 x 10^38"),
            (0.0, "none"),
        ] {
            assert_eq!(chance(number), said);
        }
        for (number, said) in [
            (12.4, "12"),
            (999.0, "999"),
            (1_000.0, "1,000"),
            (12_208.0, "12,208"),
            (123_456.0, "123,456"),
            (1_200_000.0, "1.2 million"),
        ] {
            assert_eq!(count(number), said);
        }
        for (seconds, said) in [
            (0.001, "less than 0.1 s"),
            (0.1, "0.1 s"),
            (119.5, "2 min"),
            (11_952.0, "3 h 19 min"),
            (1.26e11, "3,995 years"),
        ] {
            assert_eq!(duration(seconds), said);
        }
        for (seconds, said) in
            [(3_600, "1h"), (86_400, "1d"), (5_400, "90m"), (31_536_000, "365d"), (61, "61s")]
        {
            assert_eq!(span(seconds), said);
            assert_eq!(crate::text::parse_span(&span(seconds)).unwrap(), seconds);
        }
    }
}
