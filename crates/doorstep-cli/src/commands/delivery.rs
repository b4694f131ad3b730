//! `doorstep delivery`: the dispatcher's side, over the server's API.

use super::Connection;
use crate::client::Client;
use crate::clock::Clock;
use crate::error::CliError;
use crate::output::{self, Answer, BAD, BOLD, DIM, GOOD, WARN};
use crate::text::{parse_span, parse_time, rfc3339};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Take in one delivery
    #[command(
        after_help = "Example:\n  doorstep delivery add --reference A-17 --recipient \"Zoë Łukasz\" --phone \"+34 612 34 56 78\" --address \"Calle Mayor 1, Madrid\""
    )]
    Add(Add),
    /// Take in a CSV file, all rows or none
    #[command(
        after_help = "The first row names the columns: reference, recipient, phone, address, and optionally\nrecipient_2, phone_2, note.\n\nExample:\n  doorstep delivery import examples/deliveries.csv"
    )]
    Import {
        /// The file
        file: PathBuf,
        #[command(flatten)]
        connection: Connection,
    },
    /// Give a delivery to a driver and make its codes; again for a new driver or time
    #[command(
        after_help = "Examples:\n  doorstep delivery plan dlv_01k… --device dev_01k… --at 14:30\n  doorstep delivery plan dlv_01k… --online --at +20m\n\nEvery planning makes new codes: those made before are void."
    )]
    Plan(Plan),
    /// List deliveries, oldest first
    List {
        /// Only those in this state
        #[arg(long)]
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
    /// Show one delivery with its codes' states and the claims about it
    Show {
        /// Its id
        delivery: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Send a code at once, or release the spare code
    #[command(
        after_help = "Examples:\n  doorstep delivery send-now dlv_01k…\n  doorstep delivery send-now dlv_01k… --spare --phone \"+34 612 00 00 00\""
    )]
    SendNow {
        /// Its id
        delivery: String,
        /// The recipient's slot, 0 or 1; every recipient by default
        #[arg(long, conflicts_with = "spare")]
        slot: Option<u8>,
        /// Release the spare code, once, to a neighbour or a customer who lost the message
        #[arg(long, requires = "phone")]
        spare: bool,
        /// Where to send it instead
        #[arg(long)]
        phone: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Check a code of a delivery in online mode
    Verify {
        /// Its id
        delivery: String,
        /// The code
        code: String,
        #[command(flatten)]
        connection: Connection,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Add {
    /// Your own name for it
    #[arg(long)]
    reference: String,
    /// Who may take it; twice for two people
    #[arg(long, required = true)]
    recipient: Vec<String>,
    /// Their phone number, once for each recipient
    #[arg(long, required = true)]
    phone: Vec<String>,
    /// Where it goes
    #[arg(long)]
    address: String,
    /// What the driver should know
    #[arg(long)]
    note: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Plan {
    /// Its id
    delivery: String,
    /// The driver's device
    #[arg(long, required_unless_present = "online", conflicts_with = "online")]
    device: Option<String>,
    /// The expected time: 14:30, "2026-03-02 14:30", RFC 3339, or +2h
    #[arg(long)]
    at: String,
    /// How much earlier or later it may be
    #[arg(long, default_value = "1h", value_name = "SPAN")]
    variance: String,
    /// How long before the expected time the message is sent; 30m, or 5m online
    #[arg(long, value_name = "SPAN")]
    lead: Option<String>,
    /// The server checks the code itself: for a driver who is online at the door
    #[arg(long)]
    online: bool,
    /// Simulated clock that relative times are read by (test data only)
    #[arg(long, env = "DOORSTEP_CLOCK", value_name = "FILE")]
    clock: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) fn run(command: &Command) -> Result<Answer, CliError> {
    match command {
        Command::Add(add) => {
            if add.recipient.len() != add.phone.len() {
                return Err(CliError::new("each --recipient needs its --phone"));
            }
            let recipients = add.recipient.iter().zip(&add.phone);
            let recipients: Vec<Value> =
                recipients.map(|(name, phone)| json!({ "name": name, "phone": phone })).collect();
            let mut body = json!({ "reference": add.reference, "address": add.address, "recipients": recipients });
            if let Some(note) = &add.note {
                body["note"] = json!(note);
            }
            show(add.connection.open()?.post("/v1/deliveries", &body)?)
        }
        Command::Import { file, connection } => import(file, &connection.open()?),
        Command::Plan(plan) => self::plan(plan),
        Command::List { state, limit, cursor, connection } => {
            let mut query = format!("/v1/deliveries?limit={limit}");
            for (name, value) in [("state", state), ("cursor", cursor)] {
                if let Some(value) = value {
                    query.push_str(&format!("&{name}={}", escape(value)));
                }
            }
            list(connection.open()?.get(&query)?)
        }
        Command::Show { delivery, connection } => {
            show(connection.open()?.get(&path(delivery, ""))?)
        }
        Command::SendNow { delivery, slot, spare, phone, connection } => {
            let mut body = Map::new();
            if *spare {
                body.insert("slot".to_owned(), json!("spare"));
            } else if let Some(slot) = slot {
                body.insert("slot".to_owned(), json!(slot));
            }
            if let Some(phone) = phone {
                body.insert("phone".to_owned(), json!(phone));
            }
            show(connection.open()?.post(&path(delivery, "/send"), &Value::Object(body))?)
        }
        Command::Verify { delivery, code, connection } => {
            verify(connection.open()?.post(&path(delivery, "/verify"), &json!({ "code": code }))?)
        }
    }
}

fn path(delivery: &str, verb: &str) -> String {
    format!("/v1/deliveries/{}{verb}", escape(delivery))
}

/// Percent-encodes everything but what ids consist of.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

fn plan(plan: &Plan) -> Result<Answer, CliError> {
    let client = plan.connection.open()?;
    let clock = Clock::new(plan.clock.clone());
    if clock.is_simulated() && !client.is_test() {
        return Err(CliError::new(
            "a simulated clock is for test data, and this API key is for real data",
        ));
    }
    let minutes = |text: &str| Ok::<_, CliError>(parse_span(text)? / 60);
    let mut body = json!({
        "mode": if plan.online { "online" } else { "offline" },
        "expected_at": rfc3339(parse_time(&plan.at, clock.now()?)?),
        "variance_minutes": minutes(&plan.variance)?,
    });
    if let Some(device) = &plan.device {
        body["device"] = json!(device);
    }
    if let Some(lead) = &plan.lead {
        body["lead_minutes"] = json!(minutes(lead)?);
    }
    show(client.post(&path(&plan.delivery, "/plan"), &body)?)
}

const COLUMNS: [&str; 7] =
    ["reference", "recipient", "phone", "recipient_2", "phone_2", "address", "note"];
const REQUIRED: [&str; 4] = ["reference", "recipient", "phone", "address"];

fn import(file: &Path, client: &Client) -> Result<Answer, CliError> {
    let (deliveries, lines) = read_csv(file)?;
    let body = json!({ "deliveries": deliveries });
    let answer =
        client.post("/v1/deliveries/import", &body).map_err(|error| error.rows_as_lines(&lines))?;
    let count = lines.len();
    Ok(Answer::new(
        answer,
        format!("{GOOD}imported{GOOD:#} {count} deliveries from {}", file.display()),
    ))
}

/// Reads the rows, with the line on which each begins. Every fault is named by line and column.
fn read_csv(file: &Path) -> Result<(Vec<Value>, Vec<u64>), CliError> {
    let wrong = |details: Vec<String>| {
        CliError::new(format!("{} was not imported; nothing was changed", file.display()))
            .details(details.into_iter().map(Into::into).collect())
            .hint("mend the file and import it again; every row is imported, or none")
            .code("malformed_csv")
    };
    let bytes = std::fs::read(file).map_err(|error| CliError::io("read", file, &error))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let line =
            bytes.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count() + 1;
        wrong(vec![format!("line {line}: not UTF-8; save the file as UTF-8")])
    })?;
    let mut reader =
        csv::ReaderBuilder::new().from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let header = reader.headers().map_err(|error| wrong(vec![format!("line 1: {error}")]))?.clone();
    let mut faults: Vec<String> = header
        .iter()
        .filter(|name| !COLUMNS.contains(name))
        .map(|name| format!("line 1: unknown column {name:?}; known are {}", COLUMNS.join(", ")))
        .collect();
    for name in REQUIRED {
        if !header.iter().any(|column| column == name) {
            faults.push(format!("line 1: there is no column \"{name}\""));
        }
    }
    for name in COLUMNS {
        if header.iter().filter(|column| *column == name).count() > 1 {
            faults.push(format!("line 1: the column \"{name}\" appears twice"));
        }
    }
    if !faults.is_empty() {
        return Err(wrong(faults));
    }
    let (mut deliveries, mut lines) = (Vec::new(), Vec::new());
    for row in reader.records() {
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                let what = match error.kind() {
                    csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                        format!("{len} columns where the first row has {expected_len}")
                    }
                    _ => "not readable as CSV".to_owned(),
                };
                faults.push(format!("line {line}: {what}"));
                continue;
            }
        };
        let line = row.position().map_or(0, csv::Position::line);
        let cell = |name: &str| {
            let index = header.iter().position(|column| column == name)?;
            row.get(index).map(str::trim).filter(|cell| !cell.is_empty())
        };
        for name in REQUIRED {
            if cell(name).is_none() {
                faults.push(format!("line {line}, column {name}: is empty"));
            }
        }
        let mut recipients = vec![json!({ "name": cell("recipient"), "phone": cell("phone") })];
        match (cell("recipient_2"), cell("phone_2")) {
            (Some(name), Some(phone)) => recipients.push(json!({ "name": name, "phone": phone })),
            (None, None) => {}
            (Some(_), None) => faults
                .push(format!("line {line}, column phone_2: is empty, but recipient_2 is not")),
            (None, Some(_)) => faults
                .push(format!("line {line}, column recipient_2: is empty, but phone_2 is not")),
        }
        let mut delivery = json!({ "reference": cell("reference"), "address": cell("address"), "recipients": recipients });
        if let Some(note) = cell("note") {
            delivery["note"] = json!(note);
        }
        deliveries.push(delivery);
        lines.push(line);
    }
    if deliveries.is_empty() && faults.is_empty() {
        faults.push("line 2: there are no rows".to_owned());
    }
    if faults.is_empty() { Ok((deliveries, lines)) } else { Err(wrong(faults)) }
}

