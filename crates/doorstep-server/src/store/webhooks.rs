//! Where programs of the business want to be told of events, and what is on its way to them. An event
//! is put on its way by a trigger of the schema, in the transaction that it happened in.

use super::StoreError;
use super::events::{self, Event};
use super::value::{At, Count, all, named, parsed};
use doorstep::time::Timestamp;
use rusqlite::{Connection, Row, named_params, params};

named! {
    /// Whether a receiver is told.
    enum State {
        Active = "active",
        /// Events wait.
        Paused = "paused",
        /// It said that it is there no more; nothing is kept for it.
        Gone = "gone",
    }
}

named! {
    /// How far an event has come on its way to a receiver.
    enum SendingState {
        Waiting = "waiting",
        /// The receiver took it.
        Sent = "sent",
        /// Given up.
        Failed = "failed",
    }
}

/// A receiver.
#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    pub(crate) id: String,
    pub(crate) url: String,
    /// The wanted types of events; `None` for all.
    pub(crate) types: Option<Vec<String>>,
    pub(crate) state: State,
    /// Sealed.
    pub(crate) secret: Vec<u8>,
    /// The secret before, sealed, and until when it signs too.
    pub(crate) old_secret: Option<(Vec<u8>, Timestamp)>,
    pub(crate) created_at: Timestamp,
}

fn joined(types: Option<&[String]>) -> Option<String> {
    types.map(|types| format!(",{},", types.join(",")))
}

pub(crate) fn insert(connection: &Connection, webhook: &Webhook) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO webhooks (id, url, types, state, secret, created_at)
             VALUES (:id, :url, :types, :state, :secret, :now)",
        )?
        .execute(named_params! {
            ":id": webhook.id, ":url": webhook.url, ":types": joined(webhook.types.as_deref()),
            ":state": webhook.state.as_str(), ":secret": webhook.secret,
            ":now": At(webhook.created_at),
        })?;
    Ok(())
}

const COLUMNS: &str = "id, url, types, state, secret, old_secret, old_until, created_at";

fn read(row: &Row<'_>) -> Result<Webhook, StoreError> {
    let types: Option<String> = row.get(2)?;
    let old: Option<Vec<u8>> = row.get(5)?;
    let until = row.get::<_, Option<At>>(6)?.map(|at| at.0);
    Ok(Webhook {
        id: row.get(0)?,
        url: row.get(1)?,
        types: types.map(|types| types.trim_matches(',').split(',').map(str::to_owned).collect()),
        state: parsed(
            "webhooks.state",
            row.get_ref(3)?.as_str().unwrap_or_default(),
            State::parse,
        )?,
        secret: row.get(4)?,
        old_secret: old.zip(until),
        created_at: row.get::<_, At>(7)?.0,
    })
}

pub(crate) fn find(connection: &Connection, id: &str) -> Result<Option<Webhook>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE id = ?1");
    Ok(all(connection, &sql, &[&id], read)?.pop())
}

/// All receivers, oldest first; there are few.
pub(crate) fn list(connection: &Connection) -> Result<Vec<Webhook>, StoreError> {
    all(connection, &format!("SELECT {COLUMNS} FROM webhooks ORDER BY seq"), &[], read)
}

/// Stores an address, types and a state that were changed.
pub(crate) fn change(connection: &Connection, webhook: &Webhook) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE webhooks SET url = ?2, types = ?3, state = ?4 WHERE id = ?1")?
        .execute(params![
            webhook.id,
            webhook.url,
            joined(webhook.types.as_deref()),
            webhook.state.as_str()
        ])?;
    Ok(())
}

/// Puts a new secret in the place of the one before, which signs too until `until`.
pub(crate) fn rotate(
    connection: &Connection,
    id: &str,
    secret: &[u8],
    old: &[u8],
    until: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE webhooks SET secret = ?2, old_secret = ?3, old_until = ?4 WHERE id = ?1",
        )?
        .execute(params![id, secret, old, At(until)])?;
    Ok(())
}

