//! What a driver or a dispatcher does while there is a network: invite, enrol, sync, take, lose, carry.

use super::{At, Keyed, Server, waiting_count, waiting_text};
use crate::client::{escape, read_secret};
use crate::commands::Connection;
use crate::commands::delivery::find;
use crate::device;
use crate::device::journal::Journal;
use crate::device::pin::PinSource;
use crate::device::sync::{self, Postponed, Synced};
use crate::error::CliError;
use crate::input::read_file;
use crate::output::{Answer, GOOD, WARN};
use crate::randomness;
use crate::refused::Stop;
use crate::text::{clock_face, parse_span, parse_time, rfc3339};
use doorstep::handover::device::Waiting;
use doorstep::time::Timestamp;
use doorstep_server::ticket::Ticket;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What the server takes at once.
const MOST_CLAIMS: usize = 500;

#[derive(Debug, clap::Args)]
pub(crate) struct Enrol {
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
    /// Put the device's key under a PIN, which is asked for at each use of the key
    #[arg(long)]
    pin: bool,
    /// File that holds the new PIN, with --pin
    #[arg(long, value_name = "FILE", requires = "pin")]
    pin_file: Option<PathBuf>,
    /// Seed of the device's key (test data only)
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    #[command(flatten)]
    at: At,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Take {
    /// The delivery: the business's reference on its label, or its id
    delivery: String,
    /// When you will be there: 14:30, "2026-03-02 14:30" or +45m
    #[arg(long, value_name = "TIME")]
    at: String,
    /// How much earlier or later that may be; the business's usual when left out
    #[arg(long, value_name = "SPAN")]
    variance: Option<String>,
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    keyed: Keyed,
}

pub(super) fn invite(
    name: &str,
    managed: bool,
    connection: &Connection,
) -> Result<Answer, CliError> {
    let body = json!({ "driver": name, "managed": managed });
    let invited = connection.open()?.post("/v1/devices", &body)?;
    let ticket = invited.get("ticket").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Answer::new(invited, ticket))
}

pub(super) fn enrol(enrol: &Enrol) -> Result<Answer, Stop> {
    let at = &enrol.at;
    let ticket = Ticket::parse(&read_secret(&enrol.ticket, "ticket")?).ok_or_else(|| {
        CliError::new("this is not a ticket").hint("make one: doorstep driver invite NAME > FILE")
    })?;
    if enrol.seed.is_some() && !at.clock.is_simulated() {
        return Err(CliError::usage("a seed is for test data, which runs on a simulated clock")
            .hint("give --clock too")
            .into());
    }
    let pin = enrol.pin.then(|| PinSource::new(enrol.pin_file.clone()).ask_new()).transpose()?;
    let mut rng = randomness::source(enrol.seed);
    let identity = sync::enrol(&at.dir, &enrol.server, &ticket, &at.clock, &mut rng)?;
    if let Some(pin) = &pin {
        super::pin::set(&at.dir, pin, identity.test)?;
    }
    let json = json!({
        "device": identity.device.as_str(), "issuer": identity.issuer.as_str(), "test": identity.test,
        "managed": identity.managed, "pin": pin.is_some(),
    });
    let text = format!("{GOOD}enrolled{GOOD:#} as {} of {}", identity.device, identity.issuer);
    Ok(Answer::new(json, text))
}

/// Opens the device for a sync. Two syncs at once would overtake each other at the server; the
/// second finds nothing to do.
fn alone(at: &At) -> Result<Option<std::fs::File>, CliError> {
    Journal::exists(&at.dir).then(|| device::alone(&at.dir)).transpose()
}

pub(super) fn sync(server: Option<&str>, keyed: &Keyed) -> Result<Answer, Stop> {
    let _alone = alone(&keyed.at)?;
    let (mut journal, clock) = keyed.at.open()?;
    let key = keyed.key()?;
    let waiting = journal.device().waiting();
    let synced = sync::sync(&mut journal, &key, server, &clock)
        .map_err(|error| error.if_unreachable(&format!("sync again later; {}", plain(waiting))))?;
    let json = json!({
        "sent": synced.sent, "stops": synced.stops, "withdrawn": synced.withdrawn,
        "waiting_to_sync": waiting_count(journal.device().waiting()),
        "postponed": synced.postponed.as_ref().map(postponed_json),
        "refused": synced.refused.as_ref().map(CliError::to_json),
    });
    let mut text = format!("{GOOD}synced{GOOD:#}: {}", told(&synced));
    if synced.postponed.is_some() {
        text.push_str(&format!("\n{}", waiting_text(journal.device().waiting())));
    }
    let answer = with_refusals(json, text, &synced, journal.device().signed_time());
    Ok(Answer { refused: answer.refused || synced.postponed.is_some(), ..answer })
}

fn postponed_json(postponed: &Postponed) -> Value {
    let mut json = postponed.why.to_json();
    if let Some(object) = json.as_object_mut() {
        object.insert("until".to_owned(), json!(postponed.until.map(rfc3339)));
    }
    json
}

