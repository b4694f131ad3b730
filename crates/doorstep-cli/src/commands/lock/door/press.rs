//! `doorstep lock press`: one code typed at the keypad.

use super::{At, no_power, pin_json, pin_text, tuple_json, tuple_text, when_text};
use crate::error::CliError;
use crate::lock::{Pressed, Woken};
use crate::output::{Answer, BAD, GOOD, WARN};
use crate::text::{clock_face, rfc3339, span_text};
use doorstep::clock::Belief;
use doorstep::keypad::control::Command;
use doorstep::keypad::{self, Shown};
use doorstep::refusal::Refusal;
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::Path;
use zeroize::Zeroizing;

pub(crate) const EXAMPLES: &str = "Examples:\n  doorstep lock press 482 916 357 --dir court-3\n  doorstep lock press \"482 916 357\" --dir court-3 --why\n  doorstep lock press - --dir court-3 < code.txt\n\nThe keypad says: opened, done (a control code), refused, wait, clock unset, already used.\nWhat else the lock knows, --why and --json tell. Exit status: 0 opened or done, 3 anything else\nthat the keypad says, 1 without power.";

/// Longer input is no code.
const LONGEST: usize = 256;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The digits; spaces and hyphens do not matter. - reads them from standard input, since other users of
    /// this machine see what stands in a command
    #[arg(required = true, value_name = "DIGITS")]
    digits: Vec<String>,
    /// Say also what only the lock's inside knows, for operators and tests
    #[arg(long)]
    why: bool,
    #[command(flatten)]
    at: At,
}

pub(crate) fn run(args: &Args) -> Result<Answer, CliError> {
    let typed = typed(&args.digits)?;
    let mut lock = args.at.open()?;
    match lock.wake()? {
        Woken::Dark { until } => Err(no_power(until, args.at.clock.now()?)),
        Woken::Awake(mut awake) => {
            let pressed = awake.press(&typed)?;
            Ok(answer(&pressed, &awake.belief(), args.why))
        }
    }
}

