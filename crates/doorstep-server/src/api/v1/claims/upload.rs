//! Takes in what a device claims: stored first, acknowledged then, judged later by a job, so that
//! neither the answer nor its timing says whether a code was right.

use super::flood;
use super::report::report;
use crate::context::Context;
use crate::http::base64url::{read, write};
use crate::http::extract::ApiJson;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::store::claims::{self, Received};
use crate::store::devices::{self, State as DeviceState};
use crate::store::meta;
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
    responses((status = 200, description = "what is stored now", body = Acknowledged), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
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
            let number = take_in(connection, &device, &received, now)?;
            devices::acknowledged(connection, &device, &nonce, now)?;
            if !received.is_empty() {
                flood::refuse(connection, &device, now)?;
            }
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
    upload.claims.into_iter().map(|document| received(document.into(), key)).collect()
}

/// A claim that was signed with this key.
pub(super) fn received(document: Vec<u8>, key: &PublicKey) -> Result<Received, Invalid> {
    let claim = Claim::verify(&document, key)?;
    Ok(Received {
        number: claim.number,
        previous: claim.previous,
        hash: claim.hash(),
        delivery: claim.delivery,
        generation: claim.generation,
        outcome: claim.outcome,
        at: claim.at.min(LATEST),
        signed_time: claim.signed_time.min(LATEST),
        document,
    })
}

/// Stores what is new and gives back the number of the last claim that is stored.
pub(super) fn take_in(
    connection: &Connection,
    device: &DeviceId,
    received: &[Received],
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
        match report(connection, device, claim, now) {
            // The claim is kept, and judging sets it aside; those behind it go on.
            Err(error) if error.is_damage() => {
                let delivery = &claim.delivery;
                tracing::error!(%delivery, %error, "a claim changes nothing yet: what it is on cannot be read");
            }
            reported => reported?,
        }
    }
    if forks > 0 {
        if claims::count_forked(connection, device)? > MAX_FORKED {
            return Err(Problem::new(
                Code::DeviceForked,
                "this device has sent too many claims that contradict each other",
            )
            .hint("enrol it anew, with an empty directory"));
        }
        if progress.state != DeviceState::Lost {
            devices::set_state(connection, device, DeviceState::Forked, now)?;
        }
        tracing::warn!(%device, forks, "claims that do not continue the device's chain");
    }
    devices::claimed(connection, device, number, &hash)?;
    Ok(number)
}

#[cfg(test)]
mod tests {
    use crate::http::base64url::{read, write};
    use crate::test_server::{TestDevice, TestServer};
    use doorstep::handover::claim::Upload;
    use doorstep::ledger::Head;
    use serde_json::{Value, json};

    /// A device with three outcomes that it has not told yet.
    async fn with_claims() -> (TestServer, TestDevice) {
        let server = TestServer::new().await;
        let mut device = server.device("Marta").await;
        let mut ids = Vec::new();
        for reference in ["A", "B", "C"] {
            let delivery = server.delivery(reference).await;
            server.plan(&delivery, device.id()).await;
            ids.push(delivery);
        }
        device.sync(&server).await;
        server.clock.advance(2 * 3600);
        server.run_jobs().await;
        for message in server.messages() {
            let delivery = message["delivery"].as_str().unwrap();
            let text = message["text"].as_str().unwrap();
            let code = &text.split("code is ").nth(1).unwrap()[..9];
            device.present(delivery, code, server.clock.now()).unwrap();
        }
        (server, device)
    }

    fn picked(device: &TestDevice, indices: &[usize]) -> Upload {
        let all = device.device.upload(500);
        Upload {
            device: all.device,
            claims: indices.iter().map(|i| all.claims[*i].clone()).collect(),
        }
    }

    fn stored(server: &TestServer) -> i64 {
        server.query("SELECT count(*) FROM claims")
    }

    #[tokio::test]
    async fn claims_are_stored_once_however_often_they_come() {
        let (server, mut device) = with_claims().await;
        let all = picked(&device, &[0, 1, 2]);
        for _ in 0..3 {
            let (status, _) = device.send(&server, &all).await;
            assert_eq!(status, 200);
            assert_eq!((stored(&server), device.device.received()), (3, 3));
        }
        let (_, shown) = server.get(&format!("/v1/devices/{}", device.id())).await;
        assert_eq!((&shown["claims"], &shown["state"]), (&json!(3), &json!("enrolled")));
    }

    #[tokio::test]
    async fn after_a_gap_nothing_is_taken_and_the_answer_says_where_to_go_on() {
        let (server, mut device) = with_claims().await;
        for (indices, received) in
            [(&[1][..], 0), (&[2, 1], 0), (&[0, 2], 1), (&[2, 0, 1], 1), (&[1, 1, 2], 3)]
        {
            let upload = picked(&device, indices);
            // Another copy of the device sends, so that this one keeps what it has.
            let (status, _) = device.clone().send(&server, &upload).await;
            assert_eq!(status, 200);
            assert_eq!(stored(&server), received, "{indices:?}");
        }
        let (_, answer) = device.upload(&server).await;
        assert!(answer["acknowledgement"].is_string());
        assert_eq!((stored(&server), device.device.received()), (3, 3));
        assert_eq!(server.query("SELECT count(*) FROM claims WHERE forked"), 0);
    }