/// Removes a receiver and what is on its way to it; whether there was one.
pub(crate) fn remove(connection: &Connection, id: &str) -> Result<bool, StoreError> {
    Ok(connection.prepare_cached("DELETE FROM webhooks WHERE id = ?1")?.execute([id])? == 1)
}

/// Ends a receiver that said that it is there no more, and what is on its way to it.
pub(crate) fn gone(connection: &Connection, id: &str) -> Result<(), StoreError> {
    connection.prepare_cached("UPDATE webhooks SET state = 'gone' WHERE id = ?1")?.execute([id])?;
    connection
        .prepare_cached(
            "UPDATE webhook_sendings SET state = 'failed' WHERE webhook = ?1 AND state = 'waiting'",
        )?
        .execute([id])?;
    Ok(())
}

/// Makes a test event, which only this receiver is told of.
pub(crate) fn test(
    connection: &Connection,
    id: &str,
    epoch: u64,
    now: Timestamp,
) -> Result<Option<Event>, StoreError> {
    let epoch = Count(epoch);
    let seq: i64 = connection
        .prepare_cached(
            "INSERT INTO events (epoch, type, at) VALUES (?1, 'webhook.test', ?2) RETURNING seq",
        )?
        .query_row(params![epoch, At(now)], |row| row.get(0))?;
    connection
        .prepare_cached(
            "INSERT INTO webhook_sendings (webhook, event, state, next_at) VALUES (?1, ?2, 'waiting', ?3)",
        )?
        .execute(params![id, seq, At(now)])?;
    events::find(connection, epoch.0, seq)
}

/// The active receivers that something is due to.
pub(crate) fn with_due(connection: &Connection, now: Timestamp) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT id FROM webhooks AS w WHERE state = 'active' AND EXISTS (
                   SELECT 1 FROM webhook_sendings AS s
                   WHERE s.webhook = w.id AND s.state = 'waiting' AND s.next_at <= ?1)
               ORDER BY seq";
    all(connection, sql, &[&At(now)], |row| Ok(row.get(0)?))
}

/// An event on its way, taken up for a try.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    pub(crate) seq: i64,
    /// This one included.
    pub(crate) tries: u32,
    pub(crate) event: Event,
}

/// Takes up events that are due, oldest first, and counts the try. Until its end is known, the
/// next one is at `again`.
pub(crate) fn take_due(
    connection: &Connection,
    webhook: &str,
    limit: u32,
    now: Timestamp,
    again: Timestamp,
) -> Result<Vec<Due>, StoreError> {
    let sql = "SELECT s.seq, s.tries, e.epoch, e.seq FROM webhook_sendings AS s
               JOIN events AS e ON e.seq = s.event
               WHERE s.webhook = ?1 AND s.state = 'waiting' AND s.next_at <= ?2
               ORDER BY s.next_at, s.seq LIMIT ?3";
    let found: Vec<(i64, u32, u64, i64)> =
        all(connection, sql, &[&webhook, &At(now), &limit], |row| {
            let epoch = row.get::<_, Count>(2)?.0;
            Ok((row.get(0)?, row.get(1)?, epoch, row.get(3)?))
        })?;
    let mut due = Vec::with_capacity(found.len());
    for (seq, tries, epoch, event) in found {
        connection
            .prepare_cached(
                "UPDATE webhook_sendings SET tries = tries + 1, last_at = ?2, next_at = ?3 WHERE seq = ?1",
            )?
            .execute(params![seq, At(now), At(again)])?;
        let event = events::find(connection, epoch, event)?
            .ok_or(StoreError::Corrupt { column: "webhook_sendings.event" })?;
        due.push(Due { seq, tries: tries.saturating_add(1), event });
    }
    Ok(due)
}

/// What came of a try.
#[derive(Clone, Debug)]
pub(crate) struct Tried {
    pub(crate) seq: i64,
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<String>,
    pub(crate) then: Then,
}

