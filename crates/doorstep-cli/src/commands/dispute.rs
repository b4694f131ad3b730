//! `doorstep dispute`: deliveries whose claim has no right code behind it, and an operator's word.

use super::Connection;
use super::delivery::find;
use crate::client::escape;
use crate::error::CliError;
use crate::output::{self, Answer, BAD, BOLD, DIM, GOOD, WARN};
use crate::text::safe;
use serde_json::{Value, json};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List disputes, oldest first
    #[command(
        after_help = "Examples:\n  doorstep dispute list --state open\n  doorstep dispute list --device dev_01k…"
    )]
    List {
        /// Only those in this state
        #[arg(long, value_parser = ["open", "resolved", "closed"])]
        state: Option<String>,
        /// Only those about which this device claimed something
        #[arg(long)]
        device: Option<String>,
        /// At most this many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
        /// Go on from an earlier answer's next_cursor
        #[arg(long)]
        cursor: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Show a disputed delivery: what was claimed, and what was found
    #[command(after_help = "Example:\n  doorstep dispute show A-17")]
    Show {
        /// Its id, or your reference
        delivery: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// End a dispute by your word, which is kept for ever beside the claims
    #[command(
        after_help = "Examples:\n  doorstep dispute resolve A-17 --outcome delivered --note \"the neighbour has it\"\n  doorstep dispute resolve A-17 --outcome not-delivered --note \"found in the van\"\n\nWhat was not delivered can be planned again."
    )]
    Resolve {
        /// Its id, or your reference
        delivery: String,
        /// What you found out
        #[arg(long, value_parser = ["delivered", "not-delivered"])]
        outcome: String,
        /// Why, in up to 300 characters
        #[arg(long)]
        note: String,
        #[command(flatten)]
        connection: Connection,
    },
}

pub(crate) fn run(command: &Command) -> Result<Answer, CliError> {
    match command {
        Command::List { state, device, limit, cursor, connection } => {
            let mut query = format!("/v1/disputes?limit={limit}");
            for (name, value) in [("state", state), ("device", device), ("cursor", cursor)] {
                if let Some(value) = value {
                    query.push_str(&format!("&{name}={}", escape(value)));
                }
            }
            Ok(list(connection.open()?.get(&query)?))
        }
        Command::Show { delivery, connection } => {
            let client = connection.open()?;
            let id = find::id(&client, delivery)?;
            Ok(show(client.get(&format!("/v1/disputes/{}", escape(&id)))?))
        }
        Command::Resolve { delivery, outcome, note, connection } => {
            let client = connection.open()?;
            let id = find::id(&client, delivery)?;
            let body = json!({ "outcome": outcome.replace('-', "_"), "note": note });
            Ok(show(client.post(&format!("/v1/disputes/{}/resolve", escape(&id)), &body)?))
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => safe(text),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

fn list(answer: Value) -> Answer {
    let columns = ["delivery", "reference", "state", "opened_at", "ended_at"];
    let mut rows = vec![columns.map(str::to_owned).to_vec()];
    for dispute in answer["data"].as_array().into_iter().flatten() {
        rows.push(columns.map(|column| text(&dispute[column])).to_vec());
    }
    let mut told = if rows.len() == 1 { "no disputes\n".to_owned() } else { output::table(&rows) };
    if let Some(cursor) = answer["next_cursor"].as_str() {
        told.push_str(&format!("{DIM}more: --cursor {cursor}{DIM:#}"));
    }
    Answer::new(answer, told)
}

fn show(answer: Value) -> Answer {
    let delivery = &answer["delivery"];
    let mut told = String::new();
    for name in ["id", "reference", "state", "driver", "device", "starts_at", "ends_at"] {
        told.push_str(&format!("{BOLD}{name:<12}{BOLD:#} {}\n", text(&delivery[name])));
    }
    for dispute in answer["disputes"].as_array().into_iter().flatten() {
        let (opened, ended) = (text(&dispute["opened_at"]), text(&dispute["ended_at"]));
        told.push_str(&match dispute["state"].as_str() {
            Some("resolved") => {
                let word = &dispute["resolution"];
                let style = if word["outcome"] == "delivered" { GOOD } else { BAD };
                let outcome = text(&word["outcome"]).replace('_', " ");
                let (by, note) = (text(&word["by"]), text(&word["note"]));
                format!("\n{style}{outcome}{style:#} by the word of {by} at {ended}: {note}\n")
            }
            Some("closed") => {
                format!("\ndisputed at {opened}, closed by other events at {ended}\n")
            }
            _ => format!("\n{WARN}disputed{WARN:#} since {opened}\n"),
        });
    }
    let columns = ["driver", "device", "generation", "means", "at", "received_at", "verdict"];
    let mut rows = vec![columns.map(str::to_owned).to_vec()];
    for claim in delivery["claims"].as_array().into_iter().flatten() {
        rows.push(columns.map(|column| text(&claim[column])).to_vec());
    }
    told.push_str(&format!("\n{}", output::table(&rows)));
    Answer::new(answer, told)
}
