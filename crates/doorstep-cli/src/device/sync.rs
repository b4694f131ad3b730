//! What a device does while it is online: enrol, bring its outcomes home, fetch its route.

use super::journal::{Append, Journal};
use super::key::{self, Stored};
use crate::client::Client;
use crate::clock::Clock;
use crate::error::CliError;
use crate::randomness::Source;
use crate::text::{base64url, from_base64url};
use doorstep::cose::Invalid;
use doorstep::cose::encrypt::Sealed;
use doorstep::cose::keys::SoftwareKey;
use doorstep::handover::claim::MAX_UPLOAD;
use doorstep::handover::device::Device;
use doorstep::handover::enrolment::{self, Welcome};
use doorstep::handover::event::{Identity, Record};
use doorstep::handover::route::Route;
use doorstep::time::Timestamp;
use doorstep_server::ticket::Ticket;
use serde_json::{Value, json};
use std::path::Path;

/// Redeems a one-time ticket: makes the device's key, and pins the issuer's keys to those that the
/// ticket names. After a lost answer the same command finishes the enrolment.
pub(crate) fn enrol(
    dir: &Path,
    server: &str,
    ticket: &Ticket,
    clock: &Clock,
    rng: &mut Source,
) -> Result<Identity, CliError> {
    if clock.is_simulated() && !ticket.is_test() {
        return Err(CliError::new(
            "simulated clocks and seeds are for test data, and this ticket is real",
        )
        .hint("leave out --clock and --seed, and unset DOORSTEP_CLOCK"));
    }
    std::fs::create_dir_all(dir)
        .map_err(|error| CliError::io("make the directory", dir, &error))?;
    let _alone = super::alone(dir)?;
    if Journal::exists(dir) {
        return Err(CliError::new(format!("{} already holds an enrolled device", dir.display()))
            .hint(
                "use another directory; a device that must start anew needs a new ticket as well",
            ));
    }
    let device_key = match key::load(dir)? {
        Some(Stored::Open(key)) => key,
        Some(Stored::Sealed(_)) => {
            return Err(CliError::new(format!("{} holds a key under a PIN", dir.display()))
                .hint("use another directory"));
        }
        None => {
            let key = SoftwareKey::make(rng);
            key::store(dir, &key)?;
            key
        }
    };
    let public = device_key.public();
    let unsigned = enrolment::request(ticket.secret(), &public);
    let proof = unsigned.signed(&device_key.sign(&unsigned.to_be_signed()));
    let answer = Client::anonymous(server).post(
        "/v1/devices/enrol",
        &json!({
            "ticket": ticket.reveal(),
            "public_key": base64url(&public.to_bytes()),
            "proof": base64url(&proof),
        }),
    )?;
    let welcome = from_base64url(field(&answer, "welcome")?)?;
    let trusted = |signing: &[u8; 32], agreement: &[u8; 33]| ticket.fits(signing, agreement);
    let welcome = Welcome::verify(&welcome, &public, trusted)
        .ok()
        .filter(|welcome| welcome.test == ticket.is_test())
        .ok_or_else(|| {
            CliError::new("the server is not the one that the ticket names")
                .hint("do not use this server: ask the dispatcher for its address and a new ticket")
                .code("wrong_issuer")
        })?;
    let identity = welcome.identity(server.to_owned());
    Journal::create(dir, &Device::enrol(identity.clone(), welcome.time))?;
    Ok(identity)
}

/// What a sync did.
#[derive(Debug, Default)]
pub(crate) struct Synced {
    /// Claims that the server has now and had not before.
    pub(crate) sent: u64,
    /// Stops taken in.
    pub(crate) stops: usize,
    /// Stops given up.
    pub(crate) withdrawn: usize,
    /// Claims that the server did not take yet, which holds up no route.
    pub(crate) postponed: Option<Postponed>,
    /// Why no route was handed out, though the server was asked.
    pub(crate) refused: Option<CliError>,
}

/// Claims that stay on the device because the server took too many.
#[derive(Debug)]
pub(crate) struct Postponed {
    pub(crate) why: CliError,
    /// When the server takes them.
    pub(crate) until: Option<Timestamp>,
}

