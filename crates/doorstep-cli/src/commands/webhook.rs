//! `doorstep webhook`: programs of the business that are told what happens.

use super::Connection;
use super::new_file::NewFile;
use crate::client::{Client, escape};
use crate::error::CliError;
use crate::output::{self, Answer, BAD, BOLD, DIM, GOOD, WARN};
use crate::text::safe;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Tell a program of what happens from now on; its secret is shown once
    #[command(
        after_help = "Examples:\n  doorstep webhook add https://shop.example/hooks --out hook.secret\n  doorstep webhook add https://shop.example/hooks --type delivery.delivered --type delivery.disputed\n\nRequests are signed by the Standard Webhooks scheme."
    )]
    Add {
        /// Where events are posted
        url: String,
        /// Only this type of event; more than once for several
        #[arg(long = "type", value_name = "TYPE")]
        types: Vec<String>,
        /// Write the secret to this new file (mode 0600) instead of printing it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        connection: Connection,
    },
    /// List those who are told
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Show one
    Show {
        /// Its id
        id: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Change where it is, what it is told of, and whether
    #[command(
        after_help = "Examples:\n  doorstep webhook change whk_01k… --pause\n  doorstep webhook change whk_01k… --resume --url https://shop.example/new"
    )]
    Change {
        /// Its id
        id: String,
        /// Where events are posted from now on
        #[arg(long)]
        url: Option<String>,
        /// Only this type of event; more than once for several
        #[arg(long = "type", value_name = "TYPE")]
        types: Vec<String>,
        /// Let events wait
        #[arg(long, conflicts_with = "resume")]
        pause: bool,
        /// Send what waits, and what happens from now on
        #[arg(long)]
        resume: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Send a test event
    Test {
        /// Its id
        id: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Show what it was told, newest first, and what came of it
    #[command(after_help = "Example:\n  doorstep webhook log whk_01k… --state failed")]
    Log {
        /// Its id
        id: String,
        /// Only those in this state
        #[arg(long, value_parser = ["waiting", "sent", "failed"])]
        state: Option<String>,
        /// At most this many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
        /// Go on from an earlier answer's next_cursor
        #[arg(long)]
        cursor: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Tell it again
    #[command(
        after_help = "Examples:\n  doorstep webhook replay whk_01k… --event evt_0_42\n  doorstep webhook replay whk_01k… --failed-since 2026-11-21T00:00:00Z\n\nEvents keep their ids, so that a receiver which has them already can tell."
    )]
    Replay {
        /// Its id
        id: String,
        /// This event, whatever came of it before
        #[arg(long, required_unless_present = "failed_since", conflicts_with = "failed_since")]
        event: Option<String>,
        /// All that were given up and happened since this time (RFC 3339)
        #[arg(long, value_name = "TIME")]
        failed_since: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Give it a new secret; both sign for a while
    #[command(
        after_help = "Example:\n  doorstep webhook rotate whk_01k… --overlap-hours 48 --out hook.secret"
    )]
    Rotate {
        /// Its id
        id: String,
        /// How long the secret before signs too, 0 to 168
        #[arg(long, default_value_t = 24)]
        overlap_hours: u64,
        /// Write the secret to this new file (mode 0600) instead of printing it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Tell it no more
    Remove {
        /// Its id
        id: String,
        #[command(flatten)]
        connection: Connection,
    },
}

