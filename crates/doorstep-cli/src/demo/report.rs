//! What the demo tells: each step with what must happen and what did, and a table of each story at the end.

use super::world::Reply;
use crate::error::CliError;
use crate::output::{self, Answer, BAD, BOLD, DIM, GOOD};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(700);

pub(super) struct Report {
    paced: bool,
    quiet: bool,
    steps: Vec<Step>,
    tables: Vec<Vec<Vec<String>>>,
    by_hand: String,
}

struct Step {
    chapter: String,
    what: String,
    command: String,
    expected: String,
    actual: String,
}

impl Step {
    fn ok(&self) -> bool {
        self.expected == self.actual
    }
}

impl Report {
    pub(super) const fn new(paced: bool, quiet: bool) -> Self {
        Self { paced, quiet, steps: Vec::new(), tables: Vec::new(), by_hand: String::new() }
    }

    fn pause(&self) {
        if self.paced {
            std::thread::sleep(PAUSE);
        }
    }

    fn say(&self, text: &str) {
        if !self.quiet {
            anstream::println!("{text}");
        }
    }

    pub(super) fn chapter(&mut self, title: &str) {
        self.pause();
        self.say(&format!("\n{BOLD}{title}{BOLD:#}"));
        self.steps.push(Step {
            chapter: title.to_owned(),
            what: String::new(),
            command: String::new(),
            expected: String::new(),
            actual: String::new(),
        });
    }

    pub(super) fn note(&self, text: &str) {
        self.pause();
        self.say(&format!("  {DIM}{text}{DIM:#}"));
    }

    /// Records one step and shows whether it went as it must.
    pub(super) fn step(&mut self, what: &str, command: &str, expected: &str, actual: &str) {
        self.pause();
        let chapter = self.steps.last().map(|step| step.chapter.clone()).unwrap_or_default();
        let step = Step {
            chapter,
            what: what.to_owned(),
            command: command.to_owned(),
            expected: expected.to_owned(),
            actual: actual.to_owned(),
        };
        let shown = actual.replace('_', " ");
        let style = if actual == "granted" { GOOD } else { BOLD };
        if step.ok() {
            self.say(&format!("  {GOOD}✓{GOOD:#} {what}: {style}{shown}{style:#}"));
        } else {
            self.say(&format!("  {BAD}✗ {what}: {shown}, and it must be {expected}{BAD:#}"));
        }
        if !command.is_empty() {
            self.say(&format!("    {DIM}$ {command}{DIM:#}"));
        }
        self.steps.push(step);
    }

    /// Records what a command answered: `granted`, a refusal's reason, an error's code, or `done`.
    pub(super) fn expect(&mut self, what: &str, reply: &Reply, expected: &str) {
        self.step(what, &reply.command, expected, &reply.outcome());
    }

    /// Begins a table with its head.
    pub(super) fn table(&mut self, head: &[&str]) {
        self.tables.push(Vec::new());
        self.row(head);
    }

    pub(super) fn row(&mut self, cells: &[&str]) {
        if let Some(table) = self.tables.last_mut() {
            table.push(cells.iter().map(|cell| (*cell).to_owned()).collect());
        }
    }

    /// What the reader can type to do the same. A test types it.
    pub(super) fn by_hand(&mut self, lines: &str) {
        self.by_hand = lines.to_owned();
    }

    /// The verdict over all steps; an error when one of them differed.
    pub(super) fn finish(&self, kept: Option<&Path>) -> Result<Answer, CliError> {
        let steps: Vec<&Step> = self.steps.iter().filter(|step| !step.what.is_empty()).collect();
        let failed: Vec<&&Step> = steps.iter().filter(|step| !step.ok()).collect();
        if !failed.is_empty() {
            let details = failed.iter().map(|step| {
                format!("{}: {} instead of {}", step.what, step.actual, step.expected).into()
            });
            return Err(CliError::new(format!(
                "{} of {} steps went wrong",
                failed.len(),
                steps.len()
            ))
            .details(details.collect())
            .hint("run it again with --keep DIR and look at DIR/server.log"));
        }
        let json_steps: Vec<Value> = steps
            .iter()
            .map(|step| {
                json!({ "chapter": step.chapter, "what": step.what, "command": step.command,
                        "expected": step.expected, "actual": step.actual, "ok": step.ok() })
            })
            .collect();
        let tables: Vec<String> = self.tables.iter().map(|table| output::table(table)).collect();
        let mut text = format!(
            "\n{}\n{GOOD}all {} steps went as they must{GOOD:#}\n",
            tables.join("\n"),
            steps.len()
        );
        if let Some(dir) = kept {
            text.push_str(&format!("everything is in {}\n", dir.display()));
        }
        text.push_str(&self.typed());
        Ok(Answer::new(json!({ "ok": true, "steps": json_steps, "tables": self.tables }), text))
    }

    fn typed(&self) -> String {
        if self.by_hand.is_empty() {
            return String::new();
        }
        let here = std::env::current_exe().ok();
        let here = here.as_deref().and_then(Path::parent).unwrap_or_else(|| Path::new("."));
        format!(
            "\nThe same by hand, in an empty directory:\n  export PATH=\"{}:$PATH\" DOORSTEP_CLOCK=doorstep-data/clock\n{}",
            here.display(),
            self.by_hand
        )
    }
}
