//! What the demo tells: each step with what must happen and what did, and a table at the end.

use super::world::World;
use crate::error::CliError;
use crate::output::{self, Answer, BAD, BOLD, DIM, GOOD};
use serde_json::{Value, json};
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(700);

pub(super) struct Report {
    paced: bool,
    quiet: bool,
    steps: Vec<Step>,
    table: Vec<Vec<String>>,
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
        Self { paced, quiet, steps: Vec::new(), table: Vec::new() }
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

    pub(super) fn row(&mut self, cells: &[&str]) {
        self.table.push(cells.iter().map(|cell| (*cell).to_owned()).collect());
    }

    /// The verdict over all steps; an error when one of them differed.
    pub(super) fn finish(&self, world: &World) -> Result<Answer, CliError> {
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
        let mut text = format!(
            "\n{}\n{GOOD}all {} steps went as they must{GOOD:#}\n",
            output::table(&self.table),
            steps.len()
        );
        if world.is_kept() {
            text.push_str(&format!("everything is in {}\n", world.path("").display()));
        }
        text.push_str(BY_HAND);
        Ok(Answer::new(json!({ "ok": true, "steps": json_steps, "table": self.table }), text))
    }
}

/// What the reader can type to do the same. A test runs these lines.
pub(crate) const BY_HAND: &str = "
The same by hand, in an empty directory:
  doorstep init --test
  doorstep key create --name me --out doorstep.key
  doorstep serve --clock doorstep-data/clock &
  doorstep delivery add --reference A-1 --recipient Zoe --phone \"+44 20 7946 0000\" --address \"1 High St\" --json | tee a1.json
  doorstep driver invite Ana > ana.ticket && doorstep driver enrol --ticket ana.ticket --dir ana
  doorstep delivery plan $(jq -r .id a1.json) --device $(doorstep driver status --dir ana --json | jq -r .device) --at +30m --clock doorstep-data/clock
  doorstep driver sync --dir ana --clock doorstep-data/clock && sleep 1
  kill %1; cat doorstep-data/messages.jsonl
  doorstep driver check 1 \"the code in it\" --dir ana --clock doorstep-data/clock
  doorstep serve --clock doorstep-data/clock & sleep 1; doorstep driver sync --dir ana --clock doorstep-data/clock; doorstep delivery list
";
