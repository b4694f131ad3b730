//! Sites: places with locks, each with a key from which the roots of its locks are derived.

use super::StoreError;
use super::value::At;
use doorstep::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

/// A site and its sealed key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    pub(crate) seq: i64,
    pub(crate) name: String,
    pub(crate) sealed_key: Vec<u8>,
}

pub(crate) fn find(connection: &Connection, name: &str) -> Result<Option<Site>, StoreError> {
    Ok(connection
        .prepare_cached("SELECT seq, name, sealed_key FROM sites WHERE name = ?1")?
        .query_row([name], |row| {
            Ok(Site { seq: row.get(0)?, name: row.get(1)?, sealed_key: row.get(2)? })
        })
        .optional()?)
}

/// The site that is named for the first time, with its key.
pub(crate) fn insert(
    connection: &Connection,
    name: &str,
    sealed_key: &[u8],
    now: Timestamp,
) -> Result<i64, StoreError> {
    connection
        .prepare_cached("INSERT INTO sites (name, sealed_key, created_at) VALUES (?1, ?2, ?3)")?
        .execute(params![name, sealed_key, At(now)])?;
    Ok(connection.last_insert_rowid())
}
