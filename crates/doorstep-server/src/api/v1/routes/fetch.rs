//! Hands a device the stops it does not have, after it has proven that its journal is whole: a
//! device that was set back would accept codes again that it has accepted before.

use crate::api::v1::claims::upload::{invalid, signer};
use crate::api::v1::deliveries::plan::stop_row;
use crate::context::Context;
use crate::http::base64url::{read, write};
use crate::http::extract::ApiJson;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::seal::Place;
use crate::store::deliveries::{self, State as DeliveryState};
use crate::store::devices::{self, Progress, State as DeviceState};
use crate::store::{StoreError, generations, routes};
use axum::Json;
use axum::extract::State;
use doorstep::cose::keys::PublicKey;
use doorstep::cose::sign1::Signed;
use doorstep::handover::route::{Route, RouteRequest, Withdrawn};
use doorstep::handover::stop::Stop;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// A device's request.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FetchRoutes {
    /// A signed route request (HO1), in base64url.
    request: String,
}

/// Routes that the device does not have.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Routes {
    /// Signed and sealed routes (HO1) in base64url, to be taken in in this order; none when there
    /// is nothing new.
    routes: Vec<String>,
}

/// Hands out the routes that a device does not have. Asking again gives the same ones, until the
/// device says that it has them.
#[utoipa::path(post, path = "/v1/routes", tag = "routes", operation_id = "fetch_routes",
    request_body = FetchRoutes,
    responses((status = 200, body = Routes), (status = "4XX", body = ProblemBody)))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiJson(request): ApiJson<FetchRoutes>,
) -> Result<Json<Routes>, Problem> {
    let document = read("request", &request.request)?;
    let (_, key) = signer(&context, &document).await?;
    let request = Signed::parse(&document)
        .and_then(|signed| RouteRequest::verify(&signed, &key))
        .map_err(|error| invalid(&error))?;
    let now = context.now();
    let inner = Arc::clone(&context);
    // A device that fails its proof is noted for ever, so that comes back as a result: an error
    // would take the note back.
    let pending = context
        .store
        .write(move |connection| answer(&inner, connection, &request, &key, now))
        .await??;
    Ok(Json(Routes { routes: pending.iter().map(|route| write(route)).collect() }))
}

type Answer = Result<Vec<Vec<u8>>, Problem>;

fn answer(
    context: &Context,
    connection: &Connection,
    request: &RouteRequest,
    key: &PublicKey,
    now: Timestamp,
) -> Result<Answer, Problem> {
    let progress = devices::progress(connection, &request.device)?;
    if let Err(problem) = refuse_untrusted(progress.state) {
        return Ok(Err(problem));
    }
    if request.nonce != progress.nonce {
        return Ok(Err(Problem::new(
            Code::SyncStale,
            "the request does not repeat the last acknowledgement",
        )
        .hint("sync again")));
    }
    if let Some(state) = found_wanting(request, &progress) {
        devices::set_state(connection, &request.device, state)?;
        tracing::warn!(device = %request.device, state = state.as_str(), "a device cannot prove its journal");
        return Ok(refuse_untrusted(state).map(|()| Vec::new()));
    }
    routes::confirm(connection, &request.device, request.version)?;
    // A device may know more than a server that was set back.
    let known = progress.route_version.max(request.version);
    let made = make(context, connection, request, key, known.saturating_add(1), now)?;
    let version = if made { known.saturating_add(1) } else { known };
    devices::routed(connection, &request.device, request.head, version)?;
    Ok(Ok(routes::pending(connection, &request.device)?))
}

fn refuse_untrusted(state: DeviceState) -> Result<(), Problem> {
    let hint =
        "invite it anew and enrol it in an empty directory, then plan its open deliveries again";
    match state {
        DeviceState::Enrolled => Ok(()),
        DeviceState::RolledBack => Err(Problem::new(
            Code::DeviceRolledBack,
            "this device has lost a part of its journal, so it is handed nothing",
        )
        .hint(hint)),
        DeviceState::Forked => Err(Problem::new(
            Code::DeviceForked,
            "this device's journal has split in two, so it is handed nothing",
        )
        .hint(hint)),
        DeviceState::Invited => {
            Err(Problem::new(Code::DeviceNotReady, "this device is not enrolled"))
        }
    }
}

/// What is wrong with the journal of a device that cannot name what it had to prove.
fn found_wanting(request: &RouteRequest, progress: &Progress) -> Option<DeviceState> {
    if request.head.seq < progress.journal.seq {
        return Some(DeviceState::RolledBack);
    }
    if request.proof != progress.journal {
        // As long as before, or longer, with another content.
        return Some(DeviceState::Forked);
    }
    None
}

/// Makes the next route, if there is anything to put into it.
fn make(
    context: &Context,
    connection: &Connection,
    request: &RouteRequest,
    key: &PublicKey,
    version: u64,
    now: Timestamp,
) -> Result<bool, Problem> {
    let planned = generations::to_hand_out(connection, &request.device, now)?;
    let void = generations::to_withdraw(connection, &request.device)?;
    if planned.is_empty() && void.is_empty() {
        return Ok(false);
    }
    let mut stops = Vec::with_capacity(planned.len());
    for (delivery, generation, sealed) in &planned {
        let row = stop_row(delivery, *generation);
        let place = Place { table: "generations", column: "sealed_stop", row: &row };
        let content = context.keys.seal.open(place, sealed)?;
        let stop: Stop = minicbor::decode(&content)
            .map_err(|_| StoreError::Corrupt { column: "generations.sealed_stop" })?;
        stops.push(stop);
        generations::hand_out(connection, delivery, *generation, version)?;
        let from = [DeliveryState::Planned];
        deliveries::advance(connection, delivery, &from, DeliveryState::HandedOut, now)?;
    }
    let mut withdrawn = Vec::with_capacity(void.len());
    for (delivery, generation) in void {
        generations::withdraw(connection, &delivery, generation)?;
        withdrawn.push(Withdrawn { delivery, generation });
    }
    let route = Route {
        issuer: context.issuer(),
        device: request.device,
        fingerprint: key.fingerprint(),
        version,
        time: now,
        stops,
        withdrawn,
    };
    let document = context
        .with_rng(|rng| route.issue(&context.keys.signing, key, rng))
        .map_err(|error| Problem::internal(&error))?;
    routes::insert(connection, &request.device, version, &document, now)?;
    Ok(true)
}
