//! `doorstep lock journal`: what happened at the lock, as it goes home.

use super::passes::{id_text, key_text, passes, window_text};
use super::press::{command_json, command_text};
use super::{At, pin_json, pin_text};
use crate::error::CliError;
use crate::lock::journal::{Known, export};
use crate::output::{Answer, GOOD, table};
use crate::text::{clock_face, rfc3339, span_text};
use doorstep::clock::Event as ClockEvent;
use doorstep::door::record::Record;
use doorstep::keypad::lock::Found;
use doorstep::keypad::record::{Event, Source};
use doorstep::otp::record::Event as StepEvent;
use doorstep::pass::record::Event as PassEvent;
use doorstep::time::Timestamp;
use doorstep_files::{FileError, private};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

pub(crate) const EXAMPLES: &str = "Examples:\n  doorstep lock journal --dir court-3\n  doorstep lock journal --dir court-3 --out court-3.journal\n\nTimes are the lock's own estimates. The file holds no key and no code; a MAC covers it.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write the journal as the server takes it, to a file that is not there yet; - writes it to standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    at: At,
}

pub(crate) fn run(args: &Args) -> Result<Answer, CliError> {
    let mut lock = args.at.open()?;
    // What is due is in it as well, if there is power to write it.
    drop(lock.wake()?);
    let (_, base) = lock.base()?;
    let (ledger, door) = (lock.ledger(), lock.door());
    let records = ledger.records.len();
    if let Some(out) = &args.out {
        let bytes = export(ledger, door, &base);
        write(out, &bytes)?;
        let json = json!({ "lock": door.id().as_str(), "records": records, "first": base.head.seq + 1, "file": out });
        let text = format!("{GOOD}wrote{GOOD:#} {records} records to {}", out.display());
        // On standard output there is room for one thing.
        return Ok(if out == Path::new("-") {
            Answer::new(Value::Null, "")
        } else {
            Answer::new(json, text)
        });
    }
    let mut rows = vec![["no", "about", "what"].map(str::to_owned).to_vec()];
    let mut json = Vec::new();
    let last = ledger.steps(door, base).last().map_or(base, |(_, known)| known);
    let now = last.state.keypad.belief().probable();
    for (record, known) in ledger.steps(door, base) {
        let at = known.state.keypad.belief().probable();
        let (kind, text, more) = describe(record, &known);
        rows.push(vec![known.head.seq.to_string(), clock_face(at, now), text]);
        json.push(
            json!({ "number": known.head.seq, "at": rfc3339(at), "kind": kind, "about": more }),
        );
    }
    let text = if records == 0 { "nothing happened yet".to_owned() } else { table(&rows) };
    Ok(Answer::new(json!({ "lock": door.id().as_str(), "records": json }), text))
}

fn write(out: &Path, bytes: &[u8]) -> Result<(), CliError> {
    if out == Path::new("-") {
        use std::io::Write as _;
        return std::io::stdout()
            .write_all(bytes)
            .map_err(|error| CliError::io("write", out, &error));
    }
    private::create(out, bytes).map_err(|error| {
        let told = CliError::new(error.to_string());
        match error {
            FileError::Exists { .. } => told
                .hint("nothing is overwritten: give it another name, with the day for example")
                .code("file_exists"),
            error => told.hint(error.hint()),
        }
    })
}

fn describe_pass(event: &PassEvent, now: Timestamp) -> (&'static str, String, Value) {
    let plain = |kind, text: String| (kind, text, Value::Null);
    match event {
        PassEvent::Tried => plain("tried", "a pass or a rider was held to it".to_owned()),
        PassEvent::Verified { .. } => plain("pass_verified", "the pass was authentic".to_owned()),
        PassEvent::Opened { id, .. } => {
            let id = id_text(id);
            ("opened", format!("opened, by the pass {id}"), json!({ "pass": id }))
        }
        PassEvent::Bulletin { sequence, revoked, .. } => {
            let count = revoked.prefixes().len();
            (
                "bulletin",
                format!("bulletin {sequence} came, with {}", passes(count)),
                json!({ "sequence": sequence, "revoked": count }),
            )
        }
        PassEvent::Token { time, .. } => (
            "time_token",
            format!("the issuer answered that it is {}", clock_face(*time, now)),
            json!({ "time": rfc3339(*time) }),
        ),
        PassEvent::Rotation(rotation) => {
            let (key, sequence) = (key_text(&rotation.key), rotation.sequence);
            let window = window_text(&rotation.window, now);
            (
                "rotation",
                format!("rotation {sequence} came: key {key}, {window}"),
                json!({ "sequence": sequence, "key": key }),
            )
        }
        PassEvent::Started => plain("started", "it started".to_owned()),
    }
}

/// A record in a word, in a sentence, and for machines.
fn describe(record: &Record, known: &Known) -> (&'static str, String, Value) {
    let belief = known.state.keypad.belief();
    let now = belief.probable();
    let plain = |kind, text: &str| (kind, text.to_owned(), Value::Null);
    let record = match record {
        Record::Keypad(record) => &record.event,
        Record::Step(record) => {
            return match record.event {
                StepEvent::Tried => plain("tried", "a code of a step was typed"),
                StepEvent::Accepted { step, .. } => (
                    "opened",
                    format!("opened, by the code of step {step}"),
                    json!({ "step": step }),
                ),
                // A door takes no others.
                _ => plain("other", "something else with a code of a step"),
            };
        }
        Record::Pass(record) => return describe_pass(&record.event, now),
    };
    match record {
        Event::Tried(source) => {
            let what = source_name(*source);
            ("tried", format!("a {} was typed", what.replace('_', " ")), json!({ "from": what }))
        }
        Event::Wrong { .. } => plain("wrong", "it was wrong, or opens no more"),
        Event::Opened { tuple, epoch, form } => {
            let found = Found { tuple: *tuple, epoch: *epoch, form: *form };
            ("opened", format!("opened, by the {}", pin_text(&found, now)), pin_json(&found))
        }
        Event::Obeyed(command) => {
            ("control", command_text(command, belief), command_json(command, belief))
        }
        Event::Clock(event) => clock(event, known),
    }
}

fn clock(event: &ClockEvent, known: &Known) -> (&'static str, String, Value) {
    let now = known.state.keypad.belief().probable();
    match event {
        ClockEvent::Elapsed { seconds } => {
            let text = format!("{} passed", span_text(*seconds));
            ("elapsed", text, json!({ "seconds": seconds }))
        }
        ClockEvent::PowerLost => ("power_lost", "the power was lost".to_owned(), Value::Null),
        ClockEvent::Missed { by, .. } => {
            let text =
                format!("it was a PIN that missed its window by {}", span_text(u64::from(*by)));
            ("missed", text, json!({ "by_seconds": by }))
        }
        ClockEvent::Signed(time)
        | ClockEvent::SetTime { time }
        | ClockEvent::Token { time, .. } => {
            let text = format!("the issuer said that it is {}", clock_face(*time, now));
            ("time", text, json!({ "time": rfc3339(*time) }))
        }
        ClockEvent::Reset { time, .. } => {
            let text = format!("the clock was reset to {}", clock_face(*time, now));
            ("reset", text, json!({ "time": rfc3339(*time) }))
        }
        ClockEvent::Heard(clue) => {
            let text = format!("a code told that it is about {}", clock_face(clue.about, now));
            ("heard", text, json!({ "about": rfc3339(clue.about) }))
        }
    }
}

const fn source_name(source: Source) -> &'static str {
    match source {
        Source::Pin => "pin",
        Source::Long => "long_form",
        Source::Control => "control_code",
    }
}
