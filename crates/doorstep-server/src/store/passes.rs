//! Passes: what each says, where it opens, and whether it still should. Documents are not kept.

use super::StoreError;
use super::bookings::window;
use super::locks::Lock;
use super::pass_keys::Algorithm;
use super::value::{At, named, parsed};
use doorstep::pass::claims::{HolderKey, PassId, Scope, Uses};
use doorstep::time::{Timestamp, Window};
use rusqlite::{Connection, Row, named_params, params};
use std::num::NonZeroU32;

named! {
    /// What proves that a pass is the issuer's.
    enum Kind {
        /// A signature.
        Signed = "signed",
        /// A MAC under the lock's key.
        Mac = "mac",
        /// Encrypted for the lock.
        Encrypted = "encrypted",
    }
}

/// Where a pass opens, by `seq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Where {
    Lock(i64),
    Group(i64),
}

/// What the last document of a pass was made under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Under {
    /// A key of the issuer, by `seq`.
    Key(i64),
    /// The lock's own.
    Lock { generation: u32, epoch: u32 },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    /// The place in the list, in order of creation, and what other tables name it by.
    pub(crate) seq: i64,
    pub(crate) id: PassId,
    pub(crate) kind: Kind,
    pub(crate) place: Where,
    /// The booking's `seq`.
    pub(crate) booking: Option<i64>,
    pub(crate) reference: Option<String>,
    pub(crate) window: Window,
    pub(crate) holder: Option<HolderKey>,
    /// The hash of the ticket with which it is collected.
    pub(crate) ticket: Option<[u8; 32]>,
    pub(crate) collected_at: Option<Timestamp>,
    pub(crate) scope: Scope,
    pub(crate) lasts: Option<NonZeroU32>,
    /// The algorithm that was asked for.
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) created_at: Timestamp,
    pub(crate) under: Option<Under>,
    pub(crate) revoked_at: Option<Timestamp>,
    /// The pass that took its place, by `seq`.
    pub(crate) successor: Option<i64>,
}

impl Pass {
    /// Whether it waits for a phone to collect it.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.ticket.is_some() && self.collected_at.is_none()
    }

    /// Whether whoever has it can show it.
    pub(crate) const fn is_bearer(&self) -> bool {
        self.holder.is_none() && !self.is_waiting()
    }

    /// Whether a lock counts its uses.
    pub(crate) const fn is_counted(&self) -> bool {
        self.scope.uses.most().is_some() || self.lasts.is_some()
    }
}

pub(crate) fn insert(connection: &Connection, new: &Pass) -> Result<i64, StoreError> {
    let (lock, group) = match new.place {
        Where::Lock(lock) => (Some(lock), None),
        Where::Group(group) => (None, Some(group)),
    };
    connection
        .prepare_cached(
            "INSERT INTO passes (id, kind, lock, lock_group, booking, reference, from_at, until_at,
                 holder, ticket, uses, lasts, exact, passage, algorithm, created_at)
             VALUES (:id, :kind, :lock, :group, :booking, :reference, :from, :until, :holder, :ticket,
                 :uses, :lasts, :exact, :passage, :algorithm, :created)",
        )?
        .execute(named_params! {
            ":id": new.id.as_bytes(), ":kind": new.kind.as_str(), ":lock": lock, ":group": group,
            ":booking": new.booking, ":reference": new.reference,
            ":from": At(new.window.from()), ":until": At(new.window.until()),
            ":holder": new.holder.as_ref().map(key_bytes), ":ticket": new.ticket,
            ":uses": new.scope.uses.most(), ":lasts": new.lasts.map(NonZeroU32::get),
            ":exact": new.scope.exact, ":passage": new.scope.passage,
            ":algorithm": new.algorithm.map(Algorithm::as_str), ":created": At(new.created_at),
        })?;
    Ok(connection.last_insert_rowid())
}

/// A holder's key as it is stored.
pub(crate) const fn key_bytes(key: &HolderKey) -> &[u8] {
    match key {
        HolderKey::Ed25519(bytes) => bytes,
        HolderKey::P256(bytes) => bytes,
    }
}

/// Whether a pass was ever made whose id begins so.
pub(crate) fn has_prefix(connection: &Connection, prefix: [u8; 4]) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM passes WHERE substr(id, 1, 4) = ?1")?
        .exists([prefix])?)
}

