//! `doorstep driver`: a driver's device, which works without the server except to sync.

use super::Connection;
use crate::client::read_secret;
use crate::clock::Clock;
use crate::device::journal::Journal;
use crate::device::{
    self,
    door::{Presentation, present},
};
use crate::device::{key, sync};
use crate::error::CliError;
use crate::output::{self, Answer, BAD, GOOD, WARN};
use crate::randomness;
use crate::text::{clock_face, rfc3339};
use doorstep::cose::keys::SoftwareKey;
use doorstep::handover::device::{Device, Known};
use doorstep::id::DeliveryId;
use doorstep::refusal::Refusal;
use doorstep::time::{Position, Timestamp};
use doorstep_server::ticket::Ticket;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Invite a driver: prints a one-time ticket for the device (asks the server)
    #[command(after_help = "Example:\n  doorstep driver invite Ana > ana.ticket")]
    Invite {
        /// The driver's name
        name: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Make this directory the device of an invited driver
    #[command(after_help = "Example:\n  doorstep driver enrol --ticket ana.ticket --dir ana")]
    Enrol {
        /// File that holds the ticket; - reads it from standard input
        #[arg(long, value_name = "FILE")]
        ticket: PathBuf,
        /// Address of the server
        #[arg(
            long,
            env = "DOORSTEP_SERVER",
            default_value = "http://127.0.0.1:7070",
            value_name = "URL"
        )]
        server: String,
        /// Seed of the device's key (test data only)
        #[arg(long, value_name = "NUMBER")]
        seed: Option<u64>,
        #[command(flatten)]
        at: At,
    },
    /// Send outcomes, fetch the route (needs the server)
    Sync {
        /// Address of the server, when it is not the one of the enrolment any more
        #[arg(long, env = "DOORSTEP_SERVER", value_name = "URL")]
        server: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Show the stops
    List {
        #[command(flatten)]
        at: At,
    },
    /// Check a code at the door, without any network
    #[command(
        after_help = "Examples:\n  doorstep driver check dlv_01k… \"4829 1635\" --dir ana\n  doorstep driver check --scan \"https://example.com/d#HO1:…\" --dir ana"
    )]
    Check {
        /// The delivery: its id, or the number that `driver list` shows
        #[arg(required_unless_present = "scan", conflicts_with = "scan")]
        delivery: Option<String>,
        /// The code that the customer reads out
        #[arg(required_unless_present = "scan", conflicts_with = "scan")]
        code: Option<String>,
        /// The text of the customer's link or QR code, which names its delivery
        #[arg(long, value_name = "TEXT")]
        scan: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Show the device: who it is, what waits to be synced
    Status {
        #[command(flatten)]
        at: At,
    },
}

/// Where the device is, and its time.
#[derive(Debug, clap::Args)]
pub(crate) struct At {
    /// The device's directory
    #[arg(long, env = "DOORSTEP_DEVICE", default_value = "doorstep-device", value_name = "DIR")]
    dir: PathBuf,
    /// Simulated clock (test data only)
    #[arg(long, env = "DOORSTEP_CLOCK", value_name = "FILE")]
    clock: Option<PathBuf>,
}

impl At {
    /// Opens the device, and writes the time down if enough of it passed.
    fn open(&self) -> Result<(Journal, Clock), CliError> {
        let mut journal = Journal::open(&self.dir)?;
        let clock = Clock::new(self.clock.clone());
        if clock.is_simulated() && !journal.device().identity().test {
            return Err(CliError::new(
                "a simulated clock is for test data, and this device's is real",
            )
            .hint("leave out --clock, or unset DOORSTEP_CLOCK"));
        }
        if let Some(record) = journal.device().tick(clock.now()?) {
            journal.append(&record)?;
        }
        Ok((journal, clock))
    }

    fn key(&self) -> Result<SoftwareKey, CliError> {
        key::load(&self.dir)?.ok_or_else(|| {
            CliError::new(format!("{} has lost its key", self.dir.display()))
                .hint("enrol the device anew")
        })
    }
}

pub(crate) fn run(command: Command) -> Result<Answer, CliError> {
    match command {
        Command::Invite { name, connection } => invite(&name, &connection),
        Command::Enrol { ticket, server, seed, at } => enrol(&ticket, &server, seed, &at),
        Command::Sync { server, at } => sync(server.as_deref(), &at),
        Command::List { at } => list(&at),
        Command::Check { delivery, code, scan, at } => check(delivery, code, scan, &at),
        Command::Status { at } => status(&at),
    }
}

fn invite(name: &str, connection: &Connection) -> Result<Answer, CliError> {
    let invited = connection.open()?.post("/v1/devices", &json!({ "driver": name }))?;
    let ticket = invited.get("ticket").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Answer::new(invited, ticket))
}

