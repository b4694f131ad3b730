//! Gives a booking one more PIN, for a friend.

use super::{BookingView, with_booking};
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use std::sync::Arc;

/// Gives a booking one more holder, with a PIN of its own.
#[utoipa::path(post, path = "/v1/bookings/{id}/holders", tag = "bookings", operation_id = "add_holder",
    security(("api_key" = [])), params(("id" = String, Path, description = "the booking's id")),
    responses((status = 201, description = "the booking with its holders", body = BookingView), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<BookingView>), Problem> {
    let view = with_booking(&context, id, |issuer, booking, lock, _, _| {
        issuer.give(booking.seq, &booking.fit(&lock.profile)?, 1)
    })
    .await?;
    Ok((StatusCode::CREATED, Json(view)))
}
