//! Set-time codes that were made, and the latest time that any lock was told: what keeps a clock that
//! went back, or a stolen API key, from setting locks at will.

use super::StoreError;
use super::value::At;
use doorstep::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

/// Notes that a code was made.
pub(crate) fn insert(connection: &Connection, lock: i64, now: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT INTO set_times (lock, made_at) VALUES (?1, ?2)")?
        .execute(params![lock, At(now)])?;
    Ok(())
}

/// Whether a code was made within a span.
pub(crate) fn any(
    connection: &Connection,
    lock: i64,
    (from, until): (Timestamp, Timestamp),
) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT 1 FROM set_times WHERE lock = ?1 AND made_at >= ?2 AND made_at < ?3 LIMIT 1",
        )?
        .exists(params![lock, At(from), At(until)])?)
}

/// When the code was made that is the `count`th newest of those after `since`.
pub(crate) fn nth_newest(
    connection: &Connection,
    lock: i64,
    since: Timestamp,
    count: u32,
) -> Result<Option<Timestamp>, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT made_at FROM set_times WHERE lock = ?1 AND made_at > ?2
             ORDER BY made_at DESC LIMIT 1 OFFSET ?3 - 1",
        )?
        .query_row(params![lock, At(since), count], |row| row.get::<_, At>(0))
        .optional()?
        .map(|at| at.0))
}

/// The latest time that any lock was told.
pub(crate) fn latest_told(connection: &Connection) -> Result<Timestamp, StoreError> {
    Ok(connection
        .prepare_cached("SELECT at FROM told_time")?
        .query_row([], |row| row.get::<_, At>(0))?
        .0)
}

/// Notes that a lock is told this time.
pub(crate) fn tell(connection: &Connection, now: Timestamp) -> Result<(), StoreError> {
    connection.prepare_cached("UPDATE told_time SET at = max(at, ?1)")?.execute([At(now)])?;
    Ok(())
}
