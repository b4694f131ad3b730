//! How many claims that decide nothing a device may send, so that none fills the log with them.

use crate::http::problem::{Code, Problem};
use crate::store::{StoreError, claims, devices, meta};
use doorstep::id::DeviceId;
use doorstep::time::Timestamp;
use rusqlite::Connection;

/// A day in seconds.
const DAY: u64 = 24 * 3600;
/// Claims that decide nothing (failed attempts, and such as no honest device makes) that one device sends
/// within a day. docs/operations.md names both numbers.
const MAX_IDLE: u64 = 1000;
/// The same in the week after a restoring, of a device from before it: what it brings again may be on plans that
/// were lost with the database, and then decides nothing either.
const MAX_IDLE_RESTORED: u64 = 10_000;

/// Refuses what would fill the log. An honest device comes nowhere near that in a day, and none is shut out for
/// longer.
pub(super) fn refuse(
    connection: &Connection,
    device: &DeviceId,
    now: Timestamp,
) -> Result<(), Problem> {
    let since = now.earlier(DAY);
    let room = room(connection, device, now)?;
    let Some(oldest) = claims::idle_beyond(connection, device, since, room)? else {
        return Ok(());
    };
    tracing::warn!(%device, "too many claims that decide nothing");
    let what = "this device has sent too many failed attempts, repeated claims, or claims on deliveries \
                that it never had";
    // There is room for this upload once that claim, and all before it, are more than a day old.
    Err(Problem::new(Code::TooManyRequests, format!("{what}, within a day"))
        .hint("sync again tomorrow; what waits is not lost")
        .retry_after(oldest.seconds().saturating_sub(since.seconds()).max(1)))
}

fn room(connection: &Connection, device: &DeviceId, now: Timestamp) -> Result<u64, StoreError> {
    let restored_at = Timestamp::from_seconds(meta::epoch(connection)?);
    if now.since(restored_at) >= 7 * DAY {
        return Ok(MAX_IDLE);
    }
    let enrolled_at = devices::find(connection, device)?.and_then(|device| device.enrolled_at);
    let is_from_before = enrolled_at.is_some_and(|enrolled| enrolled <= restored_at);
    Ok(if is_from_before { MAX_IDLE_RESTORED } else { MAX_IDLE })
}

#[cfg(test)]
mod tests {
    use super::{DAY, MAX_IDLE, MAX_IDLE_RESTORED};
    use crate::test_server::{TestDevice, TestServer};
    use doorstep::handover::claim::{Claim, Outcome, Upload};
    use doorstep::handover::failure::{Note, Reason};
    use doorstep::handover::stop::Stop;
    use doorstep::time::Timestamp;
    use doorstep::verifier::Means;
    use serde_json::json;

