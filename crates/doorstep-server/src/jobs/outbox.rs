//! Sends messages that are due. A code leaves its seal only here, and is erased once the provider
//! has it.

use crate::context::Context;
use crate::http::problem::Problem;
use crate::messages::{self, Content, Line, Subject};
use crate::seal::Place;
use crate::store::StoreError;
use crate::store::deliveries::{self, State as DeliveryState};
use crate::store::messages::{self as stored, Due};
use crate::utc;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Messages handed to the provider at a time.
const BATCH: u32 = 100;

/// Sends all messages that are due.
pub(crate) async fn run(context: &Arc<Context>) -> Result<(), Problem> {
    let _alone = context.outbox.lock().await;
    loop {
        let now = context.now();
        if !context.store.read(move |connection| stored::any_due(connection, now)).await? {
            return Ok(());
        }
        let due =
            context.store.write(move |connection| stored::take_due(connection, now, BATCH)).await?;
        if due.is_empty() {
            return Ok(());
        }
        send(context, due).await?;
    }
}

async fn send(context: &Arc<Context>, due: Vec<Due>) -> Result<(), Problem> {
    let now = context.now();
    let mut lines = Zeroizing::new(Vec::new());
    let (mut worded, mut damaged) = (Vec::with_capacity(due.len()), Vec::new());
    for message in due {
        match line(context, &message) {
            Ok(line) => {
                lines.extend_from_slice(&line);
                worded.push(message);
            }
            Err(error) => damaged.push((message.id, error)),
        }
    }
    if !damaged.is_empty() {
        context
            .store
            .write(move |connection| {
                damaged.iter().try_for_each(|(id, error)| stored::fail(connection, id, error))
            })
            .await?;
    }
    if worded.is_empty() {
        return Ok(());
    }
    let path = context.config.messages_file();
    let taken = tokio::task::spawn_blocking(move || messages::append(&path, &lines)).await;
    match taken {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(Problem::internal(&error)),
        Err(error) => return Err(Problem::internal(&error)),
    }
    context
        .store
        .write(move |connection| {
            for message in &worded {
                stored::sent(connection, &message.id, now)?;
                let from = [DeliveryState::Planned, DeliveryState::HandedOut];
                deliveries::advance(
                    connection,
                    &message.delivery,
                    &from,
                    DeliveryState::Notified,
                    now,
                )?;
            }
            Ok::<_, StoreError>(())
        })
        .await?;
    Ok(())
}

