//! Gives a holder another PIN, for one that was lost or leaked.

use super::{BookingView, with_booking};
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
    let view = with_booking(&context, id, move |issuer, booking, lock, connection, _| {
        let holder: Option<u8> = holder.parse().ok();
        let all = pins::of_booking(connection, lock, booking.seq)?;
        let mut open = all.iter().filter(|pin| pin.ended.is_none());
        let old = open.find(|pin| Some(pin.tuple.holder) == holder);
        let old = old.ok_or_else(|| {
            Problem::new(Code::NotFound, "the booking has no holder of this number")
                .hint("GET /v1/bookings/{id} shows its holders")
        })?;
        issuer.renew(old)
    })
    .await?;
    Ok(Json(view))
}
