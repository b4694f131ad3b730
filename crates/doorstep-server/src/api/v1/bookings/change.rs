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

/// Moves a booking. PINs that it had before are listed with what still opens.
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
    let view = with_booking(&context, id, move |issuer, booking, lock, connection, now| {
        let profile = &lock.profile;
        let before = booking.fit(profile)?;
        let fit = issuing::fit(profile, &asked, before.class.one_time)?;
        issuer.require_free(&fit, &asked, Some(booking.seq))?;
        let class = bookings::class_number(profile, &fit);
        let class = class.ok_or(StoreError::Corrupt { column: "locks.profile" })?;
        let (index, opens) = (fit.index, fit.window);
        let changed = Booking { asked, class, index, opens, ..booking.clone() };
        bookings::change(connection, &changed)?;
        if fit == before {
            return Ok(());
        }
        let mut holders = 0_u8;
        for pin in pins::of_booking(connection, lock, booking.seq)? {
            if pin.ended.is_none() {
                pins::end(connection, pin.seq, Because::Changed, now)?;
                holders = holders.saturating_add(1);
            }
        }
        issuer.give(booking.seq, &fit, holders)
    })
    .await?;
    Ok(Json(view))
}
