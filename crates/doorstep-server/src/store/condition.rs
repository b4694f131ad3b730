//! What condition a database is in, for `doorstep doctor`; it may be served meanwhile.

use super::value::At;
use super::{StoreError, make_durable, migrate, open};
use doorstep::time::Timestamp;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// Whether the schema is this program's.
pub(crate) fn schema(path: &Path) -> Result<(), StoreError> {
    migrate::require_known(&open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?)
}

/// Whether what is committed survives a power cut, as a server asks for it at its start.
pub(crate) fn durability(path: &Path) -> Result<(), StoreError> {
    make_durable(&open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?)
}

/// The first thing that SQLite finds wrong with the file; `None` if it is whole.
pub(crate) fn damage(connection: &Connection) -> Result<Option<String>, StoreError> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((found != "ok").then_some(found))
}

/// The latest time that was told to a lock, or at which a claim or an API key came in.
pub(crate) fn latest(connection: &Connection) -> Result<Timestamp, StoreError> {
    let latest: At = connection.query_row(
        "SELECT max((SELECT at FROM told_time),
                    coalesce((SELECT received_at FROM claims ORDER BY log_seq DESC LIMIT 1), 0),
                    coalesce((SELECT max(last_used_at) FROM api_keys), 0))",
        [],
        |row| row.get(0),
    )?;
    Ok(latest.0)
}
