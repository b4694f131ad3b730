//! Groups of locks of one site, which a pass may open together.

use super::StoreError;
use super::value::At;
use doorstep::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// What other tables name it by.
    pub(crate) seq: i64,
    pub(crate) name: String,
    /// The site's `seq`.
    pub(crate) site: i64,
}

const COLUMNS: &str = "seq, name, site FROM lock_groups";

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Group> {
    Ok(Group { seq: row.get(0)?, name: row.get(1)?, site: row.get(2)? })
}

pub(crate) fn find(connection: &Connection, name: &str) -> Result<Option<Group>, StoreError> {
    let sql = format!("SELECT {COLUMNS} WHERE name = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([name], read).optional()?)
}

/// The group of this `seq`, which another table named.
pub(crate) fn at(connection: &Connection, seq: i64) -> Result<Group, StoreError> {
    let sql = format!("SELECT {COLUMNS} WHERE seq = ?1");
    let found = connection.prepare_cached(&sql)?.query_row([seq], read).optional()?;
    found.ok_or(StoreError::Corrupt { column: "passes.lock_group" })
}

pub(crate) fn insert(
    connection: &Connection,
    name: &str,
    site: i64,
    now: Timestamp,
) -> Result<i64, StoreError> {
    connection
        .prepare_cached("INSERT INTO lock_groups (name, site, created_at) VALUES (?1, ?2, ?3)")?
        .execute(params![name, site, At(now)])?;
    Ok(connection.last_insert_rowid())
}

/// Takes a lock into a group.
pub(crate) fn join(connection: &Connection, group: i64, lock: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT INTO lock_group_members (lock_group, lock) VALUES (?1, ?2)")?
        .execute([group, lock])?;
    Ok(())
}

/// The groups that a lock is in, by name.
pub(crate) fn of_lock(connection: &Connection, lock: i64) -> Result<Vec<Group>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} WHERE seq IN (SELECT lock_group FROM lock_group_members WHERE lock = ?1)
             ORDER BY name"
    );
    Ok(connection.prepare_cached(&sql)?.query_map([lock], read)?.collect::<Result<_, _>>()?)
}

/// The locks of a group, by `seq`.
pub(crate) fn members(connection: &Connection, group: i64) -> Result<Vec<i64>, StoreError> {
    let sql = "SELECT lock FROM lock_group_members WHERE lock_group = ?1 ORDER BY lock";
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_map([group], |row| row.get(0))?.collect::<Result<_, _>>()?)
}