fn enrol(ticket: &Path, server: &str, seed: Option<u64>, at: &At) -> Result<Answer, CliError> {
    let ticket = Ticket::parse(&read_secret(ticket, "ticket")?).ok_or_else(|| {
        CliError::new("this is not a ticket").hint("make one: doorstep driver invite NAME > FILE")
    })?;
    if seed.is_some() && !Clock::new(at.clock.clone()).is_simulated() {
        return Err(CliError::usage("a seed is for test data, which runs on a simulated clock")
            .hint("give --clock too"));
    }
    let clock = Clock::new(at.clock.clone());
    let identity = sync::enrol(&at.dir, server, &ticket, &clock, &mut randomness::source(seed))?;
    let json = json!({ "device": identity.device.as_str(), "issuer": identity.issuer.as_str(), "test": identity.test });
    Ok(Answer::new(
        json,
        format!("{GOOD}enrolled{GOOD:#} as {} of {}", identity.device, identity.issuer),
    ))
}

fn sync(server: Option<&str>, at: &At) -> Result<Answer, CliError> {
    // Two syncs at once would overtake each other at the server; the second finds nothing to do.
    let _alone = Journal::exists(&at.dir).then(|| device::alone(&at.dir)).transpose()?;
    let (mut journal, clock) = at.open()?;
    let synced = sync::sync(&mut journal, &at.key()?, server, &clock)?;
    let json = json!({
        "sent": synced.sent, "stops": synced.stops, "withdrawn": synced.withdrawn,
        "refused": synced.refused.as_ref().map(CliError::to_json),
    });
    let mut text = format!(
        "{GOOD}synced{GOOD:#}: {} outcomes sent, {} stops received, {} withdrawn",
        synced.sent, synced.stops, synced.withdrawn
    );
    if let Some(refused) = &synced.refused {
        text.push_str(&format!("\n{WARN}no route{WARN:#}: {refused}"));
        return Ok(Answer::refused(json, text));
    }
    Ok(Answer::new(json, text))
}

fn list(at: &At) -> Result<Answer, CliError> {
    let (journal, clock) = at.open()?;
    let device = journal.device();
    let now = device.now(clock.now()?);
    let mut rows = vec![["no", "delivery", "for", "window", "state"].map(str::to_owned).to_vec()];
    let mut json = Vec::new();
    for (number, known) in in_order(device).into_iter().enumerate() {
        let number = number + 1;
        let stop = &known.stop;
        let window = (stop.window.from(), stop.window.until());
        let state = state(known, now);
        rows.push(vec![
            number.to_string(),
            stop.delivery.to_string(),
            stop.label.clone(),
            format!("{} - {}", clock_face(window.0, now), clock_face(window.1, now)),
            match known.spent {
                Some(spent) => format!("{state} {}", clock_face(spent, now)),
                None if state == "open" && known.attempts > 0 => {
                    format!("open, {} of {} attempts used", known.attempts, stop.budget)
                }
                None => state.to_owned(),
            },
        ]);
        json.push(json!({
            "number": number, "delivery": stop.delivery.as_str(), "generation": stop.generation,
            "label": stop.label, "from": rfc3339(window.0), "until": rfc3339(window.1),
            "attempts": known.attempts, "budget": stop.budget, "state": state,
            "accepted_at": known.spent.map(rfc3339),
        }));
    }
    let text = if json.is_empty() {
        "no stops; sync while online".to_owned()
    } else {
        output::table(&rows)
    };
    Ok(Answer::new(json!({ "stops": json }), text))
}

/// The newest generation of each delivery, by window.
fn in_order(device: &Device) -> Vec<&Known> {
    let newest = |known: &&Known| {
        device
            .stop(known.stop.delivery)
            .is_some_and(|last| last.stop.generation == known.stop.generation)
    };
    let mut stops: Vec<&Known> = device.stops().filter(newest).collect();
    stops.sort_by_key(|known| (known.stop.window.from(), known.stop.delivery));
    stops
}

fn state(known: &Known, now: Timestamp) -> &'static str {
    match (known.spent, known.withdrawn, known.stop.window.position(now)) {
        (Some(_), _, _) => "accepted",
        (None, true, _) => "withdrawn",
        (None, false, Position::Before) => "early",
        (None, false, Position::Inside) => "open",
        (None, false, Position::After) => "expired",
    }
}

