//! `doorstep lock pull-power`: the battery is taken out, and put back later.

use super::At;
use crate::error::CliError;
use crate::output::{Answer, WARN};
use crate::text::{clock_face, parse_span, rfc3339};
use doorstep::clock::AfterPowerLoss;
use serde_json::json;

pub(crate) const EXAMPLES: &str = "Examples:\n  doorstep lock pull-power --for 3h --dir court-3\n  doorstep lock pull-power --for 0s --dir court-3     # only the blink of a loose contact\n\nAfterwards the lock sees nothing but its reset flag: not for how long it was off.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For how long: 45s, 30m, 2h, 3d; 0s puts the battery back
    #[arg(long = "for", value_name = "SPAN")]
    span: String,
    #[command(flatten)]
    at: At,
}

pub(crate) fn run(args: &Args) -> Result<Answer, CliError> {
    let seconds = parse_span(&args.span)?;
    let mut lock = args.at.open()?;
    // What the lock wrote down by itself before the power went.
    drop(lock.wake()?);
    lock.tinker(|hardware, now| hardware.pull_power(now, seconds))?;
    let now = args.at.clock.now()?;
    let until = now.later(seconds);
    let after = lock.door().clock().after_power_loss;
    let then = match after {
        AfterPowerLoss::NeedTime => "it opens for nobody then until a set-time code is typed",
        AfterPowerLoss::Trust90Min => "it trusts then that it was off for 90 minutes at most",
    };
    let json = json!({
        "lock": lock.door().id().as_str(), "no_power_until": rfc3339(until),
        "after_power_loss": after.name(),
    });
    let text = format!("{WARN}no power{WARN:#} until {}; {then}", clock_face(until, now));
    Ok(Answer::new(json, text))
}
