//! Messages to customers: the only place where a code waits, sealed, until the provider has it.

use super::StoreError;
use super::deliveries::{self, State as DeliveryState};
use super::value::{At, all, named, parsed};
use crate::messages::{Kind, Place};
use doorstep::id::DeliveryId;
use doorstep::time::{Timestamp, Window};
use rusqlite::{Connection, OptionalExtension as _, Row, named_params, params};

named! {
    /// What became of a message.
    enum State {
        /// For its time, and for the device to have its route.
        Waiting = "waiting",
        /// Kept for whoever needs it.
        Spare = "spare",
        /// With the provider; whether it took it is not known yet.
        Sending = "sending",
        /// The provider has it, and nobody else has its code.
        Sent = "sent",
        /// The provider says that it arrived.
        Delivered = "delivered",
        /// The provider says that it did not.
        Undelivered = "undelivered",
        /// Given up; it is tried again when somebody says so.
        Failed = "failed",
        /// A newer generation came first.
        Superseded = "superseded",
        /// The delivery was handed over first.
        Closed = "closed",
        /// Its time passed first.
        Expired = "expired",
        /// The delivery was cancelled first.
        Cancelled = "cancelled",
    }
}

/// A message without its content.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) seq: i64,
    pub(crate) id: String,
    pub(crate) delivery: DeliveryId,
    pub(crate) reference: String,
    pub(crate) generation: u32,
    pub(crate) slot: u8,
    pub(crate) kind: Kind,
    /// Nobody's while it is the spare's.
    pub(crate) phone: Option<String>,
    pub(crate) send_at: Timestamp,
    /// When it is tried next, while it waits.
    pub(crate) next_at: Timestamp,
    pub(crate) state: State,
    pub(crate) sent_at: Option<Timestamp>,
    /// When the provider said what became of it.
    pub(crate) told_at: Option<Timestamp>,
    pub(crate) tries: u32,
}

/// A message with a code, to be stored.
pub(crate) struct NewMessage {
    pub(crate) id: String,
    pub(crate) slot: u8,
    pub(crate) phone: Option<String>,
    pub(crate) send_at: Timestamp,
    pub(crate) sealed: Vec<u8>,
}

pub(crate) fn insert(
    connection: &Connection,
    delivery: &DeliveryId,
    generation: u32,
    message: &NewMessage,
) -> Result<(), StoreError> {
    // Without a phone it is for nobody yet.
    let state = if message.phone.is_some() { State::Waiting } else { State::Spare };
    connection
        .prepare_cached(
            "INSERT INTO messages (id, delivery, generation, slot, kind, phone, send_at, next_at,
                                   state, sealed)
             VALUES (:id, :delivery, :generation, :slot, 'code', :phone, :send_at, :send_at,
                     :state, :sealed)",
        )?
        .execute(named_params! {
            ":id": message.id, ":delivery": delivery.as_str(), ":generation": generation,
            ":slot": message.slot, ":phone": message.phone, ":send_at": At(message.send_at),
            ":state": state.as_str(), ":sealed": message.sealed,
        })?;
    Ok(())
}

/// The slots and phones that have, or may have, a code of a delivery, each phone once.
pub(crate) fn holders(
    connection: &Connection,
    delivery: &DeliveryId,
) -> Result<Vec<(u8, String)>, StoreError> {
    let sql = "SELECT min(m.slot), m.phone FROM messages AS m
               WHERE m.delivery = ?1 AND m.kind = 'code' AND m.phone IS NOT NULL
                 AND EXISTS (SELECT 1 FROM message_tries AS t WHERE t.message = m.id
                               AND (t.outcome IS NULL OR t.outcome IN ('taken', 'unknown')))
               GROUP BY m.phone ORDER BY 1, 2";
    all(connection, sql, &[&delivery.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// A message that no code is needed any more, due at once.
pub(crate) fn insert_cancelled(
    connection: &Connection,
    delivery: &DeliveryId,
    generation: u32,
    (id, slot, phone): (&str, u8, &str),
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO messages (id, delivery, generation, slot, kind, phone, send_at, next_at,
                                   state)
             VALUES (?1, ?2, ?3, ?4, 'cancelled', ?5, ?6, ?6, 'waiting')",
        )?
        .execute(params![id, delivery.as_str(), generation, slot, phone, At(now)])?;
    Ok(())
}

/// Whether somebody is still to be told that no code is needed any more.
pub(crate) fn any_cancelled_due(
    connection: &Connection,
    delivery: &DeliveryId,
) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT 1 FROM messages WHERE delivery = ?1 AND kind = 'cancelled'
               AND state IN ('waiting', 'sending') AND phone IS NOT NULL",
        )?
        .exists([delivery.as_str()])?)
}

