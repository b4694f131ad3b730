//! Forgets what nobody finished: authenticators that were never activated, and challenges of
//! yesterday, and whom test messages went to; and what is about people, once it was kept as long as the settings say.

use crate::context::Context;
use crate::http::problem::Problem;
use crate::store::{StoreError, authenticators, challenges, erasure, test_messages};
use doorstep::time::Timestamp;
use std::sync::Arc;

/// Seconds that a pending authenticator waits for its first code, and that a challenge is known
/// after its end: a day.
pub(crate) const KEPT: u64 = 24 * 60 * 60;

const DAY: u64 = 24 * 60 * 60;
/// Rows that are erased in one transaction.
const BATCH: u32 = 500;

/// Forgets what is old enough.
pub(crate) async fn run(context: &Arc<Context>) -> Result<(), Problem> {
    unfinished(context).await?;
    contacts(context).await?;
    claims(context).await?;
    events(context).await
}

/// The time before which things are too old.
fn before(context: &Context, days: u32) -> Timestamp {
    context.now().earlier(u64::from(days).saturating_mul(DAY))
}

/// Whom deliveries were for that ended long ago.
async fn contacts(context: &Arc<Context>) -> Result<(), Problem> {
    let (now, before) = (context.now(), before(context, context.config.retention.contacts_days));
    loop {
        let due = context
            .store
            .read(move |connection| erasure::with_contacts(connection, before, BATCH))
            .await?;
        if due.is_empty() {
            return Ok(());
        }
        context
            .store
            .write(move |connection| {
                due.iter().try_for_each(|id| erasure::erase_contacts(connection, id, now))
            })
            .await?;
    }
}

async fn claims(context: &Arc<Context>) -> Result<(), Problem> {
    let before = before(context, context.config.retention.evidence_days);
    while context.store.read(move |connection| erasure::any_claims(connection, before)).await? {
        context
            .store
            .write(move |connection| erasure::erase_claims(connection, before, BATCH))
            .await?;
    }
    Ok(())
}

async fn events(context: &Arc<Context>) -> Result<(), Problem> {
    let before = before(context, context.config.retention.events_days);
    while context.store.read(move |connection| erasure::any_events(connection, before)).await? {
        context
            .store
            .write(move |connection| erasure::forget_events(connection, before, BATCH))
            .await?;
    }
    Ok(())
}