/// The message as the provider takes it.
fn line(context: &Context, message: &Due) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let damaged = || StoreError::Corrupt { column: "messages.sealed" };
    let place = Place { table: "messages", column: "sealed", row: &message.id };
    let content = context.keys.seal.open(place, &message.sealed).map_err(|_| damaged())?;
    let content = Content::from_bytes(&content).ok_or_else(damaged)?;
    let subject = Subject {
        delivery: message.delivery,
        reference: &message.reference,
        generation: message.generation,
        slot: message.slot,
        replaces: message.replaces,
    };
    let text = messages::text(&subject, &content, context.config.messages.link_base.as_deref());
    let line = Line {
        id: &message.id,
        at: utc::write(context.now()),
        to: &message.phone,
        delivery: message.delivery.as_str(),
        reference: &message.reference,
        generation: message.generation,
        slot: message.slot,
        text: &text,
    };
    let mut text = Zeroizing::new(serde_json::to_vec(&line).map_err(|_| damaged())?);
    text.push(b'\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::json;

    #[tokio::test]
    async fn a_message_waits_for_its_time_and_for_the_device() {
        let server = TestServer::new().await;
        let mut device = server.device("Marta").await;
        let delivery = server.delivery("A").await;
        server.plan(&delivery, device.id()).await;
        server.clock.advance(95 * 60);
        server.run_jobs().await;
        assert!(server.messages().is_empty(), "its time came, the device has no route");
        device.sync(&server).await;
        server.run_jobs().await;
        assert_eq!(server.messages().len(), 1);

        let early = server.delivery("B").await;
        server.plan_at(&early, device.id(), "2027-01-15T14:00:00Z").await;
        device.sync(&server).await;
        server.run_jobs().await;
        assert_eq!(server.messages().len(), 1, "the device has its route, the time did not come");
    }

    #[tokio::test]
    async fn a_sending_that_was_cut_off_is_repeated_and_says_so_by_its_id() {
        let server = TestServer::new().await;
        let mut device = server.device("Marta").await;
        let delivery = server.delivery("A").await;
        server.plan(&delivery, device.id()).await;
        device.sync(&server).await;
        server.clock.advance(95 * 60);
        // As a power cut after the provider took it and before that was noted leaves it.
        server.execute("CREATE TRIGGER cut BEFORE UPDATE OF sent_at ON messages BEGIN SELECT RAISE(ABORT, 'cut'); END");
        server.run_jobs().await;
        server.execute("DROP TRIGGER cut");
        server.run_jobs().await;
        server.run_jobs().await;
        let messages = server.messages();
        assert_eq!(messages.len(), 2);
        assert_eq!(messages[0], messages[1]);
        assert!(!messages[1]["text"].as_str().unwrap().contains("replaces"));
        assert_eq!(server.query("SELECT count(*) FROM messages WHERE state = 'sending'"), 0);
    }

    #[tokio::test]
    async fn a_provider_that_fails_loses_nothing() {
        let server = TestServer::new().await;
        let mut device = server.device("Marta").await;
        let delivery = server.delivery("A").await;
        server.plan(&delivery, device.id()).await;
        device.sync(&server).await;
        server.clock.advance(95 * 60);
        std::fs::create_dir(server.dir.path().join("messages.jsonl")).unwrap();
        server.run_jobs().await;
        assert_eq!(server.query("SELECT count(*) FROM messages WHERE sent_at IS NOT NULL"), 0);
        std::fs::remove_dir(server.dir.path().join("messages.jsonl")).unwrap();
        server.run_jobs().await;
        assert_eq!(server.messages().len(), 1);
    }

    #[tokio::test]
    async fn a_message_that_cannot_be_read_is_set_aside_and_keeps_no_other_up() {
        let server = TestServer::new().await;
        let mut device = server.device("Marta").await;
        let mut deliveries = Vec::new();
        for reference in ["A", "B", "C"] {
            let delivery = server.delivery(reference).await;
            server.plan(&delivery, device.id()).await;
            deliveries.push(delivery);
        }
        device.sync(&server).await;
        server.clock.advance(95 * 60);
        // One that does not open, and one whose phone is not text.
        for (id, damage) in
            [(&deliveries[0], "sealed = x'00'"), (&deliveries[1], "phone = CAST(x'FF' AS TEXT)")]
        {
            server.execute(&format!(
                "UPDATE messages SET {damage} WHERE slot = 0 AND delivery = '{id}'"
            ));
        }
        server.run_jobs().await;
        assert_eq!(server.messages().len(), 1);
        assert_eq!(server.messages()[0]["reference"], "C");
        server.run_jobs().await;
        assert_eq!(server.query("SELECT max(tries) FROM messages"), 1, "it is not chosen again");
        let (_, shown) = server.get(&format!("/v1/deliveries/{}", deliveries[0])).await;
        assert_eq!(shown["messages"][0]["state"], "failed");

        let path = format!("/v1/deliveries/{}/send", deliveries[0]);
        let (_, again) = server.post(&path, json!({})).await;
        assert_eq!(again["messages"][0]["state"], "failed", "it is tried when somebody says so");
        assert_eq!(server.query("SELECT max(tries) FROM messages"), 2);
        server.plan(&deliveries[0], device.id()).await;
        assert_eq!(
            server.query("SELECT count(*) FROM messages WHERE generation = 1 AND state = 'failed' AND sealed IS NOT NULL AND delivery = (SELECT delivery FROM messages WHERE generation = 2)"),
            0,
            "a new plan erases it"
        );
    }

    #[tokio::test]
    async fn what_was_superseded_is_never_sent() {
        let server = TestServer::new().await;
        let mut device = server.device("Marta").await;
        let delivery = server.delivery("A").await;
        server.plan(&delivery, device.id()).await;
        device.sync(&server).await;
        server.plan(&delivery, device.id()).await;
        device.sync(&server).await;
        server.clock.advance(95 * 60);
        server.run_jobs().await;
        let messages = server.messages();
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0]["generation"], 2);
        assert!(
            !messages[0]["text"].as_str().unwrap().contains("replaces"),
            "nobody had the first"
        );
        let (_, shown) = server.get(&format!("/v1/deliveries/{delivery}")).await;
        assert_eq!(shown["state"], json!("notified"));
    }
}
