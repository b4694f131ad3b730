//! Ends plans whose time passed, and erases what was made for them.

use crate::context::Context;
use crate::http::problem::Problem;
use crate::store::StoreError;
use crate::store::deliveries::{self, State as DeliveryState};
use crate::store::generations::{self, State as GenerationState};
use crate::store::messages::{self, State as MessageState};
use std::sync::Arc;

const BATCH: u32 = 500;

/// Ends all plans whose time passed. A device that is offline may still bring a claim of the time
/// before; what is needed to check it is kept.
pub(crate) async fn run(context: &Arc<Context>) -> Result<(), Problem> {
    let lifetime = context.config.deliveries.online_lifetime.as_secs();
    loop {
        let now = context.now();
        let ended = context
            .store
            .read(move |connection| generations::ended_by(connection, now, lifetime, BATCH))
            .await?;
        if ended.is_empty() {
            return Ok(());
        }
        context
            .store
            .write(move |connection| {
                for generation in &ended {
                    let (delivery, number) = (&generation.delivery, generation.number);
                    // It may have been superseded or closed since it was read.
                    let now_is = generations::find(connection, delivery, number)?;
                    if now_is.is_none_or(|now_is| now_is.state != generation.state) {
                        continue;
                    }
                    generations::end(connection, delivery, number, GenerationState::Expired)?;
                    messages::end(connection, delivery, number, MessageState::Expired)?;
                    let from =
                        [DeliveryState::Planned, DeliveryState::HandedOut, DeliveryState::Notified];
                    deliveries::advance(connection, delivery, &from, DeliveryState::Expired, now)?;
                }
                Ok::<_, StoreError>(())
            })
            .await?;
    }
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::json;

    #[tokio::test]
    async fn at_the_end_of_the_window_everything_made_for_it_is_erased() {
        let server = TestServer::new().await;
        let mut device = server.device("Marta").await;
        let (handed, planned) = (server.delivery("A").await, server.delivery("B").await);
        server.plan(&handed, device.id()).await;
        device.sync(&server).await;
        server.plan(&planned, device.id()).await;
        server.clock.advance(3 * 3600 - 1);
        server.run_jobs().await;
        let (_, shown) = server.get(&format!("/v1/deliveries/{handed}")).await;
        assert_eq!(shown["state"], "notified", "the last second is inside");
        server.clock.advance(1);
        server.run_jobs().await;
        for delivery in [handed, planned] {
            let shown = server.shown(&delivery).await;
            assert_eq!(shown["state"], json!("expired"));
        }
        let left = server.query("SELECT count(*) FROM messages WHERE sealed IS NOT NULL")
            + server.query("SELECT count(*) FROM generations WHERE sealed_stop IS NOT NULL");
        assert_eq!(left, 0);
        assert!(device.sync(&server).await.is_empty(), "an expired stop is not handed out");
    }

    #[tokio::test]
    async fn an_online_code_lives_on_after_the_window_for_its_minutes() {
        let server = TestServer::new().await;
        let delivery = server.delivery("A").await;
        let body = json!({"mode": "online", "expected_at": "2027-01-15T08:10:00Z",
                          "variance_minutes": 10, "lead_minutes": 0});
        server.post(&format!("/v1/deliveries/{delivery}/plan"), body).await;
        server.clock.advance(19 * 60);
        server.run_jobs().await;
        server.clock.advance(10 * 60);
        server.run_jobs().await;
        let shown = server.shown(&delivery).await;
        assert_eq!(shown["state"], "notified");
        server.clock.advance(5 * 60);
        server.run_jobs().await;
        let shown = server.shown(&delivery).await;
        assert_eq!(shown["state"], "expired");
    }
}
