//! Known devices: those that were let in before, each with attempts of its own.

use super::StoreError;
use super::value::At;
use doorstep::throttle::{Bucket, Pace};
use doorstep::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

/// Known devices of one account; beyond it the one that was not used for longest is replaced.
const MOST: u16 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KnownDevice {
    /// Its number in the account, from 1.
    pub(crate) number: u16,
    pub(crate) bucket: Bucket,
}

pub(crate) fn find(
    connection: &Connection,
    account: i64,
    token_hash: &[u8; 32],
) -> Result<Option<KnownDevice>, StoreError> {
    let read = |row: &rusqlite::Row<'_>| {
        Ok(KnownDevice {
            number: row.get(0)?,
            bucket: Bucket::stored(Pace::AUTHENTICATOR, row.get(1)?, row.get::<_, At>(2)?.0),
        })
    };
    Ok(connection
        .prepare_cached(
            "SELECT number, attempts_used, attempts_as_of FROM known_devices
             WHERE account = ?1 AND token_hash = ?2",
        )?
        .query_row(params![account, token_hash], read)
        .optional()?)
}

/// Takes a device in, in a free place or that of the one which was not used for longest.
pub(crate) fn insert(
    connection: &Connection,
    account: i64,
    token_hash: &[u8; 32],
    now: Timestamp,
) -> Result<(), StoreError> {
    let used: Vec<u16> = connection
        .prepare_cached(
            "SELECT number FROM known_devices WHERE account = ?1 ORDER BY last_used_at, number",
        )?
        .query_map([account], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let free = (1..=MOST).find(|number| !used.contains(number));
    let number = free.or_else(|| used.first().copied()).unwrap_or(1);
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO known_devices
                 (account, number, token_hash, created_at, last_used_at, attempts_as_of)
             VALUES (?1, ?2, ?3, ?4, ?4, ?4)",
        )?
        .execute(params![account, number, token_hash, At(now)])?;
    Ok(())
}

/// Stores the attempts of one device.
pub(crate) fn charge(
    connection: &Connection,
    account: i64,
    number: u16,
    bucket: Bucket,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE known_devices SET attempts_used = ?3, attempts_as_of = ?4
             WHERE account = ?1 AND number = ?2",
        )?
        .execute(params![account, number, bucket.used(), At(bucket.as_of())])?;
    Ok(())
}

/// Notes that a device was let in again.
pub(crate) fn touch(
    connection: &Connection,
    account: i64,
    number: u16,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE known_devices SET last_used_at = ?3 WHERE account = ?1 AND number = ?2",
        )?
        .execute(params![account, number, At(now)])?;
    Ok(())
}

/// Fills the attempts of all devices of an account.
pub(crate) fn fill(
    connection: &Connection,
    account: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE known_devices SET attempts_used = 0, attempts_as_of = ?2 WHERE account = ?1",
        )?
        .execute(params![account, At(now)])?;
    Ok(())
}

/// Forgets all devices of an account, so that none has attempts of its own.
pub(crate) fn forget(connection: &Connection, account: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM known_devices WHERE account = ?1")?
        .execute([account])?;
    Ok(())
}

pub(crate) fn count(connection: &Connection, account: i64) -> Result<u32, StoreError> {
    Ok(connection
        .prepare_cached("SELECT count(*) FROM known_devices WHERE account = ?1")?
        .query_row([account], |row| row.get(0))?)
}
