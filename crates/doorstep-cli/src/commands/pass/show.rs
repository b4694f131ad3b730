//! A pass as staff read it.

use crate::error::CliError;
use crate::output::{BOLD, DIM, WARN};
use crate::text::{span_face, span_text, time_of};
use jiff::tz::TimeZone;
use serde_json::Value;

/// The lock or the group that it opens.
pub(super) fn place(pass: &Value) -> String {
    match (pass["lock"].as_str(), pass["group"].as_str()) {
        (Some(lock), _) => lock.to_owned(),
        (None, Some(group)) => format!("group {group}"),
        (None, None) => "-".to_owned(),
    }
}

/// What is to be said of a pass, without its document.
pub(super) fn text(pass: &Value, zone: &TimeZone) -> Result<String, CliError> {
    let word = |name: &str| pass[name].as_str().unwrap_or_default();
    let window = span_face(time_of(&pass["from"])?, time_of(&pass["until"])?, zone);
    let mut text = format!(
        "{BOLD}pass{BOLD:#}       {} ({}, {})\n{BOLD}opens{BOLD:#}      {}\n{BOLD}when{BOLD:#}       {window} {DIM}(and 15 min before and after){DIM:#}{}\n",
        word("id"),
        word("state"),
        word("kind"),
        place(pass),
        often(pass),
    );
    for (label, name) in
        [("reference", "reference"), ("booking  ", "booking"), ("holder   ", "holder")]
    {
        if let Some(value) = pass[name].as_str() {
            text.push_str(&format!("{BOLD}{label}{BOLD:#}  {value}\n"));
        }
    }
    if pass["holder"].is_null() && pass["state"] != "waiting" {
        text.push_str(&format!("{BOLD}holder{BOLD:#}     whoever shows it\n"));
    }
    if let Some(uses) = pass["uses_seen"].as_u64().filter(|uses| *uses > 0) {
        let first = time_of(&pass["first_used_at"])?;
        let first = span_face(first, first, zone);
        text.push_str(&format!(
            "{BOLD}used{BOLD:#}       {uses} times that are known of, first {first}\n"
        ));
    }
    if let Some(ticket) = pass["ticket"].as_str() {
        text.push_str(&format!(
            "{BOLD}ticket{BOLD:#}     {BOLD}{ticket}{BOLD:#} {DIM}(shown once; for the phone: doorstep wallet collect){DIM:#}\n"
        ));
    }
    for warning in pass["warnings"].as_array().into_iter().flatten() {
        let told = warning_text(warning.as_str().unwrap_or_default());
        text.push_str(&format!("{WARN}look{WARN:#}       {told}\n"));
    }
    if pass["revocation"].is_object() {
        text.push_str(&format!("{WARN}revoked{WARN:#}    {}\n", truth(&pass["revocation"])));
    }
    Ok(text)
}

fn often(pass: &Value) -> String {
    let mut text = match (pass["uses"].as_str(), pass["uses"].as_u64()) {
        (Some("once"), _) => ", once".to_owned(),
        (_, Some(uses)) => format!(", {uses} times"),
        _ => String::new(),
    };
    if let Some(seconds) = pass["lasts_seconds"].as_u64() {
        text.push_str(&format!(", for {} from its first opening", span_text(seconds)));
    }
    if pass["exact"] == true {
        text.push_str(", only while the lock knows the time within a quarter of an hour");
    }
    if pass["passage"] == true {
        text.push_str(", and may hold the door open");
    }
    text
}

fn warning_text(warning: &str) -> &str {
    match warning {
        "clock_unset" => {
            "a lock does not know the time: a phone that is online brings it, or staff type a set-time code"
        }
        "after_fails_on" => {
            "by then a lock will not know the time any more, unless it is heard of or set before"
        }
        "epoch_pending" => "the end of this epoch was prepared; this pass ends with it",
        "epoch_behind" => "the lock was never told of this epoch, so it does not open yet",
        "key_not_at_lock" => {
            "a lock does not have the key that signed it: it opens with a phone that brings the riders, not from paper"
        }
        "key_ends_first" => "its key ends before it does: hand it out again then",
        "hand_out_anew" => {
            "what was handed out was made under keys that are gone: hand it out again"
        }
        "bundle_not_confirmed" => {
            "a lock was provisioned anew, and no journal shows that it has the new bundle: install it"
        }
        other => other,
    }
}

/// What is true of a pass that should open no more.
pub(in crate::commands) fn truth(revocation: &Value) -> String {
    if let Some(done) = revocation["done_at"].as_str() {
        return format!("opens no more, since {done}");
    }
    match revocation["takes_effect"].as_str() {
        Some("now") => "opens no more".to_owned(),
        Some("when_list_delivered") => {
            "opens until somebody's phone brings the lock its bulletin (doorstep pass riders)"
                .to_owned()
        }
        Some("when_provisioned") => "opens until the lock is given its new bundle".to_owned(),
        Some("at_expiry") => {
            "opens until its time is over; its lock's bulletin cannot take it (doorstep pass riders says why)".to_owned()
        }
        other => other.unwrap_or("unknown").to_owned(),
    }
}
