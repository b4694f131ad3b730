//! Routes on their way to a device, kept until it says that it has them.

use super::StoreError;
use super::value::{At, Count};
use doorstep::id::DeviceId;
use doorstep::time::Timestamp;
use rusqlite::{Connection, params};

pub(crate) fn insert(
    connection: &Connection,
    device: &DeviceId,
    version: u64,
    document: &[u8],
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO routes (device, version, document, created_at) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![device.as_str(), Count(version), document, At(now)])?;
    Ok(())
}

/// Forgets the routes up to `version`, which the device has.
pub(crate) fn confirm(
    connection: &Connection,
    device: &DeviceId,
    version: u64,
) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM routes WHERE device = ?1 AND version <= ?2")?
        .execute(params![device.as_str(), Count(version)])?;
    Ok(())
}

/// The routes that the device does not have, oldest first.
pub(crate) fn pending(
    connection: &Connection,
    device: &DeviceId,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let routes = connection
        .prepare_cached("SELECT document FROM routes WHERE device = ?1 ORDER BY version")?
        .query_map([device.as_str()], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(routes)
}
