//! What was stated of the keys of passes under the issuer's root, numbered in one series for all locks.

use super::StoreError;
use super::value::At;
use doorstep::time::Timestamp;
use rusqlite::{Connection, params};

/// Stores a statement.
pub(crate) fn insert(
    connection: &Connection,
    sequence: u32,
    key: i64,
    document: &[u8],
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO rotations (sequence, pass_key, document, made_at) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![sequence, key, document, At(now)])?;
    Ok(())
}

/// The number of the last statement, 0 before the first.
pub(crate) fn latest(connection: &Connection) -> Result<u32, StoreError> {
    Ok(connection
        .prepare_cached("SELECT coalesce(max(sequence), 0) FROM rotations")?
        .query_row([], |row| row.get(0))?)
}

/// The most statements that are handed out at once; a phone carries no more.
const MOST: u32 = 32;

/// What was stated after `sequence`, in order. A lock takes no statement but the next one.
pub(crate) fn after(connection: &Connection, sequence: u32) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT document FROM rotations WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
    )?;
    let documents = statement.query_map([sequence, MOST], |row| row.get(0))?;
    Ok(documents.collect::<Result<_, _>>()?)
}
