//! A lock as staff read it: what it takes, what a guesser gains, and how its clock is.

use crate::error::CliError;
use crate::output::{self, Answer, BAD, BOLD, DIM, GOOD, WARN};
use serde_json::Value;

pub(super) fn list(answer: Value) -> Result<Answer, CliError> {
    let head = ["lock", "name", "site", "profile", "clock", "codes begin to fail"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for lock in answer["data"].as_array().into_iter().flatten() {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        rows.push(vec![
            text(&lock["id"]),
            text(&lock["name"]),
            text(&lock["site"]),
            text(&lock["profile"]["kind"]),
            if lock["forked_at"].is_string() {
                "forked".to_owned()
            } else {
                text(&lock["clock"]["health"])
            },
            text(&lock["clock"]["fails_on"]),
        ]);
    }
    let mut text = output::table(&rows);
    if let Some(cursor) = answer["next_cursor"].as_str() {
        text.push_str(&format!("{DIM}more: --cursor {cursor}{DIM:#}"));
    }
    Ok(Answer::new(answer, text))
}

pub(super) fn answer(lock: Value) -> Answer {
    let word = |name: &str| lock[name].as_str().unwrap_or_default();
    let mut text = format!("{BOLD}lock{BOLD:#}        {}\n", word("id"));
    text.push_str(&format!("{BOLD}name{BOLD:#}        {} at {}\n", word("name"), word("site")));
    let pending = match lock["pending_epoch"]["how"].as_str() {
        Some("announce") => ", the next was announced and is not confirmed",
        Some("end") => ", its end was prepared and is not confirmed",
        _ => "",
    };
    text.push_str(&format!(
        "{BOLD}generation{BOLD:#}  {}, epoch {}{pending}\n",
        lock["generation"], lock["epoch"]
    ));
    if let Some(at_lock) = lock["epoch_at_lock"].as_u64().filter(|at| lock["epoch"] != *at) {
        text.push_str(&format!("{WARN}its last journal was of epoch {at_lock}{WARN:#}\n"));
    }
    if let Some(forked) = lock["forked_at"].as_str() {
        text.push_str(&format!(
            "{BAD}forked{BAD:#}      a journal of {forked} did not go on from the one before: it was set back, or there are two\n"
        ));
    }
    text.push_str(&summary(&lock));
    text.push_str(&passes(&lock["passes"]));
    text.push_str(&clock(&lock["clock"]));
    Answer::new(lock, text)
}

/// What it takes, and what a guesser gains.
pub(super) fn summary(lock: &Value) -> String {
    let profile = &lock["profile"];
    let parties =
        if profile["exclusive"] == true { "one party at a time" } else { "several parties" };
    let mut text = format!(
        "{BOLD}takes{BOLD:#}       {}: up to {}, {parties}, {} holders of a window, PINs of {} digits\n",
        profile["kind"].as_str().unwrap_or_default(),
        length(profile["longest_minutes"].as_u64().unwrap_or(0)),
        profile["holders"],
        profile["digits"],
    );
    text.push_str(&odds("odds", &lock["odds"]));
    if let Some(digits) = lock["totp"]["digits"].as_u64() {
        text.push_str(&format!(
            "{BOLD}steps{BOLD:#}       TOTP codes of {digits} digits: doorstep lock code shows the one of now\n"
        ));
        text.push_str(&odds("steps' odds", &lock["odds"]["totp"]));
    }
    text
}

/// What it takes of passes, and what phones may bring it.
fn passes(passes: &Value) -> String {
    let kinds = match passes["takes"].as_str() {
        Some("signed") => "of every kind",
        Some("mac") => "under its own key alone",
        _ => return String::new(),
    };
    let groups = passes["groups"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let groups: String = groups.map(|group| format!(", in group {group}")).collect();
    let series = |name: &str| {
        let at = |place: &str| passes[name][place].as_u64().unwrap_or(0);
        match (at("at_lock"), at("latest")) {
            (at_lock, latest) if at_lock < latest => {
                format!(", {WARN}{name} {latest} waits for a phone (it has {at_lock}){WARN:#}")
            }
            _ => String::new(),
        }
    };
    format!(
        "{BOLD}passes{BOLD:#}      {kinds}{groups}{}{}\n",
        series("bulletin"),
        series("rotation")
    )
}

/// PINs that could not be made anew.
pub(super) fn pins_lost(done: &Value) -> String {
    match done["pins_lost"].as_u64() {
        None | Some(0) => String::new(),
        Some(lost) => format!(
            "{BAD}{lost} PINs have no successor, since every one left equals another; book those anew{BAD:#}\n"
        ),
    }
}

fn odds(name: &str, odds: &Value) -> String {
    let number = |name: &str| odds[name].as_f64().unwrap_or(f64::NAN);
    format!(
        "{BOLD}{name:<11}{BOLD:#} a guess opens it 1 time in {:.0}; a robot that never stops, within a year, {:.2} %\n",
        1.0 / number("guess"),
        100.0 * number("robot_year"),
    )
}

fn length(minutes: u64) -> String {
    match minutes {
        minutes if minutes >= 1440 && minutes % 60 == 0 => {
            format!("{} days {} h", minutes / 1440, minutes % 1440 / 60).replace(" 0 h", "")
        }
        minutes if minutes % 60 == 0 => format!("{} h", minutes / 60),
        minutes => format!("{minutes} min"),
    }
}

/// What the server knows of the lock's clock. The lock may know better.
fn clock(clock: &Value) -> String {
    let word = |name: &str| clock[name].as_str().unwrap_or("-");
    let (style, health) = match clock["health"].as_str() {
        Some("good") => (GOOD, "good"),
        Some("attend") => (WARN, "needs a journal or a set-time code soon"),
        _ => (BAD, "not set: it opens nothing until somebody types a set-time code"),
    };
    let believes = &clock["believes"];
    let span = believes["earliest"].as_str().zip(believes["latest"].as_str());
    let span = span.map_or_else(String::new, |(earliest, latest)| {
        format!("{BOLD}believes{BOLD:#}    it is between {earliest} and {latest}\n")
    });
    format!(
        "{BOLD}clock{BOLD:#}       {style}{health}{style:#} ({}, after a power cut {})\n{span}\
         {BOLD}last heard{BOLD:#}  {}\n{BOLD}fails on{BOLD:#}    {} {DIM}if nothing is heard until then{DIM:#}\n",
        word("oscillator"),
        word("after_power_loss"),
        word("last_contact"),
        word("fails_on"),
    )
}