fn list(answer: Value) -> Result<Answer, CliError> {
    let mut rows =
        vec![["delivery", "reference", "state", "for", "address"].map(str::to_owned).to_vec()];
    for delivery in answer["data"].as_array().into_iter().flatten() {
        let text = |name: &str| delivery[name].as_str().unwrap_or_default().to_owned();
        let names = delivery["recipients"].as_array().into_iter().flatten();
        let names: Vec<&str> = names.filter_map(|recipient| recipient["name"].as_str()).collect();
        rows.push(vec![
            text("id"),
            text("reference"),
            text("state"),
            names.join(" or "),
            text("address"),
        ]);
    }
    let mut text = output::table(&rows);
    if let Some(cursor) = answer["next_cursor"].as_str() {
        text.push_str(&format!("{DIM}more: --cursor {cursor}{DIM:#}"));
    }
    Ok(Answer::new(answer, text))
}

fn show(delivery: Value) -> Result<Answer, CliError> {
    let mut text = String::new();
    let field = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    for name in [
        "id",
        "reference",
        "state",
        "address",
        "note",
        "mode",
        "device",
        "driver",
        "expected_at",
        "starts_at",
        "ends_at",
        "generation",
    ] {
        if let Some(value) = delivery.get(name).filter(|value| !value.is_null()) {
            text.push_str(&format!("{BOLD}{name:<12}{BOLD:#} {}\n", field(value)));
        }
    }
    for (name, columns) in [
        ("recipients", &["slot", "name", "phone"][..]),
        ("messages", &["slot", "state", "send_at", "sent_at"]),
        ("claims", &["driver", "generation", "means", "at", "verdict", "late_possible", "forked"]),
    ] {
        let entries: Vec<&Value> =
            delivery.get(name).and_then(Value::as_array).into_iter().flatten().collect();
        if !entries.is_empty() {
            let head = columns.iter().map(|column| (*column).to_owned()).collect();
            let rows = entries
                .iter()
                .map(|entry| columns.iter().map(|column| field(&entry[*column])).collect());
            let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
            text.push_str(&format!("\n{WARN}{name}{WARN:#}\n{}", output::table(&rows)));
        }
    }
    Ok(Answer::new(delivery, text))
}

fn verify(answer: Value) -> Result<Answer, CliError> {
    if answer["outcome"] == "granted" {
        return Ok(Answer::new(answer, format!("{GOOD}accepted{GOOD:#}")));
    }
    let text = |name: &str| answer[name].as_str().unwrap_or_default();
    let text = format!("{BAD}refused{BAD:#}: {}\nhint: {}", text("reason"), text("hint"));
    Ok(Answer::refused(answer, text))
}
