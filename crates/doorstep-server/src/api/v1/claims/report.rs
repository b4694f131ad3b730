//! What a claim makes of its delivery as it comes in, before anybody judges it.

use crate::store::claims::Received;
use crate::store::deliveries::{self, Failure, FailureReason, State as DeliveryState};
use crate::store::messages::{self, State as MessageState};
use crate::store::{StoreError, erasure, generations};
use doorstep::handover::claim::Outcome;
use doorstep::handover::failure::Reason;
use doorstep::id::DeviceId;
use doorstep::time::Timestamp;
use rusqlite::Connection;

/// A claim on the newest generation, by the device that has it, makes the delivery `reported`, or
/// `failed` until it is planned again or handed over after all.
pub(super) fn report(
    connection: &Connection,
    device: &DeviceId,
    claim: &Received,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(delivery) = deliveries::find(connection, &claim.delivery)? else { return Ok(()) };
    let is_erased = erasure::erased_at(connection, &claim.delivery)?.is_some();
    if is_erased {
        erasure::erase_claim_notes(connection, &claim.delivery)?;
    }
    let generation = generations::find(connection, &claim.delivery, claim.generation)?;
    if generation.is_none_or(|generation| {
        generation.device.as_ref() != Some(device) || generation.number != delivery.generation
    }) {
        return Ok(());
    }
    let mut open = vec![
        DeliveryState::Planned,
        DeliveryState::HandedOut,
        DeliveryState::Notified,
        DeliveryState::Failed,
        DeliveryState::Expired,
    ];
    match &claim.outcome {
        Outcome::Granted { .. } => {
            open.push(DeliveryState::Cancelled);
            // Here and not with the verdict: what goes out to a second recipient must not say which it was.
            messages::end(connection, &claim.delivery, claim.generation, MessageState::Closed)?;
            deliveries::advance(connection, &claim.delivery, &open, DeliveryState::Reported, now)
        }
        Outcome::Failed { reason, note } => {
            let failure = Failure {
                reason: reason_of(*reason),
                note: Some(note.as_str())
                    .filter(|note| !note.is_empty() && !is_erased)
                    .map(str::to_owned),
                at: claim.at,
                device: Some(device.to_string()),
            };
            deliveries::fail(connection, &claim.delivery, &open, &failure, now)?;
            Ok(())
        }
    }
}

const fn reason_of(reason: Reason) -> FailureReason {
    match reason {
        Reason::Absent => FailureReason::Absent,
        Reason::RefusedByRecipient => FailureReason::RefusedByRecipient,
        Reason::WrongAddress => FailureReason::WrongAddress,
        Reason::Damaged => FailureReason::Damaged,
        Reason::NoAccess => FailureReason::NoAccess,
        Reason::Other => FailureReason::Other,
    }
}

#[cfg(test)]
mod tests {
    use crate::test_server::{TestServer, verdicts};
    use doorstep::handover::failure::Reason;
    use serde_json::{Value, json};

    #[tokio::test]
    async fn an_erased_delivery_shows_no_note_again() {
        let (server, mut device, delivery, _, _) = TestServer::at_the_door().await;
        device.fail(&delivery, Reason::Absent, server.clock.now()).unwrap();
        device.sync(&server).await;
        server.run_jobs().await;
        let notes = "SELECT count(*) FROM claims WHERE note <> ''";
        assert_eq!(server.query(notes), 1);
        let (status, _) = server.post(&format!("/v1/deliveries/{delivery}/erase"), json!({})).await;
        assert!((200..300).contains(&status), "{status}");
        assert_eq!(server.query(notes), 0);
        device.fail(&delivery, Reason::Absent, server.clock.now()).unwrap();
        device.sync(&server).await;
        assert_eq!(server.query("SELECT count(*) FROM claims"), 2);
        assert_eq!(server.query(notes), 0);
        assert_eq!(server.shown(&delivery).await["failure"]["note"], Value::Null);
    }

    #[tokio::test]
    async fn a_failed_attempt_makes_the_delivery_failed_and_a_grant_afterwards_wins() {
        let (server, mut device, delivery, _, code) = TestServer::at_the_door().await;
        device.fail(&delivery, Reason::Absent, server.clock.now()).unwrap();
        device.sync(&server).await;
        server.run_jobs().await;
        let seen = server.shown(&delivery).await;
        assert_eq!(seen["state"], "failed");
        assert_eq!(seen["failure"]["reason"], "absent", "{seen}");
        assert_eq!(seen["failure"]["note"], "rang twice");
        assert_eq!(verdicts(&seen), ["noted"]);
        assert_eq!(seen["claims"][0]["slot"], Value::Null);

        server.clock.advance(600);
        device.present(&delivery, &code, server.clock.now()).unwrap();
        device.sync(&server).await;
        assert_eq!(server.shown(&delivery).await["state"], "reported");
        server.run_jobs().await;
        let seen = server.shown(&delivery).await;
        assert_eq!(
            (&seen["state"], verdicts(&seen)),
            (&json!("delivered"), vec!["noted", "match"])
        );
    }