/// What nobody finished within a day, and what counts for a day.
async fn unfinished(context: &Arc<Context>) -> Result<(), Problem> {
    let before = context.now().earlier(KEPT);
    // Looked for first, so that a server with nothing to do writes nothing.
    let any = context
        .store
        .read(move |connection| {
            Ok::<_, StoreError>(
                authenticators::any_pending(connection, before)?
                    || challenges::any_ended(connection, before)?
                    || test_messages::any(connection, before)?,
            )
        })
        .await?;
    if !any {
        return Ok(());
    }
    context
        .store
        .write(move |connection| {
            challenges::forget_ended(connection, before)?;
            test_messages::forget(connection, before)?;
            authenticators::forget_pending(connection, before)
        })
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::http::base64url::read;
    use crate::test_server::TestServer;
    use doorstep::handover::bundle::{Bundle, Check, Finding};
    use doorstep::handover::failure::Reason;
    use serde_json::json;

    const DAY: u64 = 24 * 3600;

    /// A server that keeps contacts for 10 days, events for 20 and claims for 30.
    async fn server() -> TestServer {
        TestServer::with(|config| {
            config.retention.contacts_days = 10;
            config.retention.events_days = 20;
            config.retention.evidence_days = 30;
        })
        .await
    }

    /// The findings of the only claim in a delivery's bundle.
    async fn findings(server: &TestServer, delivery: &str) -> Vec<(Check, Finding)> {
        let (status, shown) = server.get(&format!("/v1/deliveries/{delivery}/evidence")).await;
        assert_eq!(status, 200, "{shown}");
        let document = read("bundle", shown["bundle"].as_str().unwrap()).unwrap();
        let key = server.context.keys.signing.public();
        let bundle = Bundle::verify(&document, server.context.issuer(), key).unwrap();
        bundle.examine(key)[0].findings.to_vec()
    }

    async fn resolve(server: &TestServer, delivery: &str) {
        let word = json!({"outcome": "delivered", "note": "asked the neighbour"});
        let (status, _) = server.post(&format!("/v1/disputes/{delivery}/resolve"), word).await;
        assert_eq!(status, 200);
    }

    #[tokio::test]
    async fn whom_it_was_for_is_erased_after_its_days_and_its_evidence_still_verifies() {
        let server = server().await;
        let (_, _, delivery) = server.disputed().await;
        let path = format!("/v1/deliveries/{delivery}");
        server.clock.advance(11 * DAY);
        server.run_jobs().await;
        let (_, shown) = server.get(&path).await;
        assert_eq!(shown["recipients"][0]["name"], "Ana", "a dispute is no end");
        resolve(&server, &delivery).await;
        server.clock.advance(10 * DAY);
        server.run_jobs().await;
        assert_eq!(server.get(&path).await.1["recipients"][0]["name"], "Ana", "ten days are kept");
        server.clock.advance(1);
        server.run_jobs().await;
        let (_, shown) = server.get(&path).await;
        assert_eq!(
            (&shown["recipients"][0]["name"], &shown["recipients"][0]["phone"], &shown["address"]),
            (&json!(""), &json!(""), &json!(""))
        );
        assert_eq!(shown["erased_at"], "2027-02-05T10:00:01Z");
        assert_eq!(server.query("SELECT count(*) FROM messages WHERE phone IS NOT NULL"), 0);
        let found = findings(&server, &delivery).await;
        assert!(found.iter().all(|(_, finding)| *finding == Finding::Holds), "{found:?}");
    }

    #[tokio::test]
    async fn claims_are_erased_after_their_days_and_their_hashes_stand() {
        let server = server().await;
        let (_, _, delivery) = server.disputed().await;
        server.clock.advance(31 * DAY);
        server.run_jobs().await;
        let found = findings(&server, &delivery).await;
        assert!(
            found.iter().all(|(_, finding)| *finding == Finding::Holds),
            "an open dispute keeps its claims"
        );
        resolve(&server, &delivery).await;
        server.run_jobs().await;
        let found = findings(&server, &delivery).await;
        let log = found.iter().find(|(check, _)| *check == Check::Log).unwrap();
        assert_eq!(log.1, Finding::Holds);
        assert_eq!(found.iter().filter(|(_, finding)| *finding == Finding::Erased).count(), 6);
        assert_eq!(server.query("SELECT count(*) FROM held_codes"), 0);
        let shown = server.shown(&delivery).await;
        assert_eq!(shown["claims"][0]["verdict"], "mismatch", "what was found stays");
    }

    #[tokio::test]
    async fn events_are_forgotten_and_their_numbers_never_used_again() {
        let server = server().await;
        server.delivery("A").await;
        server.clock.advance(20 * DAY + 1);
        server.run_jobs().await;
        assert_eq!(server.get("/v1/events").await.1["data"], json!([]));
        server.delivery("B").await;
        assert_eq!(server.get("/v1/events").await.1["data"][0]["id"], "evt_0_2");
    }

    /// Whoever has a code has to learn that nobody comes.
    #[tokio::test]
    async fn what_was_cancelled_is_erased_once_its_customer_was_told() {
        let (server, _, delivery, ..) = TestServer::at_the_door().await;
        let path = format!("/v1/deliveries/{delivery}/erase");
        server.post(&format!("/v1/deliveries/{delivery}/cancel"), json!({})).await;
        let (status, problem) = server.post(&path, json!({})).await;
        assert_eq!((status, &problem["code"]), (409, &json!("delivery_open")), "{problem}");
        server.run_jobs().await;
        assert_eq!(server.messages().len(), 2, "the code, and that it is not needed");
        let (status, shown) = server.post(&path, json!({})).await;
        assert_eq!((status, &shown["recipients"][0]["phone"]), (200, &json!("")));
    }

    /// What a claim is judged by is kept for as long as a claim that it may judge.
    #[tokio::test]
    async fn codes_are_forgotten_with_the_last_claim_about_them() {
        let (server, mut device, delivery, _, code) = TestServer::at_the_door().await;
        device.fail(&delivery, Reason::Absent, server.clock.now()).unwrap();
        device.upload(&server).await;
        server.run_jobs().await;
        server.clock.advance(60);
        device.present(&delivery, &code, server.clock.now()).unwrap();
        device.upload(&server).await;
        server.run_jobs().await;
        // Old enough is only the failed attempt.
        server.execute("UPDATE claims SET received_at = 0 WHERE outcome = 'failed'");
        server.run_jobs().await;
        assert_eq!(server.query("SELECT count(*) FROM claims WHERE document = x''"), 1);
        assert_eq!(server.query("SELECT count(*) FROM held_codes"), 2);
        server.execute("UPDATE claims SET received_at = 0");
        server.run_jobs().await;
        assert_eq!(server.query("SELECT count(*) FROM held_codes"), 0);
    }

    #[tokio::test]
    async fn an_operator_erases_at_once_what_nobody_needs_any_more() {
        let server = server().await;
        let delivery = server.delivery("A").await;
        let path = format!("/v1/deliveries/{delivery}/erase");
        let (status, problem) = server.post(&path, json!({})).await;
        assert_eq!((status, &problem["code"]), (409, &json!("delivery_open")));
        server.post(&format!("/v1/deliveries/{delivery}/cancel"), json!({})).await;
        let (status, shown) = server.post(&path, json!({})).await;
        assert_eq!((status, &shown["recipients"][0]["phone"]), (200, &json!("")));
        assert_eq!((&shown["reference"], &shown["state"]), (&json!("A"), &json!("cancelled")));
        server.execute(&format!("UPDATE deliveries SET state = 'failed' WHERE id = '{delivery}'"));
        let device = server.device("Marta").await;
        let (status, problem) = server.plan(&delivery, device.id()).await;
        assert_eq!(
            (status, &problem["code"]),
            (409, &json!("delivery_closed")),
            "there is nobody to send to"
        );
    }
}
