//! What whoever hands out a pass is to know at once: why it may not open.

use crate::lock_state;
use crate::pass_keys as keys;
use crate::passes::Place;
use crate::store::locks::{How, Lock};
use crate::store::passes::{Kind, Pass, Under};
use crate::store::{StoreError, pass_keys};
use doorstep::clock::Event;
use doorstep::pass::reader::GRACE;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::Serialize;
use utoipa::ToSchema;

/// A reason why a pass may not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Warning {
    /// A lock does not know the time well enough to open for anybody.
    ClockUnset,
    /// The pass ends after the day on which a lock will not any more, if it hears nothing until then.
    AfterFailsOn,
    /// A code that ends the epoch of this pass was made, and is not confirmed.
    EpochPending,
    /// The lock may still be in an epoch before that of this pass.
    EpochBehind,
    /// A lock is not known to have the key of this pass. A phone that brings it the riders opens with it.
    KeyNotAtLock,
    /// The key of this pass ends before the pass does.
    KeyEndsFirst,
    /// The document that was handed out was made under keys that are gone. Hand it out anew.
    HandOutAnew,
    /// A lock was provisioned anew, and no journal shows that it has its new bundle: with the old one it opens for
    /// nothing that was made since.
    BundleNotConfirmed,
}

/// What is to be known of a pass that is to open.
pub(super) fn of(
    connection: &Connection,
    pass: &Pass,
    place: &Place,
    now: Timestamp,
) -> Result<Vec<Warning>, StoreError> {
    let mut all = Vec::new();
    let mut add = |is, warning| {
        if is && !all.contains(&warning) {
            all.push(warning);
        }
    };
    for lock in &place.locks {
        let belief = lock_state::belief(lock, now)?;
        let seconds = pass.window.until().since(now);
        let unset = belief.now().is_none();
        let fails = !unset && belief.then(&Event::Elapsed { seconds }).now().is_none();
        add(lock_state::is_unconfirmed(lock), Warning::BundleNotConfirmed);
        add(unset, Warning::ClockUnset);
        add(fails, Warning::AfterFailsOn);
    }
    match (pass.kind, pass.under) {
        (_, None) => {}
        (Kind::Signed, Some(Under::Key(seq))) => {
            let key = pass_keys::all(connection)?.into_iter().find(|key| key.seq == seq);
            let key = key.ok_or(StoreError::Corrupt { column: "passes.pass_key" })?;
            for lock in &place.locks {
                let known = keys::known_at(connection, lock, now)?;
                add(!known.contains(&key.public), Warning::KeyNotAtLock);
            }
            let over = key.is_over(now);
            let ends_first = key.is_over(pass.window.until().later(GRACE));
            add(over, Warning::HandOutAnew);
            add(!over && ends_first, Warning::KeyEndsFirst);
        }
        (_, Some(under)) => {
            if let Some(lock) = place.lock() {
                add(lock.pending.is_some_and(|next| next.how == How::End), Warning::EpochPending);
                add(lock_state::epochs(lock)?.len() > 1, Warning::EpochBehind);
                add(under != current(lock), Warning::HandOutAnew);
            }
        }
    }
    Ok(all)
}

/// What a document under the lock's own key is made under now.
const fn current(lock: &Lock) -> Under {
    Under::Lock { generation: lock.generation, epoch: lock.epoch }
}