pub(crate) fn run(command: &Command) -> Result<Answer, CliError> {
    match command {
        Command::Add { url, types, out, connection } => {
            let mut body = json!({ "url": url });
            if !types.is_empty() {
                body["types"] = json!(types);
            }
            with_secret(&connection.open()?, "/v1/webhooks", &body, out.as_deref())
        }
        Command::List { connection } => Ok(list(connection.open()?.get("/v1/webhooks")?)),
        Command::Show { id, connection } => Ok(shown(connection.open()?.get(&path(id, ""))?)),
        Command::Change { id, url, types, pause, resume, connection } => {
            let mut body = json!({});
            if let Some(url) = url {
                body["url"] = json!(url);
            }
            if !types.is_empty() {
                body["types"] = json!(types);
            }
            if *pause || *resume {
                body["state"] = json!(if *pause { "paused" } else { "active" });
            }
            Ok(shown(connection.open()?.post(&path(id, "/change"), &body)?))
        }
        Command::Test { id, connection } => {
            let event = connection.open()?.post(&path(id, "/test"), &json!({}))?;
            let name = text(&event["id"]);
            let told =
                format!("{GOOD}on its way{GOOD:#} as {name}; see: doorstep webhook log {id}");
            Ok(Answer::new(event, told))
        }
        Command::Log { id, state, limit, cursor, connection } => {
            let mut query = path(id, &format!("/log?limit={limit}"));
            for (name, value) in [("state", state), ("cursor", cursor)] {
                if let Some(value) = value {
                    query.push_str(&format!("&{name}={}", escape(value)));
                }
            }
            Ok(log(connection.open()?.get(&query)?))
        }
        Command::Replay { id, event, failed_since, connection } => {
            let body = match (event, failed_since) {
                (Some(event), _) => json!({ "event": event }),
                (None, since) => json!({ "failed_since": since }),
            };
            let answer = connection.open()?.post(&path(id, "/replay"), &body)?;
            let told = format!("{GOOD}on their way again{GOOD:#}: {}", answer["events"]);
            Ok(Answer::new(answer, told))
        }
        Command::Rotate { id, overlap_hours, out, connection } => {
            let body = json!({ "overlap_hours": overlap_hours });
            with_secret(&connection.open()?, &path(id, "/rotate"), &body, out.as_deref())
        }
        Command::Remove { id, connection } => {
            let removed = connection.open()?.post(&path(id, "/remove"), &json!({}))?;
            let told = format!("{GOOD}removed{GOOD:#} {}", text(&removed["url"]));
            Ok(Answer::new(removed, told))
        }
    }
}

fn path(id: &str, verb: &str) -> String {
    format!("/v1/webhooks/{}{verb}", escape(id))
}

/// Asks for what answers with a secret, and puts that where it was asked to be.
fn with_secret(
    client: &Client,
    path: &str,
    body: &Value,
    out: Option<&Path>,
) -> Result<Answer, CliError> {
    let file = out.map(NewFile::make).transpose()?;
    let mut answer = client.post(path, body)?;
    let secret = answer["secret"].as_str().unwrap_or_default().to_owned();
    let (Some(file), Some(path)) = (file, out) else {
        return Ok(Answer::new(answer, secret));
    };
    file.fill(format!("{secret}\n").as_bytes())?;
    if let Some(fields) = answer.as_object_mut() {
        fields.remove("secret");
        fields.insert("file".to_owned(), json!(path));
    }
    let told =
        format!("{GOOD}made{GOOD:#} {}, its secret in {}", text(&answer["id"]), path.display());
    Ok(Answer::new(answer, told))
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => safe(text),
        Value::Null => "-".to_owned(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn table(data: &Value, columns: &[&str], none: &str) -> String {
    let mut rows = vec![columns.iter().map(|column| (*column).to_owned()).collect::<Vec<_>>()];
    for entry in data.as_array().into_iter().flatten() {
        rows.push(columns.iter().map(|column| text(&entry[*column])).collect());
    }
    if rows.len() == 1 { format!("{none}\n") } else { output::table(&rows) }
}

fn list(answer: Value) -> Answer {
    let told = table(&answer["data"], &["id", "state", "types", "url"], "nobody is told");
    Answer::new(answer, told)
}

fn shown(answer: Value) -> Answer {
    let mut told = String::new();
    for name in ["id", "url", "state", "types", "old_secret_until", "created_at"] {
        told.push_str(&format!("{BOLD}{name:<17}{BOLD:#} {}\n", text(&answer[name])));
    }
    let hint = match answer["state"].as_str() {
        Some("gone") => format!("{BAD}it answered 410{BAD:#}: doorstep webhook change ID --resume"),
        Some("paused") => format!("{WARN}events wait{WARN:#}: doorstep webhook change ID --resume"),
        _ => String::new(),
    };
    Answer::new(answer, format!("{told}{hint}"))
}

fn log(answer: Value) -> Answer {
    let columns =
        ["event", "type", "state", "tries", "last_at", "last_status", "last_error", "next_at"];
    let mut told = table(&answer["data"], &columns, "nothing yet");
    if let Some(cursor) = answer["next_cursor"].as_str() {
        told.push_str(&format!("{DIM}more: --cursor {cursor}{DIM:#}"));
    }
    Answer::new(answer, told)
}
