//! Accounts: who has authenticators, the head of their ledger and the attempts of anybody.

use super::StoreError;
use super::value::{At, Count};
use doorstep::ledger::Head;
use doorstep::throttle::{Bucket, Pace};
use doorstep::time::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, named_params, params};

/// How an account is named by whoever asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// By its id.
    Id(String),
    /// By its name, in lower case.
    Key(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// The place in the list, in order of creation, and what other tables name it by.
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) created_at: Timestamp,
    pub(crate) disabled_at: Option<Timestamp>,
    pub(crate) head: Head,
    /// The attempts of anybody.
    pub(crate) bucket: Bucket,
}

/// Whether an account was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// Yes, with this `seq`.
    Yes(i64),
    /// Another account has its name.
    DuplicateName,
}

pub(crate) fn insert(
    connection: &Connection,
    id: &str,
    name: &str,
    key: &str,
    now: Timestamp,
) -> Result<Inserted, StoreError> {
    let result = connection
        .prepare_cached(
            "INSERT INTO accounts (id, name, name_key, created_at, attempts_as_of)
             VALUES (:id, :name, :key, :now, :now)",
        )?
        .execute(named_params! {":id": id, ":name": name, ":key": key, ":now": At(now)});
    match result {
        // The id is random, so the constraint that failed is the name's.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            Ok(Inserted::DuplicateName)
        }
        other => other.map(|_| Inserted::Yes(connection.last_insert_rowid())).map_err(Into::into),
    }
}

const COLUMNS: &str = "seq, id, name, created_at, disabled_at, head_seq, head_hash,
     attempts_used, attempts_as_of";

pub(crate) fn find(connection: &Connection, named: &Named) -> Result<Option<Account>, StoreError> {
    let (column, value) = match named {
        Named::Id(id) => ("id", id),
        Named::Key(key) => ("name_key", key),
    };
    let sql = format!("SELECT {COLUMNS} FROM accounts WHERE {column} = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([value], read).optional()?)
}

/// The account of this `seq`, which another table named.
pub(crate) fn at(connection: &Connection, seq: i64) -> Result<Account, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM accounts WHERE seq = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([seq], read)?)
}

/// Up to `limit` accounts after `after`, in order of creation.
pub(crate) fn page(
    connection: &Connection,
    after: i64,
    limit: u32,
) -> Result<Vec<Account>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM accounts WHERE seq > ?1 ORDER BY seq LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_map(params![after, limit], read)?.collect::<Result<_, _>>()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account {
        seq: row.get(0)?,
        id: row.get(1)?,
        name: row.get(2)?,
        created_at: row.get::<_, At>(3)?.0,
        disabled_at: row.get::<_, Option<At>>(4)?.map(|at| at.0),
        head: Head { seq: row.get::<_, Count>(5)?.0, hash: row.get(6)? },
        bucket: Bucket::stored(Pace::AUTHENTICATOR, row.get(7)?, row.get::<_, At>(8)?.0),
    })
}

/// Moves the ledger on from the head that was read, and stores the attempts of anybody. Says
/// whether the ledger still had that head.
pub(crate) fn append(
    connection: &Connection,
    account: &Account,
    after: Head,
    bucket: Bucket,
) -> Result<bool, StoreError> {
    let changed = connection
        .prepare_cached(
            "UPDATE accounts SET head_seq = :seq, head_hash = :hash, attempts_used = :used,
                 attempts_as_of = :as_of
             WHERE seq = :account AND head_seq = :before AND head_hash = :before_hash",
        )?
        .execute(named_params! {
            ":account": account.seq, ":seq": Count(after.seq), ":hash": after.hash,
            ":used": bucket.used(), ":as_of": At(bucket.as_of()),
            ":before": Count(account.head.seq), ":before_hash": account.head.hash,
        })?;
    Ok(changed == 1)
}

/// Fills the attempts of anybody.
pub(crate) fn fill(connection: &Connection, seq: i64, now: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE accounts SET attempts_used = 0, attempts_as_of = ?2 WHERE seq = ?1",
        )?
        .execute(params![seq, At(now)])?;
    Ok(())
}

/// Disables an account, or enables it again. One that is disabled keeps its first time.
pub(crate) fn set_disabled(
    connection: &Connection,
    seq: i64,
    at: Option<Timestamp>,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE accounts SET disabled_at = CASE WHEN ?2 IS NULL THEN NULL
                 ELSE coalesce(disabled_at, ?2) END WHERE seq = ?1",
        )?
        .execute(params![seq, at.map(At)])?;
    Ok(())
}

/// Counts a refusal that stores nothing else, so that it waits for the disk as the others do.
pub(crate) fn count_uncompared(connection: &Connection) -> Result<(), StoreError> {
    connection.prepare_cached("UPDATE uncompared SET refusals = refusals + 1")?.execute([])?;
    Ok(())
}
