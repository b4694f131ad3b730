//! Gives a booking one more PIN or pass, for a friend.

use super::{BookingView, require_not_over, with_booking};
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use std::sync::Arc;

/// Gives a booking one more holder, with a PIN or a pass of its own, or both. A pass is as that of the others; one
/// for a phone is collected.
#[utoipa::path(post, path = "/v1/bookings/{id}/holders", tag = "bookings", operation_id = "add_holder",
    security(("api_key" = [])), params(("id" = String, Path, description = "the booking's id")),
    responses((status = 201, description = "the booking with its holders", body = BookingView), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<BookingView>), Problem> {
    let view = with_booking(&context, id, |issuer, booking, lock, passes| {
        require_not_over(booking, passes.now)?;
        if booking.access.has_pins() {
            issuer.give(booking.seq, &booking.fit(&lock.profile)?, 1)?;
        }
        passes.add(booking)
    })
    .await?;
    Ok((StatusCode::CREATED, Json(view)))
}

#[cfg(test)]
mod tests {
    use crate::test_lock::{pin, seconds};
    use crate::test_server::TestServer;
    use serde_json::json;

    #[tokio::test]
    async fn a_friend_gets_a_pin_while_there_are_any() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let booking = server.book(&lock.id, "10:00", "11:00").await;
        let path = format!("/v1/bookings/{}/holders", booking["id"].as_str().unwrap());
        let (status, two) = server.post(&path, json!({})).await;
        assert_eq!((status, two["holders"].as_array().unwrap().len()), (201, 2));
        assert_eq!(two["holders"][0], booking["holders"][0]);
        assert_eq!((&two["holders"][1]["holder"], &two["revocations"]), (&json!(1), &json!([])));
        for place in [1, 0, 1] {
            lock.press(&pin(&two, place), seconds("10:00")).unwrap();
        }
        let (status, problem) = server.post(&path, json!({})).await;
        assert_eq!((status, &problem["code"]), (409, &json!("no_pins_left")));
        server.clock.set(seconds("11:00"));
        for what in ["holders", "holders/0/renew"] {
            let path = format!("/v1/bookings/{}/{what}", booking["id"].as_str().unwrap());
            let (status, problem) = server.post(&path, json!({})).await;
            assert_eq!((status, &problem["code"]), (409, &json!("booking_over")));
        }
    }
}
