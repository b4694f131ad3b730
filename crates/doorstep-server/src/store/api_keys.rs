//! Keys of programs that call the API: only their hashes are kept.

use super::StoreError;
use super::value::At;
use doorstep::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params};

/// One API key, without anything that could be used as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiKey {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created_at: Timestamp,
    pub(crate) last_used_at: Option<Timestamp>,
    pub(crate) revoked_at: Option<Timestamp>,
}

const COLUMNS: &str = "id, name, created_at, last_used_at, revoked_at";

fn read(row: &Row<'_>) -> rusqlite::Result<ApiKey> {
    Ok(ApiKey {
        id: row.get(0)?,
        name: row.get(1)?,
        created_at: row.get::<_, At>(2)?.0,
        last_used_at: row.get::<_, Option<At>>(3)?.map(|at| at.0),
        revoked_at: row.get::<_, Option<At>>(4)?.map(|at| at.0),
    })
}

pub(crate) fn insert(
    connection: &Connection,
    id: &str,
    name: &str,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO api_keys (id, name, hash, created_at) VALUES (:id, :name, :hash, :now)",
        )?
        .execute(named_params! {":id": id, ":name": name, ":hash": hash, ":now": At(now)})?;
    Ok(())
}

pub(crate) fn by_hash(
    connection: &Connection,
    hash: &[u8; 32],
) -> Result<Option<ApiKey>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM api_keys WHERE hash = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([hash], read).optional()?)
}

/// All keys, oldest first; there are few.
pub(crate) fn list(connection: &Connection) -> Result<Vec<ApiKey>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM api_keys ORDER BY seq");
    let keys = connection.prepare_cached(&sql)?.query_map([], read)?.collect::<Result<_, _>>()?;
    Ok(keys)
}

/// Revokes a key and gives it back as it now is. A revoked key keeps its first revocation time.
pub(crate) fn revoke(
    connection: &Connection,
    id: &str,
    now: Timestamp,
) -> Result<Option<ApiKey>, StoreError> {
    let sql = format!(
        "UPDATE api_keys SET revoked_at = coalesce(revoked_at, :now) WHERE id = :id RETURNING {COLUMNS}"
    );
    let key = connection
        .prepare_cached(&sql)?
        .query_row(named_params! {":id": id, ":now": At(now)}, read)
        .optional()?;
    Ok(key)
}

/// Notes that a key is used.
pub(crate) fn touch(
    connection: &Connection,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE api_keys SET last_used_at = :now WHERE hash = :hash")?
        .execute(named_params! {":hash": hash, ":now": At(now)})?;
    Ok(())
}
