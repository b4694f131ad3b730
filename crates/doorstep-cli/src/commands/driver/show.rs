//! What a device shows of itself: its stops, its state, its journal.

use super::{At, in_order, state, waiting_count, waiting_text};
use crate::device::journal::bodies;
use crate::device::key::{self, Stored};
use crate::error::CliError;
use crate::output::{self, Answer};
use crate::text::{base64url, clock_face, rfc3339};
use doorstep::handover::check::Check;
use doorstep::handover::claim::{Claim, Outcome};
use doorstep::handover::event::Event;
use serde_json::{Value, json};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Journal {
    /// Write the journal as JSON lines, for support: without anything that codes are checked with,
    /// without names, addresses and notes
    #[command(
        after_help = "Examples:\n  doorstep driver journal export --dir ana > ana.jsonl\n  doorstep driver journal export --with-claims --dir ana > ana.jsonl"
    )]
    Export {
        /// With the signed claims, to be carried to the server when the device's key is gone. What was
        /// presented stays sealed in them
        #[arg(long)]
        with_claims: bool,
        #[command(flatten)]
        at: At,
    },
}

pub(super) fn list(at: &At) -> Result<Answer, CliError> {
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
            stop.reference.clone(),
            stop.label.clone(),
            format!("{} - {}", clock_face(window.0, now), clock_face(window.1, now)),
            match known.spent {
                Some(spent) => format!("{state} {}", clock_face(spent, now)),
                None if state == "open" && known.attempts > 0 => {
                    format!("open, {} of {} attempts used", known.attempts, stop.budget)
                }
                None => match known.failed {
                    Some((at, reason)) => {
                        format!("{state}, {} {}", reason.as_str(), clock_face(at, now))
                    }
                    None => state.to_owned(),
                },
            },
        ]);
        json.push(json!({
            "number": number, "delivery": stop.delivery.as_str(), "generation": stop.generation,
            "reference": stop.reference, "label": stop.label, "from": rfc3339(window.0), "until": rfc3339(window.1),
            "attempts": known.attempts, "budget": stop.budget, "state": state,
            "check": check_name(&stop.check), "accepted_at": known.spent.map(rfc3339),
            "failed": known.failed.map(|(at, reason)| json!({ "at": rfc3339(at), "reason": reason.as_str() })),
        }));
    }
    let waiting = device.waiting();
    let stops = if json.is_empty() {
        "no stops; sync while online\n".to_owned()
    } else {
        output::table(&rows)
    };
    let text = format!("{}\n{}", stops.trim_end(), waiting_text(waiting));
    Ok(Answer::new(json!({ "stops": json, "waiting_to_sync": waiting_count(waiting) }), text))
}

fn check_name(check: &Check) -> &'static str {
    match check {
        Check::Split { .. } => "split",
        Check::Full { .. } => "full",
    }
}

pub(super) fn status(at: &At) -> Result<Answer, CliError> {
    let (journal, clock) = at.open()?;
    let device = journal.device();
    let identity = device.identity();
    let now = device.now(clock.now()?);
    let waiting = device.waiting();
    let pin = matches!(key::load(&at.dir)?, Some(Stored::Sealed(_)));
    let open = in_order(device).iter().filter(|known| state(known, now) == "open").count();
    let json = json!({
        "device": identity.device.as_str(), "issuer": identity.issuer.as_str(), "server": identity.server,
        "test": identity.test, "now": rfc3339(now), "last_signed_time": rfc3339(device.signed_time()),
        "route_version": device.version(), "open_stops": open,
        "claims": device.count_claims(), "waiting_to_sync": waiting_count(waiting),
        "delivered_waiting": waiting.delivered, "failed_waiting": waiting.failed,
        "managed": identity.managed, "pin": pin, "journal_records": device.head().seq,
    });
    let text = format!(
        "device   {}\nissuer   {} at {}{}\ntime     {} (last signed {})\nroute    version {}, {open} stops open now\noutcomes {} made, {}",
        identity.device,
        identity.issuer,
        identity.server,
        match (identity.test, identity.managed) {
            (false, false) => "",
            (true, false) => " (test)",
            (false, true) => " (managed)",
            (true, true) => " (test, managed)",
        },
        rfc3339(now),
        rfc3339(device.signed_time()),
        device.version(),
        device.count_claims(),
        waiting_text(waiting),
    );
    Ok(Answer::new(json, text))
}

