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
    let (_, at_lock) = at_lock(lock)?;
    let is_new = revoked != before.revoked || has_another(lock, &before)?;
    // After a backup was restored the lock may be ahead. More than one list can be is no lock's word.
    let sequence = before.sequence.max(at_lock).saturating_add(1);
    let ahead = sequence.saturating_sub(at_lock) > MAX_ADVANCE;
    let absurd = at_lock.saturating_sub(before.sequence) > MAX_ADVANCE;
    let is_stuck = is_new && (ahead || absurd);
    let is_new = is_new && !is_stuck;
    let list = if is_new { Listed { sequence, revoked } } else { before };
    let left_out =
        wanted.iter().filter(|pass| list.revoked.binary_search(&pass.id.prefix()).is_err()).count();
    Ok(Plan { list, is_new, left_out, is_stuck })
}

/// Whether a lock told of a list that is not below this one and another: the database is older than the lock.
fn has_another(lock: &Lock, newest: &Listed) -> Result<bool, StoreError> {
    let Some(told) = lock_state::last(lock)? else { return Ok(false) };
    let mut list = told.passes.revoked().prefixes().to_vec();
    list.sort_unstable();
    let sequence = told.passes.bulletin();
    Ok(sequence > newest.sequence || (sequence == newest.sequence && list != newest.revoked))
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
    let used = passes::used(connection, &pass.id, (lock.seq, lock.generation))?;
    Ok(used.times < u64::from(most))
}

#[cfg(test)]
mod tests {
    use crate::test_lock::seconds;
    use crate::test_server::TestServer;
    use serde_json::json;

    /// Takes the database back to when the first pass alone was revoked, by the list of this number.
    fn restore(server: &TestServer, sequence: u32) {
        server.execute(&format!(
            "UPDATE bulletins SET sequence = {sequence},
                 revoked = (SELECT substr(id, 1, 4) FROM passes WHERE seq = 1);
             UPDATE passes SET revoked_at = NULL WHERE seq > 1;"
        ));
    }

    #[tokio::test]
    async fn after_a_backup_was_restored_numbers_go_on_where_the_lock_is() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let mut passes = Vec::new();
        for _ in 0..3 {
            passes.push(server.pass(&lock.id, "10:00", "18:00", json!({})).await);
        }
        let ten = seconds("10:00");
        for pass in &passes {
            server.revoke_pass(pass).await;
            let riders = server.riders(&lock.id).await;
            lock.bring_riders(&riders["documents"], server.now());
            server.clock.advance(2);
        }
        // Of another number, and of the same.
        for (sequence, next) in [(1, 4), (5, 6)] {
            restore(&server, sequence);
            lock.bring_home(&server).await;
            let riders = server.riders(&lock.id).await;
            let list = json!({"sequence": next, "revoked": 1, "left_out": 0});
            assert_eq!(riders["bulletin"], list, "the lock has another list");
            assert_eq!(lock.bring_riders(&riders["documents"], server.now()), 1);
            assert_eq!(lock.refuses_pass(&passes[0], ten), Some("revoked"));
            assert_eq!(lock.refuses_pass(&passes[1], ten), None, "what nobody knows of any more");
            server.clock.advance(2);
            server.revoke_pass(&passes[1]).await;
            let riders = server.riders(&lock.id).await;
            let list = json!({"sequence": next + 1, "revoked": 2, "left_out": 0});
            assert_eq!(riders["bulletin"], list);
            assert_eq!(lock.bring_riders(&riders["documents"], server.now()), 1);
            assert_eq!(lock.refuses_pass(&passes[1], ten), Some("revoked"));
            server.clock.advance(2);
        }
        lock.bring_home(&server).await;
        assert_eq!(server.riders(&lock.id).await["bulletin"]["sequence"], 7, "it has this one");
    }

    /// A journal is the word of whoever opened the lock.
    #[tokio::test]
    async fn no_journal_takes_the_numbers_far_ahead() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        for _ in 0..2 {
            let pass = server.pass(&lock.id, "10:00", "18:00", json!({})).await;
            server.revoke_pass(&pass).await;
            server.riders(&lock.id).await;
        }
        for sequence in [1000, 1999] {
            restore(&server, sequence);
            let riders = server.riders(&lock.id).await;
            assert_eq!(lock.bring_riders(&riders["documents"], server.now()), 1, "{riders}");
            server.clock.advance(2);
            lock.wait_until(server.now());
        }
        restore(&server, 1000);
        lock.bring_home(&server).await;
        let riders = server.riders(&lock.id).await;
        assert_eq!(
            (&riders["bulletin"]["sequence"], &riders["warnings"]),
            (&json!(2000), &json!([]))
        );
        restore(&server, 999);
        server.clock.advance(2);
        let riders = server.riders(&lock.id).await;
        assert_eq!(riders["bulletin"]["sequence"], 2000);
        restore(&server, 998);
        let riders = server.riders(&lock.id).await;
        assert_eq!(riders["bulletin"]["sequence"], 998);
        assert_eq!(riders["warnings"], json!(["journal_needed"]));
    }
}
