//! What the database says about itself: whose it is and whether its data is test data.

use super::StoreError;
use rusqlite::{Connection, OptionalExtension, params};

/// The issuer's id.
pub(crate) const ISSUER: &str = "issuer";
/// `test` or `live`, for ever.
pub(crate) const MODE: &str = "mode";
/// See [`epoch`].
pub(crate) const EPOCH: &str = "epoch";
/// Says whether a `keys/` directory belongs to this database.
pub(crate) const KEY_CHECK: &str = "key_check";

pub(crate) fn put(connection: &Connection, key: &str, value: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT INTO meta (key, value) VALUES (?1, ?2)")?
        .execute(params![key, value])?;
    Ok(())
}

pub(crate) fn get(connection: &Connection, key: &str) -> Result<Option<String>, StoreError> {
    Ok(connection
        .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?)
}

/// Raised whenever the database was set back, so that devices send again what they sent before.
pub(crate) fn epoch(connection: &Connection) -> Result<u64, StoreError> {
    match get(connection, EPOCH)? {
        Some(text) => super::value::parsed("meta.epoch", &text, str::parse),
        None => Ok(0),
    }
}
