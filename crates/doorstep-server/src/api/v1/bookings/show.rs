//! Shows one booking.

use super::{BookingView, Shown, find};
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use axum::Json;
use axum::extract::{Path, State};
use std::sync::Arc;

/// Shows a booking, with its PINs.
#[utoipa::path(get, path = "/v1/bookings/{id}", tag = "bookings", operation_id = "show_booking",
    security(("api_key" = [])), params(("id" = String, Path, description = "the booking's id")),
    responses((status = 200, description = "the booking", body = BookingView), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<Json<BookingView>, Problem> {
    let now = context.now();
    let inner = Arc::clone(&context);
    let view = context
        .store
        .read(move |connection| {
            let (booking, lock) = find(connection, &id)?;
            Shown::new(connection, &inner.keys, &lock, now)?.booking(&booking, &[])
        })
        .await?;
    Ok(Json(view))
}
