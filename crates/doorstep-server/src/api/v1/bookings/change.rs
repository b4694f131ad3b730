//! Moves a booking to another window. Its holders get new PINs where that rounds to another window of the
//! lock.

use super::{BookingView, asked, with_booking};
use crate::context::Context;
use crate::http::extract::ApiJson;
use crate::http::problem::{Problem, ProblemBody};
use crate::issuing;
use crate::store::StoreError;
use crate::store::bookings::{self, Booking};
use crate::store::pins::{self, Because};
use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// The new window.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeBooking {
    /// When it begins, in any zone.
    #[schema(example = "2026-11-22T18:00:00+01:00")]
    from: String,
    /// When it ends; not over yet.
    #[schema(example = "2026-11-22T20:00:00+01:00")]
    until: String,
}

/// Moves a booking. PINs and passes that it had before are listed with what still opens; a pass is made anew for
/// the same phone, or with a new ticket.
#[utoipa::path(post, path = "/v1/bookings/{id}/change", tag = "bookings", operation_id = "change_booking",
    security(("api_key" = [])), request_body = ChangeBooking,
    params(("id" = String, Path, description = "the booking's id")),
    responses((status = 200, description = "the booking as it is now", body = BookingView), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<ChangeBooking>,
) -> Result<Json<BookingView>, Problem> {
    let asked = asked(&request.from, &request.until, context.now())?;
    let view = with_booking(&context, id, move |issuer, booking, lock, passes| {
        let (connection, now) = (passes.connection, passes.now);
        let profile = &lock.profile;
        let before = booking.fit(profile)?;
        let fit = issuing::fit(profile, &asked, before.class.one_time)?;
        issuer.require_free(&fit, &asked, Some(booking.seq))?;
        let class = bookings::class_number(profile, &fit);
        let class = class.ok_or(StoreError::Corrupt { column: "locks.profile" })?;
        let (index, opens) = (fit.index, fit.window);
        let changed = Booking { asked, class, index, opens, ..booking.clone() };
        bookings::change(connection, &changed)?;
        let issued = if asked == booking.asked { Vec::new() } else { passes.move_to(&changed)? };
        if fit == before || !booking.access.has_pins() {
            return Ok(issued);
        }
        let mut holders = 0_u8;
        for pin in pins::of_booking(connection, lock, booking.seq)? {
            if pin.ended.is_none() {
                pins::end(connection, pin.seq, Because::Changed, now)?;
                holders = holders.saturating_add(1);
            }
        }
        issuer.give(booking.seq, &fit, holders)?;
        Ok(issued)
    })
    .await?;
    Ok(Json(view))
}

#[cfg(test)]
mod tests {
    use crate::test_lock::{at, pin, seconds};
    use crate::test_server::TestServer;
    use serde_json::{Value, json};

    fn to(from: &str, until: &str) -> Value {
        json!({"from": at(from), "until": at(until)})
    }