    #[tokio::test]
    async fn a_failed_delivery_is_planned_again_and_its_old_device_says_nothing_of_the_new_plan() {
        let (server, mut device, delivery, _, _) = TestServer::at_the_door().await;
        device.fail(&delivery, Reason::WrongAddress, server.clock.now()).unwrap();
        device.sync(&server).await;
        let mut other = server.device("Leo").await;
        let at = "2027-01-15T12:00:00Z";
        let (status, planned) = server.plan_at(&delivery, other.id(), at).await;
        assert_eq!((status, &planned["state"]), (200, &json!("planned")), "{planned}");
        // The old device, which does not know it yet, tries again in vain.
        device.fail(&delivery, Reason::NoAccess, server.clock.now()).unwrap();
        device.upload(&server).await;
        other.sync(&server).await;
        server.run_jobs().await;
        let seen = server.shown(&delivery).await;
        assert_eq!(
            (&seen["state"], verdicts(&seen)),
            (&json!("handed_out"), vec!["noted", "noted"])
        );
        assert_eq!(seen["failure"]["reason"], "wrong_address");
    }

    /// A device that never had the delivery cannot make it fail, nor one that is done.
    #[tokio::test]
    async fn a_failure_that_is_not_the_device_s_to_tell_changes_nothing() {
        let (server, mut device, delivery, _, code) = TestServer::at_the_door().await;
        device.fail(&delivery, Reason::Absent, server.clock.now()).unwrap();
        let mut early = device.clone();
        device.present(&delivery, &code, server.clock.now()).unwrap();
        device.sync(&server).await;
        server.run_jobs().await;
        assert_eq!(server.shown(&delivery).await["state"], "delivered");
        // A copy of the device that does not know of the grant.
        early.fail(&delivery, Reason::Absent, server.clock.now()).unwrap();
        early.upload(&server).await;
        server.run_jobs().await;
        let seen = server.shown(&delivery).await;
        assert_eq!(seen["state"], "delivered");
        assert_eq!(verdicts(&seen), ["noted", "match", "noted"]);
        assert_eq!(seen["claims"][2]["forked"], true);
    }

    #[tokio::test]
    async fn a_claim_of_a_wrong_code_after_a_failure_is_disputed_like_any() {
        let (server, mut device, delivery, stop, code) = TestServer::at_the_door().await;
        device.fail(&delivery, Reason::Other, server.clock.now()).unwrap();
        let forged = device.forged(&stop, &code);
        device.present(&delivery, &forged, server.clock.now()).unwrap();
        device.sync(&server).await;
        server.run_jobs().await;
        let seen = server.shown(&delivery).await;
        assert_eq!(
            (&seen["state"], verdicts(&seen)),
            (&json!("disputed"), vec!["noted", "mismatch"])
        );
    }

    /// A managed device checks whole codes, and its claims are judged like all others.
    #[tokio::test]
    async fn a_managed_device_checks_the_whole_code() {
        let server = TestServer::with(|config| {
            config.deliveries.check = crate::config::deliveries::Check::Full;
        })
        .await;
        let (mut managed, mut other) =
            (server.managed_device("Ana").await, server.device("Leo").await);
        let (whole, split) = (server.delivery("A").await, server.delivery("B").await);
        let (_, planned) = server.plan(&whole, managed.id()).await;
        assert_eq!(planned["check"], "full");
        let (_, planned) = server.plan(&split, other.id()).await;
        assert_eq!(planned["check"], "split", "the policy is for managed devices");
        let body =
            json!({"device": other.id(), "expected_at": "2027-01-15T10:00:00Z", "check": "full"});
        let (status, problem) = server.post(&format!("/v1/deliveries/{split}/plan"), body).await;
        assert_eq!((status, &problem["code"]), (422, &json!("device_not_managed")), "{problem}");
        for body in [
            json!({"device": managed.id(), "expected_at": "2027-01-15T10:00:00Z", "check": "half"}),
            json!({"expected_at": "2027-01-15T10:00:00Z", "mode": "online", "check": "full"}),
        ] {
            let (status, problem) =
                server.post(&format!("/v1/deliveries/{split}/plan"), body).await;
            assert_eq!((status, &problem["code"]), (422, &json!("invalid_fields")));
        }
        managed.sync(&server).await;
        other.sync(&server).await;
        server.clock.advance(2 * 3600);
        server.run_jobs().await;
        let index = server.messages().iter().position(|sent| sent["delivery"] == whole.as_str());
        let code = server.code(index.unwrap());
        assert_eq!(code.replace(' ', "").len(), 10, "{code}");
        let mut near = code.clone().into_bytes();
        near[0] = if near[0] == b'0' { b'1' } else { b'0' };
        let near = String::from_utf8(near).unwrap();
        managed.present(&whole, &near, server.clock.now()).unwrap_err();
        managed.present(&whole, &code, server.clock.now()).unwrap();
        managed.sync(&server).await;
        server.run_jobs().await;
        let seen = server.shown(&whole).await;
        assert_eq!((&seen["state"], verdicts(&seen)), (&json!("delivered"), vec!["match"]));
    }
}
