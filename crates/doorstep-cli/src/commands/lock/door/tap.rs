//! `doorstep lock tap`: one pass, or one rider, held to the lock's reader.

use super::passes::{content_json, content_text, pass_json, pass_text, rider_json, rider_text};
use super::{At, no_power, when_text};
use crate::error::CliError;
use crate::lock::Woken;
use crate::lock::reader::{Challenges, Judged, takes_none};
use crate::output::{Answer, BAD, GOOD, WARN};
use crate::pass_file;
use crate::text::rfc3339;
use doorstep::clock::Belief;
use doorstep::pass::document::Content;
use doorstep::pass::exchange::answer::Answer as Told;
use doorstep::refusal::Refusal;
use serde_json::{Value, json};

pub(crate) const EXAMPLES: &str = "Examples:\n  doorstep lock tap pass.png --dir court-3             # a picture of its QR code\n  doorstep lock tap pass.bin --dir court-3 --why\n  doorstep lock tap - --dir court-3 < pass.txt\n\nWhat the lock may tell, it tells; why it did not believe something nobody is told. A pass with a holder\nopens with a phone: doorstep lock listen, doorstep wallet tap. Exit status: 0 opened or taken,\n3 refused, 1 without power.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A pass, a bulletin, a rotation: an image of its QR code (PNG, JPEG), the file with its bytes or its text, the
    /// text DP1:... itself, or - for standard input, since other users of this machine see what stands in a
    /// command
    #[arg(value_name = "PASS")]
    pass: String,
    /// Say also what only the lock's inside knows, for operators and tests
    #[arg(long)]
    why: bool,
    #[command(flatten)]
    at: At,
}

pub(crate) fn run(args: &Args) -> Result<Answer, CliError> {
    let bytes = pass_file::read(&args.pass)?;
    let mut lock = args.at.open()?;
    if lock.door().reader().is_none() {
        return Err(takes_none());
    }
    match lock.wake()? {
        Woken::Dark { until } => Err(no_power(until, args.at.clock.now()?)),
        Woken::Awake(mut awake) => {
            let judged = awake.present(&bytes, Challenges::default())?;
            Ok(answer(&judged, &awake.belief(), args.why))
        }
    }
}

fn answer(judged: &Judged, belief: &Belief, why: bool) -> Answer {
    let json = json(judged, belief);
    let mut text = text(judged, belief);
    if why {
        text = format!("{text}\n{}", why_text(judged, belief));
    }
    match judged {
        Judged::Refused { .. } => Answer::refused(json, text),
        Judged::Opened(_) | Judged::Taken(_) => Answer::new(json, text),
    }
}

/// What the reader says.
pub(super) fn text(judged: &Judged, belief: &Belief) -> String {
    let told = judged.answer();
    match told {
        Told::Opened | Told::Taken => format!("{GOOD}{told}{GOOD:#}"),
        Told::ClockUnset => format!("{WARN}clock unset{WARN:#}"),
        Told::Throttled => {
            let rest = wait(judged, belief).map(|seconds| format!(" {seconds} s"));
            format!("{WARN}wait{WARN:#}{}", rest.unwrap_or_default())
        }
        told => format!("{BAD}refused{BAD:#}: {told}"),
    }
}

/// Verifications that fail come back by the trusted floor.
fn wait(judged: &Judged, belief: &Belief) -> Option<u64> {
    match judged {
        Judged::Refused { refusal: Refusal::Throttled { until: Some(until) }, .. } => {
            Some(until.since(belief.floor()))
        }
        _ => None,
    }
}

/// What to do about a refusal. What is said of passes would mislead about riders, which open nothing.
fn hint(judged: &Judged) -> &'static str {
    let is_rider = matches!(judged, Judged::Refused { found: Some(Content::Rider(_)), .. });
    match judged.answer() {
        Told::AlreadyUsed if is_rider => {
            "the lock knows this, or newer, and lacks nothing of it; doorstep pass riders gives what is newest"
        }
        Told::NotYetValid if is_rider => {
            "one before it is missing; bring all that doorstep pass riders gives, in their order"
        }
        told => told.hint(),
    }
}

/// All that the inside knows, for machines.
pub(super) fn json(judged: &Judged, belief: &Belief) -> Value {
    let told = judged.answer();
    let mut json = json!({
        "shown": told.name(), "wait_seconds": wait(judged, belief), "at": rfc3339(belief.probable()),
        "outcome": if told.is_refusal() { "refused" } else { "granted" },
        "about": match judged {
            Judged::Opened(pass) => Some(pass_json(pass)),
            Judged::Taken(rider) => Some(rider_json(rider)),
            Judged::Refused { found, .. } => found.as_ref().map(content_json),
        },
    });
    if told.is_refusal()
        && let Some(json) = json.as_object_mut()
    {
        json.insert("reason".to_owned(), json!(told.name()));
        json.insert("message".to_owned(), json!(told.to_string()));
        json.insert("hint".to_owned(), json!(hint(judged)));
    }
    json
}

pub(super) fn why_text(judged: &Judged, belief: &Belief) -> String {
    let now = belief.probable();
    match judged {
        Judged::Opened(pass) => format!("why: {}", pass_text(pass, now)),
        Judged::Taken(rider) => format!("why: {}", rider_text(rider, now)),
        Judged::Refused { refusal, found } => {
            let (told, when) = (judged.answer(), when_text(refusal, now));
            let found = found.as_ref().map(|found| format!("; it is {}", content_text(found, now)));
            format!("why: {told}{when}{}\nhint: {}", found.unwrap_or_default(), hint(judged))
        }
    }
}