fn postponed_text(postponed: &Postponed, now: Timestamp) -> String {
    let until = postponed.until.map(|until| format!(" until {}", clock_face(until, now)));
    format!("{WARN}outcomes wait{}{WARN:#}: {}", until.unwrap_or_default(), postponed.why)
}

/// Without colours, for a hint.
fn plain(waiting: Waiting) -> String {
    format!("delivered, waiting to sync: {}", waiting_count(waiting))
}

fn told(synced: &Synced) -> String {
    let Synced { sent, stops, withdrawn, .. } = synced;
    format!("{sent} outcomes sent, {stops} stops received, {withdrawn} withdrawn")
}

fn with_refusals(json: Value, mut text: String, synced: &Synced, now: Timestamp) -> Answer {
    if let Some(postponed) = &synced.postponed {
        text.push_str(&format!("\n{}", postponed_text(postponed, now)));
    }
    match &synced.refused {
        Some(refused) => {
            text.push_str(&format!("\n{WARN}no route{WARN:#}: {refused}"));
            Answer::refused(json, text)
        }
        None => Answer::new(json, text),
    }
}

pub(super) fn take(take: &Take) -> Result<Answer, Stop> {
    let variance = take.variance.as_deref().map(minutes).transpose()?;
    let _alone = alone(&take.keyed.at)?;
    let (mut journal, clock) = take.keyed.at.open()?;
    let now = journal.device().now(clock.now()?);
    let at = parse_time(&take.at, now)?;
    let key = take.keyed.key()?;
    let server = take.server.server.as_deref();
    // The request names the newest acknowledgement, so outcomes go first.
    let before = sync::sync(&mut journal, &key, server, &clock)?;
    if let Some(refused) = before.refused {
        return Err(refused.into());
    }
    let taken = sync::take(&journal, &key, server, &take.delivery, at, variance)?;
    let after = sync::sync(&mut journal, &key, server, &clock)?;
    let reference = taken["reference"].as_str().unwrap_or_default();
    let json = json!({
        "delivery": taken["delivery"], "reference": reference, "expected_at": rfc3339(at),
        "stops": before.stops + after.stops,
        "waiting_to_sync": waiting_count(journal.device().waiting()),
        "postponed": after.postponed.as_ref().map(postponed_json),
        "refused": after.refused.as_ref().map(CliError::to_json),
    });
    let text = format!(
        "{GOOD}taken{GOOD:#}: {reference}, for {}; the customer will be sent a code\n{}",
        clock_face(at, now),
        waiting_text(journal.device().waiting()),
    );
    Ok(with_refusals(json, text, &after, now))
}

fn minutes(span: &str) -> Result<u16, CliError> {
    let seconds = parse_span(span)?;
    u16::try_from(seconds / 60).ok().filter(|_| seconds % 60 == 0).ok_or_else(|| {
        CliError::usage(format!("\"{span}\" is not a number of minutes"))
            .hint("write 30m, 45m or 2h")
    })
}

pub(super) fn lose(device: &str, connection: &Connection) -> Result<Answer, CliError> {
    let client = connection.open()?;
    let id = if device.starts_with("dev_") {
        device.to_owned()
    } else {
        find::device_to_lose(&client, device)?
    };
    let lost = client.post(&format!("/v1/devices/{}/lose", escape(&id)), &json!({}))?;
    let freed: Vec<&str> =
        lost["deliveries"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut text = format!(
        "{WARN}lost{WARN:#}: {id} gets nothing more; enrol the driver anew: doorstep driver invite"
    );
    if !freed.is_empty() {
        text.push_str(&format!("\nto be planned again: {}", freed.join(", ")));
    }
    Ok(Answer::new(lost, text))
}

/// Sends the claims of an export, in portions.
pub(super) fn carry(file: &Path, connection: &Connection) -> Result<Answer, CliError> {
    let wrong = || {
        CliError::new(format!("{} is not the export of a journal", file.display()))
            .hint("write one: doorstep driver journal export --with-claims --dir DIR > FILE")
    };
    let content = read_file(file)?;
    let lines = std::str::from_utf8(&content).map_err(|_| wrong())?.lines();
    let records: Vec<Value> =
        lines.map(serde_json::from_str).collect::<Result<_, _>>().map_err(|_| wrong())?;
    let device = records.first().and_then(|first| first["device"].as_str()).ok_or_else(wrong)?;
    let claims: Vec<&str> =
        records.iter().filter_map(|record| record["document"].as_str()).collect();
    if claims.is_empty() {
        return Err(CliError::new(format!("{} holds no claims", file.display()))
            .hint("export them too: doorstep driver journal export --with-claims --dir DIR"));
    }
    let client = connection.open()?;
    let path = format!("/v1/devices/{}/claims", escape(device));
    let mut answer = Value::Null;
    for portion in claims.chunks(MOST_CLAIMS) {
        answer = client.post(&path, &json!({ "claims": portion }))?;
    }
    let received = answer["received"].as_u64().unwrap_or_default();
    let text = format!("{GOOD}carried{GOOD:#}: the server has {received} outcomes of {device}");
    Ok(Answer::new(json!({ "device": device, "received": received }), text))
}