const COLUMNS: &str =
    "seq, id, kind, lock, lock_group, booking, reference, from_at, until_at, holder,
     ticket, collected_at, uses, lasts, exact, passage, algorithm, created_at, pass_key,
     lock_generation, epoch, revoked_at, successor FROM passes";

pub(crate) fn find(connection: &Connection, id: &PassId) -> Result<Option<Pass>, StoreError> {
    let sql = format!("SELECT {COLUMNS} WHERE id = ?1");
    Ok(select(connection, &sql, params![id.as_bytes()])?.pop())
}

/// The pass of this `seq`.
pub(crate) fn at(connection: &Connection, seq: i64) -> Result<Pass, StoreError> {
    let sql = format!("SELECT {COLUMNS} WHERE seq = ?1");
    let found = select(connection, &sql, params![seq])?.pop();
    found.ok_or(StoreError::Corrupt { column: "passes.seq" })
}

/// The pass that is collected with the ticket of this hash.
pub(crate) fn by_ticket(
    connection: &Connection,
    ticket: &[u8; 32],
) -> Result<Option<Pass>, StoreError> {
    let sql = format!("SELECT {COLUMNS} WHERE ticket = ?1");
    Ok(select(connection, &sql, params![ticket])?.pop())
}

/// The passes of a booking, in the order in which they were made.
pub(crate) fn of_booking(connection: &Connection, booking: i64) -> Result<Vec<Pass>, StoreError> {
    let sql = format!("SELECT {COLUMNS} WHERE booking = ?1 ORDER BY seq");
    select(connection, &sql, params![booking])
}

/// The counted passes of a lock whose windows meet a span.
pub(crate) fn counted(
    connection: &Connection,
    lock: i64,
    span: &Window,
) -> Result<Vec<Pass>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} INDEXED BY passes_by_lock WHERE lock = ?1 AND until_at > ?2
             AND from_at < ?3 AND (uses IS NOT NULL OR lasts IS NOT NULL) ORDER BY seq"
    );
    select(connection, &sql, params![lock, At(span.from()), At(span.until())])
}

/// The revoked passes of a lock and its groups whose windows end after `since`, in the order in which they
/// were revoked.
pub(crate) fn revoked(
    connection: &Connection,
    lock: i64,
    since: Timestamp,
) -> Result<Vec<Pass>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} WHERE revoked_at IS NOT NULL AND until_at > ?2
             AND (lock = ?1 OR lock_group IN
                 (SELECT lock_group FROM lock_group_members WHERE lock = ?1))
         ORDER BY revoked_at, seq"
    );
    select(connection, &sql, params![lock, At(since)])
}

/// Counted passes of a lock that opened it before its present bundle, with how often, and whose windows end
/// after `since`.
pub(crate) fn used_before(
    connection: &Connection,
    lock: &Lock,
    since: Timestamp,
) -> Result<Vec<(Pass, Used)>, StoreError> {
    let values = params![lock.seq, At(since), lock.generation];
    let mut statement = connection.prepare_cached(
        "SELECT min(at), count(*) FROM lock_events INDEXED BY lock_events_by_pass
         WHERE pass_id = ?1 AND lock = ?2 AND lock_generation < ?3",
    )?;
    let passes = select(connection, &used_before_sql(), values)?.into_iter().map(|pass| {
        let values = params![pass.id.as_bytes(), lock.seq, lock.generation];
        let used = statement.query_row(values, read_used)?;
        Ok((pass, used))
    });
    passes.collect()
}

/// It asks for the openings of each pass, which are few, and never reads those of a whole lock.
fn used_before_sql() -> String {
    format!(
        "SELECT {COLUMNS} INDEXED BY passes_by_lock WHERE lock = ?1 AND until_at > ?2
             AND revoked_at IS NULL AND (uses IS NOT NULL OR lasts IS NOT NULL)
             AND EXISTS (SELECT 1 FROM lock_events INDEXED BY lock_events_by_pass
                 WHERE pass_id = passes.id AND lock = ?1 AND lock_generation < ?3)
         ORDER BY seq"
    )
}

/// Which passes a page shows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Filter {
    /// The lock's `seq`.
    pub(crate) lock: Option<i64>,
    /// The booking's `seq`.
    pub(crate) booking: Option<i64>,
}