fn check(
    delivery: Option<String>,
    code: Option<String>,
    scan: Option<String>,
    at: &At,
) -> Result<Answer, CliError> {
    let (mut journal, clock) = at.open()?;
    let presentation = match (delivery, code, scan) {
        (_, _, Some(text)) => Presentation::Scanned(text),
        (Some(delivery), Some(code), None) => {
            Presentation::Typed(select(journal.device(), &delivery)?, code)
        }
        _ => return Err(CliError::new("give a delivery and a code, or --scan")),
    };
    let key = at.key()?;
    let label = presentation.delivery().and_then(|delivery| journal.device().stop(delivery));
    let label = label.map(|known| known.stop.label.clone());
    let outcome =
        present(&mut journal, &key, &presentation, &clock, &mut randomness::source(None))?;
    let waiting = journal.device().count_claims() - journal.device().received();
    match outcome {
        Ok(grant) => {
            let json = json!({ "outcome": "granted", "label": label, "slot": grant.slot(), "at": rfc3339(grant.at()), "waiting_to_sync": waiting });
            Ok(Answer::new(
                json,
                format!(
                    "{GOOD}accepted{GOOD:#}: hand it over to {} ({waiting} waiting to sync)",
                    label.unwrap_or_default()
                ),
            ))
        }
        Err(refusal) => {
            let now = journal.device().now(clock.now()?);
            let mut text = refusal_text(&refusal, now);
            if let Some(label) = &label {
                text.insert_str(0, &format!("{label}: "));
            }
            Ok(Answer::refused(refusal_json(&refusal, label.as_deref()), text))
        }
    }
}

fn select(device: &Device, delivery: &str) -> Result<DeliveryId, CliError> {
    if let Ok(number) = delivery.parse::<usize>() {
        let known = number.checked_sub(1).and_then(|index| in_order(device).get(index).copied());
        return known.map(|known| known.stop.delivery).ok_or_else(|| {
            CliError::new(format!("there is no stop number {number}"))
                .hint("doorstep driver list shows them")
        });
    }
    DeliveryId::parse(delivery).map_err(|error| {
        CliError::new(format!("not a delivery: {error}"))
            .hint("give its id or its number in doorstep driver list")
    })
}

fn refusal_json(refusal: &Refusal, label: Option<&str>) -> Value {
    let mut json = json!({
        "outcome": "refused", "reason": refusal.code(), "message": refusal.to_string(),
        "hint": refusal.hint(), "label": label,
    });
    let extra = match refusal {
        Refusal::AlreadyUsed { at } => Some(("accepted_at", json!(rfc3339(*at)))),
        Refusal::Expired { until } => Some(("until", json!(rfc3339(*until)))),
        Refusal::NotYetValid { from } => Some(("from", json!(rfc3339(*from)))),
        Refusal::WrongCode { left: Some(left) } => Some(("attempts_left", json!(left))),
        _ => None,
    };
    if let (Some((name, value)), Some(object)) = (extra, json.as_object_mut()) {
        object.insert(name.to_owned(), value);
    }
    json
}

fn refusal_text(refusal: &Refusal, now: Timestamp) -> String {
    let when = match refusal {
        Refusal::AlreadyUsed { at } => format!(", at {}", clock_face(*at, now)),
        Refusal::Expired { until } => format!(", since {}", clock_face(*until, now)),
        Refusal::NotYetValid { from } => format!(", only from {}", clock_face(*from, now)),
        _ => String::new(),
    };
    format!("{BAD}refused{BAD:#}: {refusal}{when}\nhint: {}", refusal.hint())
}

fn status(at: &At) -> Result<Answer, CliError> {
    let (journal, clock) = at.open()?;
    let device = journal.device();
    let identity = device.identity();
    let now = device.now(clock.now()?);
    let waiting = device.count_claims() - device.received();
    let open = in_order(device).iter().filter(|known| state(known, now) == "open").count();
    let json = json!({
        "device": identity.device.as_str(), "issuer": identity.issuer.as_str(), "server": identity.server,
        "test": identity.test, "now": rfc3339(now), "last_signed_time": rfc3339(device.signed_time()),
        "route_version": device.version(), "open_stops": open,
        "claims": device.count_claims(), "waiting_to_sync": waiting, "journal_records": device.head().seq,
    });
    let badge = if waiting > 0 {
        format!("{WARN}{waiting} delivered, waiting to sync{WARN:#}")
    } else {
        "everything synced".to_owned()
    };
    let text = format!(
        "device   {}\nissuer   {} at {}{}\ntime     {} (last signed {})\nroute    version {}, {open} stops open now\noutcomes {} made, {badge}",
        identity.device,
        identity.issuer,
        identity.server,
        if identity.test { " (test)" } else { "" },
        rfc3339(now),
        rfc3339(device.signed_time()),
        device.version(),
        device.count_claims(),
    );
    Ok(Answer::new(json, text))
}
