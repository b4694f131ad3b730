//! What whoever books is to know at once: why PINs that were just given may not open.

use crate::lock_state::{self, Known};
use crate::store::StoreError;
use crate::store::bookings::{Booking, State};
use crate::store::locks::{How, Lock};
use doorstep::clock::Event;
use doorstep::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// A reason why PINs of a booking may not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Warning {
    /// The lock does not know the time well enough to open for anybody.
    ClockUnset,
    /// The window ends after the day on which the lock will not any more, if it hears nothing until then.
    AfterFailsOn,
    /// A code that ends the epoch of these PINs was made, and is not confirmed.
    EpochPending,
    /// The lock is still in an epoch before that of these PINs.
    EpochBehind,
}

/// An hour, by which a lock counts how long it lasts.
const HOUR: u64 = 3_600;

/// What is to be known of a booking that is not over.
pub(super) fn of(
    lock: &Lock,
    known: &Known,
    booking: &Booking,
    now: Timestamp,
) -> Result<Vec<Warning>, StoreError> {
    let until = booking.opens.until();
    if booking.state == State::Cancelled || until <= now {
        return Ok(Vec::new());
    }
    let belief = lock_state::belief(lock, now)?;
    let seconds = until.since(now).saturating_add(HOUR);
    let unset = belief.now().is_none();
    let fails = !unset && belief.then(&Event::Elapsed { seconds }).now().is_none();
    let ends = lock.pending.is_some_and(|pending| pending.how == How::End);
    let all = [
        (unset, Warning::ClockUnset),
        (fails, Warning::AfterFailsOn),
        (ends, Warning::EpochPending),
        (known.is_behind, Warning::EpochBehind),
    ];
    Ok(all.into_iter().filter_map(|(is, warning)| is.then_some(warning)).collect())
}

#[cfg(test)]
mod tests {
    use crate::test_lock::{at, pin, seconds};
    use crate::test_server::TestServer;
    use doorstep::clock::Event as Clock;
    use serde_json::json;

    #[tokio::test]
    async fn a_lock_that_does_not_know_the_time_is_warned_of_until_it_does() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let booking = server.book(&lock.id, "10:00", "11:00").await;
        assert_eq!(booking["warnings"], json!([]));
        server.clock.set(seconds("09:00"));
        lock.wait_until(server.now());
        lock.tell(Clock::PowerLost);
        lock.bring_home(&server).await;
        assert_eq!(server.booking(&booking).await["warnings"], json!(["clock_unset"]));
        let next = server.book(&lock.id, "12:00", "13:00").await;
        assert_eq!(next["warnings"], json!(["clock_unset"]));
        assert_eq!(lock.refuses(&pin(&booking, 0), seconds("10:00")), Some("clock_unset"));
        let set = server.answer(&format!("/v1/locks/{}/set_time", lock.id), json!({})).await;
        server.clock.advance(300);
        let _ = lock.press(set["code"].as_str().unwrap(), server.now());
        let set = server.answer(&format!("/v1/locks/{}/set_time", lock.id), json!({})).await;
        let _ = lock.press(set["code"].as_str().unwrap(), server.now());
        lock.bring_home(&server).await;
        assert_eq!(server.booking(&booking).await["warnings"], json!([]));
        let gone = server.to_booking(&next, "cancel", json!({})).await;
        assert_eq!(gone["warnings"], json!([]));
    }

    #[tokio::test]
    async fn a_window_after_the_day_on_which_codes_fail_is_warned_of() {
        let server = TestServer::new().await;
        let lock = server.lock("1", json!({"kind": "general"})).await;
        let (_, shown) = server.get(&format!("/v1/locks/{}", lock.id)).await;
        let fails = crate::utc::read(shown["clock"]["fails_on"].as_str().unwrap()).unwrap();
        let grid = fails.seconds() / 1800 * 1800;
        for (from, warnings) in [(grid - 3600, json!([])), (grid + 1800, json!(["after_fails_on"]))]
        {
            let time = |at| crate::utc::write(doorstep::time::Timestamp::from_seconds(at));
            let body = json!({"lock": lock.id, "from": time(from), "until": time(from + 1800)});
            let (_, booking) = server.post("/v1/bookings", body).await;
            assert_eq!(booking["warnings"], warnings, "{booking}");
        }
    }

    #[tokio::test]
    async fn pins_that_end_with_an_epoch_are_warned_of() {
        let server = TestServer::new().await;
        let lock = server.lock("1", json!({"kind": "general"})).await;
        let booking = server.book(&lock.id, "10:00", "11:00").await;
        let path = format!("/v1/locks/{}/epoch", lock.id);
        server.answer(&path, json!({"how": "end"})).await;
        assert_eq!(server.booking(&booking).await["warnings"], json!(["epoch_pending"]));
        server.answer(&format!("{path}/confirm"), json!({"epoch": 1})).await;
        assert_eq!(server.booking(&booking).await["warnings"], json!([]));
        // Announced, both open until somebody comes.
        server.answer(&path, json!({"how": "announce"})).await;
        assert_eq!(server.booking(&booking).await["warnings"], json!([]));
        assert_eq!(booking["from"], at("10:00"));
    }
}
