//! Challenges of OCRA authenticators: what was asked, until when, and whether it was answered.

use super::StoreError;
use super::value::At;
use doorstep::time::{Timestamp, Window};
use rusqlite::{Connection, Row, named_params, params};

#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    pub(crate) id: String,
    /// The account's `seq`.
    pub(crate) account: i64,
    /// The authenticator's number in it.
    pub(crate) number: u16,
    pub(crate) challenge: String,
    pub(crate) session: Option<Vec<u8>>,
    pub(crate) window: Window,
    pub(crate) answered_at: Option<Timestamp>,
}

pub(crate) fn insert(connection: &Connection, new: &Challenge) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO challenges (id, account, number, challenge, session, created_at, expires_at)
             VALUES (:id, :account, :number, :challenge, :session, :from, :until)",
        )?
        .execute(named_params! {
            ":id": new.id, ":account": new.account, ":number": new.number,
            ":challenge": new.challenge, ":session": new.session,
            ":from": At(new.window.from()), ":until": At(new.window.until()),
        })?;
    Ok(())
}

pub(crate) fn find(connection: &Connection, id: &str) -> Result<Option<Challenge>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, account, number, challenge, session, created_at, expires_at, answered_at
             FROM challenges WHERE id = ?1",
    )?;
    let mut rows = statement.query([id])?;
    rows.next()?.map(read).transpose()
}

fn read(row: &Row<'_>) -> Result<Challenge, StoreError> {
    Ok(Challenge {
        id: row.get(0)?,
        account: row.get(1)?,
        number: row.get(2)?,
        challenge: row.get(3)?,
        session: row.get(4)?,
        window: Window::new(row.get::<_, At>(5)?.0, row.get::<_, At>(6)?.0)
            .ok_or(StoreError::Corrupt { column: "challenges.expires_at" })?,
        answered_at: row.get::<_, Option<At>>(7)?.map(|at| at.0),
    })
}

/// Marks a challenge as answered. Says whether it was still open.
pub(crate) fn answer(
    connection: &Connection,
    id: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let changed = connection
        .prepare_cached(
            "UPDATE challenges SET answered_at = ?2 WHERE id = ?1 AND answered_at IS NULL",
        )?
        .execute(params![id, At(now)])?;
    Ok(changed == 1)
}

/// Whether a challenge ended before `before`.
pub(crate) fn any_ended(connection: &Connection, before: Timestamp) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM challenges WHERE expires_at < ?1")?
        .exists([At(before)])?)
}

/// Forgets challenges that ended before `before`.
pub(crate) fn forget_ended(connection: &Connection, before: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM challenges WHERE expires_at < ?1")?
        .execute([At(before)])?;
    Ok(())
}
