//! What is known of a lock's own state: from its last journal, or from the day it was provisioned, aged to
//! now. The lock itself may know better.

use crate::store::StoreError;
use crate::store::locks::Lock;
use crate::store::pins::{self, Pin};
use doorstep::clock::{Belief, Event, MAX_UNCERTAINTY};
use doorstep::door::MARKS;
use doorstep::door::state::State;
use doorstep::time::Timestamp;
use rusqlite::Connection;

/// The state at the end of its last journal.
pub(crate) fn last(lock: &Lock) -> Result<Option<State<MARKS>>, StoreError> {
    let Some(bytes) = &lock.state else { return Ok(None) };
    let state = State::read(lock.clock, bytes);
    state.map(Some).ok_or(StoreError::Corrupt { column: "locks.state" })
}

/// What the lock believes by now, if its oscillator went on and it heard nothing since.
pub(crate) fn belief(lock: &Lock, now: Timestamp) -> Result<Belief, StoreError> {
    let belief = match last(lock)? {
        Some(state) => *state.keypad.belief(),
        None => Belief::new(lock.clock, lock.provisioned_at),
    };
    Ok(belief.then(&Event::Elapsed { seconds: now.since(belief.probable()) }))
}

/// When a window is over for every belief with which a lock grants anything, unless its power was off.
pub(crate) fn over_at(lock: &Lock, until: Timestamp) -> Timestamp {
    let late = u64::from(lock.profile.grace().late);
    until.later(late).later(MAX_UNCERTAINTY.saturating_mul(2))
}

/// The earliest end of a window that may not be over by now.
pub(crate) fn not_over(lock: &Lock, now: Timestamp) -> Timestamp {
    now.earlier(over_at(lock, Timestamp::from_seconds(0)).seconds())
}

/// Notes which of these PINs, which should open no more, open no more: by the epochs that were ended, and by
/// the marks that the lock is known to have.
pub(crate) fn settle(
    connection: &Connection,
    lock: &Lock,
    given_up: &[Pin],
    now: Timestamp,
) -> Result<(), StoreError> {
    let state = last(lock)?;
    for pin in given_up.iter().filter(|pin| pin.ended.is_some()) {
        if let Some(at) = closed_at(lock, state.as_ref(), pin, now) {
            pins::done(connection, pin.seq, at.min(now))?;
        }
    }
    Ok(())
}

/// When a PIN that should open no more opened no more; `None` while nothing says so.
fn closed_at(
    lock: &Lock,
    state: Option<&State<MARKS>>,
    pin: &Pin,
    now: Timestamp,
) -> Option<Timestamp> {
    let older = pin.lock_generation != lock.generation;
    if !older && pin.epoch < lock.epoch && !lock.announced {
        return Some(now);
    }
    let keypad = &state?.keypad;
    // What was told under the newest root shows that the old one is gone.
    if older || pin.epoch < keypad.epoch() {
        return Some(keypad.belief().probable());
    }
    keypad.marks().against(&pin.tuple, pin.epoch).map(|mark| mark.at)
}