    #[tokio::test]
    async fn pins_change_with_the_true_window_only() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let (_, booking) = server.try_book(&lock.id, "10:00", "10:40", json!({"holders": 2})).await;
        let same = server.to_booking(&booking, "change", to("10:05", "11:00")).await;
        assert_eq!((&same["from"], &same["until"]), (&json!(at("10:05")), &json!(at("11:00"))));
        assert_eq!(same["holders"], booking["holders"]);
        assert_eq!(same["revocations"], json!([]));
        let later = server.to_booking(&booking, "change", to("10:30", "12:00")).await;
        assert_eq!(later["holders"].as_array().unwrap().len(), 2);
        for (place, said) in later["revocations"].as_array().unwrap().iter().enumerate() {
            assert_eq!(said["because"], "changed");
            assert_eq!(said["takes_effect"], "when_successor_used", "it begins later and overlaps");
            assert_ne!(pin(&later, place), pin(&booking, place));
        }
        lock.press(&pin(&later, 1), seconds("10:30")).unwrap();
        assert_eq!(lock.refuses(&pin(&booking, 0), seconds("10:30")), Some("superseded"));
    }

    #[tokio::test]
    async fn a_window_that_begins_earlier_ends_nothing_and_the_old_pin_would_end_it() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let booking = server.book(&lock.id, "11:00", "12:00").await;
        let earlier = server.to_booking(&booking, "change", to("10:30", "11:30")).await;
        let said = &earlier["revocations"][0];
        assert_eq!(said["takes_effect"], "when_typed");
        lock.press(&pin(&earlier, 0), seconds("10:30")).unwrap();
        assert_eq!(lock.refuses(&pin(&booking, 0), seconds("11:00")), None);
        let mut other = lock.clone();
        other.press(&pin(&booking, 0), seconds("11:00")).unwrap();
        assert_eq!(other.refuses(&pin(&earlier, 0), seconds("11:00")), Some("superseded"));
        lock.press(said["cancel_code"].as_str().unwrap(), seconds("10:40")).unwrap();
        assert_eq!(lock.refuses(&pin(&booking, 0), seconds("11:00")), Some("revoked"));
        // A place that the lock refuses by now is not given to anybody.
        other.bring_home(&server).await;
        server.to_booking(&booking, "cancel", json!({})).await;
        server.clock.set(seconds("11:05"));
        let (status, problem) = server.try_book(&other.id, "10:45", "11:45", json!({})).await;
        assert_eq!((status, &problem["code"]), (409, &json!("window_unavailable")), "{problem}");
        let next = server.book(&other.id, "11:00", "11:45").await;
        assert_eq!(other.refuses(&pin(&next, 0), seconds("11:06")), None);
    }

    #[tokio::test]
    async fn back_and_forth_gives_no_pin_twice() {
        let server = TestServer::new().await;
        let lock = server.lock("1", json!({"kind": "courts", "holders": 1})).await;
        let first = server.book(&lock.id, "10:00", "11:00").await;
        let away = server.to_booking(&first, "change", to("14:00", "15:00")).await;
        assert_eq!(away["revocations"][0]["takes_effect"], "when_typed", "they do not overlap");
        let back = server.to_booking(&first, "change", to("10:00", "11:00")).await;
        assert_eq!(back["holders"][0]["generation"], 1);
        assert_ne!(pin(&back, 0), pin(&first, 0));
        assert_eq!(back["revocations"][0]["takes_effect"], "when_successor_used");
        let path = format!("/v1/bookings/{}/change", first["id"].as_str().unwrap());
        server.to_booking(&first, "change", to("14:00", "15:00")).await;
        let (status, problem) = server.post(&path, to("10:00", "11:00")).await;
        assert_eq!((status, &problem["code"]), (409, &json!("no_pins_left")));
        let shown = server.booking(&first).await;
        assert_eq!(shown["from"], at("14:00"), "what is refused changes nothing");
        assert_eq!(shown["holders"].as_array().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn windows_of_others_and_bookings_that_ended_are_refused() {
        let server = TestServer::new().await;
        let lock = server.lock("1", json!({"kind": "courts"})).await;
        let one = server.book(&lock.id, "10:00", "11:00").await;
        server.book(&lock.id, "11:00", "12:00").await;
        let path = format!("/v1/bookings/{}/change", one["id"].as_str().unwrap());
        for (body, status, code) in [
            (to("10:30", "11:30"), 409, "window_unavailable"),
            (to("10:00", "10:00"), 422, "invalid_fields"),
            (to("06:00", "07:00"), 422, "invalid_fields"),
            (to("12:00", "17:00"), 422, "too_long"),
            (json!({"from": at("12:00")}), 422, "invalid_fields"),
        ] {
            let (got, problem) = server.post(&path, body.clone()).await;
            assert_eq!((got, &problem["code"]), (status, &json!(code)), "{body}");
        }
        assert_eq!(server.booking(&one).await, one);
        server.to_booking(&one, "change", to("09:30", "10:30")).await;
        server.to_booking(&one, "cancel", json!({})).await;
        for what in ["change", "holders", "holders/0/renew"] {
            let path = format!("/v1/bookings/{}/{what}", one["id"].as_str().unwrap());
            let (status, problem) = server.post(&path, to("09:00", "10:00")).await;
            assert_eq!((status, &problem["code"]), (409, &json!("booking_cancelled")), "{what}");
        }
        let (status, _) = server.post("/v1/bookings/bkg_0/change", to("09:00", "10:00")).await;
        assert_eq!(status, 404);
    }
}
