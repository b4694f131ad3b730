//! Cancels a booking, and says what its PINs still open.

use super::{BookingView, Passes, find, shown};
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use crate::store::bookings;
use crate::store::pins::{self, Because};
use axum::Json;
use axum::extract::{Path, State};
use std::sync::Arc;

/// Cancels a booking, and revokes its passes. The lock learns nothing of that by itself: the revocations say
/// what ends its PINs and passes, and when. Cancelling twice changes nothing.
#[utoipa::path(post, path = "/v1/bookings/{id}/cancel", tag = "bookings", operation_id = "cancel_booking",
    security(("api_key" = [])), params(("id" = String, Path, description = "the booking's id")),
    responses((status = 200, description = "the booking as it is now", body = BookingView), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<Json<BookingView>, Problem> {
    let now = context.now();
    let inner = Arc::clone(&context);
    let view = context
        .store
        .write(move |connection| {
            let (booking, lock) = find(connection, &id)?;
            bookings::cancel(connection, booking.seq, now)?;
            for pin in pins::of_booking(connection, &lock, booking.seq)? {
                pins::end(connection, pin.seq, Because::Cancelled, now)?;
            }
            Passes::new(connection, &inner, &lock, now).revoke(&booking)?;
            shown(connection, &inner, &id, (&lock, &[]), now)
        })
        .await?;
    Ok(Json(view))
}

#[cfg(test)]
mod tests {
    use crate::test_lock::{at, pin, seconds};
    use crate::test_server::TestServer;
    use serde_json::{Value, json};

    #[tokio::test]
    async fn a_cancelled_pin_opens_until_its_code_is_typed() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let booking = server.book(&lock.id, "10:00", "11:00").await;
        let cancelled = server.to_booking(&booking, "cancel", json!({})).await;
        assert_eq!(
            (&cancelled["state"], &cancelled["cancelled_at"]),
            (&json!("cancelled"), &json!(at("08:00")))
        );
        assert_eq!(cancelled["holders"], json!([]));
        let said = &cancelled["revocations"][0];
        assert_eq!(
            (&said["takes_effect"], &said["because"]),
            (&json!("when_typed"), &json!("cancelled"))
        );
        assert_eq!((&said["opens_from"], &said["done_at"]), (&json!(at("10:00")), &Value::Null));
        assert_eq!(
            lock.refuses(&pin(&booking, 0), seconds("10:00")),
            None,
            "nothing reached the lock"
        );
        server.clock.advance(60);
        assert_eq!(
            server.to_booking(&booking, "cancel", json!({})).await,
            cancelled,
            "twice is once"
        );
        lock.press(said["cancel_code"].as_str().unwrap(), seconds("09:00")).unwrap();
        assert_eq!(lock.refuses(&pin(&booking, 0), seconds("10:00")), Some("revoked"));
        lock.bring_home(&server).await;
        let said = server.booking(&booking).await["revocations"][0].clone();
        assert_eq!((&said["takes_effect"], &said["cancel_code"]), (&json!("now"), &Value::Null));
        assert!(said["done_at"].is_string());
        let (status, problem) = server.post("/v1/bookings/bkg_0/cancel", json!({})).await;
        assert_eq!((status, &problem["code"]), (404, &json!("unknown_booking")));
    }

    #[tokio::test]
    async fn who_takes_the_place_of_a_cancelled_booking_ends_it_by_coming() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts", "holders": 4})).await;
        let (_, gone) = server.try_book(&lock.id, "10:00", "11:00", json!({"holders": 2})).await;
        server.to_booking(&gone, "cancel", json!({})).await;
        // The same window: the same holder, the next generation.
        let next = server.book(&lock.id, "10:00", "11:00").await;
        assert_eq!(
            (&next["holders"][0]["holder"], &next["holders"][0]["generation"]),
            (&json!(0), &json!(1))
        );
        let effects = |booking: &Value| -> Vec<Value> {
            let said = booking["revocations"].as_array().unwrap().iter();
            said.map(|said| said["takes_effect"].clone()).collect()
        };
        let said = effects(&server.booking(&gone).await);
        assert_eq!(said, ["when_successor_used", "when_typed"], "the friend has no successor");
        lock.press(&pin(&next, 0), seconds("10:00")).unwrap();
        assert_eq!(lock.refuses(&pin(&gone, 0), seconds("10:01")), Some("superseded"));
        assert_eq!(lock.refuses(&pin(&gone, 1), seconds("10:01")), None);
        lock.bring_home(&server).await;
        assert_eq!(effects(&server.booking(&gone).await), ["now", "when_typed"]);
        // The same beginning and another length: the lock does not end what began with it.
        let gone = server.book(&lock.id, "12:00", "14:00").await;
        server.to_booking(&gone, "cancel", json!({})).await;
        server.book(&lock.id, "12:00", "13:00").await;
        assert_eq!(effects(&server.booking(&gone).await), ["when_typed"]);
        // One that begins later ends it.
        server.book(&lock.id, "13:00", "13:30").await;
        assert_eq!(effects(&server.booking(&gone).await), ["when_successor_used"]);
    }

    #[tokio::test]
    async fn what_the_lock_refuses_already_is_done_at_once_and_what_is_over_at_its_end() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let second = server.book(&lock.id, "11:15", "12:15").await;
        server.to_booking(&second, "cancel", json!({})).await;
        let first = server.book(&lock.id, "10:00", "11:10").await;
        lock.press(&pin(&second, 0), seconds("11:15")).unwrap();
        lock.bring_home(&server).await;
        let cancelled = server.to_booking(&first, "cancel", json!({})).await;
        assert_eq!(cancelled["revocations"][0]["takes_effect"], "now");
        let third = server.book(&lock.id, "13:00", "14:00").await;
        server.to_booking(&third, "cancel", json!({})).await;
        server.clock.set(seconds("14:04"));
        assert_eq!(lock.refuses(&pin(&third, 0), server.now()), None, "in its grace");
        let said = server.booking(&third).await["revocations"][0].clone();
        assert_eq!(said["takes_effect"], "when_typed");
        let mut other = lock.clone();
        other.press(said["cancel_code"].as_str().unwrap(), server.now()).unwrap();
        assert_eq!(other.refuses(&pin(&third, 0), server.now()), Some("revoked"));
        server.clock.set(seconds("15:00"));
        let said = server.booking(&third).await["revocations"][0].clone();
        assert_eq!(
            (&said["takes_effect"], &said["cancel_code"], &said["cancel_code_from"]),
            (&json!("at_expiry"), &Value::Null, &Value::Null)
        );
        server.clock.set(seconds("15:35"));
        let said = server.booking(&third).await["revocations"][0].clone();
        assert_eq!((&said["takes_effect"], &said["done_at"]), (&json!("now"), &json!(at("15:35"))));
    }

    #[tokio::test]
    async fn a_window_too_far_ahead_has_its_cancel_code_later() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let body = json!({"lock": lock.id, "from": "2027-06-01T10:00:00Z", "until": "2027-06-01T11:00:00Z"});
        let (_, booking) = server.post("/v1/bookings", body).await;
        let cancelled = server.to_booking(&booking, "cancel", json!({})).await;
        let said = &cancelled["revocations"][0];
        assert_eq!(
            (&said["takes_effect"], &said["cancel_code"]),
            (&json!("at_expiry"), &Value::Null)
        );
        let from = said["cancel_code_from"].as_str().unwrap();
        let from = crate::utc::read(from).unwrap().seconds();
        server.clock.set(from - 5);
        let said = server.booking(&booking).await["revocations"][0].clone();
        assert_eq!(
            (&said["takes_effect"], &said["cancel_code"]),
            (&json!("at_expiry"), &Value::Null)
        );
        server.clock.set(from);
        let said = server.booking(&booking).await["revocations"][0].clone();
        assert_eq!(
            (&said["takes_effect"], &said["cancel_code_from"]),
            (&json!("when_typed"), &Value::Null)
        );
        lock.press(said["cancel_code"].as_str().unwrap(), server.now()).unwrap();
    }

    /// Its clock stands still while it is without power, and then it goes on: no elapsed time ends a PIN there.
    #[tokio::test]
    async fn a_lock_that_goes_on_after_its_power_was_off_is_believed_by_its_journal_only() {
        let server = TestServer::new().await;
        let body = json!({"site": "demo", "name": "1", "profile": {"kind": "courts"},
            "after_power_loss": "trust_90min"});
        let mut lock = server.lock_with(body).await;
        let (_, gone) = server.try_book(&lock.id, "10:00", "11:00", json!({"holders": 2})).await;
        server.to_booking(&gone, "cancel", json!({})).await;
        lock.wait_until(seconds("09:30"));
        server.clock.set(seconds("20:00"));
        lock.without_power_until(server.now());
        assert_eq!(lock.refuses(&pin(&gone, 0), server.now()), None, "hours later");
        let effects = |booking: &Value| -> Vec<(Value, bool)> {
            let said = booking["revocations"].as_array().unwrap().iter();
            said.map(|said| (said["takes_effect"].clone(), said["done_at"].is_null())).collect()
        };
        let shown = server.booking(&gone).await;
        assert_eq!(effects(&shown), vec![(json!("when_typed"), true); 2]);
        let code = shown["revocations"][0]["cancel_code"].as_str().unwrap();
        lock.press(code, server.now()).unwrap();
        lock.bring_home(&server).await;
        let shown = server.booking(&gone).await;
        assert_eq!(effects(&shown), [(json!("now"), false), (json!("when_typed"), true)]);
        assert_eq!(lock.refuses(&pin(&gone, 1), server.now()), None, "the friend's");
        let path = format!("/v1/locks/{}/set_time", lock.id);
        let set = server.answer(&path, json!({})).await;
        lock.press(set["code"].as_str().unwrap(), server.now()).unwrap();
        assert!(lock.refuses(&pin(&gone, 1), server.now()).is_some());
        lock.bring_home(&server).await;
        assert_eq!(effects(&server.booking(&gone).await), vec![(json!("now"), false); 2]);
    }

    /// A lock whose memory is full takes no cancel code, and says so.
    #[tokio::test]
    async fn no_code_is_given_to_a_lock_that_has_no_room_for_it() {
        let server = TestServer::new().await;
        let profile = json!({"kind": "general", "holders": 16, "generations": 1});
        let mut lock = server.lock("1", profile).await;
        for (from, until) in [("10:00", "11:00"), ("10:15", "11:15")] {
            let (_, full) = server.try_book(&lock.id, from, until, json!({"holders": 16})).await;
            let gone = server.to_booking(&full, "cancel", json!({})).await;
            for said in gone["revocations"].as_array().unwrap() {
                // The keypad gives attempts back with the time.
                server.clock.advance(90);
                if lock.state.keypad.marks().room(false) == 0 {
                    break;
                }
                lock.press(said["cancel_code"].as_str().unwrap(), server.now()).unwrap();
            }
        }
        assert_eq!(lock.state.keypad.marks().room(false), 0);
        let last = server.book(&lock.id, "10:30", "13:30").await;
        let gone = server.to_booking(&last, "cancel", json!({})).await;
        let code = gone["revocations"][0]["cancel_code"].as_str().unwrap().to_owned();
        assert_eq!(lock.refuses(&code, server.now()), Some("ledger_full"));
        lock.bring_home(&server).await;
        let said = server.booking(&last).await["revocations"][0].clone();
        assert_eq!(
            (&said["takes_effect"], &said["cancel_code"]),
            (&json!("at_expiry"), &Value::Null)
        );
        // What it remembers is over after a while.
        server.clock.set(seconds("12:30"));
        let said = server.booking(&last).await["revocations"][0].clone();
        assert_eq!(
            (&said["takes_effect"], &said["cancel_code"]),
            (&json!("when_typed"), &json!(code))
        );
        lock.press(&code, server.now()).unwrap();
        assert_eq!(lock.refuses(&pin(&last, 0), server.now()), Some("revoked"));
    }
}
