//! The truth about passes that should open no more: a lock without a network goes on opening for them until
//! somebody's phone brings it a newer list.

use crate::bulletins;
use crate::lock_state;
use crate::passes::Place;
use crate::store::locks::Lock;
use crate::store::passes::{Kind, Pass, Under};
use crate::store::{StoreError, bulletins as stored};
use doorstep::door::MARKS;
use doorstep::door::state::State;
use doorstep::time::Timestamp;
use rusqlite::Connection;

/// When a pass that should open no more opens no more. What is worse comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TakesEffect {
    /// It opens no more, by all that is known.
    Now,
    /// When a lock takes the list that names it.
    WhenListDelivered,
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
            Self::WhenListDelivered => "when_list_delivered",
            Self::WhenProvisioned => "when_provisioned",
            Self::AtExpiry => "at_expiry",
        }
    }
}

/// What is known of one revoked pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Truth {
    pub(crate) takes_effect: TakesEffect,
    /// Since when it opens none of its locks.
    pub(crate) done_at: Option<Timestamp>,
}

/// What is true of a revoked pass.
pub(crate) fn truth(
    connection: &Connection,
    pass: &Pass,
    revoked_at: Timestamp,
    place: &Place,
    now: Timestamp,
) -> Result<Truth, StoreError> {
    let mut all = Truth { takes_effect: TakesEffect::Now, done_at: Some(revoked_at) };
    // What was never handed out opens nothing.
    for lock in place.locks.iter().filter(|_| pass.under.is_some()) {
        let one = at_lock(connection, lock, pass, revoked_at, now)?;
        all.takes_effect = all.takes_effect.max(one.takes_effect);
        all.done_at = all.done_at.zip(one.done_at).map(|(all, one)| all.max(one));
    }
    Ok(all)
}

fn at_lock(
    connection: &Connection,
    lock: &Lock,
    pass: &Pass,
    revoked_at: Timestamp,
    now: Timestamp,
) -> Result<Truth, StoreError> {
    let done = |at| Truth { takes_effect: TakesEffect::Now, done_at: Some(at) };
    if let Some(at) = stored::done_at(connection, pass.seq, lock.seq)? {
        return Ok(done(at));
    }
    let until = pass.window.until();
    if until <= lock_state::pass_not_over(lock, now)? {
        let over = lock_state::pass_over_at(lock, until);
        return Ok(done(over.filter(|over| *over <= now).unwrap_or(now)));
    }
    if !bulletins::may_open(connection, lock, pass)? {
        return Ok(done(revoked_at));
    }
    let takes_effect = match pass.under {
        Some(Under::Lock { generation, .. }) if generation != lock.generation => {
            TakesEffect::WhenProvisioned
        }
        _ if bulletins::plan(connection, lock, now)?.lists(pass) => TakesEffect::WhenListDelivered,
        _ => TakesEffect::AtExpiry,
    };
    Ok(Truth { takes_effect, done_at: None })
}

/// Notes which revoked passes a lock opens for no more, by the list that its journal told.
pub(crate) fn settle(
    connection: &Connection,
    lock: &Lock,
    told: &State<MARKS>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (list, at) = (told.passes.revoked().prefixes(), told.keypad.belief().probable());
    let since = lock_state::pass_not_over(lock, now)?;
    for pass in crate::store::passes::revoked(connection, lock.seq, since)? {
        let reaches = match (pass.kind, pass.under) {
            // The bundle that it was made for is gone, or will be; no list speaks to it.
            (Kind::Mac | Kind::Encrypted, Some(Under::Lock { generation, .. })) => {
                generation == lock.generation
            }
            _ => true,
        };
        if reaches && list.contains(&pass.id.prefix()) {
            stored::done(connection, pass.seq, lock.seq, at.min(now))?;
        }
    }
    Ok(())
}
