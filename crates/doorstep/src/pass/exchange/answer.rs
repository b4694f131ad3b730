//! What a lock says of a presentation: one byte, so that every phone words the same reasons.

use crate::refusal::Refusal;
use core::fmt;

/// What became of a presentation, as far as whoever made it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The bolt moves.
    Opened,
    /// A rider took effect.
    Taken,
    /// Not proven to be for this lock: its issuer, its audience, its encoding or its holder. No more is said.
    WrongCode,
    /// Too many that could not be proven, within a few seconds.
    Throttled,
    /// The lock does not know the time well enough.
    ClockUnset,
    /// Too early.
    NotYetValid,
    /// Too late.
    Expired,
    /// Its uses are counted, and by another lock.
    WrongVerifier,
    /// Its issuer withdrew it.
    Revoked,
    /// It has no uses left, or is a rider that tells nothing new.
    AlreadyUsed,
    /// The lock has no room to remember its use.
    LedgerFull,
}

impl Answer {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 11] = [
        Self::Opened,
        Self::Taken,
        Self::WrongCode,
        Self::Throttled,
        Self::ClockUnset,
        Self::NotYetValid,
        Self::Expired,
        Self::WrongVerifier,
        Self::Revoked,
        Self::AlreadyUsed,
        Self::LedgerFull,
    ];

    /// What is told of a refusal.
    #[must_use]
    pub const fn of(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::AlreadyUsed { .. } => Self::AlreadyUsed,
            Refusal::ClockUnset => Self::ClockUnset,
            Refusal::Expired { .. } => Self::Expired,
            Refusal::LedgerFull => Self::LedgerFull,
            Refusal::NotYetValid { .. } => Self::NotYetValid,
            Refusal::Revoked => Self::Revoked,
            Refusal::Throttled { .. } => Self::Throttled,
            Refusal::WrongVerifier => Self::WrongVerifier,
            // The others are not a lock's that takes passes.
            Refusal::IssuedForOfflineUse
            | Refusal::Mistyped
            | Refusal::Superseded
            | Refusal::Unknown
            | Refusal::WrongCode { .. } => Self::WrongCode,
        }
    }

    /// The byte that stands for it.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Opened => 0,
            Self::Taken => 1,
            Self::WrongCode => 2,
            Self::Throttled => 3,
            Self::ClockUnset => 4,
            Self::NotYetValid => 5,
            Self::Expired => 6,
            Self::WrongVerifier => 7,
            Self::Revoked => 8,
            Self::AlreadyUsed => 9,
            Self::LedgerFull => 10,
        }
    }

    /// Reads the byte; `None` for one that means nothing.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// A stable name for interfaces: that of the refusal, if it is one.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Taken => "taken",
            Self::WrongCode => "wrong_code",
            Self::Throttled => "throttled",
            Self::ClockUnset => "clock_unset",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::WrongVerifier => "wrong_verifier",
            Self::Revoked => "revoked",
            Self::AlreadyUsed => "already_used",
            Self::LedgerFull => "ledger_full",
        }
    }

    /// Whether it is a "no".
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        !matches!(self, Self::Opened | Self::Taken)
    }

    /// What whoever stands at the door with a pass can do next. Empty when there is nothing to do.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Opened | Self::Taken => "",
            Self::WrongCode => {
                "check that the pass is for this door; one with a holder opens only with the phone it was made for"
            }
            Self::Throttled => "wait a few seconds, then try again",
            Self::ClockUnset => {
                "this lock lost the time; take a phone online and let it bring a time token"
            }
            Self::NotYetValid => {
                "wait until the booking begins; if it has begun, the clock of the phone is fast"
            }
            Self::Expired => {
                "show a fresh code if the phone makes one, and check its clock; else the pass is over, ask for another"
            }
            Self::WrongVerifier => {
                "a pass whose uses are counted must name this one door; ask for another"
            }
            Self::Revoked => "the pass was withdrawn; ask who made it",
            Self::AlreadyUsed => {
                "a code opens once: show a fresh one if the phone makes them; else the pass is used up, ask for another"
            }
            Self::LedgerFull => "this lock has no room to remember it; ask who runs it",
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Opened => "opened",
            Self::Taken => "taken",
            Self::WrongCode => "not proven to be for this lock",
            Self::Throttled => "too many attempts",
            Self::ClockUnset => "the clock is not set",
            Self::NotYetValid => "not yet valid",
            Self::Expired => "expired",
            Self::WrongVerifier => "made for another lock",
            Self::Revoked => "revoked",
            Self::AlreadyUsed => "already used",
            Self::LedgerFull => "no room to remember it",
        })
    }
}
