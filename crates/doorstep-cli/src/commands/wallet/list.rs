//! `doorstep wallet list`: what the wallet keeps.

use super::At;
use crate::output::{Answer, table};
use crate::refused::Stop;
use crate::text::{span_face, zone};
use crate::wallet::key;
use crate::wallet::pass::{HeldPass, Standing};
use serde_json::{Value, json};

pub(crate) fn run(at: &At) -> Result<Answer, Stop> {
    let wallet = at.open()?;
    let now = at.clock().now()?;
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
        let window = pass.window();
        vec![
            (place + 1).to_string(),
            pass.id_text(),
            pass.name(),
            span_face(window.from(), window.until(), &zone),
            pass.uses_text(),
            standing_text(pass, now).to_owned(),
        ]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    Ok(Answer::new(json, table(&rows)))
}

/// How a pass stands, for people.
pub(super) fn standing_text(pass: &HeldPass, now: doorstep::time::Timestamp) -> &'static str {
    match pass.standing(now) {
        Standing::NotYet => "not yet",
        Standing::Open => "now",
        Standing::Over => "over",
    }
}
