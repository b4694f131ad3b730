//! Keypad PINs: every rule of the lock, its odds, and every vector.

#![cfg(feature = "lock")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod attacks;
mod bookings;
mod calendar;
mod control;
mod door;
mod floor;
mod marks;
mod odds;
mod support;
mod truth;
mod vectors;