const COLUMNS: &str = "m.seq, m.id, m.delivery, d.reference, m.generation, m.slot, m.kind, m.phone,
    m.send_at, m.next_at, m.state, m.sent_at, m.told_at, m.tries
    FROM messages AS m JOIN deliveries AS d ON d.id = m.delivery";

/// The messages with the codes of one generation, by slot.
pub(crate) fn of_generation(
    connection: &Connection,
    delivery: &DeliveryId,
    generation: u32,
) -> Result<Vec<Message>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} WHERE m.delivery = ?1 AND m.generation = ?2 AND m.kind = 'code'
         ORDER BY m.slot"
    );
    all(connection, &sql, &[&delivery.as_str(), &generation], read)
}

pub(crate) fn find(connection: &Connection, id: &str) -> Result<Option<Message>, StoreError> {
    let sql = format!("SELECT {COLUMNS} WHERE m.id = ?1");
    Ok(all(connection, &sql, &[&id], read)?.pop())
}

/// Up to `limit` messages after `after`, in order of creation.
pub(crate) fn page(
    connection: &Connection,
    state: Option<State>,
    delivery: Option<&DeliveryId>,
    after: i64,
    limit: u32,
) -> Result<Vec<Message>, StoreError> {
    // A condition of its own for each filter, so that each has its index.
    let mut sql = format!("SELECT {COLUMNS} WHERE m.seq > ?1");
    if state.is_some() {
        sql.push_str(" AND m.state = ?2");
    } else {
        sql.push_str(" AND ?2 IS NULL");
    }
    sql.push_str(if delivery.is_some() { " AND m.delivery = ?3" } else { " AND ?3 IS NULL" });
    sql.push_str(" ORDER BY m.seq LIMIT ?4");
    let (state, delivery) = (state.map(State::as_str), delivery.map(|id| id.as_str()));
    all(connection, &sql, &[&after, &state, &delivery, &limit], read)
}

fn read(row: &Row<'_>) -> Result<Message, StoreError> {
    let text = |index| row.get_ref(index).map(|value| value.as_str().unwrap_or_default());
    Ok(Message {
        seq: row.get(0)?,
        id: row.get(1)?,
        delivery: parsed("messages.delivery", text(2)?, DeliveryId::parse)?,
        reference: row.get(3)?,
        generation: row.get(4)?,
        slot: row.get(5)?,
        kind: parsed("messages.kind", text(6)?, Kind::parse)?,
        phone: row.get(7)?,
        send_at: row.get::<_, At>(8)?.0,
        next_at: row.get::<_, At>(9)?.0,
        state: parsed("messages.state", text(10)?, State::parse)?,
        sent_at: row.get::<_, Option<At>>(11)?.map(|at| at.0),
        told_at: row.get::<_, Option<At>>(12)?.map(|at| at.0),
        tries: row.get(13)?,
    })
}

/// Ends the messages of a generation that were not sent, and erases their codes.
pub(crate) fn end(
    connection: &Connection,
    delivery: &DeliveryId,
    generation: u32,
    state: State,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE messages SET state = ?3, sealed = NULL
             WHERE delivery = ?1 AND generation = ?2 AND kind = 'code'
               AND state IN ('waiting', 'spare', 'sending', 'failed')",
        )?
        .execute(params![delivery.as_str(), generation, state.as_str()])?;
    Ok(())
}

/// Makes a message due, to `phone` or to where it was to go anyway. Somebody wants it now, so that
/// no quiet hours hold it, and all its tries are before it again.
pub(crate) fn release(
    connection: &Connection,
    id: &str,
    phone: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE messages SET state = 'waiting', send_at = min(send_at, :now), next_at = :now,
                                 urgent = 1, tries_before = tries, told = NULL, told_at = NULL,
                                 phone = coalesce(:phone, phone)
             WHERE id = :id AND state IN ('waiting', 'spare', 'failed')",
        )?
        .execute(named_params! {":id": id, ":phone": phone, ":now": At(now)})?;
    Ok(())
}