/// What follows a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The receiver took it.
    Sent,
    /// It is tried again.
    Again(Timestamp),
    /// It is given up.
    Failed,
}

/// Writes down what came of a try.
pub(crate) fn tried(connection: &Connection, tried: &Tried) -> Result<(), StoreError> {
    let (state, next_at) = match tried.then {
        Then::Sent => (SendingState::Sent, None),
        Then::Again(at) => (SendingState::Waiting, Some(At(at))),
        Then::Failed => (SendingState::Failed, None),
    };
    connection
        .prepare_cached(
            "UPDATE webhook_sendings SET state = :state, next_at = coalesce(:next, next_at),
                                         last_status = :status, last_error = :error
             WHERE seq = :seq",
        )?
        .execute(named_params! {
            ":seq": tried.seq, ":state": state.as_str(), ":next": next_at,
            ":status": tried.status, ":error": tried.error,
        })?;
    Ok(())
}

/// A line of a receiver's log.
#[derive(Clone, Debug)]
pub(crate) struct Sending {
    pub(crate) seq: i64,
    pub(crate) event: String,
    pub(crate) kind: String,
    pub(crate) state: SendingState,
    pub(crate) tries: u32,
    pub(crate) next_at: Timestamp,
    pub(crate) last_at: Option<Timestamp>,
    pub(crate) last_status: Option<u16>,
    pub(crate) last_error: Option<String>,
}

/// Up to `limit` lines of a receiver's log before `before`, newest first.
pub(crate) fn log(
    connection: &Connection,
    webhook: &str,
    state: Option<SendingState>,
    before: i64,
    limit: u32,
) -> Result<Vec<Sending>, StoreError> {
    let sql = "SELECT s.seq, s.state, s.tries, s.next_at, s.last_at, s.last_status, s.last_error,
                      e.epoch, e.seq, e.type
               FROM webhook_sendings AS s JOIN events AS e ON e.seq = s.event
               WHERE s.webhook = ?1 AND (?2 IS NULL OR s.state = ?2) AND s.seq < ?3
               ORDER BY s.seq DESC LIMIT ?4";
    let state = state.map(SendingState::as_str);
    all(connection, sql, &[&webhook, &state, &before, &limit], |row| {
        let state = row.get_ref(1)?.as_str().unwrap_or_default();
        Ok(Sending {
            seq: row.get(0)?,
            state: parsed("webhook_sendings.state", state, SendingState::parse)?,
            tries: row.get(2)?,
            next_at: row.get::<_, At>(3)?.0,
            last_at: row.get::<_, Option<At>>(4)?.map(|at| at.0),
            last_status: row.get(5)?,
            last_error: row.get(6)?,
            event: events::id_of(row.get::<_, Count>(7)?.0, row.get(8)?),
            kind: row.get(9)?,
        })
    })
}

/// Puts one event on its way again, from its first try; also one that the receiver was not told of.
pub(crate) fn replay(
    connection: &Connection,
    webhook: &str,
    event: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO webhook_sendings (webhook, event, state, next_at) VALUES (?1, ?2, 'waiting', ?3)
             ON CONFLICT (webhook, event) DO UPDATE
             SET state = 'waiting', tries = 0, next_at = excluded.next_at",
        )?
        .execute(params![webhook, event, At(now)])?;
    Ok(())
}

/// The same for all that were given up and happened since; how many.
pub(crate) fn replay_failed(
    connection: &Connection,
    webhook: &str,
    since: Timestamp,
    now: Timestamp,
) -> Result<usize, StoreError> {
    Ok(connection
        .prepare_cached(
            "UPDATE webhook_sendings SET state = 'waiting', tries = 0, next_at = ?3
             WHERE webhook = ?1 AND state = 'failed'
               AND event IN (SELECT seq FROM events WHERE at >= ?2)",
        )?
        .execute(params![webhook, At(since), At(now)])?)
}
