//! Cancels a booking, and says what its PINs still open.

use super::{BookingView, find, shown};
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use crate::store::bookings;
use crate::store::pins::{self, Because};
use axum::Json;
use axum::extract::{Path, State};
use std::sync::Arc;

/// Cancels a booking. The lock learns nothing of that by itself: the revocations say what ends its PINs, and
/// when. Cancelling twice changes nothing.
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
            shown(connection, &inner, &id, &lock, now)
        })
        .await?;
    Ok(Json(view))
}
