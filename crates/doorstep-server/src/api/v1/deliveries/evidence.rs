//! A delivery's bundle of evidence, signed by the issuer.

use super::{id_in_path, not_found};
use crate::context::Context;
use crate::evidence;
use crate::http::base64url::write;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::store::deliveries;
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// A bundle of evidence.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EvidenceView {
    /// The signed bundle (HO1), in base64url.
    bundle: String,
    /// How many claims are in it.
    claims: usize,
}

/// Writes everything that was claimed about a delivery, as the devices signed it. Whoever has the
/// issuer's public key can examine it without this server.
#[utoipa::path(get, path = "/v1/deliveries/{id}/evidence", tag = "deliveries", operation_id = "delivery_evidence",
    security(("api_key" = [])), params(("id" = String, Path, description = "the delivery's id")),
    responses((status = 200, description = "the bundle", body = EvidenceView), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<Json<EvidenceView>, Problem> {
    let id = id_in_path(&id)?;
    let inner = Arc::clone(&context);
    let bundle = context
        .store
        .read(move |connection| {
            let delivery = deliveries::find(connection, &id)?.ok_or_else(not_found)?;
            Ok::<_, Problem>(evidence::bundle(&inner, connection, &delivery)?)
        })
        .await?;
    if bundle.claims.is_empty() {
        return Err(Problem::new(Code::NoClaims, "no device has claimed anything about it")
            .hint("claims arrive when the driver's device syncs"));
    }
    let claims = bundle.claims.len();
    Ok(Json(EvidenceView { bundle: write(&bundle.issue(&context.keys.signing)), claims }))
}

#[cfg(test)]
mod tests {
    use crate::http::base64url::read;
    use crate::test_server::{TestDevice, TestServer};
    use doorstep::handover::bundle::{Bundle, Check, CodeCheck, Finding};
    use doorstep::handover::claim::Upload;
    use doorstep::handover::failure::Reason;
    use doorstep::handover::judge::EARLY;
    use doorstep::time::Timestamp;
    use serde_json::json;

    async fn bundle(server: &TestServer, delivery: &str) -> Bundle {
        let (status, shown) = server.get(&format!("/v1/deliveries/{delivery}/evidence")).await;
        assert_eq!(status, 200, "{shown}");
        let document = read("bundle", shown["bundle"].as_str().unwrap()).unwrap();
        let key = server.context.keys.signing.public();
        for index in (0..document.len()).step_by(7) {
            let mut changed = document.clone();
            changed[index] ^= 1;
            assert!(Bundle::verify(&changed, server.context.issuer(), key).is_err(), "{index}");
        }
        Bundle::verify(&document, server.context.issuer(), key).unwrap()
    }

    /// Which checks of which claims fail.
    fn failing(server: &TestServer, bundle: &Bundle) -> Vec<(usize, Check)> {
        let examined = bundle.examine(server.context.keys.signing.public());
        assert_eq!(examined.len(), bundle.claims.len());
        let claims = examined.iter().enumerate();
        claims
            .flat_map(|(index, examined)| {
                examined.findings.map(|(check, finding)| (index, check, finding))
            })
            .filter(|(_, _, finding)| *finding == Finding::Fails)
            .map(|(index, check, _)| (index, check))
            .collect()
    }

    /// A disputed delivery whose log also holds claims of others, before and after.
    async fn among_others() -> (TestServer, String) {
        let server = TestServer::new().await;
        let mut other = server.device("Zoe").await;
        let (first, last) = (server.delivery("first").await, server.delivery("last").await);
        for delivery in [&first, &last] {
            server.plan(delivery, other.id()).await;
        }
        let stops = other.sync(&server).await;
        let now = server.clock.now();
        let claim = other.claim_for(&stops[0], "00000000", now);
        let device = other.device.identity().device;
        other.send(&server, &Upload { device, claims: vec![claim.into()] }).await;
        let (_, _, delivery) = server.disputed().await;
        let mut third = server.device("Bo").await;
        let claim = third.claim_for(&stops[1], "00000000", now);
        let device = third.device.identity().device;
        third.send(&server, &Upload { device, claims: vec![claim.into()] }).await;
        server.run_jobs().await;
        (server, delivery)
    }

    #[tokio::test]
    async fn what_was_claimed_is_examined_with_the_issuer_s_key_alone() {
        let (server, delivery) = among_others().await;
        let bundle = bundle(&server, &delivery).await;
        assert_eq!(failing(&server, &bundle), []);
        assert_eq!(bundle.claims[0].verdict.as_deref(), Some("mismatch"));
        assert_eq!(
            (bundle.claims[0].log, bundle.log[0].hashes.len()),
            (2, 2),
            "up to the newest claim"
        );
        assert_eq!(bundle.log[0].after.seq, 3);
        assert_eq!(bundle.generations.len(), 1);
        let stranger = doorstep::cose::keys::IssuerKey::from_seed(
            &doorstep::secret::Secret::from_bytes([9; 32]),
        );
        let document = bundle.issue(&stranger);
        let key = server.context.keys.signing.public();
        assert!(Bundle::verify(&document, server.context.issuer(), key).is_err());
        let examined = bundle.examine(stranger.public());
        assert_eq!(
            examined[0].findings[0],
            (Check::Enrolment, Finding::Fails),
            "no welcome of a stranger's counts"
        );
    }

    /// An issuer that signs what is not so is found out, by the check that is there for it.
    #[tokio::test]
    async fn each_check_finds_what_it_is_for() {
        let (server, delivery) = among_others().await;
        let honest = bundle(&server, &delivery).await;
        let found = |change: fn(&mut Bundle)| {
            let mut bundle = honest.clone();
            change(&mut bundle);
            failing(&server, &bundle).into_iter().map(|(_, check)| check).collect::<Vec<_>>()
        };
        use Check::{Chain, Enrolment, Log, Signature, Standing, Subject, Times};
        assert_eq!(found(|b| b.welcomes.clear()), [Enrolment, Signature]);
        assert_eq!(found(|b| *b.claims[0].document.last_mut().unwrap() ^= 1), [Signature]);
        assert_eq!(
            found(|b| b.delivery = doorstep::id::DeliveryId::parse("dlv_x").unwrap()),
            [Subject]
        );
        assert_eq!(found(|b| b.claims[0].log = 3), [Log]);
        assert_eq!(found(|b| b.log[0].hashes.swap(0, 1)), [Log]);
        assert_eq!(found(|b| b.log[0].hashes.truncate(1)), [Log]);
        assert_eq!(found(|b| b.log[0].before.hash[0] ^= 1), [Log]);
        assert_eq!(found(|b| b.log.clear()), [Log]);
        assert_eq!(
            found(|b| {
                let again = b.claims[0].clone();
                b.claims.push(again);
            }),
            [Chain]
        );
        assert_eq!(found(|b| b.claims[0].late_possible = true), [Times]);
        assert_eq!(found(|b| b.claims[0].verdict = Some("outside_window".into())), [Times]);
        assert_eq!(found(|b| b.claims[0].received = Timestamp::from_seconds(5)), [Times]);
        assert_eq!(found(|b| b.claims[0].verdict = Some("void".into())), [Standing]);
        assert_eq!(found(|b| b.claims[0].verdict = Some("superseded".into())), [Standing]);
        assert_eq!(found(|b| b.generations[0].device = None), [Standing]);
        assert_eq!(found(|b| b.claims[0].document.truncate(40)).len(), 6, "not a claim at all");
        assert_eq!(found(|b| b.claims[0].document.clear()), [], "erased: its hash stands");
        let erased = Bundle { claims: vec![], ..honest.clone() };
        assert_eq!(failing(&server, &erased), []);
    }

    /// Claims are judged by their hash, which does not cover the signature: that one is damaged is seen where
    /// it proves something to others.
    #[tokio::test]
    async fn a_signature_that_was_damaged_in_the_database_is_found_in_the_bundle() {
        let (server, mut device, delivery, _, code) = TestServer::at_the_door().await;
        device.present(&delivery, &code, server.clock.now()).unwrap();
        device.upload(&server).await;
        let kept = "substr(document, 1, length(document) - 2)";
        server.execute(&format!("UPDATE claims SET document = CAST({kept} || x'0000' AS BLOB)"));
        server.run_jobs().await;
        let bundle = bundle(&server, &delivery).await;
        assert_eq!(bundle.claims[0].verdict.as_deref(), Some("match"));
        assert_eq!(failing(&server, &bundle), [(0, Check::Signature)]);
    }

    /// The verdicts of a delivery's claims, in whose bundle every check has to hold.
    async fn sound(server: &TestServer, delivery: &str) -> Vec<String> {
        server.run_jobs().await;
        let bundle = bundle(server, delivery).await;
        let verdicts = bundle.claims.iter().map(|filed| filed.verdict.clone().unwrap());
        let verdicts: Vec<String> = verdicts.collect();
        assert_eq!(failing(server, &bundle), [], "{verdicts:?}");
        verdicts
    }

    async fn send(server: &TestServer, device: &mut TestDevice, claim: Vec<u8>) {
        let upload = Upload { device: device.device.identity().device, claims: vec![claim.into()] };
        assert_eq!(device.clone().send(server, &upload).await.0, 200);
    }

    #[tokio::test]
    async fn evidence_of_late_early_and_failed_claims_is_sound() {
        let (server, mut device, delivery, _, code) = TestServer::at_the_door().await;
        device.fail(&delivery, Reason::Absent, server.clock.now()).unwrap();
        device.present(&delivery, &code, server.clock.now()).unwrap();
        server.clock.advance(24 * 3600);
        device.sync(&server).await;
        assert_eq!(sound(&server, &delivery).await, ["noted", "match"]);

        // The device's clock goes before the issuer's, so that it takes the code before the window.
        for (early, verdict) in [(EARLY, "match"), (EARLY + 1, "outside_window")] {
            let (server, mut device, delivery, _, code) = TestServer::at_the_door().await;
            device.present(&delivery, &code, server.clock.now()).unwrap();
            let from = server.clock.now().later(early).seconds();
            server.execute(&format!("UPDATE generations SET window_from = {from}"));
            device.sync(&server).await;
            assert_eq!(sound(&server, &delivery).await, [verdict]);
        }

        let (server, mut device, delivery, _, code) = TestServer::at_the_door().await;
        let stop = device.stop_of(&delivery).clone();
        server.clock.advance(24 * 3600);
        device.sync(&server).await;
        let claim = device.claim_for(&stop, &code, server.clock.now());
        send(&server, &mut device, claim).await;
        assert_eq!(sound(&server, &delivery).await, ["outside_window"]);
    }

    #[tokio::test]
    async fn a_signed_time_from_after_the_arrival_is_not_believed() {
        let (server, mut device, delivery, _, code) = TestServer::at_the_door().await;
        let arrived = server.clock.now();
        server.clock.advance(600);
        device.upload(&server).await;
        device.present(&delivery, &code, server.clock.now()).unwrap();
        // To the issuer, the device has a time that it did not give yet.
        server.clock.set(arrived.seconds());
        device.upload(&server).await;
        assert_eq!(sound(&server, &delivery).await, ["unchecked"]);
        assert_eq!(bundle(&server, &delivery).await.state, "disputed");
    }

    #[tokio::test]
    async fn evidence_of_dishonest_claims_is_sound() {
        let (server, mut device, delivery, _, code) = TestServer::at_the_door().await;
        let stop = device.stop_of(&delivery).clone();
        let typo = format!("{}{}", if code.starts_with('1') { '2' } else { '1' }, &code[1..]);
        let claim = device.claim_for(&stop, &typo, server.clock.now());
        send(&server, &mut device, claim).await;
        server.run_jobs().await;
        let claim = device.claim_for(&stop, "00000000", server.clock.now());
        send(&server, &mut device, claim).await;
        let mut thief = server.device("Theo").await;
        let claim = thief.claim_for(&stop, &code, server.clock.now());
        send(&server, &mut thief, claim).await;
        assert_eq!(sound(&server, &delivery).await, ["match_with_typo", "repeated", "void"]);
        let (server, delivery) = among_others().await;
        assert_eq!(sound(&server, &delivery).await, ["mismatch"]);
    }

    #[tokio::test]
    async fn a_copy_of_a_device_makes_none_of_its_claims_unsound() {
        let (server, mut device, delivery, _, code) = TestServer::at_the_door().await;
        let mut copy = device.clone();
        let absent = Reason::Absent;
        device.fail(&delivery, absent, server.clock.now()).unwrap();
        copy.fail(&delivery, absent, server.clock.now().later(60)).unwrap();
        device.upload(&server).await;
        copy.upload(&server).await;
        device.present(&delivery, &code, server.clock.now()).unwrap();
        device.upload(&server).await;
        assert_eq!(sound(&server, &delivery).await, ["noted", "noted", "match"]);
        let forked = bundle(&server, &delivery).await.claims.into_iter().map(|filed| filed.forked);
        assert_eq!(forked.collect::<Vec<_>>(), [false, true, false]);
    }

    #[tokio::test]
    async fn evidence_of_what_was_superseded_stays_sound_after_an_operator_s_word() {
        for outcome in ["delivered", "not_delivered"] {
            let (server, mut device, delivery, _, code) = TestServer::at_the_door().await;
            device.present(&delivery, &code, server.clock.now()).unwrap();
            server.post(&format!("/v1/deliveries/{delivery}/cancel"), json!({})).await;
            device.upload(&server).await;
            assert_eq!(sound(&server, &delivery).await, ["superseded"]);
            let word = json!({"outcome": outcome, "note": "asked"});
            let (status, _) = server.post(&format!("/v1/disputes/{delivery}/resolve"), word).await;
            assert_eq!((status, sound(&server, &delivery).await), (200, vec!["superseded".into()]));
        }
        let (server, mut device, delivery, _, code) = TestServer::at_the_door().await;
        device.present(&delivery, &code, server.clock.now()).unwrap();
        let newer = server.device("Leo").await;
        server.plan_at(&delivery, newer.id(), "2027-01-15T10:30:00Z").await;
        device.upload(&server).await;
        assert_eq!(sound(&server, &delivery).await, ["superseded"]);
    }

    #[tokio::test]
    async fn a_bundle_holds_the_word_that_ended_the_dispute_and_nothing_private() {
        let (server, delivery) = among_others().await;
        let word = json!({"outcome": "not_delivered", "note": "found in the van"});
        server.post(&format!("/v1/disputes/{delivery}/resolve"), word).await;
        let bundle = bundle(&server, &delivery).await;
        assert_eq!(
            (bundle.state.as_str(), bundle.resolutions[0].note.as_str()),
            ("failed", "found in the van")
        );
        let document = bundle.issue(&server.context.keys.signing);
        let pepper = server.context.keys.pepper().expose().to_vec();
        let code = server.code(0).replace(' ', "").into_bytes();
        for private in [b"Ana".to_vec(), b"612345678".to_vec(), b"Quay".to_vec(), code, pepper] {
            assert!(!document.windows(private.len()).any(|window| window == private));
        }
    }

    /// What cannot be read of one making, or beside a claim, takes nothing from the rest.
    #[tokio::test]
    async fn damage_to_a_generation_leaves_a_bundle_of_what_is_whole() {
        let (server, mut device, delivery, _, code) = TestServer::at_the_door().await;
        device.fail(&delivery, Reason::Absent, server.clock.now()).unwrap();
        device.upload(&server).await;
        server.plan_at(&delivery, device.id(), "2027-01-15T10:30:00Z").await;
        device.sync(&server).await;
        server.run_jobs().await;
        let newest = server.code(1);
        assert_ne!(code, newest);
        server.execute("UPDATE generations SET alphabet = 7 WHERE generation = 1");
        device.present(&delivery, &newest, server.clock.now()).unwrap();
        device.upload(&server).await;
        assert_eq!(sound(&server, &delivery).await, ["noted", "match"]);
        let damaged = bundle(&server, &delivery).await;
        assert_eq!((damaged.damaged.as_slice(), damaged.generations.len()), ([1].as_slice(), 1));
        assert_eq!(
            (damaged.generations[0].check, damaged.generations[0].slots),
            (CodeCheck::Split, 2)
        );
        server.execute("UPDATE claims SET generation = -1 WHERE outcome = 'failed'");
        assert_eq!(sound(&server, &delivery).await, ["noted", "match"], "the claim says it itself");
    }

    #[tokio::test]
    async fn where_nothing_was_claimed_there_is_no_bundle() {
        let server = TestServer::new().await;
        let delivery = server.delivery("A").await;
        let (status, problem) = server.get(&format!("/v1/deliveries/{delivery}/evidence")).await;
        assert_eq!((status, &problem["code"]), (409, &json!("no_claims")));
        let (status, problem) = server.get("/v1/deliveries/dlv_0/evidence").await;
        assert_eq!((status, &problem["code"]), (404, &json!("delivery_not_found")));
    }
}
