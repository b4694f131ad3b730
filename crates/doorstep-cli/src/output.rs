//! How a command answers: text for people, or one JSON document on standard output.

use crate::error::{CliError, EXIT_REFUSED};
use anstyle::{AnsiColor, Style};
use serde_json::Value;
use std::io::Write as _;
use std::process::ExitCode;

/// Green: granted, done.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Red: refused.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Yellow: look here.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// Dim: beside the point.
pub(crate) const DIM: Style = Style::new().dimmed();
/// Bold: headings.
pub(crate) const BOLD: Style = Style::new().bold();

/// What a command found: the same thing for machines and for people.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) json: Value,
    pub(crate) text: String,
    /// Whether the answer is a refusal, which has an exit status of its own.
    pub(crate) refused: bool,
}

impl Answer {
    pub(crate) fn new(json: Value, text: impl Into<String>) -> Self {
        Self { json, text: text.into(), refused: false }
    }

    pub(crate) fn refused(json: Value, text: impl Into<String>) -> Self {
        Self { json, text: text.into(), refused: true }
    }
}

/// Prints the answer, or the error, and names the exit status.
pub(crate) fn emit(result: Result<Answer, CliError>, json: bool) -> ExitCode {
    match result {
        Ok(answer) => {
            let text = match (json, &answer.json) {
                (true, Value::Null) => String::new(),
                (true, json) => format!("{json:#}"),
                (false, _) => answer.text.trim_end().to_owned(),
            };
            if !text.is_empty() {
                // Whoever reads may have gone away, as `head` does; that is no failure of ours.
                let _ = writeln!(anstream::stdout(), "{text}");
            }
            if answer.refused { ExitCode::from(EXIT_REFUSED) } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            if json {
                let _ = writeln!(anstream::stdout(), "{:#}", error.to_json());
            }
            let _ = writeln!(anstream::stderr(), "{error}");
            ExitCode::from(error.status())
        }
    }
}

/// Writes rows in columns as wide as their widest cell; the first row is the head.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count().min(*width)));
        }
        let style = if index == 0 { BOLD } else { Style::new() };
        text.push_str(&format!("{style}{}{style:#}\n", line.trim_end()));
    }
    text
}

/// Writes rows as a table in Markdown; the first row is the head.
pub(crate) fn markdown(rows: &[Vec<String>]) -> String {
    let mut lines: Vec<String> =
        rows.iter().map(|row| format!("| {} |", row.join(" | "))).collect();
    let columns = rows.first().map_or(0, Vec::len);
    lines.insert(1.min(lines.len()), format!("|{}", " --- |".repeat(columns)));
    lines.join("\n")
}
