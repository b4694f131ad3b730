//! `doorstep lock profiles`: what each kind of lock takes, and what a guesser gains.

use super::profile::Choice;
use crate::error::CliError;
use crate::output::{self, Answer};
use doorstep::keypad::odds::Odds;
use doorstep::keypad::profile::Profile;
use doorstep::keypad::tuple::PinDigits;
use serde_json::json;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    choice: Choice,
}

pub(crate) fn run(args: &Args) -> Result<Answer, CliError> {
    let profile = args.choice.profile()?;
    let head =
        ["digits", "PINs that open at once", "a guess opens", "a robot opens it within a year"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let mut json = Vec::new();
    for digits in PinDigits::ALL {
        let odds = Odds::with_digits(&profile, digits);
        let default = if digits == profile.digits() { " *" } else { "" };
        rows.push(vec![
            format!("{}{default}", digits.get()),
            odds.acceptable.to_string(),
            format!("1 in {:.0}", 1.0 / odds.guess),
            format!("{:.2} %", 100.0 * odds.robot_year),
        ]);
        json.push(json!({
            "digits": digits.get(), "acceptable": odds.acceptable, "guess": odds.guess,
            "robot_year": odds.robot_year, "default": digits == profile.digits(),
        }));
    }
    let text = format!(
        "{}\n\n{}* the default: the fewest digits that keep a robot below 1 % a year, at the largest\n\
         uncertainty of the clock, over all windows, holders, generations and two epochs",
        windows(&profile),
        output::table(&rows),
    );
    let classes: Vec<_> = profile
        .classes()
        .iter()
        .map(|class| {
            json!({
                "minutes": class.duration, "quantum_minutes": class.quantum,
                "phase_minutes": class.phase, "once": class.one_time,
            })
        })
        .collect();
    let json = json!({
        "grid": classes, "holders": profile.holders(), "generations": profile.generations(),
        "exclusive": profile.is_exclusive(), "odds": json,
    });
    Ok(Answer::new(json, text))
}

fn windows(profile: &Profile) -> String {
    let length = |minutes: u32| match minutes {
        minutes if minutes % 1440 == 0 => format!("{} d", minutes / 1440),
        minutes if minutes % 60 == 0 => format!("{} h", minutes / 60),
        minutes => format!("{minutes} min"),
    };
    let mut rows = vec![["window", "begins each", "opens"].map(str::to_owned).to_vec()];
    for class in profile.classes() {
        let phase = match class.phase {
            0 => String::new(),
            phase => format!(", at {:02}:{:02} UTC", phase / 60, phase % 60),
        };
        rows.push(vec![
            length(class.duration),
            format!("{}{phase}", length(class.quantum.into())),
            if class.one_time { "once" } else { "any time" }.to_owned(),
        ]);
    }
    let exclusive = if profile.is_exclusive() {
        "one party at a time: the first use of a PIN ends those that began before"
    } else {
        "several parties at a time"
    };
    format!(
        "{}{exclusive}; {} holders of a window, each PIN renewed up to {} times",
        output::table(&rows),
        profile.holders(),
        profile.generations() - 1,
    )
}
