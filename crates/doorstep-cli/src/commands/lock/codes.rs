//! `doorstep lock code | set-time | epoch`: what staff type at a lock, made at the server.

use super::show;
use crate::client::Client;
use crate::error::CliError;
use crate::output::{Answer, BOLD, DIM, WARN};
use clap::ValueEnum;
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Change {
    /// Prepare the next epoch: the first of its PINs that is used ends all of this one
    Announce,
    /// End this epoch at once: all its PINs
    End,
    /// Say that the code was typed: bookings then have PINs of the new epoch
    Confirm,
}

/// The code of a TOTP door at this moment.
pub(super) fn now(client: &Client, lock: &str) -> Result<Answer, CliError> {
    let made = client.post(&format!("/v1/locks/{lock}/code"), &json!({}))?;
    let text = format!(
        "{BOLD}{}{BOLD:#}  {DIM}until {}{DIM:#}",
        word(&made, "code"),
        word(&made, "until")
    );
    Ok(Answer::new(made, text))
}

pub(super) fn set_time(client: &Client, lock: &str) -> Result<Answer, CliError> {
    let made = client.post(&format!("/v1/locks/{lock}/set_time"), &json!({}))?;
    let mut text = format!(
        "type at the lock, until {}: {BOLD}{}{BOLD:#}, then Enter\n",
        word(&made, "until"),
        grouped(word(&made, "code")),
    );
    if let Some(second) = made["second"].as_str() {
        text.push_str(&format!(
            "{WARN}the lock may want a second one, from {second} on: it may be more than 30 days behind, or ahead of this one{WARN:#}\n"
        ));
    }
    Ok(Answer::new(made, text))
}

pub(super) fn epoch(
    client: &Client,
    lock: &str,
    change: Change,
    again: bool,
) -> Result<Answer, CliError> {
    if change == Change::Confirm {
        let shown = client.get(&format!("/v1/locks/{lock}"))?;
        // One that was confirmed too early may be confirmed again, once it really was typed.
        let behind = shown["epoch"].as_u64().filter(|epoch| {
            shown["epoch_at_lock"].as_u64().is_some_and(|at_lock| at_lock < *epoch)
        });
        let pending = shown["pending_epoch"]["epoch"].as_u64().or(behind);
        let epoch = pending.ok_or_else(|| {
            CliError::new("no new epoch is pending at this lock")
                .hint("make its code first: doorstep lock epoch LOCK announce, or end")
        })?;
        let path = format!("/v1/locks/{lock}/epoch/confirm");
        let done = client.post(&path, &json!({ "epoch": epoch }))?;
        let bookings = done["bookings_changed"].as_u64().unwrap_or(0);
        let lost = show::pins_lost(&done);
        let text = format!(
            "epoch {epoch} is confirmed; {bookings} bookings have new PINs to be sent\n{lost}"
        );
        return Ok(Answer::new(done, text));
    }
    let how = if change == Change::Announce { "announce" } else { "end" };
    let mut body = json!({ "how": how });
    if again {
        body["again"] = json!(true);
    }
    let made = client.post(&format!("/v1/locks/{lock}/epoch"), &body)?;
    let effect = if change == Change::Announce {
        "the first PIN of the new epoch that is used ends those of the old one"
    } else {
        "every PIN that was handed out ends with it"
    };
    let text = format!(
        "type at the lock: {BOLD}{}{BOLD:#}, then Enter; {effect}\n{}",
        grouped(word(&made, "code")),
        if again { String::new() } else { format!("then: doorstep lock epoch {lock} confirm") },
    );
    Ok(Answer::new(made, text))
}

fn word<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

/// By fours, as people type them.
fn grouped(digits: &str) -> String {
    let digits: Vec<char> = digits.chars().collect();
    let groups: Vec<String> = digits.chunks(4).map(|group| group.iter().collect()).collect();
    groups.join(" ")
}