    /// As many claims more that decide nothing, of what the device claimed first.
    fn fill(server: &TestServer, device: &TestDevice, count: u64) {
        let (device, now) = (device.id(), server.clock.now().seconds());
        server.execute(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}),
                  first AS (SELECT * FROM claims WHERE device = '{device}' ORDER BY log_seq LIMIT 1)
             INSERT INTO claims (log_seq, log_hash, device, number, hash, document, delivery, generation,
                                 outcome, slot, means, reason, note, at, signed_time, received_at, forked,
                                 verdict, idle)
             SELECT (SELECT max(log_seq) FROM claims) + i, randomblob(32), device,
                    (SELECT max(number) FROM claims WHERE device = '{device}') + i,
                    randomblob(32), document, delivery, generation,
                    outcome, slot, means, reason, note, at, signed_time, {now}, forked, 'noted', 1
             FROM first, n;
             UPDATE devices SET claim_number = (SELECT max(number) FROM claims WHERE device = '{device}')
             WHERE id = '{device}'"
        ));
    }

    fn failed() -> Outcome {
        Outcome::Failed { reason: Reason::Absent, note: Note::default() }
    }

    /// The claim of this number, with a signed time and an outcome.
    fn numbered(
        server: &TestServer,
        device: &TestDevice,
        stop: &Stop,
        number: u64,
        (signed_time, outcome): (Timestamp, Outcome),
    ) -> Upload {
        let device_id = device.device.identity().device;
        let claim = Claim {
            issuer: server.context.issuer(),
            device: device_id,
            number,
            previous: [0; 32],
            delivery: stop.delivery,
            generation: stop.generation,
            at: server.clock.now(),
            signed_time,
            outcome,
        };
        let unsigned = claim.unsigned(&device.key.public());
        let claim = unsigned.signed(&device.key.sign(&unsigned.to_be_signed()));
        Upload { device: device_id, claims: vec![claim.into()] }
    }

    /// A failed attempt of this number, and how it is answered.
    async fn sent(server: &TestServer, device: &mut TestDevice, stop: &Stop, number: u64) -> u16 {
        let failed = (device.device.signed_time(), failed());
        let upload = numbered(server, device, stop, number, failed);
        device.send(server, &upload).await.0
    }

    /// What decides nothing is taken in so often a day, and the next day again.
    #[tokio::test]
    async fn a_device_does_not_fill_the_log_with_what_decides_nothing() {
        let (server, mut device, delivery, stop, _) = TestServer::at_the_door().await;
        device.fail(&delivery, Reason::Absent, server.clock.now()).unwrap();
        device.upload(&server).await;
        fill(&server, &device, MAX_IDLE - 2);
        assert_eq!(sent(&server, &mut device, &stop, 1000).await, 200, "the last of this day");
        server.clock.advance(60);
        let upload =
            numbered(&server, &device, &stop, 1001, (device.device.signed_time(), failed()));
        let headers = [("content-type", "application/json")];
        let body = device.upload_of(&upload).to_string();
        let answer = server.request("POST", "/v1/claims", &headers, body).await;
        assert_eq!(
            (answer.status, &answer.json["code"]),
            (429, &json!("too_many_requests")),
            "{}",
            answer.json
        );
        assert_eq!(answer.header("retry-after"), (DAY - 60).to_string());
        assert_eq!(server.query("SELECT count(*) FROM claims"), 1000, "nothing of it is kept");
        let empty = Upload { claims: Vec::new(), ..upload };
        assert_eq!(
            device.send(&server, &empty).await.0,
            200,
            "it is handed its routes all the same"
        );
        server.clock.advance(DAY - 61);
        assert_eq!(sent(&server, &mut device, &stop, 1001).await, 429, "a second too early");
        server.clock.advance(1);
        assert_eq!(sent(&server, &mut device, &stop, 1001).await, 200);
    }

    /// Grants count from the second on, whatever their verdict will be.
    #[tokio::test]
    async fn a_device_does_not_fill_the_log_with_grants_on_one_delivery() {
        for kind in ["repeated", "superseded", "unchecked"] {
            let (server, mut device, delivery, stop, code) = TestServer::at_the_door().await;
            device.present(&delivery, &code, server.clock.now()).unwrap();
            if kind == "superseded" {
                let other = server.device("Leo").await;
                server.plan(&delivery, other.id()).await;
            }
            device.upload(&server).await;
            server.run_jobs().await;
            assert_eq!(server.query("SELECT count(*) FROM claims WHERE idle"), 0, "{kind}");
            fill(&server, &device, MAX_IDLE - 1);
            let mut statuses = Vec::new();
            for number in [1001, 1002] {
                let now = server.clock.now();
                let signed_time = if kind == "unchecked" { now.later(DAY) } else { now };
                let outcome = Outcome::Granted { slot: 0, means: Means::Typed, evidence: vec![0] };
                let upload = numbered(&server, &device, &stop, number, (signed_time, outcome));
                statuses.push(device.send(&server, &upload).await.0);
            }
            assert_eq!(statuses, [200, 429], "{kind}");
            server.run_jobs().await;
            let last =
                format!("SELECT count(*) FROM claims WHERE number = 1001 AND verdict = '{kind}'");
            assert_eq!(server.query(&last), 1, "{kind}");
        }
    }

    #[tokio::test]
    async fn a_device_from_before_a_restoring_brings_much_again_for_a_week() {
        let (server, mut device, delivery, stop, _) = TestServer::at_the_door().await;
        device.fail(&delivery, Reason::Absent, server.clock.now()).unwrap();
        device.upload(&server).await;
        let epoch = server.clock.now().seconds();
        server.execute(&format!("INSERT INTO meta (key, value) VALUES ('epoch', '{epoch}')"));
        server.clock.advance(1);
        let mut late = server.device("Leo").await;
        fill(&server, &device, MAX_IDLE_RESTORED - 2);
        assert_eq!(sent(&server, &mut device, &stop, 10_000).await, 200);
        assert_eq!(sent(&server, &mut device, &stop, 10_001).await, 429, "there is an end to it");
        // Whoever came afterwards has lost nothing.
        assert_eq!(sent(&server, &mut late, &stop, 1).await, 200);
        fill(&server, &late, MAX_IDLE - 2);
        assert_eq!(sent(&server, &mut late, &stop, 1000).await, 200);
        assert_eq!(sent(&server, &mut late, &stop, 1001).await, 429);
        server.clock.advance(7 * DAY);
        fill(&server, &device, MAX_IDLE - 1);
        assert_eq!(sent(&server, &mut device, &stop, 11_000).await, 200);
        assert_eq!(sent(&server, &mut device, &stop, 11_001).await, 429, "as before");
    }
}
