//! `doorstep lock events`: what a lock's journals told, who opened above all.

use crate::error::CliError;
use crate::output::{self, Answer, DIM};
use serde_json::Value;

pub(super) fn list(answer: Value) -> Result<Answer, CliError> {
    let mut rows =
        vec![["at (by the lock)", "what", "booking", "holder", "look"].map(str::to_owned).to_vec()];
    for event in answer["data"].as_array().into_iter().flatten() {
        let text = |name: &str| event[name].as_str().unwrap_or("-").to_owned();
        let form = event["form"].as_str().map(|form| format!(" by {}", form.replace('_', " ")));
        let booking = event["reference"].as_str().or_else(|| event["booking"].as_str());
        rows.push(vec![
            text("at"),
            format!("{}{}", text("kind").replace('_', " "), form.unwrap_or_default()),
            booking.unwrap_or("-").to_owned(),
            event["holder"].as_u64().map_or_else(|| "-".to_owned(), |holder| holder.to_string()),
            match event["warning"].as_str() {
                Some("pin_ended") => "it should have opened no more",
                Some("pin_never_given") => "nobody was given it: provision the lock anew",
                _ => "",
            }
            .to_owned(),
        ]);
    }
    let mut text = output::table(&rows);
    if let Some(cursor) = answer["next_cursor"].as_str() {
        text.push_str(&format!("{DIM}more: --cursor {cursor}{DIM:#}"));
    }
    Ok(Answer::new(answer, text))
}
