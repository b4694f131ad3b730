//! Accounts, authenticators and challenges as people read them.

use super::text;
use crate::output::{self, Answer, BAD, BOLD, DIM, WARN};
use serde_json::Value;

pub(super) fn list(answer: Value) -> Answer {
    let head = ["account", "name", "attempts", "state"].map(str::to_owned).to_vec();
    let rows = answer["data"].as_array().into_iter().flatten().map(|account| {
        vec![
            text(account, "id").to_owned(),
            text(account, "name").to_owned(),
            account["attempts_left"].to_string(),
            if account["disabled_at"].is_null() { "enabled" } else { "disabled" }.to_owned(),
        ]
    });
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let mut told = output::table(&rows);
    if let Some(cursor) = answer["next_cursor"].as_str() {
        told.push_str(&format!("{DIM}more: --cursor {cursor}{DIM:#}"));
    }
    Answer::new(answer, told)
}

pub(super) fn account(account: Value) -> Answer {
    let mut told = String::new();
    for (name, field) in
        [("account", "id"), ("name", "name"), ("made", "created_at"), ("disabled", "disabled_at")]
    {
        if let Some(value) = account[field].as_str() {
            told.push_str(&format!("{BOLD}{name:<16}{BOLD:#} {value}\n"));
        }
    }
    for (name, field) in [
        ("attempts left", "attempts_left"),
        ("recovery codes", "recovery_codes_left"),
        ("known devices", "known_devices"),
    ] {
        told.push_str(&format!("{BOLD}{name:<16}{BOLD:#} {}\n", account[field]));
    }
    if let Some(until) = account["throttled_until"].as_str() {
        told.push_str(&format!("{BAD}no attempts{BAD:#} until {until}\n"));
    }
    let authenticators: Vec<&Value> =
        account["authenticators"].as_array().into_iter().flatten().collect();
    if !authenticators.is_empty() {
        let head = ["authenticator", "kind", "label", "state", "drift", "last used"];
        let rows = authenticators.iter().map(|one| {
            let drift = one["drift_seconds"].as_i64().map(|drift| format!("{drift:+} s"));
            let used = one["last_used_at"].as_str().unwrap_or("-").to_owned();
            let [id, kind, label, state] =
                ["id", "kind", "label", "state"].map(|name| text(one, name).to_owned());
            vec![id, kind, label, state, drift.unwrap_or_else(|| "-".to_owned()), used]
        });
        let head = head.map(str::to_owned).to_vec();
        let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
        told.push_str(&format!("\n{WARN}authenticators{WARN:#}\n{}", output::table(&rows)));
    }
    Answer::new(account, told)
}

pub(super) fn challenge(challenge: Value) -> Answer {
    let mut told = format!(
        "challenge: {BOLD}{}{BOLD:#}, to be answered until {}\n",
        text(&challenge, "challenge"),
        text(&challenge, "expires_at")
    );
    told.push_str(&format!("then: doorstep account answer {} RESPONSE", text(&challenge, "id")));
    Answer::new(challenge, told)
}
