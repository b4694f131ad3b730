//! Requests that came with an `Idempotency-Key`: which are under way, and what the others were
//! answered.

use super::StoreError;
use super::value::{At, named, parsed};
use doorstep::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, named_params};

named! {
    enum State {
        Running = "running",
        Done = "done",
        Lost = "lost",
    }
}

/// Which request: the API key that made it, and the name that it gave it.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    pub(crate) api_key: String,
    pub(crate) key: String,
}

/// An answer as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) sealed: Vec<u8>,
}

/// What is known of a request that begins.
#[derive(Debug)]
pub(crate) enum Begun {
    /// Nothing: it is the first, and noted as under way.
    First,
    /// Another request had this name.
    Other,
    /// It is under way.
    Running,
    /// It was cut off while it was under way.
    Lost,
    /// It was answered.
    Done(Kept),
}

/// Notes that a request begins, unless its name is known.
pub(crate) fn begin(
    connection: &Connection,
    name: &Name,
    fingerprint: &[u8; 32],
    now: Timestamp,
) -> Result<Begun, StoreError> {
    let known = connection
        .prepare_cached(
            "SELECT fingerprint, state, status, content_type, sealed FROM idempotency
             WHERE api_key = :api_key AND key = :key",
        )?
        .query_row(named_params! {":api_key": name.api_key, ":key": name.key}, |row| {
            Ok((
                row.get::<_, [u8; 32]>(0)?,
                row.get::<_, String>(1)?,
                (row.get(2)?, row.get(3)?, row.get(4)?),
            ))
        })
        .optional()?;
    let Some((known, state, kept)) = known else {
        connection
            .prepare_cached(
                "INSERT INTO idempotency (api_key, key, fingerprint, state, began_at)
                 VALUES (:api_key, :key, :fingerprint, 'running', :now)",
            )?
            .execute(named_params! {
                ":api_key": name.api_key, ":key": name.key,
                ":fingerprint": fingerprint, ":now": At(now),
            })?;
        return Ok(Begun::First);
    };
    if known != *fingerprint {
        return Ok(Begun::Other);
    }
    Ok(match (parsed("idempotency.state", &state, State::parse)?, kept) {
        (State::Running, _) => Begun::Running,
        (State::Lost, _) => Begun::Lost,
        (State::Done, (Some(status), Some(content_type), Some(sealed))) => {
            Begun::Done(Kept { status, content_type, sealed })
        }
        (State::Done, _) => return Err(StoreError::Corrupt { column: "idempotency.sealed" }),
    })
}

/// Keeps the answer of a request that was under way.
pub(crate) fn finish(connection: &Connection, name: &Name, kept: &Kept) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE idempotency SET state = 'done', status = :status, content_type = :type,
             sealed = :sealed WHERE api_key = :api_key AND key = :key AND state = 'running'",
        )?
        .execute(named_params! {
            ":api_key": name.api_key, ":key": name.key, ":status": kept.status,
            ":type": kept.content_type, ":sealed": kept.sealed,
        })?;
    Ok(())
}

/// Forgets a request that was under way and had no effect.
pub(crate) fn drop_running(connection: &Connection, name: &Name) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "DELETE FROM idempotency WHERE api_key = :api_key AND key = :key AND state = 'running'",
        )?
        .execute(named_params! {":api_key": name.api_key, ":key": name.key})?;
    Ok(())
}

/// Of a request that was under way nobody knows any more how it ended.
pub(crate) fn lose(connection: &Connection, name: &Name) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE idempotency SET state = 'lost'
             WHERE api_key = :api_key AND key = :key AND state = 'running'",
        )?
        .execute(named_params! {":api_key": name.api_key, ":key": name.key})?;
    Ok(())
}

/// Of no request it is known what became of its effect: for a database that was set back.
pub(crate) fn lose_all(connection: &Connection) -> Result<usize, StoreError> {
    let sql =
        "UPDATE idempotency SET state = 'lost', status = NULL, content_type = NULL, sealed = NULL
               WHERE state <> 'lost'";
    Ok(connection.execute(sql, [])?)
}

/// Of all that is under way nobody knows any more how it ended: for a server that starts.
pub(crate) fn lose_running(connection: &Connection) -> Result<usize, StoreError> {
    let sql = "UPDATE idempotency SET state = 'lost' WHERE state = 'running'";
    Ok(connection.execute(sql, [])?)
}

/// Whether there are requests that began before this.
pub(crate) fn any_before(connection: &Connection, before: Timestamp) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM idempotency WHERE began_at < ?1)";
    Ok(connection.prepare_cached(sql)?.query_row([At(before)], |row| row.get(0))?)
}

/// Forgets some of the requests that began before this.
pub(crate) fn forget_before(
    connection: &Connection,
    before: Timestamp,
    most: u32,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "DELETE FROM idempotency WHERE (api_key, key) IN
             (SELECT api_key, key FROM idempotency WHERE began_at < :before LIMIT :most)",
        )?
        .execute(named_params! {":before": At(before), ":most": most})?;
    Ok(())
}
