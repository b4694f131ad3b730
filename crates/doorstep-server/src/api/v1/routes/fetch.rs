//! Hands a device the stops it does not have, after it has proven that its journal is whole: a
//! device that was set back would accept codes again that it has accepted before.

use crate::api::v1::claims::upload::{invalid, signer};
use crate::api::v1::deliveries::carry_out::stop_row;
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

/// Beyond any number of routes or records; what is stored of them has room for twice as many.
const MOST: u64 = u64::MAX >> 2;

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
    responses((status = 200, description = "the routes it does not have", body = Routes), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
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
    if request.version > MOST || request.head.seq > MOST || request.proof.seq > MOST {
        return Ok(Err(Problem::new(
            Code::MalformedBody,
            "this request counts further than any device does",
        )));
    }
    let progress = devices::progress(connection, &request.device)?;
    if let Err(problem) = refuse_untrusted(progress.state) {
        return Ok(Err(problem));
    }
    if request.nonce != progress.nonce {
        return Ok(Err(stale()));
    }
    if let Some(state) = found_wanting(request, &progress) {
        devices::set_state(connection, &request.device, state, now)?;
        tracing::warn!(device = %request.device, state = state.as_str(), "a device cannot prove its journal");
        return Ok(refuse_untrusted(state).map(|()| Vec::new()));
    }
    let (head, known) = (request.head, progress.journal);
    if head.seq < known.seq || (head.seq == known.seq && head.hash != known.hash) {
        // A request on its way twice, overtaken by a newer one; or a device set back to after its
        // acknowledgement, which the next one will show.
        return Ok(Err(stale()));
    }
    routes::confirm(connection, &request.device, request.version)?;
    // A device may know more than a server that was set back.
    let known = progress.route_version.max(request.version);
    let made = make(context, connection, request, key, known.saturating_add(1), now)?;
    let version = if made { known.saturating_add(1) } else { known };
    devices::routed(connection, &request.device, request.head, version)?;
    Ok(Ok(routes::pending(connection, &request.device)?))
}

pub(super) fn stale() -> Problem {
    Problem::new(Code::SyncStale, "a newer sync of this device came in between").hint("sync again")
}

pub(super) fn refuse_untrusted(state: DeviceState) -> Result<(), Problem> {
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
        DeviceState::Lost => Err(Problem::new(
            Code::DeviceLost,
            "this device was reported lost, so it is handed nothing",
        )
        .hint(hint)),
        DeviceState::Invited => {
            Err(Problem::new(Code::DeviceNotReady, "this device is not enrolled"))
        }
    }
}

