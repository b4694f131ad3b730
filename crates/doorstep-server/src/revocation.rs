//! The truth about PINs that should open no more. A lock without a network goes on opening for them until
//! something reaches it, and the issuer says what that will be.

use crate::lock_state;
use crate::store::StoreError;
use crate::store::locks::Lock;
use crate::store::pins::{self, Pin};
use doorstep::code::Code;
use doorstep::keypad::control::Command;
use doorstep::keypad::issue::derive_control;
use doorstep::keypad::key::RootKey;
use doorstep::keypad::mark;
use doorstep::time::Timestamp;
use rusqlite::Connection;

/// When a PIN that should open no more opens no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TakesEffect {
    /// It opens no more, by all that is known.
    Now,
    /// When another PIN that was given is used for the first time.
    WhenSuccessorUsed,
    /// When somebody types its cancel code.
    WhenTyped,
    /// When the lock is given its new bundle.
    WhenProvisioned,
    /// When its window is over.
    AtExpiry,
}

impl TakesEffect {
    /// The name in the API.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::WhenSuccessorUsed => "when_successor_used",
            Self::WhenTyped => "when_typed",
            Self::WhenProvisioned => "when_provisioned",
            Self::AtExpiry => "at_expiry",
        }
    }
}

/// What is known of one PIN.
pub(crate) struct Truth {
    pub(crate) takes_effect: TakesEffect,
    /// What staff type to make it true at once.
    pub(crate) cancel_code: Option<Code>,
    pub(crate) done_at: Option<Timestamp>,
}

/// What is true of a PIN that should open no more. `floor` is the lock's trusted floor, as far as it is
/// known; `root` that of its newest generation.
pub(crate) fn truth(
    connection: &Connection,
    (lock, root): (&Lock, &RootKey),
    pin: &Pin,
    floor: Timestamp,
    now: Timestamp,
) -> Result<Truth, StoreError> {
    let over = lock_state::over_at(lock, pin.opens.until());
    let done_at = pin.done_at.or_else(|| (over <= now).then_some(over));
    let of = |takes_effect, cancel_code| Truth { takes_effect, cancel_code, done_at };
    if done_at.is_some() {
        return Ok(of(TakesEffect::Now, None));
    }
    if pin.lock_generation != lock.generation {
        return Ok(of(TakesEffect::WhenProvisioned, None));
    }
    let cancel = Command::Cancel { tuple: pin.tuple, epoch: pin.epoch };
    let is_found = cancel.is_found(&lock.profile, floor) && pin.opens.until() > now;
    let code = is_found.then(|| derive_control(root, lock.epoch, &lock.profile, &cancel));
    let code = code.flatten();
    Ok(if has_successor(connection, lock, pin, now)? {
        of(TakesEffect::WhenSuccessorUsed, code)
    } else if code.is_some() {
        of(TakesEffect::WhenTyped, code)
    } else {
        of(TakesEffect::AtExpiry, None)
    })
}

/// Whether the use of another PIN, which somebody has and may use before this one's window is over, ends
/// it.
fn has_successor(
    connection: &Connection,
    lock: &Lock,
    pin: &Pin,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if pin.epoch < lock.epoch
        && pins::any_open(connection, lock, lock.epoch, (now, pin.opens.until()))?
    {
        return Ok(true);
    }
    let others = pins::meeting(connection, (lock, lock.generation), &pin.opens)?;
    Ok(others.iter().any(|other| {
        let may_come = other.ended.is_none() && other.opens.until() > now;
        let (used, this) = ((&other.tuple, other.epoch), (&pin.tuple, pin.epoch));
        may_come && mark::ends(used, this, &lock.profile)
    }))
}