pub(super) fn journal(journal: &Journal) -> Result<Answer, CliError> {
    let Journal::Export { with_claims, at } = journal;
    // It is folded as well, so that nothing is exported of a damaged one.
    let (journal, _) = at.open()?;
    let key = journal.device().identity().key();
    let mut lines = Vec::new();
    for (number, body) in (1_u64..).zip(bodies(&at.dir)?) {
        let damaged = |_| CliError::new(format!("journal record {number} is malformed"));
        let event = Event::decode(&body).map_err(damaged)?;
        let claim = match (&event, &key) {
            (Event::Claimed(document, _), Ok(key)) => Claim::verify(document, key).ok(),
            _ => None,
        };
        let mut line = record_json(&event, claim.as_ref());
        if let Some(line) = line.as_object_mut() {
            line.insert("record".to_owned(), json!(number));
            line.insert("at".to_owned(), json!(rfc3339(event.at())));
            if let (true, Event::Claimed(document, _)) = (with_claims, &event) {
                line.insert("document".to_owned(), json!(base64url(document)));
            }
        }
        lines.push(line);
    }
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    Ok(Answer::new(json!({ "records": lines }), text.join("\n")))
}

/// What support may see of a record.
fn record_json(event: &Event, claim: Option<&Claim>) -> Value {
    match event {
        Event::Enrolled(identity, _) => json!({
            "kind": "enrolled", "issuer": identity.issuer.as_str(), "device": identity.device.as_str(),
            "server": identity.server, "test": identity.test, "managed": identity.managed,
        }),
        Event::Routed(route, _) => {
            let stops = route.stops.iter().map(|stop| {
                json!({
                    "delivery": stop.delivery.as_str(), "generation": stop.generation,
                    "from": rfc3339(stop.window.from()), "until": rfc3339(stop.window.until()),
                    "budget": stop.budget, "check": check_name(&stop.check),
                    "slots": stop.check.scans().len(),
                })
            });
            let withdrawn = route.withdrawn.iter().map(|withdrawn| {
                json!({ "delivery": withdrawn.delivery.as_str(), "generation": withdrawn.generation })
            });
            json!({
                "kind": "routed", "version": route.version, "time": rfc3339(route.time),
                "stops": stops.collect::<Vec<_>>(), "withdrawn": withdrawn.collect::<Vec<_>>(),
            })
        }
        Event::Attempted(attempted, _) => json!({
            "kind": "attempted", "delivery": attempted.delivery.as_str(),
            "generation": attempted.generation, "means": attempted.means.as_str(),
        }),
        Event::Claimed(..) => claim_json(claim),
        Event::Acknowledged(..) => json!({ "kind": "acknowledged" }),
        Event::Ticked(_) => json!({ "kind": "ticked" }),
    }
}

fn claim_json(claim: Option<&Claim>) -> Value {
    let Some(claim) = claim else { return json!({ "kind": "claimed" }) };
    let outcome = match &claim.outcome {
        Outcome::Granted { slot, means, .. } => {
            json!({ "outcome": "granted", "slot": slot, "means": means.as_str() })
        }
        Outcome::Failed { reason, .. } => json!({ "outcome": "failed", "reason": reason.as_str() }),
    };
    json!({
        "kind": "claimed", "number": claim.number, "delivery": claim.delivery.as_str(),
        "generation": claim.generation, "signed_time": rfc3339(claim.signed_time),
        "result": outcome,
    })
}
