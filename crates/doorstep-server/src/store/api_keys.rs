//! Keys of programs that call the API: only their hashes are kept.

use super::StoreError;
use super::value::At;
use crate::scope::Scopes;
use doorstep::time::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, named_params};

/// One API key, without anything that could be used as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiKey {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) scopes: Scopes,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) last_used_at: Option<Timestamp>,
    pub(crate) revoked_at: Option<Timestamp>,
    /// Until when the secret before the last rotation is taken.
    pub(crate) previous_until: Option<Timestamp>,
}

impl ApiKey {
    /// Whether the key is taken at all at this time.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.revoked_at.is_some() || self.expires_at.is_some_and(|end| now >= end)
    }
}

/// Which of a key's secrets was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Current,
    /// The one before the last rotation.
    Previous,
}

const COLUMNS: &str =
    "id, name, scopes, created_at, expires_at, last_used_at, revoked_at, previous_until";

/// Scopes as they are stored: their names.
struct Stored(Scopes);

impl FromSql for Stored {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Scopes::parse(value.as_str()?).map(Self).map_err(|_| FromSqlError::InvalidType)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<ApiKey> {
    let at = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<At>>(column)?.map(|at| at.0));
    Ok(ApiKey {
        id: row.get(0)?,
        name: row.get(1)?,
        scopes: row.get::<_, Stored>(2)?.0,
        created_at: row.get::<_, At>(3)?.0,
        expires_at: at(4)?,
        last_used_at: at(5)?,
        revoked_at: at(6)?,
        previous_until: at(7)?,
    })
}

pub(crate) fn insert(
    connection: &Connection,
    key: &ApiKey,
    hash: &[u8; 32],
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO api_keys (id, name, hash, scopes, created_at, expires_at)
             VALUES (:id, :name, :hash, :scopes, :now, :expires)",
        )?
        .execute(named_params! {
            ":id": key.id, ":name": key.name, ":hash": hash, ":scopes": key.scopes.to_string(),
            ":now": At(key.created_at), ":expires": key.expires_at.map(At),
        })?;
    Ok(())
}

/// The key with this secret, which may be the one before the last rotation.
pub(crate) fn by_hash(
    connection: &Connection,
    hash: &[u8; 32],
) -> Result<Option<(ApiKey, Shown)>, StoreError> {
    for (column, shown) in [("hash", Shown::Current), ("previous_hash", Shown::Previous)] {
        let sql = format!("SELECT {COLUMNS} FROM api_keys WHERE {column} = ?1");
        if let Some(key) = connection.prepare_cached(&sql)?.query_row([hash], read).optional()? {
            return Ok(Some((key, shown)));
        }
    }
    Ok(None)
}

pub(crate) fn find(connection: &Connection, id: &str) -> Result<Option<ApiKey>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM api_keys WHERE id = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([id], read).optional()?)
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
    connection
        .prepare_cached(
            "UPDATE api_keys SET revoked_at = coalesce(revoked_at, :now) WHERE id = :id",
        )?
        .execute(named_params! {":id": id, ":now": At(now)})?;
    find(connection, id)
}

/// Gives a key another secret; the one it had is taken until `until`, the one before that no more.
pub(crate) fn rotate(
    connection: &Connection,
    id: &str,
    hash: &[u8; 32],
    until: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE api_keys SET previous_hash = hash, previous_until = :until, hash = :hash
             WHERE id = :id",
        )?
        .execute(named_params! {":id": id, ":hash": hash, ":until": At(until)})?;
    Ok(())
}

/// Notes that a key is used.
pub(crate) fn touch(connection: &Connection, id: &str, now: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE api_keys SET last_used_at = :now WHERE id = :id")?
        .execute(named_params! {":id": id, ":now": At(now)})?;
    Ok(())
}