/// A message that is to be sent now.
pub(crate) struct Due {
    pub(crate) id: String,
    pub(crate) delivery: DeliveryId,
    pub(crate) reference: String,
    pub(crate) generation: u32,
    pub(crate) slot: u8,
    pub(crate) kind: Kind,
    pub(crate) phone: String,
    pub(crate) sealed: Option<Vec<u8>>,
    pub(crate) state: State,
    /// Tries since somebody asked for it the last time.
    pub(crate) tries_now: u32,
    pub(crate) urgent: bool,
    pub(crate) window: Window,
    pub(crate) expected_at: Timestamp,
    pub(crate) place: Place,
    /// The recipient has, or may have, a code of an earlier generation.
    pub(crate) replaces: bool,
}

/// What is due: those of an offline generation only once its device has it. One whose sending was
/// cut off is as due as any.
const IS_DUE: &str = "m.state IN ('waiting', 'sending') AND m.phone IS NOT NULL
    AND (m.kind = 'cancelled'
         OR (g.window_until > :now
             AND (g.state = 'handed_out' OR (g.state = 'planned' AND g.mode = 'online'))))";

/// The ids of up to `limit` messages that are due, the oldest first.
pub(crate) fn due(
    connection: &Connection,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<String>, StoreError> {
    let sql = format!(
        "SELECT m.id FROM messages AS m
         JOIN generations AS g ON g.delivery = m.delivery AND g.generation = m.generation
         WHERE m.next_at <= :now AND {IS_DUE} ORDER BY m.next_at LIMIT :limit"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(&sql)?;
    let ids =
        statement.query_map(named_params! {":now": At(now), ":limit": limit}, |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// One message, if it is due still.
pub(crate) fn find_due(
    connection: &Connection,
    id: &str,
    now: Timestamp,
) -> Result<Option<Due>, StoreError> {
    let sql = format!(
        "SELECT m.id, m.delivery, d.reference, m.generation, m.slot, m.kind, m.phone, m.sealed,
                m.state, m.tries, m.tries_before, m.urgent, g.window_from, g.window_until,
                g.expected_at,
                EXISTS (SELECT 1 FROM messages AS e WHERE e.delivery = m.delivery
                          AND e.generation < m.generation AND e.kind = 'code'
                          AND EXISTS (SELECT 1 FROM message_tries AS t WHERE t.message = e.id
                                        AND (t.outcome IS NULL OR t.outcome IN ('taken', 'unknown')))),
                d.language, d.zone
         FROM messages AS m
         JOIN generations AS g ON g.delivery = m.delivery AND g.generation = m.generation
         JOIN deliveries AS d ON d.id = m.delivery
         WHERE m.id = :id AND m.next_at <= :now AND {IS_DUE}"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(named_params! {":id": id, ":now": At(now)})?;
    rows.next()?.map(read_due).transpose()
}

fn read_due(row: &Row<'_>) -> Result<Due, StoreError> {
    let text = |index| row.get_ref(index).map(|value| value.as_str().unwrap_or_default());
    let (tries, before): (u32, u32) = (row.get(9)?, row.get(10)?);
    let (from, until) = (row.get::<_, At>(12)?.0, row.get::<_, At>(13)?.0);
    Ok(Due {
        id: row.get(0)?,
        delivery: parsed("messages.delivery", text(1)?, DeliveryId::parse)?,
        reference: row.get(2)?,
        generation: row.get(3)?,
        slot: row.get(4)?,
        kind: parsed("messages.kind", text(5)?, Kind::parse)?,
        phone: row.get(6)?,
        sealed: row.get(7)?,
        state: parsed("messages.state", text(8)?, State::parse)?,
        tries_now: tries.saturating_sub(before),
        urgent: row.get(11)?,
        window: Window::new(from, until)
            .ok_or(StoreError::Corrupt { column: "generations.window_until" })?,
        expected_at: row.get::<_, At>(14)?.0,
        replaces: row.get(15)?,
        place: Place { language: row.get(16)?, zone: row.get(17)? },
    })
}

/// Notes that a message is about to be handed to the provider, and numbers the try.
pub(crate) fn begin(connection: &Connection, id: &str) -> Result<u32, StoreError> {
    let sql =
        "UPDATE messages SET state = 'sending', tries = tries + 1 WHERE id = ?1 RETURNING tries";
    Ok(connection.prepare_cached(sql)?.query_row([id], |row| row.get(0))?)
}

/// Puts a message off.
pub(crate) fn wait(connection: &Connection, id: &str, until: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE messages SET state = 'waiting', next_at = ?2
             WHERE id = ?1 AND state IN ('waiting', 'sending')",
        )?
        .execute(params![id, At(until)])?;
    Ok(())
}

/// Gives a message up: it is not tried again by itself. What is sealed stays until its time is over,
/// for whoever sends it again.
pub(crate) fn fail(connection: &Connection, id: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE messages SET state = 'failed' WHERE id = ?1 AND state IN ('waiting', 'sending')",
        )?
        .execute([id])?;
    Ok(())
}

/// Ends a message without a code whose time is over.
pub(crate) fn expire(connection: &Connection, id: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE messages SET state = 'expired', sealed = NULL
             WHERE id = ?1 AND state IN ('waiting', 'sending')",
        )?
        .execute([id])?;
    Ok(())
}

/// Notes that the provider has the message, and erases its code. A message that was ended
/// meanwhile stays ended, but was sent all the same.
pub(crate) fn sent(connection: &Connection, id: &str, now: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE messages SET sent_at = :now, sealed = NULL,
                                 state = CASE state WHEN 'sending' THEN coalesce(told, 'sent')
                                                    ELSE state END
             WHERE id = :id",
        )?
        .execute(named_params! {":id": id, ":now": At(now)})?;
    Ok(())
}

/// What providers report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Delivered,
    Undelivered,
}

