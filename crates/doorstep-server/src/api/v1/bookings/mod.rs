//! Bookings: a window of a lock becomes PINs, and what was given up is told with what still opens.

pub(crate) mod add_holder;
pub(crate) mod cancel;
pub(crate) mod change;
pub(crate) mod create;
pub(crate) mod list;
mod passes;
pub(crate) mod renew;
pub(crate) mod show;
mod view;
mod warnings;

use crate::context::Context;
use crate::http::problem::{Code, Problem};
use crate::issuing::Issuer;
use crate::lock_state;
use crate::passes::Issued;
use crate::store::bookings::{self, Booking, State};
use crate::store::locks::{self, Lock};
use crate::store::pins;
use crate::utc;
use doorstep::time::{Timestamp, Window};
use passes::Passes;
use rusqlite::Connection;
use std::sync::Arc;
pub(crate) use view::{BookingView, Shown};

/// The booking that a path names, and its lock.
pub(crate) fn find(connection: &Connection, id: &str) -> Result<(Booking, Lock), Problem> {
    let booking = bookings::find(connection, id)?.ok_or_else(|| {
        Problem::new(Code::UnknownBooking, "no booking has this id")
            .hint("GET /v1/bookings?reference=... finds one by its reference")
    })?;
    let lock = locks::at(connection, booking.lock)?;
    Ok((booking, lock))
}

/// The same, of a booking that stands.
pub(crate) fn find_standing(connection: &Connection, id: &str) -> Result<(Booking, Lock), Problem> {
    let (booking, lock) = find(connection, id)?;
    if booking.state == State::Cancelled {
        return Err(Problem::new(Code::BookingCancelled, "this booking was cancelled")
            .hint("make a new one: POST /v1/bookings"));
    }
    Ok((booking, lock))
}

/// Changes one booking inside a job that nothing comes between, and shows it as it then is.
async fn with_booking(
    context: &Arc<Context>,
    id: String,
    change: impl FnOnce(&Issuer<'_>, &Booking, &Lock, &Passes<'_>) -> Result<Vec<Issued>, Problem>
    + Send
    + 'static,
) -> Result<BookingView, Problem> {
    let now = context.now();
    let inner = Arc::clone(context);
    context
        .store
        .write(move |connection| {
            let (booking, lock) = find_standing(connection, &id)?;
            let issuer = Issuer::new(connection, &inner.keys, &lock, now)?;
            let passes = Passes::new(connection, &inner, &lock, now);
            let issued = change(&issuer, &booking, &lock, &passes)?;
            shown(connection, &inner, &booking.id, (&lock, &issued), now)
        })
        .await
}

/// A booking as it is after a change, with the documents of passes that were just issued. What the lock is known to refuse already is written down first.
fn shown(
    connection: &Connection,
    context: &Context,
    id: &str,
    (lock, issued): (&Lock, &[Issued]),
    now: Timestamp,
) -> Result<BookingView, Problem> {
    let (booking, _) = find(connection, id)?;
    let pins = pins::of_booking(connection, lock, booking.seq)?;
    lock_state::settle(connection, lock, &pins, now)?;
    Shown::new(connection, &context.keys, lock, now)?.booking(&booking, issued)
}

/// Refuses a booking whose window is over: no PIN of it would open.
fn require_not_over(booking: &Booking, now: Timestamp) -> Result<(), Problem> {
    if booking.opens.until() > now {
        return Ok(());
    }
    Err(Problem::new(Code::BookingOver, "this booking is over")
        .hint("make a new one, or make it longer: POST /v1/bookings/{id}/change"))
}

/// Reads the window that is asked for.
fn asked(from: &str, until: &str, now: Timestamp) -> Result<Window, Problem> {
    let from = utc::read(from).map_err(|error| Problem::field("from", error))?;
    let until = utc::read(until).map_err(|error| Problem::field("until", error))?;
    let window =
        Window::new(from, until).ok_or_else(|| Problem::field("until", "is not after from"))?;
    if until <= now {
        return Err(Problem::field("until", "is over"));
    }
    Ok(window)
}
