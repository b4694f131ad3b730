//! Which revoked passes a lock is told of. A list has room for 48; a pass that is on it stays until it is
//! over, since a newer list without it would open the lock for it again. The rest wait for a place.

use crate::lock_state;
use crate::passes::at_lock;
use crate::store::StoreError;
use crate::store::bulletins::{self, Listed};
use crate::store::locks::Lock;
use crate::store::passes::{self, Kind, Pass, Under};
use doorstep::pass::rider::{MAX_ADVANCE, MAX_REVOKED};
use doorstep::time::Timestamp;
use rusqlite::Connection;

/// The list that a lock is handed now.
pub(crate) struct Plan {
    pub(crate) list: Listed,
    /// Whether it is another than the one before, and has to be stored first.
    pub(crate) is_new: bool,
    /// How many revoked passes that may still open are not on it.
    pub(crate) left_out: usize,
    /// Whether no newer list can be made before a journal says how far the lock is.
    pub(crate) is_stuck: bool,
}

impl Plan {
    pub(crate) fn lists(&self, pass: &Pass) -> bool {
        self.list.revoked.binary_search(&pass.id.prefix()).is_ok()
    }
}

/// Plans the list of a lock.
pub(crate) fn plan(
    connection: &Connection,
    lock: &Lock,
    now: Timestamp,
) -> Result<Plan, StoreError> {
    let wanted = wanted(connection, lock, now)?;
    let before = bulletins::newest(connection, lock.seq)?;
    let is_listed = |pass: &&Pass| before.revoked.contains(&pass.id.prefix());
    let (mut places, waiting): (Vec<&Pass>, Vec<&Pass>) = wanted.iter().partition(is_listed);
    places.extend(waiting);
    let mut revoked: Vec<_> =
        places.iter().take(MAX_REVOKED).map(|pass| pass.id.prefix()).collect();
    revoked.sort_unstable();
    let is_new = revoked != before.revoked;
    let sequence = before.sequence.saturating_add(1);
    let (_, at_lock) = at_lock(lock)?;
    let is_stuck = is_new && sequence.saturating_sub(at_lock) > MAX_ADVANCE;
    let is_new = is_new && !is_stuck;
    let list = if is_new { Listed { sequence, revoked } } else { before };
    let left_out =
        wanted.iter().filter(|pass| list.revoked.binary_search(&pass.id.prefix()).is_err()).count();
    Ok(Plan { list, is_new, left_out, is_stuck })
}

/// The revoked passes that this lock, for all that is known, would still open for, in the order in which they
/// were revoked.
fn wanted(connection: &Connection, lock: &Lock, now: Timestamp) -> Result<Vec<Pass>, StoreError> {
    let since = lock_state::pass_not_over(lock, now)?;
    let mut all = passes::revoked(connection, lock.seq, since)?;
    // A lock that was provisioned anew has forgotten what was used up before.
    let before = passes::used_before(connection, lock, since)?.into_iter();
    all.extend(before.filter(|(pass, used)| used.is_up(pass, now)).map(|(pass, _)| pass));
    let mut wanted = Vec::new();
    for pass in all {
        if may_open(connection, lock, &pass)? {
            wanted.push(pass);
        }
    }
    Ok(wanted)
}

/// The passes whose uses a lock that was provisioned anew has forgotten, though they are not used up: no list can
/// say that. The lock counts them from 0 again, and their time begins with their next use.
pub(crate) fn forgotten(
    connection: &Connection,
    lock: &Lock,
    now: Timestamp,
) -> Result<Vec<Pass>, StoreError> {
    let since = lock_state::pass_not_over(lock, now)?;
    let before = passes::used_before(connection, lock, since)?.into_iter();
    // Those under the lock's own keys ended with them.
    let forgotten =
        before.filter(|(pass, used)| pass.kind == Kind::Signed && !used.is_up(pass, now));
    Ok(forgotten.map(|(pass, _)| pass).collect())
}

/// Whether a lock may open for a pass whose window is not over: it was handed out, is not used up there, and
/// was not made under a key that the lock gave up.
pub(crate) fn may_open(
    connection: &Connection,
    lock: &Lock,
    pass: &Pass,
) -> Result<bool, StoreError> {
    let Some(under) = pass.under else { return Ok(false) };
    if let (Kind::Mac | Kind::Encrypted, Under::Lock { generation, epoch }) = (pass.kind, under) {
        let gave_up = generation == lock.generation && lock_state::gave_up(lock, epoch)?;
        let replaced = generation != lock.generation && lock.state.is_some();
        if gave_up || replaced {
            return Ok(false);
        }
    }
    let Some(most) = pass.scope.uses.most() else { return Ok(true) };
    let used = passes::used(connection, &pass.id, Some((lock.seq, lock.generation)))?;
    Ok(used.times < u64::from(most))
}