/// What was typed. Other users of this machine see a command's arguments, and not its standard input.
fn typed(digits: &[String]) -> Result<Zeroizing<String>, CliError> {
    if digits != ["-"] {
        return Ok(Zeroizing::new(digits.join(" ")));
    }
    let mut text = Zeroizing::new(String::with_capacity(LONGEST));
    let most = u64::try_from(LONGEST).unwrap_or(0);
    std::io::stdin().lock().take(most).read_to_string(&mut text).map_err(|error| {
        CliError::io("read the digits from", Path::new("standard input"), &error)
    })?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

fn answer(pressed: &Pressed, belief: &Belief, why: bool) -> Answer {
    let now = belief.probable();
    let (name, text) = shown(pressed);
    let wait = match pressed.shown() {
        Shown::Wait { seconds } => seconds,
        _ => None,
    };
    let mut json = json!({ "shown": name, "wait_seconds": wait, "at": rfc3339(now) });
    let inside = inside(pressed, belief);
    if let (Some(json), Some(inside)) = (json.as_object_mut(), inside.as_object()) {
        json.extend(inside.clone());
    }
    let text = if why { format!("{text}\n{}", why_text(pressed, belief)) } else { text };
    match pressed {
        Pressed::Refused { .. } => Answer::refused(json, text),
        _ => Answer::new(json, text),
    }
}

/// What the keypad says, for machines and for people.
fn shown(pressed: &Pressed) -> (&'static str, String) {
    match (pressed, pressed.shown()) {
        (Pressed::Obeyed(_), _) => ("done", format!("{GOOD}done{GOOD:#}")),
        (_, Shown::Opened) => ("opened", format!("{GOOD}opened{GOOD:#}")),
        (_, Shown::Refused) => ("refused", format!("{BAD}refused{BAD:#}")),
        (_, Shown::Wait { seconds }) => {
            let rest = seconds.map(|seconds| format!(" {}", wait_text(seconds)));
            ("wait", format!("{WARN}wait{WARN:#}{}", rest.unwrap_or_default()))
        }
        (_, Shown::ClockUnset) => ("clock_unset", format!("{WARN}clock unset{WARN:#}")),
        (_, Shown::AlreadyUsed) => ("already_used", format!("{BAD}already used{BAD:#}")),
    }
}

/// Whole minutes, upward, so that nobody comes too early.
fn wait_text(seconds: u64) -> String {
    span_text(if seconds < 60 { seconds } else { seconds.div_ceil(60) * 60 })
}

fn inside(pressed: &Pressed, belief: &Belief) -> Value {
    match pressed {
        Pressed::Opened(found) => json!({ "outcome": "granted", "pin": pin_json(found) }),
        Pressed::OpenedByStep(accepted) => {
            json!({ "outcome": "granted", "step": { "number": accepted.step, "shift": accepted.shift } })
        }
        Pressed::Obeyed(command) => {
            json!({ "outcome": "granted", "command": command_json(command, belief) })
        }
        Pressed::Refused { refusal, found, .. } => {
            let left = match refusal {
                Refusal::WrongCode { left } => *left,
                _ => None,
            };
            json!({
                "outcome": "refused", "reason": refusal.code(), "message": refusal.to_string(),
                "hint": keypad::hint(refusal), "attempts_left": left,
                "pin": found.as_ref().map(pin_json),
            })
        }
    }
}

fn why_text(pressed: &Pressed, belief: &Belief) -> String {
    let now = belief.probable();
    match pressed {
        Pressed::Opened(found) => format!("why: {}", pin_text(found, now)),
        Pressed::OpenedByStep(accepted) => {
            format!(
                "why: code of step {}, {} steps from the expected one",
                accepted.step, accepted.shift
            )
        }
        Pressed::Obeyed(command) => format!("why: {}", command_text(command, belief)),
        Pressed::Refused { refusal, found, .. } => {
            let when = when_text(refusal, now);
            let found = found.as_ref().map(|found| format!("; it is the {}", pin_text(found, now)));
            let (found, hint) = (found.unwrap_or_default(), keypad::hint(refusal));
            format!("why: {refusal}{when}{found}\nhint: {hint}")
        }
    }
}

/// Whether a set-time code was too far away to be believed alone. One that was believed is behind the floor.
fn needs_second(index: u32, belief: &Belief) -> bool {
    Command::set_to(index) > belief.floor()
}

/// What a control code told the lock, which believes this since.
pub(super) fn command_text(command: &Command, belief: &Belief) -> String {
    let now = belief.probable();
    match command {
        Command::SetTime { index } if needs_second(*index, belief) => {
            format!(
                "a set-time code for {} is too far away to be believed alone: a second one is needed, at least five minutes later",
                clock_face(Command::set_to(*index), now)
            )
        }
        Command::SetTime { index } => {
            format!(
                "the time was set to the five minutes from {}",
                clock_face(Command::set_to(*index), now)
            )
        }
        Command::Cancel { tuple, epoch } => {
            format!("cancelled: the PIN for {}, epoch {epoch}", tuple_text(tuple, now))
        }
        Command::Announce { epoch } => format!("PINs of epoch {epoch} are taken as well"),
        Command::EndEpoch { epoch } => format!("the epochs before {epoch} are over"),
    }
}

pub(super) fn command_json(command: &Command, belief: &Belief) -> Value {
    match command {
        Command::SetTime { index } => {
            json!({
                "kind": "set_time", "time": rfc3339(Command::set_to(*index)),
                "second_needed": needs_second(*index, belief),
            })
        }
        Command::Cancel { tuple, epoch } => {
            json!({ "kind": "cancel", "pin": tuple_json(tuple, *epoch) })
        }
        Command::Announce { epoch } => json!({ "kind": "announce_epoch", "epoch": epoch }),
        Command::EndEpoch { epoch } => json!({ "kind": "end_epoch", "epoch": epoch }),
    }
}
