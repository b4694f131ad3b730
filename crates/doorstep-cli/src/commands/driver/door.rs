//! At the door, without any network: a code or a picture of one, or why there was none.

use super::{Keyed, select, waiting_count, waiting_text};
use crate::clock::Clock;
use crate::device::door::{self, Presentation, present};
use crate::device::journal::Journal;
use crate::error::CliError;
use crate::input::{is_image, read_codes, read_file};
use crate::output::{Answer, BAD, GOOD, WARN};
use crate::randomness;
use crate::refused::{Refused, Stop};
use crate::text::{clock_face, rfc3339};
use doorstep::handover::failure::{Note, Reason};
use doorstep::handover::stop::{ScanText, Whose};
use doorstep::refusal::Refusal;
use doorstep::time::Timestamp;
use serde_json::{Value, json};
use std::path::Path;

#[derive(Debug, clap::Args)]
pub(crate) struct Handover {
    /// The delivery: its reference, the number that `driver list` shows, or its id
    delivery: String,
    /// The code that the customer reads out
    code: String,
    /// Whose code it must be; any of them when left out
    #[arg(long, value_name = "WHOSE")]
    slot: Option<SlotOf>,
    #[command(flatten)]
    keyed: Keyed,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SlotOf {
    /// A recipient's
    Recipient,
    /// A neighbour's, who was given the spare code
    Neighbour,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Scan {
    /// A picture (PNG or JPEG) of the customer's QR code, the text of it or of the link, or - for
    /// standard input
    #[arg(value_name = "PICTURE | TEXT | -")]
    source: String,
    #[command(flatten)]
    keyed: Keyed,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Fail {
    /// The delivery: its reference, the number that `driver list` shows, or its id
    delivery: String,
    /// Why
    #[arg(long, value_name = "REASON")]
    reason: String,
    /// One line of at most 200 bytes
    #[arg(long, default_value = "", value_name = "TEXT")]
    note: String,
    #[command(flatten)]
    keyed: Keyed,
}

pub(super) fn handover(handover: &Handover) -> Result<Answer, Stop> {
    let (journal, clock) = handover.keyed.at.open()?;
    let delivery = select(journal.device(), &handover.delivery)?;
    let whose = match handover.slot {
        None => Whose::Anybody,
        Some(SlotOf::Recipient) => Whose::Recipient,
        Some(SlotOf::Neighbour) => Whose::Neighbour,
    };
    let presentation = Presentation::Typed(delivery, handover.code.clone(), whose);
    show(journal, &clock, &handover.keyed, &presentation)
}

pub(super) fn scan(scan: &Scan) -> Result<Answer, Stop> {
    let text = scanned(&scan.source)?;
    let (journal, clock) = scan.keyed.at.open()?;
    show(journal, &clock, &scan.keyed, &Presentation::Scanned(text))
}

/// The text of a picture, of an argument or of standard input.
fn scanned(source: &str) -> Result<String, Stop> {
    let path = Path::new(source);
    if source != "-" {
        if source.contains("HO1:") {
            return match ScanText::parse(source) {
                Ok(_) => Ok(source.to_owned()),
                Err(mistyped) => Err(Refused::new(
                    "mistyped",
                    format!("this is not the whole text of a delivery's QR code: {mistyped}"),
                    "copy it again, from HO1: to its end, or the whole link",
                )
                .into()),
            };
        }
        if !path.is_file() {
            let what = if path.exists() { "is not a file" } else { "is the name of no file here" };
            let told = format!("\"{source}\" {what}, and no text of a delivery's QR code");
            return Err(CliError::new(told)
                .hint("name a picture of the code, or give its text, which begins with HO1: (in a link, after #)")
                .code("no_such_file")
                .into());
        }
    }
    let content = read_file(path)?;
    if !is_image(&content) {
        let text = String::from_utf8_lossy(&content).into_owned();
        return match ScanText::parse(&text) {
            Ok(_) => Ok(text),
            Err(_) => Err(Refused::new(
                "no_code",
                "this is neither a picture (PNG or JPEG) nor the text of a delivery's QR code",
                "take a picture of the code, or copy its text or the whole link",
            )
            .into()),
        };
    }
    let codes = read_codes(&content)?;
    let texts = codes.iter().filter_map(|code| std::str::from_utf8(code).ok());
    let mut texts: Vec<&str> = texts.filter(|text| ScanText::parse(text).is_ok()).collect();
    texts.dedup();
    match texts.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err(Refused::new(
            "no_code",
            "there is no delivery's QR code in this picture",
            "take a sharp picture with the whole code in it, or type the code",
        )
        .into()),
        _ => Err(Refused::new(
            "many_codes",
            "there are several deliveries' QR codes in this picture",
            "take a picture of one of them",
        )
        .into()),
    }
}

fn show(
    mut journal: Journal,
    clock: &Clock,
    keyed: &Keyed,
    presentation: &Presentation,
) -> Result<Answer, Stop> {
    let key = keyed.key()?;
    let label = presentation.delivery().and_then(|delivery| journal.device().stop(delivery));
    let label = label.map(|known| known.stop.label.clone());
    let outcome = present(&mut journal, &key, presentation, clock, &mut randomness::source(None))?;
    let device = journal.device();
    let waiting = device.waiting();
    match outcome {
        Ok(grant) => {
            let spare = presentation
                .delivery()
                .and_then(|delivery| device.stop(delivery))
                .is_some_and(|known| known.stop.check.spare() == Some(grant.slot()));
            let json = json!({
                "outcome": "granted", "label": label, "slot": grant.slot(), "spare": spare,
                "at": rfc3339(grant.at()), "waiting_to_sync": waiting_count(waiting),
            });
            let whom = if spare { "the holder of the spare code, for " } else { "" };
            let text = format!(
                "{GOOD}accepted{GOOD:#}: hand it over to {whom}{}\n{}",
                label.unwrap_or_default(),
                waiting_text(waiting)
            );
            Ok(Answer::new(json, text))
        }
        Err(refusal) => {
            let now = device.now(clock.now()?);
            let mut json = refusal_json(&refusal, label.as_deref());
            if let Some(object) = json.as_object_mut() {
                object.insert("waiting_to_sync".to_owned(), json!(waiting_count(waiting)));
            }
            let mut text = refusal_text(&refusal, now);
            if let (Presentation::Typed(_, _, whose), Refusal::WrongCode { .. }) =
                (presentation, &refusal)
            {
                text.push_str(match whose {
                    Whose::Anybody => "",
                    Whose::Recipient => "\nonly the recipients' codes were compared, not the spare",
                    Whose::Neighbour => "\nonly the spare code was compared, no recipient's",
                });
            }
            if let Some(label) = &label {
                text.insert_str(0, &format!("{label}: "));
            }
            text.push_str(&format!("\n{}", waiting_text(waiting)));
            Ok(Answer::refused(json, text))
        }
    }
}

pub(super) fn fail(fail: &Fail) -> Result<Answer, Stop> {
    let reason = Reason::parse(&fail.reason.replace('-', "_")).ok_or_else(|| {
        let names: Vec<String> =
            Reason::ALL.iter().map(|reason| reason.as_str().replace('_', "-")).collect();
        CliError::usage(format!("\"{}\" is not a reason", fail.reason))
            .hint(format!("give one of {}", names.join(", ")))
    })?;
    let note = Note::new(fail.note.clone()).map_err(|refused| {
        CliError::usage(refused.to_string()).hint("shorten it to one line of at most 200 bytes")
    })?;
    let (mut journal, clock) = fail.keyed.at.open()?;
    let delivery = select(journal.device(), &fail.delivery)?;
    let key = fail.keyed.key()?;
    let stop = journal.device().stop(delivery).map(|known| known.stop.clone());
    let (reference, label) = stop.map(|stop| (stop.reference, stop.label)).unzip();
    let failed = door::fail(&mut journal, &key, delivery, (reason, &note), &clock)?;
    let device = journal.device();
    let waiting = device.waiting();
    let now = device.now(clock.now()?);
    match failed {
        Ok(at) => {
            let json = json!({
                "outcome": "failed", "failure": reason.as_str(), "reference": reference, "label": label,
                "at": rfc3339(at), "waiting_to_sync": waiting_count(waiting),
            });
            let text = format!(
                "{WARN}noted{WARN:#}: {}: {}, {}; the customer's code is valid until its window ends\n{}",
                reference.unwrap_or_default(),
                label.unwrap_or_default(),
                reason.as_str().replace('_', " "),
                waiting_text(waiting)
            );
            Ok(Answer::new(json, text))
        }
        Err(refusal) => {
            let label = label.unwrap_or_else(|| delivery.to_string());
            let text =
                format!("{label}: {}\n{}", refusal_text(&refusal, now), waiting_text(waiting));
            Ok(Answer::refused(refusal_json(&refusal, Some(&label)), text))
        }
    }
}

fn refusal_json(refusal: &Refusal, label: Option<&str>) -> Value {
    let mut json = json!({
        "outcome": "refused", "reason": refusal.code(), "message": refusal.to_string(),
        "hint": refusal.hint(), "label": label,
    });
    let extra = match refusal {
        Refusal::AlreadyUsed { at } => Some(("accepted_at", json!(rfc3339(*at)))),
        Refusal::Expired { until } => Some(("until", json!(rfc3339(*until)))),
        Refusal::NotYetValid { from } => Some(("from", json!(rfc3339(*from)))),
        Refusal::WrongCode { left: Some(left) } => Some(("attempts_left", json!(left))),
        _ => None,
    };
    if let (Some((name, value)), Some(object)) = (extra, json.as_object_mut()) {
        object.insert(name.to_owned(), value);
    }
    json
}

fn refusal_text(refusal: &Refusal, now: Timestamp) -> String {
    let when = match refusal {
        Refusal::AlreadyUsed { at } => format!(", at {}", clock_face(*at, now)),
        Refusal::Expired { until } => format!(", since {}", clock_face(*until, now)),
        Refusal::NotYetValid { from } => format!(", only from {}", clock_face(*from, now)),
        _ => String::new(),
    };
    format!("{BAD}refused{BAD:#}: {refusal}{when}\nhint: {}", refusal.hint())
}