    #[tokio::test]
    async fn the_log_is_a_chain_over_all_claims() {
        let (server, mut device) = with_claims().await;
        device.upload(&server).await;
        let database = rusqlite::Connection::open(server.dir.path().join("doorstep.db")).unwrap();
        let mut statement =
            database.prepare("SELECT log_hash, hash FROM claims ORDER BY log_seq").unwrap();
        let mut head = Head::EMPTY;
        for row in statement
            .query_map([], |r| Ok((r.get::<_, [u8; 32]>(0)?, r.get::<_, [u8; 32]>(1)?)))
            .unwrap()
        {
            let (log, claim) = row.unwrap();
            head = head.then(&claim);
            assert_eq!(head.hash, log);
        }
        assert_eq!(head.seq, 3);
    }

    #[tokio::test]
    async fn a_device_set_back_is_seen_and_its_claims_are_kept() {
        let (server, mut device) = with_claims().await;
        let mut backup = device.clone();
        let first = picked(&device, &[0]);
        let unsaid = picked(&device, &[0, 1, 2]);
        device.send(&server, &unsaid).await;
        // The backup is from before the three; it grants the first delivery once more.
        backup.forget_claims();
        let message = server.messages().remove(0);
        let code =
            message["text"].as_str().unwrap().split("code is ").nth(1).unwrap()[..9].to_owned();
        backup
            .present(message["delivery"].as_str().unwrap(), &code, server.clock.now().later(60))
            .unwrap();
        let again = picked(&backup, &[0]);
        assert_ne!(again.claims, first.claims);
        let (status, _) = backup.send(&server, &again).await;
        assert_eq!((status, stored(&server)), (200, 4));
        assert_eq!(server.query("SELECT count(*) FROM claims WHERE forked"), 1);
        let (_, shown) = server.get(&format!("/v1/devices/{}", device.id())).await;
        assert_eq!(shown["state"], "forked");
        let (status, problem) = device.fetch(&server).await;
        assert_eq!(
            (status, &problem["code"]),
            (409, &json!("device_forked")),
            "it gets no more routes"
        );
        server.run_jobs().await;
        assert_eq!(server.query("SELECT count(*) FROM claims WHERE verdict = 'repeated'"), 1);
    }

    #[tokio::test]
    async fn a_generation_that_cannot_be_read_keeps_no_claim_behind_it_back() {
        let (server, mut device) = with_claims().await;
        server.execute(
            "UPDATE generations SET alphabet = 7
             WHERE delivery = (SELECT id FROM deliveries WHERE reference = 'A')",
        );
        let (status, answer) = device.upload(&server).await;
        assert_eq!((status, stored(&server)), (200, 3), "{answer}");
        let in_state = |state: &str| {
            server.query(&format!("SELECT count(*) FROM deliveries WHERE state = '{state}'"))
        };
        assert_eq!(in_state("reported"), 2);
        server.run_jobs().await;
        assert_eq!((in_state("delivered"), in_state("disputed")), (2, 1));
    }

    #[tokio::test]
    async fn documents_of_others_and_of_other_kinds_are_refused() {
        let (server, mut device) = with_claims().await;
        let other = server.device("Leo").await;
        let upload = picked(&device, &[0]);
        let post = async |document: &[u8]| -> (u16, Value) {
            server.post("/v1/claims", json!({"upload": write(document)})).await
        };
        let signed = |by: &TestDevice, upload: &Upload| {
            let unsigned = upload.unsigned(&by.key.public());
            unsigned.signed(&by.key.sign(&unsigned.to_be_signed()))
        };
        let good = signed(&device, &upload);
        let mut flipped = good.clone();
        let last = flipped.len() - 1;
        flipped[last] ^= 1;
        let foreign_claims = Upload { device: other.device.identity().device, ..upload.clone() };
        let request = device.device.request_route().unwrap().unsigned(&device.key.public());
        let request = request.signed(&device.key.sign(&request.to_be_signed()));
        let unknown =
            Upload { device: doorstep::id::DeviceId::parse("dev_0").unwrap(), ..upload.clone() };
        for (name, status, document) in [
            ("signed by another", 401, signed(&other, &upload)),
            ("claims of another", 401, signed(&other, &foreign_claims)),
            ("of an unknown device", 401, signed(&device, &unknown)),
            ("a bit changed", 401, flipped),
            ("another kind", 401, request),
            ("cut", 400, good[..good.len() - 1].to_vec()),
            ("longer", 400, [good.as_slice(), &[0]].concat()),
            ("empty", 400, Vec::new()),
        ] {
            let (got, problem) = post(&document).await;
            assert_eq!(got, status, "{name}: {problem}");
        }
        let too_many = Upload { claims: vec![upload.claims[0].clone(); 501], ..upload.clone() };
        assert_eq!(post(&signed(&device, &too_many)).await.0, 400);
        for body in [
            json!({"upload": "!"}),
            json!({"upload": true}),
            json!({}),
            json!({"upload": "", "x": 1}),
            json!([""]),
        ] {
            assert_eq!(server.post("/v1/claims", body).await.0, 422);
        }
        assert_eq!(stored(&server), 0);
        let (status, answer) = device.upload(&server).await;
        assert_eq!(status, 200);
        assert!(read("acknowledgement", answer["acknowledgement"].as_str().unwrap()).is_ok());
    }
}
