//! Takes in what a device claims: stored first, acknowledged then, judged later by a job, so that
//! neither the answer nor its timing says whether a code was right.

use crate::context::Context;
use crate::http::base64url::{read, write};
use crate::http::extract::ApiJson;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::store::claims::{self, Received};
use crate::store::deliveries::{self, State as DeliveryState};
use crate::store::devices::{self, State as DeviceState};
use crate::store::{StoreError, generations, meta};
use axum::Json;
use axum::extract::State;
use doorstep::cose::Invalid;
use doorstep::cose::keys::PublicKey;
use doorstep::cose::sign1::{Signed, key_id_of};
use doorstep::handover::claim::{Acknowledgement, Claim, Upload};
use doorstep::id::DeviceId;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Claims that do not fit a device's chain, kept as evidence. More than this are a flood.
const MAX_FORKED: u64 = 1000;
/// The latest time a column holds; a device's clock may say anything.
const LATEST: Timestamp = Timestamp::from_seconds(u64::MAX >> 1);

/// Claims on their way in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UploadClaims {
    /// A signed upload of at most 500 claims (HO1), in base64url. It may hold none.
    upload: String,
}

/// That they are stored.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Acknowledged {
    /// A signed acknowledgement (HO1), in base64url.
    acknowledgement: String,
}

/// Takes in a device's claims. Claims that are known change nothing; after a gap nothing is taken.
#[utoipa::path(post, path = "/v1/claims", tag = "claims", operation_id = "upload_claims",
    request_body = UploadClaims,
    responses((status = 200, body = Acknowledged), (status = "4XX", body = ProblemBody)))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiJson(request): ApiJson<UploadClaims>,
) -> Result<Json<Acknowledged>, Problem> {
    let document = read("upload", &request.upload)?;
    drop(request);
    let (device, key) = signer(&context, &document).await?;
    // Hundreds of signatures keep a processor busy; neither the writer nor other requests wait.
    let verified = tokio::task::spawn_blocking(move || verify(&document, &key));
    let received = match verified.await {
        Ok(received) => received.map_err(|error| invalid(&error))?,
        Err(error) => return Err(Problem::internal(&error)),
    };
    let now = context.now();
    let mut nonce = [0; 16];
    context.with_rng(|rng| rng.fill_bytes(&mut nonce));
    let issuer = context.issuer();
    let acknowledgement = context
        .store
        .write(move |connection| {
            let number = take_in(connection, &device, &received, &nonce, now)?;
            Ok::<_, Problem>(Acknowledgement {
                issuer,
                device,
                received: number,
                epoch: meta::epoch(connection)?,
                log: claims::head(connection)?,
                time: now,
                prove: devices::progress(connection, &device)?.journal.seq,
                nonce,
            })
        })
        .await?;
    let document = acknowledgement.issue(&context.keys.signing);
    Ok(Json(Acknowledged { acknowledgement: write(&document) }))
}

/// The device that a signed document names, and its key. Nothing is proven by that.
pub(crate) async fn signer(
    context: &Context,
    document: &[u8],
) -> Result<(DeviceId, PublicKey), Problem> {
    let named = key_id_of(document).map_err(|error| invalid(&error))?;
    let unknown = || {
        Problem::new(Code::SignatureInvalid, "no enrolled device has signed this")
            .hint("enrol the device with a ticket: doorstep driver enrol")
    };
    let device = DeviceId::parse(&named).map_err(|_| unknown())?;
    let key = context.store.read(move |connection| devices::key(connection, &device)).await?;
    Ok((device, key.ok_or_else(unknown)?))
}

pub(crate) fn invalid(error: &Invalid) -> Problem {
    match error {
        Invalid::Malformed(_) => Problem::new(Code::MalformedBody, error.to_string()),
        _ => Problem::new(Code::SignatureInvalid, error.to_string()),
    }
}

fn verify(document: &[u8], key: &PublicKey) -> Result<Vec<Received>, Invalid> {
    let upload = Upload::verify(&Signed::parse(document)?, key)?;
    upload
        .claims
        .into_iter()
        .map(|document| {
            let claim = Claim::verify(&document, key)?;
            Ok(Received {
                number: claim.number,
                previous: claim.previous,
                hash: claim.hash(),
                delivery: claim.delivery,
                generation: claim.generation,
                means: claim.means,
                at: claim.at.min(LATEST),
                document: document.into(),
            })
        })
        .collect()
}

/// Stores what is new and gives back the number of the last claim that is stored.
fn take_in(
    connection: &Connection,
    device: &DeviceId,
    received: &[Received],
    nonce: &[u8; 16],
    now: Timestamp,
) -> Result<u64, Problem> {
    let progress = devices::progress(connection, device)?;
    let (mut number, mut hash) = (progress.claim_number, progress.claim_hash);
    let mut log = claims::head(connection)?;
    let mut forks = 0_u64;
    for claim in received {
        // After a gap nothing is taken: the acknowledgement says where to go on.
        if claim.number == 0 || claim.number > number.saturating_add(1) {
            break;
        }
        if claim.number <= number
            && claims::is_stored(connection, device, claim.number, &claim.hash)?
        {
            continue;
        }
        let follows = claim.number > number && claim.previous == hash;
        if !follows {
            forks = forks.saturating_add(1);
        }
        log = claims::append(connection, log, device, claim, !follows, now)?;
        if claim.number > number {
            (number, hash) = (claim.number, claim.hash);
        }
        report(connection, device, claim, now)?;
    }
    if forks > 0 {
        if claims::count_forked(connection, device)? > MAX_FORKED {
            return Err(Problem::new(
                Code::DeviceForked,
                "this device has sent too many claims that contradict each other",
            )
            .hint("enrol it anew, with an empty directory"));
        }
        devices::set_state(connection, device, DeviceState::Forked)?;
        tracing::warn!(%device, forks, "claims that do not continue the device's chain");
    }
    devices::acknowledged(connection, device, number, &hash, nonce, now)?;
    Ok(number)
}

/// A claim on the newest generation, by the device that has it, makes the delivery `reported`.
fn report(
    connection: &Connection,
    device: &DeviceId,
    claim: &Received,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(delivery) = deliveries::find(connection, &claim.delivery)? else { return Ok(()) };
    let generation = generations::find(connection, &claim.delivery, claim.generation)?;
    if generation.is_none_or(|generation| {
        generation.device.as_ref() != Some(device) || generation.number != delivery.generation
    }) {
        return Ok(());
    }
    let open = [
        DeliveryState::Planned,
        DeliveryState::HandedOut,
        DeliveryState::Notified,
        DeliveryState::Expired,
    ];
    deliveries::advance(connection, &claim.delivery, &open, DeliveryState::Reported, now)
}
