//! `doorstep message`: what became of the messages to customers, over the server's API.

use super::Connection;
use super::delivery::find;
use super::new_file::NewFile;
use crate::client::escape;
use crate::error::CliError;
use crate::output::{Answer, BAD, BOLD, DIM, GOOD, WARN, table};
use crate::randomness;
use crate::text::safe;
use doorstep_server::make_webhook_secret;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List messages, oldest first
    #[command(
        after_help = "Examples:\n  doorstep message list --state failed\n  doorstep message list --delivery A-17 --json"
    )]
    List {
        /// Only those in this state: waiting, spare, sending, sent, delivered, undelivered, failed,
        /// superseded, closed, expired or cancelled
        #[arg(long)]
        state: Option<String>,
        /// Only those of this delivery, by its id or your reference
        #[arg(long)]
        delivery: Option<String>,
        /// At most this many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
        /// Go on from an earlier answer's next_cursor
        #[arg(long)]
        cursor: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Show one message with every try to send it, and never what it says
    #[command(after_help = "Example:\n  doorstep message show msg_01k...")]
    Show {
        /// Its id; `doorstep message list` shows it
        id: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Send a message at once that waits or was given up
    #[command(
        after_help = "Example:\n  doorstep message resend msg_01k...\n\nA code that was sent is kept nowhere. For a customer who lost it, release the spare code\n(doorstep delivery send-now A-17 --spare --phone ...) or plan the delivery again, which makes new codes."
    )]
    Resend {
        /// Its id; `doorstep message list` shows it
        id: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Send a message without a code, to see that messages arrive
    #[command(
        after_help = "Examples:\n  doorstep message test \"+34 612 34 56 78\"\n  doorstep message test \"+34 612 34 56 78\" --language es\n\nExit status 0: the provider has it. 3: it does not, or may not."
    )]
    Test {
        /// Where to
        phone: String,
        /// In this language; that of the settings by default
        #[arg(long)]
        language: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Make the secret that the provider `http` signs with, in a new file
    #[command(
        after_help = "Example:\n  doorstep message secret --out http.secret\n\nName the file in doorstep.toml (http_secret_file) and give the receiver what is in it."
    )]
    Secret {
        /// The new file (mode 0600)
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

pub(crate) fn run(command: &Command) -> Result<Answer, CliError> {
    match command {
        Command::List { state, delivery, limit, cursor, connection } => {
            let client = connection.open()?;
            let mut query = format!("/v1/messages?limit={limit}");
            let id = match delivery {
                Some(name) => Some(find::id(&client, name)?),
                None => None,
            };
            for (name, value) in [("state", state), ("delivery", &id), ("cursor", cursor)] {
                if let Some(value) = value {
                    query.push_str(&format!("&{name}={}", escape(value)));
                }
            }
            Ok(list(client.get(&query)?))
        }
        Command::Show { id, connection } => {
            let answer = connection.open()?.get(&format!("/v1/messages/{}", escape(id)))?;
            Ok(Answer::new(answer.clone(), show(&answer)))
        }
        Command::Resend { id, connection } => {
            let path = format!("/v1/messages/{}/resend", escape(id));
            let answer = connection.open()?.post(&path, &json!({}))?;
            Ok(Answer::new(answer.clone(), show(&answer)))
        }
        Command::Test { phone, language, connection } => {
            let mut body = json!({ "phone": phone });
            if let Some(language) = language {
                body["language"] = json!(language);
            }
            Ok(tested(connection.open()?.post("/v1/messages/test", &body)?))
        }
        Command::Secret { out } => {
            let secret = make_webhook_secret(&mut *randomness::source(None));
            NewFile::make(out)?.fill(secret.as_bytes())?;
            let text = format!("{GOOD}made{GOOD:#} {}", out.display());
            Ok(Answer::new(json!({ "file": out.display().to_string() }), text))
        }
    }
}

/// A value as people read it.
fn field(value: &Value) -> String {
    match value {
        Value::String(text) => safe(text),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

fn rows(entries: &Value, columns: &[&str]) -> String {
    let head = columns.iter().map(|column| (*column).to_owned()).collect();
    let entries = entries.as_array().into_iter().flatten();
    let rows = entries.map(|entry| columns.iter().map(|column| field(&entry[*column])).collect());
    table(&std::iter::once(head).chain(rows).collect::<Vec<Vec<String>>>())
}

fn list(answer: Value) -> Answer {
    let columns = ["id", "reference", "slot", "kind", "phone", "state", "send_at", "tries"];
    let mut text = rows(&answer["data"], &columns);
    if let Some(cursor) = answer["next_cursor"].as_str() {
        text.push_str(&format!("{DIM}more: --cursor {cursor}{DIM:#}"));
    }
    Answer::new(answer, text)
}

fn show(message: &Value) -> String {
    let mut text = String::new();
    for name in [
        "id",
        "delivery",
        "reference",
        "generation",
        "slot",
        "kind",
        "phone",
        "state",
        "send_at",
        "next_at",
        "sent_at",
        "told_at",
    ] {
        if let Some(value) = message.get(name).filter(|value| !value.is_null()) {
            text.push_str(&format!("{BOLD}{name:<12}{BOLD:#} {}\n", field(value)));
        }
    }
    if message["maybe_sent"] == true {
        text.push_str(&format!("{WARN}the customer may have it more than once{WARN:#}\n"));
    }
    if message["history"].as_array().is_some_and(|history| !history.is_empty()) {
        let columns = ["number", "at", "provider", "outcome", "provider_id", "error"];
        text.push_str(&format!("\n{WARN}tries{WARN:#}\n{}", rows(&message["history"], &columns)));
    }
    text
}

fn tested(answer: Value) -> Answer {
    let text = |name: &str| field(&answer[name]);
    if answer["outcome"] == "taken" {
        let text =
            format!("{GOOD}taken{GOOD:#} by {}, as {}", text("provider"), text("provider_id"));
        return Answer::new(answer, text);
    }
    let text = format!(
        "{BAD}{}{BAD:#} by {}: {}\nhint: look at the section [messages] of doorstep.toml: doorstep config show",
        text("outcome"),
        text("provider"),
        text("error")
    );
    Answer::refused(answer, text)
}
