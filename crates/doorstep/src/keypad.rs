//! Keypad PINs for a window of time (KP1, `docs/kp1.md`): a booking opens a lock that has no network
//! and a clock that drifts.
//!
//! The issuer derives everything from a lock's root key: [`profile::Profile::fit`] rounds a booking
//! outward to a window that the lock can take, and [`issue::Pin`] is the PIN of its
//! [`tuple::Tuple`]. The lock compares what is typed with the PINs of all tuples that could be meant
//! now, and judges the one it finds by its belief about the time and its marks ([`lock::Lock`]), over
//! the crate's one pipeline.

pub mod control;
pub mod issue;
pub mod key;
pub mod lock;
pub mod mark;
pub mod odds;
pub mod profile;
pub mod record;
mod scan;
pub mod state;
pub mod tuple;

use crate::refusal::Refusal;
use crate::time::Timestamp;

/// What a keypad shows: less than the lock knows, since who stands before it may be anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The bolt moves, or the control code was obeyed.
    Opened,
    /// No.
    Refused,
    /// No attempts are left; `None` when no time brings them back.
    Wait {
        /// Seconds until the next one, by the lock's own count.
        seconds: Option<u64>,
    },
    /// The lock does not know the time.
    ClockUnset,
    /// The code was right and opens no more.
    AlreadyUsed,
}

impl Shown {
    /// What is shown of a refusal, when the trusted floor is at `floor`.
    #[must_use]
    pub fn of(refusal: &Refusal, floor: Timestamp) -> Self {
        match refusal {
            Refusal::Throttled { until } => {
                Self::Wait { seconds: until.map(|until| until.since(floor)) }
            }
            Refusal::ClockUnset => Self::ClockUnset,
            Refusal::AlreadyUsed { .. } => Self::AlreadyUsed,
            Refusal::Expired { .. }
            | Refusal::IssuedForOfflineUse
            | Refusal::LedgerFull
            | Refusal::Mistyped
            | Refusal::NotYetValid { .. }
            | Refusal::Revoked
            | Refusal::Superseded
            | Refusal::Unknown
            | Refusal::WrongCode { .. }
            | Refusal::WrongVerifier => Self::Refused,
        }
    }
}

/// What a guest at the keypad can do about a refusal. A keypad itself shows less: opened, refused,
/// wait, clock unset, already used.
#[must_use]
pub const fn hint(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::AlreadyUsed { .. } => "it was used and is good no more; ask for another",
        Refusal::ClockUnset => "this lock lost the time; ask who runs it for a set-time code",
        Refusal::Expired { .. } => "the booking is over; ask for a longer one",
        Refusal::LedgerFull => "this lock has no room to remember it; ask who runs it",
        Refusal::Mistyped => "type all the digits of the message, and nothing else",
        Refusal::NotYetValid { .. } => "wait until the booking begins",
        Refusal::Revoked => "the booking was cancelled; ask who made it",
        Refusal::Superseded => "a newer PIN is in use; look for the last message",
        Refusal::Throttled { .. } => "type the long code of the message instead, or wait",
        Refusal::IssuedForOfflineUse
        | Refusal::Unknown
        | Refusal::WrongCode { .. }
        | Refusal::WrongVerifier => {
            "compare the digits with the message, and the door with the booking"
        }
    }
}