/// What is wrong with the journal of a device that cannot name what it had to prove.
fn found_wanting(request: &RouteRequest, progress: &Progress) -> Option<DeviceState> {
    if request.head.seq < progress.prove.seq {
        return Some(DeviceState::RolledBack);
    }
    if request.proof != progress.prove {
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

#[cfg(test)]
mod tests {
    use crate::http::base64url::write;
    use crate::test_server::{TestDevice, TestServer};
    use doorstep::handover::route::RouteRequest;
    use doorstep::ledger::Head;
    use serde_json::json;

    async fn with_stop() -> (TestServer, TestDevice, String) {
        let server = TestServer::new().await;
        let mut device = server.device("Marta").await;
        let delivery = server.delivery("A").await;
        server.plan(&delivery, device.id()).await;
        device.upload(&server).await;
        (server, device, delivery)
    }

    #[tokio::test]
    async fn each_stop_is_handed_out_once_and_its_tags_are_then_only_on_the_device() {
        let (server, mut device, delivery) = with_stop().await;
        let (_, answer) = device.fetch(&server).await;
        let stops = device.take_in(&server, &answer);
        assert_eq!((stops.len(), stops[0].check.scans().len()), (1, 2));
        let shown = server.shown(&delivery).await;
        assert_eq!(shown["state"], "handed_out");
        assert_eq!(
            server.query("SELECT count(*) FROM generations WHERE sealed_stop IS NOT NULL"),
            0
        );

        let before = device.device.head();
        assert!(device.sync(&server).await.is_empty(), "nothing new");
        assert_eq!(device.device.version(), 1);
        assert!(device.device.head().seq > before.seq, "only the acknowledgement");
        assert_eq!(server.query("SELECT count(*) FROM routes"), 0, "it has it, so it is forgotten");
    }

    #[tokio::test]
    async fn a_lost_answer_is_given_again() {
        let (server, mut device, _) = with_stop().await;
        let (_, lost) = device.fetch(&server).await;
        let (_, again) = device.fetch(&server).await;
        assert_eq!(again, lost);
        device.upload(&server).await;
        let later = server.delivery("B").await;
        server.plan(&later, device.id()).await;
        let (_, both) = device.fetch(&server).await;
        assert_eq!(both["routes"].as_array().unwrap().len(), 2);
        assert_eq!(device.take_in(&server, &both).len(), 2);
    }

    #[tokio::test]
    async fn a_request_that_was_overtaken_harms_nothing() {
        let (server, mut device, delivery) = with_stop().await;
        let early = device.clone();
        let (_, answer) = device.fetch(&server).await;
        device.take_in(&server, &answer);
        let (status, _) = device.fetch(&server).await;
        assert_eq!(status, 200, "a newer one on the same acknowledgement");
        let (status, problem) = early.fetch(&server).await;
        assert_eq!((status, &problem["code"]), (409, &json!("sync_stale")));
        server.plan(&delivery, device.id()).await;
        assert_eq!(device.sync(&server).await.len(), 1);
    }

    #[tokio::test]
    async fn a_device_set_back_gets_nothing_for_ever() {
        let (server, mut device, _) = with_stop().await;
        let backup = device.clone();
        device.sync(&server).await;
        device.sync(&server).await;
        let mut restored = backup;
        restored.upload(&server).await;
        let (status, problem) = restored.fetch(&server).await;
        assert_eq!((status, &problem["code"]), (409, &json!("device_rolled_back")), "{problem}");
        let (_, shown) = server.get(&format!("/v1/devices/{}", device.id())).await;
        assert_eq!(shown["state"], "rolled_back");
        device.upload(&server).await;
        let (status, _) = device.fetch(&server).await;
        assert_eq!(status, 409, "nor does the one it was copied from");
    }

    #[tokio::test]
    async fn a_copy_that_grew_is_seen_as_a_fork() {
        let (server, mut device, _) = with_stop().await;
        let mut copy = device.clone();
        device.sync(&server).await;
        for _ in 0..5 {
            copy.upload(&server).await;
        }
        let (status, problem) = copy.fetch(&server).await;
        assert_eq!((status, &problem["code"]), (409, &json!("device_forked")), "{problem}");
    }

    #[tokio::test]
    async fn a_request_repeats_the_last_acknowledgement() {
        let (server, mut device, _) = with_stop().await;
        let stale = device.clone();
        device.upload(&server).await;
        let (status, problem) = stale.fetch(&server).await;
        assert_eq!((status, &problem["code"]), (409, &json!("sync_stale")));
        let (status, _) = device.fetch(&server).await;
        assert_eq!(status, 200, "which harms nothing");
    }

    /// A malfunction it must not look like, nor be.
    #[tokio::test]
    async fn numbers_that_no_device_reaches_are_refused() {
        let (server, device, _) = with_stop().await;
        let honest = device.device.request_route().unwrap();
        for beyond in [1 << 63, u64::MAX, i64::MAX.unsigned_abs()] {
            let head = Head { seq: beyond, ..honest.head };
            for request in [
                RouteRequest { version: beyond, ..honest.clone() },
                RouteRequest { head, ..honest.clone() },
                RouteRequest { proof: head, ..honest.clone() },
            ] {
                let unsigned = request.unsigned(&device.key.public());
                let document = unsigned.signed(&device.key.sign(&unsigned.to_be_signed()));
                let body = json!({"request": write(&document)});
                let (status, problem) = server.post("/v1/routes", body).await;
                assert_eq!((status, &problem["code"]), (400, &json!("malformed_body")), "{beyond}");
            }
        }
        assert_eq!(device.fetch(&server).await.0, 200, "the device is not the worse for it");
    }

    #[tokio::test]
    async fn requests_of_others_are_refused() {
        let (server, device, _) = with_stop().await;
        let mut other = server.device("Leo").await;
        other.upload(&server).await;
        let unsigned = device.device.request_route().unwrap().unsigned(&device.key.public());
        let message = unsigned.to_be_signed();
        let wrong_key = unsigned.signed(&other.key.sign(&message));
        let upload = device.device.upload(0).unsigned(&device.key.public());
        let other_kind = upload.signed(&device.key.sign(&upload.to_be_signed()));
        for (status, document) in [(401, wrong_key), (401, other_kind), (400, vec![0; 40])] {
            let (got, problem) =
                server.post("/v1/routes", json!({"request": write(&document)})).await;
            assert_eq!(got, status, "{problem}");
        }
        for body in [json!({"request": 1}), json!({}), json!({"request": "", "version": 0})] {
            assert_eq!(server.post("/v1/routes", body).await.0, 422);
        }
        let (_, own) = other.fetch(&server).await;
        assert_eq!(own["routes"], json!([]), "and another's stops are not his");
        assert_eq!(server.query("SELECT count(*) FROM routes"), 0);
    }

    #[tokio::test]
    async fn a_replanned_stop_is_withdrawn_and_handed_out_anew() {
        let (server, mut device, delivery) = with_stop().await;
        device.sync(&server).await;
        server.plan(&delivery, device.id()).await;
        let stops = device.sync(&server).await;
        assert_eq!(stops[0].generation, 2);
        let kept = device.device.stops().find(|known| known.stop.generation == 1).unwrap();
        assert!(kept.withdrawn);
    }
}
