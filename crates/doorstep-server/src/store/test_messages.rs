//! Test messages of the last day, for the number of messages that a phone gets: noted before they are sent,
//! so that many at once are counted too.

use super::StoreError;
use super::value::At;
use doorstep::time::Timestamp;
use rusqlite::{Connection, params};

/// Notes that a message is about to be sent.
pub(crate) fn begin(
    connection: &Connection,
    id: &str,
    phone: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT INTO test_messages (id, phone, at) VALUES (?1, ?2, ?3)")?
        .execute(params![id, phone, At(now)])?;
    Ok(())
}

/// Forgets a message that the provider does not have.
pub(crate) fn take_back(connection: &Connection, id: &str) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM test_messages WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// Whether there are any from before a time.
pub(crate) fn any(connection: &Connection, before: Timestamp) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM test_messages WHERE at < ?1")?
        .exists([At(before)])?)
}

/// Forgets those from before a time.
pub(crate) fn forget(connection: &Connection, before: Timestamp) -> Result<(), StoreError> {
    connection.prepare_cached("DELETE FROM test_messages WHERE at < ?1")?.execute([At(before)])?;
    Ok(())
}
