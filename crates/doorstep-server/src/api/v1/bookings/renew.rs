//! Gives a holder another PIN, for one that was lost or leaked.

use super::{BookingView, require_not_over, with_booking};
use crate::context::Context;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::store::pins;
use axum::Json;
use axum::extract::{Path, State};
use std::sync::Arc;

/// Gives a holder the next PIN. The first use of it ends the old one.
#[utoipa::path(post, path = "/v1/bookings/{id}/holders/{holder}/renew", tag = "bookings",
    operation_id = "renew_pin", security(("api_key" = [])),
    params(("id" = String, Path, description = "the booking's id"), ("holder" = u8, Path, description = "the holder's number")),
    responses((status = 200, description = "the booking with its holders", body = BookingView), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path((id, holder)): Path<(String, String)>,
) -> Result<Json<BookingView>, Problem> {
    let view = with_booking(&context, id, move |issuer, booking, lock, passes| {
        require_not_over(booking, passes.now)?;
        let holder: Option<u8> = holder.parse().ok();
        let all = pins::of_booking(passes.connection, lock, booking.seq)?;
        let mut open = all.iter().filter(|pin| pin.ended.is_none());
        let old = open.find(|pin| Some(pin.tuple.holder) == holder);
        let old = old.ok_or_else(|| {
            Problem::new(Code::NotFound, "the booking has no holder of this number")
                .hint("GET /v1/bookings/{id} shows its holders")
        })?;
        issuer.renew(old)?;
        Ok(Vec::new())
    })
    .await?;
    Ok(Json(view))
}

#[cfg(test)]
mod tests {
    use crate::test_lock::{pin, seconds};
    use crate::test_server::TestServer;
    use serde_json::json;

    #[tokio::test]
    async fn a_new_pin_ends_the_lost_one_when_it_is_used() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let (_, booking) = server.try_book(&lock.id, "10:00", "11:00", json!({"holders": 2})).await;
        let renewed = server.to_booking(&booking, "holders/1/renew", json!({})).await;
        let holders = renewed["holders"].as_array().unwrap();
        let new = holders.iter().find(|one| one["holder"] == 1).unwrap();
        assert_eq!(new["generation"], 1);
        assert!(holders.contains(&booking["holders"][0]), "the other holder's stays");
        let said = &renewed["revocations"][0];
        assert_eq!((&said["holder"], &said["generation"]), (&json!(1), &json!(0)));
        assert_eq!(
            (&said["because"], &said["takes_effect"]),
            (&json!("renewed"), &json!("when_successor_used"))
        );
        let lost = pin(&booking, 1);
        lock.press(&lost, seconds("10:00")).unwrap();
        lock.press(new["pin"].as_str().unwrap(), seconds("10:01")).unwrap();
        assert_eq!(lock.refuses(&lost, seconds("10:02")), Some("superseded"));
        assert_eq!(lock.refuses(&pin(&booking, 0), seconds("10:02")), None);
        lock.bring_home(&server).await;
        let said = server.booking(&booking).await["revocations"][0].clone();
        assert_eq!(said["takes_effect"], "now");
        let path = |holder: &str| {
            format!("/v1/bookings/{}/holders/{holder}/renew", booking["id"].as_str().unwrap())
        };
        let (status, problem) = server.post(&path("1"), json!({})).await;
        assert_eq!((status, &problem["code"]), (409, &json!("no_pins_left")));
        assert_eq!(problem["detail"], "this holder has no PIN left for this window");
        assert!(problem["hint"].as_str().unwrap().contains("holders"), "{problem}");
        assert_eq!(server.booking(&booking).await["holders"].as_array().unwrap().len(), 2);
        for holder in ["2", "-1", "256", "x"] {
            let (status, problem) = server.post(&path(holder), json!({})).await;
            assert_eq!((status, &problem["code"]), (404, &json!("not_found")), "{holder}");
        }
    }
}