/// Up to `limit` passes after `after`, in order of creation. Those of a lock's groups are not the lock's.
pub(crate) fn page(
    connection: &Connection,
    filter: Filter,
    after: i64,
    limit: u32,
) -> Result<Vec<Pass>, StoreError> {
    // Each filter has the index that finds its passes among a million others.
    let which = match filter {
        Filter { booking: Some(_), .. } => "AND booking = ?3 AND (?4 IS NULL OR lock = ?4)",
        Filter { lock: Some(_), .. } => "AND lock = ?4 AND ?3 IS NULL",
        Filter { .. } => "AND ?3 IS NULL AND ?4 IS NULL",
    };
    let sql = format!("SELECT {COLUMNS} WHERE seq > ?1 {which} ORDER BY seq LIMIT ?2");
    select(connection, &sql, params![after, limit, filter.booking, filter.lock])
}

/// Notes what a document was made under.
pub(crate) fn made(connection: &Connection, seq: i64, under: Under) -> Result<(), StoreError> {
    let (key, generation, epoch) = match under {
        Under::Key(key) => (Some(key), None, None),
        Under::Lock { generation, epoch } => (None, Some(generation), Some(epoch)),
    };
    connection
        .prepare_cached(
            "UPDATE passes SET pass_key = ?2, lock_generation = ?3, epoch = ?4 WHERE seq = ?1",
        )?
        .execute(params![seq, key, generation, epoch])?;
    Ok(())
}

/// A phone with this key collected it. The first time is kept.
pub(crate) fn collect(
    connection: &Connection,
    seq: i64,
    holder: &HolderKey,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE passes SET holder = ?2, collected_at = ?3
             WHERE seq = ?1 AND collected_at IS NULL",
        )?
        .execute(params![seq, key_bytes(holder), At(now)])?;
    Ok(())
}

/// From now on it should open no more.
pub(crate) fn revoke(connection: &Connection, seq: i64, now: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE passes SET revoked_at = coalesce(revoked_at, ?2) WHERE seq = ?1")?
        .execute(params![seq, At(now)])?;
    Ok(())
}

/// Another pass took the place of this one.
pub(crate) fn replace(connection: &Connection, seq: i64, successor: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE passes SET successor = ?2 WHERE seq = ?1")?
        .execute([seq, successor])?;
    Ok(())
}

/// The last of the passes that took each other's place after this one; `None` if none did.
pub(crate) fn last_successor(
    connection: &Connection,
    pass: &Pass,
) -> Result<Option<Pass>, StoreError> {
    let Some(mut next) = pass.successor else { return Ok(None) };
    loop {
        let successor = at(connection, next)?;
        // Each was made after the one that it replaces.
        match successor.successor.filter(|later| *later > next) {
            Some(later) => next = later,
            None => return Ok(Some(successor)),
        }
    }
}

fn select(
    connection: &Connection,
    sql: &str,
    values: &[&dyn rusqlite::ToSql],
) -> Result<Vec<Pass>, StoreError> {
    super::value::all(connection, sql, values, read)
}

fn read(row: &Row<'_>) -> Result<Pass, StoreError> {
    let corrupt = |column| StoreError::Corrupt { column };
    let text = |index| Ok::<_, rusqlite::Error>(row.get_ref(index)?.as_str().unwrap_or_default());
    let place = match (row.get(3)?, row.get(4)?) {
        (Some(lock), None) => Where::Lock(lock),
        (None, Some(group)) => Where::Group(group),
        _ => return Err(corrupt("passes.lock")),
    };
    let holder = match row.get::<_, Option<Vec<u8>>>(9)? {
        None => None,
        Some(bytes) => match (bytes.as_slice().try_into(), bytes.as_slice().try_into()) {
            (Ok(key), _) => Some(HolderKey::Ed25519(key)),
            (_, Ok(key)) => Some(HolderKey::P256(key)),
            _ => return Err(corrupt("passes.holder")),
        },
    };
    let uses = match row.get::<_, Option<u8>>(12)? {
        None => Uses::Many,
        Some(most) => Uses::times(most).ok_or_else(|| corrupt("passes.uses"))?,
    };
    let algorithm: Option<String> = row.get(16)?;
    let algorithm = algorithm.map(|name| parsed("passes.algorithm", &name, Algorithm::parse));
    let under = match (row.get(18)?, row.get(19)?, row.get(20)?) {
        (Some(key), None, None) => Some(Under::Key(key)),
        (None, Some(generation), Some(epoch)) => Some(Under::Lock { generation, epoch }),
        _ => None,
    };
    Ok(Pass {
        seq: row.get(0)?,
        id: PassId::from_bytes(row.get_ref(1)?.as_blob().unwrap_or_default())
            .ok_or_else(|| corrupt("passes.id"))?,
        kind: parsed("passes.kind", text(2)?, Kind::parse)?,
        place,
        booking: row.get(5)?,
        reference: row.get(6)?,
        window: window(row, 7, "passes.until_at")?,
        holder,
        ticket: row.get(10)?,
        collected_at: row.get::<_, Option<At>>(11)?.map(|at| at.0),
        scope: Scope { uses, exact: row.get(14)?, passage: row.get(15)? },
        lasts: row.get::<_, Option<u32>>(13)?.and_then(NonZeroU32::new),
        algorithm: algorithm.transpose()?,
        created_at: row.get::<_, At>(17)?.0,
        under,
        revoked_at: row.get::<_, Option<At>>(21)?.map(|at| at.0),
        successor: row.get(22)?,
    })
}

