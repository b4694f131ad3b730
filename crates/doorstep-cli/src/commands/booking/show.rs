//! A booking as staff read it.

use super::Place;
use crate::commands::pass::truth as pass_truth;
use crate::error::CliError;
use crate::output::{Answer, BOLD, DIM, WARN};
use crate::text::{span_face, time_of, zone};
use doorstep::time::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

pub(super) fn answer(booking: Value, place: &Place) -> Result<Answer, CliError> {
    answer_in(booking, &zone(place.zone.as_deref())?)
}

pub(super) fn answer_in(booking: Value, zone: &TimeZone) -> Result<Answer, CliError> {
    let word = |name: &str| booking[name].as_str().unwrap_or_default().to_owned();
    let (from, until) = opens(&booking)?;
    let mut text = format!("{BOLD}booking{BOLD:#}    {} ({})\n", word("id"), word("state"));
    if booking["reference"].is_string() {
        text.push_str(&format!("{BOLD}reference{BOLD:#}  {}\n", word("reference")));
    }
    text.push_str(&format!("{BOLD}lock{BOLD:#}       {}\n", word("lock")));
    let booked = span_face(time_of(&booking["from"])?, time_of(&booking["until"])?, zone);
    let true_window = span_face(from, until, zone);
    text.push_str(&format!("{BOLD}booked{BOLD:#}     {booked}\n"));
    let rounded = if booked == true_window { "" } else { ", rounded outward to the lock's grid" };
    let minutes = |name: &str| booking["grace"][name].as_u64().unwrap_or(0) / 60;
    let (early, late) = (minutes("early_seconds"), minutes("late_seconds"));
    text.push_str(&format!(
        "{BOLD}opens{BOLD:#}      {true_window}{rounded} {DIM}(and {early} min before, {late} after){DIM:#}\n"
    ));
    let once = if booking["once"] == true { ", opens once" } else { "" };
    let pins = booking["holders"].as_array().into_iter().flatten();
    for holder in pins.filter(|holder| holder["pin"].is_string()) {
        let word = |name: &str| holder[name].as_str().unwrap_or_default();
        let uses = match holder["uses"].as_u64() {
            None | Some(0) => String::new(),
            Some(uses) => format!(", used {uses} times that are known of"),
        };
        text.push_str(&format!(
            "{BOLD}PIN{BOLD:#}        {BOLD}{}{BOLD:#}{once}{uses} {DIM}(holder {}; if the keypad says wait: {}){DIM:#}\n",
            word("pin_spaced"), holder["holder"], word("long_form_spaced"),
        ));
    }
    for pass in booking["passes"].as_array().into_iter().flatten() {
        text.push_str(&pass_text(pass));
    }
    for warning in booking["warnings"].as_array().into_iter().flatten() {
        let told = match warning.as_str() {
            Some("clock_unset") => {
                "this lock does not know the time: somebody has to type a set-time code first"
            }
            Some("after_fails_on") => {
                "by then codes will fail, unless the lock's clock is heard of or set before"
            }
            Some("epoch_behind") => {
                "the lock was never told of this epoch: type its code (doorstep lock epoch LOCK end --again)"
            }
            Some("epoch_pending") => {
                "the end of all PINs of this epoch was prepared; these end with it"
            }
            other => other.unwrap_or_default(),
        };
        text.push_str(&format!("{WARN}look{WARN:#}       {told}\n"));
    }
    for revoked in booking["revocations"].as_array().into_iter().flatten() {
        let window =
            span_face(time_of(&revoked["opens_from"])?, time_of(&revoked["opens_until"])?, zone);
        text.push_str(&format!(
            "{WARN}old PIN{WARN:#}    holder {}, {window}: {}\n",
            revoked["holder"],
            truth(revoked)
        ));
    }
    Ok(Answer::new(booking, text))
}

/// A pass of a booking on one line.
fn pass_text(pass: &Value) -> String {
    let word = |name: &str| pass[name].as_str().unwrap_or_default();
    let (id, state) = (word("id"), word("state"));
    if pass["revocation"].is_object() {
        return format!("{WARN}old pass{WARN:#}   {id}: {}\n", pass_truth(&pass["revocation"]));
    }
    let told = match (pass["ticket"].as_str(), pass["holder"].as_str()) {
        (Some(ticket), _) => {
            format!(
                "ticket {BOLD}{ticket}{BOLD:#} {DIM}(shown once; for the phone: doorstep wallet collect){DIM:#}"
            )
        }
        (None, Some(holder)) => format!("{DIM}of {holder}{DIM:#}"),
        (None, None) if state == "waiting" => {
            format!("{DIM}waits for the phone that has its ticket{DIM:#}")
        }
        (None, None) => {
            format!("{DIM}bearer: doorstep pass show {id} --qr, or --sheet FILE{DIM:#}")
        }
    };
    format!("{BOLD}pass{BOLD:#}       {id} ({state}, {}) {told}\n", word("kind"))
}

/// What is true of a PIN that should open no more.
fn truth(revoked: &Value) -> String {
    match revoked["takes_effect"].as_str() {
        Some("now") => "opens no more".to_owned(),
        Some("when_successor_used") => match revoked["cancel_code"].as_str() {
            None => "opens until the PIN that follows it is first used".to_owned(),
            Some(code) => format!(
                "opens until the PIN that follows it is first used, or {code} is typed at the lock"
            ),
        },
        Some("when_typed") => format!(
            "opens until somebody types {} at the lock",
            revoked["cancel_code"].as_str().unwrap_or("its cancel code")
        ),
        Some("when_provisioned") => "opens until the lock is given its new bundle".to_owned(),
        Some("at_expiry") => match revoked["cancel_code_from"].as_str() {
            None => "opens until its window is over; nothing ends it before".to_owned(),
            Some(from) => {
                format!("opens in its window; its cancel code can be made from {from} on")
            }
        },
        other => other.unwrap_or("unknown").to_owned(),
    }
}

/// The window in which its PINs open.
pub(super) fn opens(booking: &Value) -> Result<(Timestamp, Timestamp), CliError> {
    Ok((time_of(&booking["opens_from"])?, time_of(&booking["opens_until"])?))
}