/// Sends the claims that the server does not have, then fetches the routes this device has not.
pub(crate) fn sync(
    journal: &mut Journal,
    key: &SoftwareKey,
    server: Option<&str>,
    clock: &Clock,
) -> Result<Synced, CliError> {
    let client = Client::anonymous(server.unwrap_or(&journal.device().identity().server));
    let mut synced = Synced::default();
    loop {
        let device = journal.device();
        let (before, waits) = (device.received(), device.received() < device.count_claims());
        match upload(journal, key, &client, clock, MAX_UPLOAD) {
            Ok(()) => {}
            Err(why) if waits && why.name() == "too_many_requests" => {
                // The route is asked for on an acknowledgement, and one without claims is given all the same.
                upload(journal, key, &client, clock, 0)?;
                let now = journal.device().signed_time();
                let until = why.wait().map(|seconds| now.later(seconds));
                synced.postponed = Some(Postponed { why, until });
                break;
            }
            Err(error) => return Err(error),
        }
        let device = journal.device();
        let (received, made) = (device.received(), device.count_claims());
        synced.sent += received.saturating_sub(before);
        if received >= made {
            break;
        }
        if received == before {
            return Err(CliError::new(format!(
                "the server took {received} of {made} outcomes and no more"
            ))
            .hint("tell the dispatcher: this device may have to be enrolled anew")
            .code("claims_not_taken"));
        }
    }
    match fetch(journal, key, &client) {
        Ok(routes) => {
            for route in routes {
                synced.stops += route.stops.len();
                synced.withdrawn += route.withdrawn.len();
                record(journal, |device| {
                    device.take_in(route.clone(), clock.now()?).map_err(|refused| {
                        CliError::new(format!("the server's route was not taken in: {refused}"))
                            .hint("tell the dispatcher: if the server was restored from a backup, this device must be enrolled anew")
                            .code("route_replayed")
                    })
                })?;
            }
        }
        Err(error) if error.name().starts_with("device_") => synced.refused = Some(error),
        Err(error) => return Err(error),
    }
    Ok(synced)
}

/// Asks for a delivery, on the newest acknowledgement.
pub(crate) fn take(
    journal: &Journal,
    key: &SoftwareKey,
    server: Option<&str>,
    delivery: &str,
    expected_at: Timestamp,
    variance_minutes: Option<u16>,
) -> Result<Value, CliError> {
    let device = journal.device();
    let client = Client::anonymous(server.unwrap_or(&device.identity().server));
    let take = device
        .take(delivery.to_owned(), expected_at, variance_minutes)
        .ok_or_else(|| CliError::new("this device was never acknowledged").hint("sync first"))?;
    let unsigned = take.unsigned(&key.public());
    let document = unsigned.signed(&key.sign(&unsigned.to_be_signed()));
    client.post("/v1/routes/take", &json!({ "request": base64url(&document) }))
}

/// Sends at most `limit` claims, and records the acknowledgement.
fn upload(
    journal: &mut Journal,
    key: &SoftwareKey,
    client: &Client,
    clock: &Clock,
    limit: usize,
) -> Result<(), CliError> {
    let unsigned = journal.device().upload(limit).unsigned(&key.public());
    let document = unsigned.signed(&key.sign(&unsigned.to_be_signed()));
    let answer = client.post("/v1/claims", &json!({ "upload": base64url(&document) }))?;
    let acknowledgement = from_base64url(field(&answer, "acknowledgement")?)?;
    record(journal, |device| {
        device
            .acknowledge(&acknowledgement, clock.now()?)
            .map_err(|error| untrusted("acknowledgement", error))
    })
}

fn fetch(journal: &Journal, key: &SoftwareKey, client: &Client) -> Result<Vec<Route>, CliError> {
    let device = journal.device();
    let Some(request) = device.request_route() else {
        return Ok(Vec::new());
    };
    let unsigned = request.unsigned(&key.public());
    let document = unsigned.signed(&key.sign(&unsigned.to_be_signed()));
    let answer = client.post("/v1/routes", &json!({ "request": base64url(&document) }))?;
    let routes = answer.get("routes").and_then(Value::as_array).into_iter().flatten();
    routes
        .map(|route| {
            let document = from_base64url(route.as_str().unwrap_or_default())?;
            let sealed = Sealed::parse(&document).map_err(|error| untrusted("route", error))?;
            let shared = key.agree(sealed.ephemeral());
            Route::open(&sealed, &shared, device.identity())
                .map_err(|error| untrusted("route", error))
        })
        .collect()
}

/// Appends a record that is decided anew whenever another process was faster.
pub(crate) fn record(
    journal: &mut Journal,
    decide: impl Fn(&Device) -> Result<Record, CliError>,
) -> Result<(), CliError> {
    loop {
        let record = decide(journal.device())?;
        if let Append::Appended(_) = journal.append(&record)? {
            return Ok(());
        }
    }
}

fn untrusted(what: &str, error: Invalid) -> CliError {
    CliError::new(format!("the server's {what} is not to be trusted: {error}"))
        .hint("nothing was taken in; sync again, and tell the dispatcher if it happens twice")
        .code("untrusted")
}

fn field<'a>(answer: &'a Value, name: &str) -> Result<&'a str, CliError> {
    answer
        .get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| CliError::new(format!("the server's answer lacks \"{name}\"")))
}