/// How often a pass opened, and when first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) first: Option<Timestamp>,
    pub(crate) times: u64,
}

impl Used {
    /// Whether a lock that remembers this lets nobody in for the pass any more.
    pub(crate) fn is_up(&self, pass: &Pass, now: Timestamp) -> bool {
        let most = pass.scope.uses.most();
        let end = pass.lasts.zip(self.first).map(|(lasts, first)| {
            first.later(u64::from(lasts.get())).later(doorstep::pass::reader::GRACE)
        });
        most.is_some_and(|most| u64::from(most) <= self.times) || end.is_some_and(|end| end <= now)
    }
}

/// By the journal of a lock of this generation: one that was provisioned anew counts anew.
pub(crate) fn used(
    connection: &Connection,
    id: &PassId,
    (lock, generation): (i64, u32),
) -> Result<Used, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT min(at), count(*) FROM lock_events
             WHERE pass_id = ?1 AND lock = ?2 AND lock_generation = ?3",
        )?
        .query_row(params![id.as_bytes(), lock, generation], read_used)?)
}

/// By all journals of the locks that it is for. Another lock that opened for its id did so for a forged one.
pub(crate) fn used_at_its_place(connection: &Connection, pass: &Pass) -> Result<Used, StoreError> {
    let (lock, group) = match pass.place {
        Where::Lock(lock) => (Some(lock), None),
        Where::Group(group) => (None, Some(group)),
    };
    Ok(connection
        .prepare_cached(
            "SELECT min(at), count(*) FROM lock_events INDEXED BY lock_events_by_pass
             WHERE pass_id = ?1 AND (lock = ?2
                 OR lock IN (SELECT lock FROM lock_group_members WHERE lock_group = ?3))",
        )?
        .query_row(params![pass.id.as_bytes(), lock, group], read_used)?)
}

fn read_used(row: &Row<'_>) -> rusqlite::Result<Used> {
    let first: Option<At> = row.get(0)?;
    let times = row.get::<_, super::value::Count>(1)?.0;
    Ok(Used { first: first.map(|at| at.0), times })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::migrate;

    /// How the database finds what a statement asks for.
    fn plan(sql: &str) -> String {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate::run(&mut connection, |_| Ok(())).unwrap();
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let none = vec![None::<i64>; statement.parameter_count()];
        let steps = statement.query_map(rusqlite::params_from_iter(none), |row| row.get(3));
        steps.unwrap().collect::<Result<Vec<String>, _>>().unwrap().join("\n")
    }

    /// The writer asks this at each sync of a phone, of locks with a hundred thousand events.
    #[test]
    fn what_was_used_before_is_found_by_pass_and_not_by_reading_the_lock_s_journal() {
        let plan = plan(&used_before_sql());
        let by_pass = "INDEX lock_events_by_pass (pass_id=? AND lock=?)";
        assert!(plan.contains(by_pass), "{plan}");
        assert_eq!(plan.matches("lock_events_by_").count(), 1, "{plan}");
        assert!(
            plan.contains("passes USING INDEX passes_by_lock (lock=? AND until_at>?)"),
            "{plan}"
        );
    }
}