/// Notes what the provider says became of a message. It may say so before it has answered that it took
/// the message, or without ever answering: a message that arrived is not tried again, and its code is
/// erased. That it arrived is its last word.
pub(crate) fn told(
    connection: &Connection,
    id: &str,
    told: Told,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if told == Told::Delivered {
        arrived(connection, id, now)?;
    }
    let told = match told {
        Told::Delivered => State::Delivered,
        Told::Undelivered => State::Undelivered,
    };
    let changed = connection
        .prepare_cached(
            "UPDATE messages SET told = :told, told_at = :now,
                                 state = CASE WHEN state IN ('sent', 'undelivered') THEN :told
                                              ELSE state END
             WHERE id = :id AND tries > tries_before AND told IS NOT :told AND told IS NOT 'delivered'",
        )?
        .execute(named_params! {":id": id, ":told": told.as_str(), ":now": At(now)})?;
    Ok(changed > 0)
}

/// Ends a message that the provider had, though its answer did not come.
fn arrived(connection: &Connection, id: &str, now: Timestamp) -> Result<(), StoreError> {
    let delivery = connection
        .prepare_cached(
            "UPDATE messages SET state = 'delivered', sealed = NULL, sent_at = :now,
                                 told = 'delivered', told_at = :now
             WHERE id = :id AND tries > tries_before AND state IN ('waiting', 'sending', 'failed')
             RETURNING delivery, kind",
        )?
        .query_row(named_params! {":id": id, ":now": At(now)}, |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })
        .optional()?;
    let Some((delivery, kind)) = delivery else { return Ok(()) };
    if parsed("messages.kind", &kind, Kind::parse)? == Kind::Code {
        let delivery = parsed("messages.delivery", &delivery, DeliveryId::parse)?;
        let from = [DeliveryState::Planned, DeliveryState::HandedOut];
        deliveries::advance(connection, &delivery, &from, DeliveryState::Notified, now)?;
    }
    Ok(())
}

/// How many times a phone number was, or may have been, sent a message since a time, to test or in earnest.
pub(crate) fn sent_to(
    connection: &Connection,
    phone: &str,
    since: Timestamp,
) -> Result<u32, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT (SELECT count(*) FROM messages AS m JOIN message_tries AS t ON t.message = m.id
                     WHERE m.phone = ?1 AND t.at > ?2
                       AND (t.outcome IS NULL OR t.outcome IN ('taken', 'unknown')))
                  + (SELECT count(*) FROM test_messages WHERE phone = ?1 AND at > ?2)",
        )?
        .query_row(params![phone, At(since)], |row| row.get(0))?)
}
