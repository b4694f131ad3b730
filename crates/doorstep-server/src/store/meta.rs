//! What the database says about itself: whose it is and whether its data is test data.

use super::StoreError;
use doorstep::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

/// The issuer's id.
pub(crate) const ISSUER: &str = "issuer";
/// `test` or `live`, for ever.
pub(crate) const MODE: &str = "mode";
/// See [`epoch`].
pub(crate) const EPOCH: &str = "epoch";
/// Says whether a `keys/` directory belongs to this database.
pub(crate) const KEY_CHECK: &str = "key_check";
/// When this copy was made; no server runs on one that has it.
pub(crate) const BACKUP: &str = "backup";
/// Since when statements about keys of passes may be missing that locks have.
pub(crate) const ROTATIONS_LOST: &str = "rotations_lost";

pub(crate) fn put(connection: &Connection, key: &str, value: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT INTO meta (key, value) VALUES (?1, ?2)")?
        .execute(params![key, value])?;
    Ok(())
}

/// As [`put`], whatever was there.
pub(crate) fn set(connection: &Connection, key: &str, value: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
        .execute(params![key, value])?;
    Ok(())
}

pub(crate) fn remove(connection: &Connection, key: &str) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM meta WHERE key = ?1")?.execute([key])?;
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

/// The number after `last` of something that was made at `made`. What was numbered between a backup and its
/// restoring is known no more, and was given to devices: numbers go on from the epoch, which is the second of
/// the restoring.
pub(crate) fn next_number(
    connection: &Connection,
    last: u32,
    made: Timestamp,
) -> Result<u32, StoreError> {
    let epoch = epoch(connection)?;
    let floor = if made.seconds() <= epoch { u32::try_from(epoch).unwrap_or(u32::MAX) } else { 0 };
    Ok(last.max(floor).saturating_add(1))
}
