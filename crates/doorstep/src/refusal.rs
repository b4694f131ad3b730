//! The expected "no": a small closed set, so that every surface words the same reasons.

use crate::time::Timestamp;
use core::fmt;

/// Why a presentation was not granted. A refusal is an answer, not a malfunction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is spent; nothing grants it again.
    AlreadyUsed {
        /// When it was spent, by the verifier's clock.
        at: Timestamp,
    },
    /// The verifier does not know the time well enough to judge a window.
    ClockUnset,
    /// Its window is over.
    Expired {
        /// The first second after the window.
        until: Timestamp,
    },
    /// The code belongs to a device's offline check; the server does not take it.
    IssuedForOfflineUse,
    /// What granting would have to be remembered has no room left.
    LedgerFull,
    /// Not of the right shape, so it was neither counted nor compared.
    Mistyped,
    /// Its window has not begun.
    NotYetValid {
        /// The first second of the window.
        from: Timestamp,
    },
    /// The issuer withdrew it.
    Revoked,
    /// A newer code was made in its place.
    Superseded,
    /// Too many attempts.
    Throttled {
        /// When the next attempt is taken; `None` when no typed one ever is.
        until: Option<Timestamp>,
    },
    /// The verifier holds no such delivery, account or challenge.
    Unknown,
    /// Compared, and different.
    WrongCode {
        /// Typed attempts left; `None` when they are not limited in number.
        left: Option<u8>,
    },
    /// Made for another verifier.
    WrongVerifier,
}

impl Refusal {
    /// A stable name for interfaces: lower case, underscores.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::AlreadyUsed { .. } => "already_used",
            Self::ClockUnset => "clock_unset",
            Self::Expired { .. } => "expired",
            Self::IssuedForOfflineUse => "issued_for_offline_use",
            Self::LedgerFull => "ledger_full",
            Self::Mistyped => "mistyped",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::Revoked => "revoked",
            Self::Superseded => "superseded",
            Self::Throttled { .. } => "throttled",
            Self::Unknown => "unknown",
            Self::WrongCode { .. } => "wrong_code",
            Self::WrongVerifier => "wrong_verifier",
        }
    }

    /// What a person at the door of a delivery can do next.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::AlreadyUsed { .. } => {
                "this delivery was already handed over; do not hand it over again"
            }
            Self::ClockUnset => "set the clock of this device, then try again",
            Self::Expired { .. } => {
                "ask the dispatcher to plan the delivery again; a new code will be sent"
            }
            Self::IssuedForOfflineUse => {
                "give this code to the driver at the door; only the driver's device takes it"
            }
            Self::LedgerFull => "tell who runs this verifier; room comes back as codes expire",
            Self::Mistyped => "compare the code with the message and type all of it",
            Self::NotYetValid { .. } => "wait until the window begins",
            Self::Revoked => "the code was withdrawn; ask the dispatcher",
            Self::Superseded => "a newer code was sent; ask for the code of the last message",
            Self::Throttled { until: None } => {
                "typing is used up for this delivery; scan the code's link, or call the dispatcher"
            }
            Self::Throttled { until: Some(_) } => "wait, then try again",
            Self::Unknown => "check that the right delivery is selected, and sync while online",
            Self::WrongCode { .. } => {
                "check that the right delivery is selected, and read the code again from the last message"
            }
            Self::WrongVerifier => "this was made for another device; check who is to deliver",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyUsed { .. } => "already used",
            Self::ClockUnset => "the clock is not set",
            Self::Expired { .. } => "expired",
            Self::IssuedForOfflineUse => "issued for offline use",
            Self::LedgerFull => "no room to remember it",
            Self::Mistyped => "mistyped",
            Self::NotYetValid { .. } => "not yet valid",
            Self::Revoked => "revoked",
            Self::Superseded => "superseded by a newer code",
            Self::Throttled { .. } => "too many attempts",
            Self::Unknown => "not known here",
            Self::WrongCode { .. } => "wrong code",
            Self::WrongVerifier => "made for another device",
        })?;
        match self {
            Self::WrongCode { left: Some(1) } => f.write_str(", 1 attempt left"),
            Self::WrongCode { left: Some(n) } => write!(f, ", {n} attempts left"),
            _ => Ok(()),
        }
    }
}
