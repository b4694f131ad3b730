//! The newest list of revoked passes of each lock, numbered in one series for each, and what journals told
//! of passes that should open no more.

use super::StoreError;
use super::value::At;
use doorstep::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

/// A list with its number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) sequence: u32,
    /// First four bytes of ids, ascending.
    pub(crate) revoked: Vec<[u8; 4]>,
}

/// The newest list of a lock; the empty one of number 0 before the first.
pub(crate) fn newest(connection: &Connection, lock: i64) -> Result<Listed, StoreError> {
    let found: Option<(u32, Vec<u8>)> = connection
        .prepare_cached("SELECT sequence, revoked FROM bulletins WHERE lock = ?1")?
        .query_row([lock], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((sequence, bytes)) = found else { return Ok(Listed::default()) };
    let (revoked, rest) = bytes.as_chunks();
    if !rest.is_empty() {
        return Err(StoreError::Corrupt { column: "bulletins.revoked" });
    }
    Ok(Listed { sequence, revoked: revoked.to_vec() })
}

/// Stores a list that is newer. It is durable before anybody is handed it.
pub(crate) fn put(
    connection: &Connection,
    lock: i64,
    list: &Listed,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO bulletins (lock, sequence, revoked, made_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (lock) DO UPDATE SET sequence = ?2, revoked = ?3, made_at = ?4",
        )?
        .execute(params![lock, list.sequence, list.revoked.as_flattened(), At(now)])?;
    Ok(())
}

/// At this time a pass opened no more at a lock. The first that is known is kept.
pub(crate) fn done(
    connection: &Connection,
    pass: i64,
    lock: i64,
    at: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO pass_ends (pass, lock, done_at) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![pass, lock, At(at)])?;
    Ok(())
}

/// Takes back what a lock's journal said of passes: its memory begins anew.
pub(crate) fn none_done(connection: &Connection, lock: i64) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM pass_ends WHERE lock = ?1")?.execute([lock])?;
    Ok(())
}

/// Since when a pass opens no more at a lock, by the lock's journal.
pub(crate) fn done_at(
    connection: &Connection,
    pass: i64,
    lock: i64,
) -> Result<Option<Timestamp>, StoreError> {
    Ok(connection
        .prepare_cached("SELECT done_at FROM pass_ends WHERE pass = ?1 AND lock = ?2")?
        .query_row([pass, lock], |row| row.get::<_, At>(0))
        .optional()?
        .map(|at| at.0))
}
