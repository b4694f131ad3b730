//! `doorstep delivery`: the dispatcher's side, over the server's API.

pub(super) mod find;
mod import;
mod list;
mod many;
mod sheet;

use super::Connection;
use crate::clock::Clock;
use crate::error::CliError;
use crate::output::{self, Answer, BAD, BOLD, GOOD, WARN};
use crate::text::{parse_time, rfc3339, safe_text};
use serde_json::{Map, Value, json};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Take in one delivery
    #[command(
        after_help = "Example:\n  doorstep delivery add --reference A-17 --recipient \"Zoë Łukasz\" --phone \"+34 612 34 56 78\" --address \"Calle Mayor 1, Madrid\""
    )]
    Add(Add),
    /// Take in a CSV file, all rows or none
    #[command(
        after_help = "The first row names the columns: reference, recipient, phone, address, and optionally\nrecipient_2, phone_2, note, region (the country of its phone numbers, as ES),\nlanguage and zone (of its messages, as es and Europe/Madrid).\n\nExamples:\n  doorstep delivery import examples/deliveries.csv --dry-run\n  doorstep delivery import orders.csv --region ES --delimiter \";\" --map reference=\"Order No\" --map phone=Mobile"
    )]
    Import {
        #[command(flatten)]
        import: import::Args,
        #[command(flatten)]
        connection: Connection,
    },
    /// Give a delivery to a driver and make its codes; again for a new driver or time
    #[command(
        after_help = "Examples:\n  doorstep delivery plan A-17 --driver Ana --at 14:30\n  doorstep delivery plan dlv_01k… --device dev_01k… --at \"2026-03-02 14:30\"\n  doorstep delivery plan A-17 --online --at +20m\n\nEvery planning makes new codes: those made before are void."
    )]
    Plan(Plan),
    /// Plan many deliveries from a CSV file
    #[command(
        after_help = "The first row names the columns: reference, expected_at, driver or device, and optionally\nvariance, lead, check. Times are as for plan: 14:30, \"2026-03-02 14:30\", RFC 3339, +2h.\n\nExample:\n  doorstep delivery plan-file examples/plan.csv\n\nWhat cannot be planned is told by line, and the others are planned; exit status 3."
    )]
    PlanFile {
        #[command(flatten)]
        many: many::PlanMany,
        #[command(flatten)]
        connection: Connection,
    },
    /// Give what one driver has still to deliver to another, at the same times, with new codes
    #[command(
        after_help = "Examples:\n  doorstep delivery reassign --from Ana --to Leo\n  doorstep delivery reassign --from Ana --to Leo --references A-17,A-18"
    )]
    Reassign {
        #[command(flatten)]
        reassign: many::Reassignment,
        #[command(flatten)]
        connection: Connection,
    },
    /// List deliveries, or look for some
    #[command(
        after_help = "Examples:\n  doorstep delivery list zoe \"high st\"\n  doorstep delivery list --driver Ana --state notified\n  doorstep delivery list --from 08:00 --until 12:00 --csv > morning.csv"
    )]
    List {
        #[command(flatten)]
        list: list::Args,
        #[command(flatten)]
        connection: Connection,
    },
    /// Show one delivery with its codes' states and the claims about it
    Show {
        /// Its id, or your reference
        delivery: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Send a code at once, or release the spare code
    #[command(
        after_help = "Examples:\n  doorstep delivery send-now A-17\n  doorstep delivery send-now A-17 --spare --phone \"+34 612 00 00 00\""
    )]
    SendNow {
        /// Its id, or your reference
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
    /// Cancel a delivery: its codes are void, and its driver is told at the next sync
    #[command(
        after_help = "Example:\n  doorstep delivery cancel A-17\n\nA driver who is offline can still hand it over; that is disputed when it comes in."
    )]
    Cancel {
        /// Its id, or your reference
        delivery: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Erase name, phone number, address and notes of a delivery that has ended, for ever
    #[command(
        after_help = "Example:\n  doorstep delivery erase A-17\n\nIts claims, verdicts and events stay: they hold ids and hashes."
    )]
    Erase {
        /// Its id, or your reference
        delivery: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Check a code of a delivery in online mode
    Verify {
        /// Its id, or your reference
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
    /// Country of phone numbers that name none, as ES
    #[arg(long, value_name = "COUNTRY")]
    region: Option<String>,
    /// What the customers read: en, es, de, or one of the server's own
    #[arg(long)]
    language: Option<String>,
    /// The zone that times in messages are told in, as Europe/Madrid
    #[arg(long)]
    zone: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Plan {
    /// Its id, or your reference
    delivery: String,
    /// The driver's name, if one enrolled device has it
    #[arg(long, required_unless_present_any = ["online", "device"], conflicts_with_all = ["online", "device"])]
    driver: Option<String>,
    /// The driver's device
    #[arg(long, conflicts_with = "online")]
    device: Option<String>,
    /// The expected time: 14:30, "2026-03-02 14:30", RFC 3339, or +2h
    #[arg(long)]
    at: String,
    /// How much earlier or later it may be; the server's policy by default
    #[arg(long, value_name = "SPAN")]
    variance: Option<String>,
    /// How long before the expected time the message is sent; the server's policy by default
    #[arg(long, value_name = "SPAN")]
    lead: Option<String>,
    /// How much of the code the device checks: split, a few bits; full, all of it, on managed devices;
    /// the server's policy when left out
    #[arg(long, value_parser = ["split", "full"], conflicts_with = "online")]
    check: Option<String>,
    /// The server checks the code itself: for a driver who is online at the door
    #[arg(long)]
    online: bool,
    #[command(flatten)]
    clock: Clock,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) fn run(command: &Command) -> Result<Answer, CliError> {
    match command {
        Command::Add(add) => {
            if add.recipient.len() != add.phone.len() {
                return Err(CliError::usage("each --recipient needs its --phone"));
            }
            let recipients = add.recipient.iter().zip(&add.phone);
            let recipients: Vec<Value> =
                recipients.map(|(name, phone)| json!({ "name": name, "phone": phone })).collect();
            let body = json!({
                "reference": add.reference, "address": add.address, "recipients": recipients, "note": add.note,
                "region": add.region, "language": add.language, "zone": add.zone,
            });
            show(add.connection.open()?.post("/v1/deliveries", &body)?)
        }
        Command::Import { import, connection } => import::run(import, &connection.open()?),
        Command::Plan(plan) => self::plan(plan),
        Command::PlanFile { many, connection } => many::plan(many, &connection.open()?),
        Command::Reassign { reassign, connection } => many::reassign(reassign, &connection.open()?),
        Command::List { list, connection } => list::run(list, &connection.open()?),
        Command::Show { delivery, connection } => {
            let client = connection.open()?;
            show(client.get(&find::path(&client, delivery, "")?)?)
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
            let client = connection.open()?;
            let path = find::path(&client, delivery, "/send")?;
            show(client.post(&path, &Value::Object(body))?)
        }
        Command::Cancel { delivery, connection } => {
            let client = connection.open()?;
            show(client.post(&find::path(&client, delivery, "/cancel")?, &json!({}))?)
        }
        Command::Erase { delivery, connection } => {
            let client = connection.open()?;
            show(client.post(&find::path(&client, delivery, "/erase")?, &json!({}))?)
        }
        Command::Verify { delivery, code, connection } => {
            let client = connection.open()?;
            let path = find::path(&client, delivery, "/verify")?;
            verify(client.post(&path, &json!({ "code": code }))?)
        }
    }
}

fn plan(plan: &Plan) -> Result<Answer, CliError> {
    let client = plan.connection.open()?;
    if plan.clock.is_simulated() && !client.is_test() {
        return Err(CliError::new(
            "a simulated clock is for test data, and this API key is for real data",
        ));
    }
    let mut body = json!({
        "mode": if plan.online { "online" } else { "offline" },
        "expected_at": rfc3339(parse_time(&plan.at, plan.clock.now()?)?),
        "check": plan.check,
    });
    if let Some(variance) = &plan.variance {
        body["variance_minutes"] = json!(many::minutes(variance)?);
    }
    if let Some(name) = &plan.driver {
        body["device"] = json!(find::device_of(&client, name)?);
    }
    if let Some(device) = &plan.device {
        body["device"] = json!(device);
    }
    if let Some(lead) = &plan.lead {
        body["lead_minutes"] = json!(many::minutes(lead)?);
    }
    show(client.post(&find::path(&client, &plan.delivery, "/plan")?, &body)?)
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
    if let Some(failure) = delivery.get("failure").filter(|failure| failure.is_object()) {
        let told = |name: &str| failure[name].as_str().map(safe_text).unwrap_or_default();
        let note = failure["note"].as_str().map(|note| format!(": {}", safe_text(note)));
        let what = format!("{} at {}{}", told("reason"), told("at"), note.unwrap_or_default());
        text.push_str(&format!("{BOLD}{:<12}{BOLD:#} {what}\n", "failure"));
    }
    for (name, columns) in [
        ("recipients", &["slot", "name", "phone"][..]),
        ("messages", &["id", "slot", "state", "send_at", "sent_at"]),
        (
            "claims",
            &[
                "driver",
                "generation",
                "means",
                "reason",
                "at",
                "verdict",
                "late_possible",
                "forked",
            ],
        ),
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
    let text = format!("{BAD}refused{BAD:#}: {}\nhint: {}", text("message"), text("hint"));
    Ok(Answer::refused(answer, text))
}
