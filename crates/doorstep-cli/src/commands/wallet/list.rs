//! `doorstep wallet list`: what the wallet keeps.

use super::At;
use crate::output::{Answer, table};
use crate::refused::Stop;
use crate::text::{span_face, zone};
use crate::wallet::key;
use crate::wallet::pass::{HeldPass, Standing};
use doorstep::time::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

pub(crate) fn run(at: &At) -> Result<Answer, Stop> {
    let wallet = at.open()?;
    let now = at.clock.now()?;
    let passes = &wallet.content().passes;
    let all = passes.iter().enumerate().map(|(place, pass)| {
        let mut json = pass.to_json(now);
        json["number"] = json!(place + 1);
        json
    });
    let all: Vec<Value> = all.collect();
    let json = json!({
        "wallet": wallet.path(), "test": wallet.is_test(),
        "key": key::text(&wallet.content().key.public()), "passes": all,
    });
    if passes.is_empty() {
        return Ok(Answer::new(json, "the wallet is empty\nhint: doorstep wallet add, or collect"));
    }
    let head = ["#", "id", "door", "opens", "uses", ""].map(str::to_owned).to_vec();
    let zone = zone(None)?;
    let rows = passes.iter().enumerate().map(|(place, pass)| {
        vec![
            (place + 1).to_string(),
            pass.id_text(),
            pass.name(),
            opens_text(pass, &zone),
            pass.uses_text(),
            standing_text(pass, now),
        ]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    Ok(Answer::new(json, table(&rows)))
}

/// When a pass opens, for people.
pub(super) fn opens_text(pass: &HeldPass, zone: &TimeZone) -> String {
    match pass.window() {
        Some(window) => span_face(window.from(), window.until(), zone),
        None => "only its lock knows".to_owned(),
    }
}

/// How a pass stands, for people.
pub(super) fn standing_text(pass: &HeldPass, now: Timestamp) -> String {
    if pass.state.as_deref() == Some("revoked") {
        return "revoked".to_owned();
    }
    match pass.standing(now) {
        Standing::NotYet => "not yet",
        Standing::Open => "now",
        Standing::Over => "over",
        Standing::Unknown => "",
    }
    .to_owned()
}
