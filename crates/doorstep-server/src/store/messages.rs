//! Messages to customers: the only place where a code waits, sealed, until the provider has it.

use super::StoreError;
use super::value::{At, named, parsed};
use doorstep::id::DeliveryId;
use doorstep::time::Timestamp;
use rusqlite::{Connection, Row, named_params, params};

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
        /// It cannot be read back, so it is not tried again by itself.
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
    pub(crate) id: String,
    pub(crate) slot: u8,
    pub(crate) send_at: Timestamp,
    pub(crate) state: State,
    pub(crate) sent_at: Option<Timestamp>,
}

/// A message to be stored.
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
            "INSERT INTO messages (id, delivery, generation, slot, phone, send_at, state, sealed)
             VALUES (:id, :delivery, :generation, :slot, :phone, :send_at, :state, :sealed)",
        )?
        .execute(named_params! {
            ":id": message.id, ":delivery": delivery.as_str(), ":generation": generation,
            ":slot": message.slot, ":phone": message.phone, ":send_at": At(message.send_at),
            ":state": state.as_str(), ":sealed": message.sealed,
        })?;
    Ok(())
}

/// The messages of one generation, by slot.
pub(crate) fn of_generation(
    connection: &Connection,
    delivery: &DeliveryId,
    generation: u32,
) -> Result<Vec<Message>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, slot, send_at, state, sent_at FROM messages
         WHERE delivery = ?1 AND generation = ?2 ORDER BY slot",
    )?;
    let mut rows = statement.query(params![delivery.as_str(), generation])?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        messages.push(read(row)?);
    }
    Ok(messages)
}

fn read(row: &Row<'_>) -> Result<Message, StoreError> {
    Ok(Message {
        id: row.get(0)?,
        slot: row.get(1)?,
        send_at: row.get::<_, At>(2)?.0,
        state: parsed(
            "messages.state",
            row.get_ref(3)?.as_str().unwrap_or_default(),
            State::parse,
        )?,
        sent_at: row.get::<_, Option<At>>(4)?.map(|at| at.0),
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
             WHERE delivery = ?1 AND generation = ?2
               AND state IN ('waiting', 'spare', 'sending', 'failed')",
        )?
        .execute(params![delivery.as_str(), generation, state.as_str()])?;
    Ok(())
}

/// Makes a message due, to `phone` or to where it was to go anyway.
pub(crate) fn release(
    connection: &Connection,
    id: &str,
    phone: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE messages SET state = 'waiting', send_at = min(send_at, :now),
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
    pub(crate) phone: String,
    pub(crate) sealed: Vec<u8>,
    /// The recipient has, or may have, a code of an earlier generation.
    pub(crate) replaces: bool,
}

/// Whether [`take_due`] would find anything, without writing.
pub(crate) fn any_due(connection: &Connection, now: Timestamp) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM messages WHERE state IN ('waiting', 'sending') AND send_at <= ?1 LIMIT 1")?
        .exists([At(now)])?)
}

/// Takes messages that are due out of the queue; those of an offline generation only once its
/// device has it. One that was taken before and not [`sent`] is taken again: only one outbox runs,
/// so its sending was cut off. One that cannot be read is [failed](fail).
pub(crate) fn take_due(
    connection: &Connection,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Due>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT m.id, m.delivery, d.reference, m.generation, m.slot, m.phone, m.sealed,
                EXISTS (SELECT 1 FROM messages AS e WHERE e.delivery = m.delivery
                          AND e.generation < m.generation AND (e.sent_at IS NOT NULL OR e.tries > 0))
         FROM messages AS m
         JOIN generations AS g ON g.delivery = m.delivery AND g.generation = m.generation
         JOIN deliveries AS d ON d.id = m.delivery
         WHERE m.state IN ('waiting', 'sending') AND m.send_at <= :now AND m.phone IS NOT NULL
           AND g.window_until > :now
           AND (g.state = 'handed_out' OR (g.state = 'planned' AND g.mode = 'online'))
         ORDER BY m.send_at LIMIT :limit",
    )?;
    let mut rows = statement.query(named_params! {":now": At(now), ":limit": limit})?;
    let (mut due, mut damaged) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        match read_due(row) {
            Ok(message) => due.push(message),
            Err(error) if error.is_damage() => damaged.push((row.get::<_, String>(0)?, error)),
            Err(error) => return Err(error),
        }
    }
    for (id, error) in damaged {
        fail(connection, &id, &error)?;
    }
    let mut mark = connection
        .prepare_cached("UPDATE messages SET state = 'sending', tries = tries + 1 WHERE id = ?1")?;
    for message in &due {
        mark.execute([&message.id])?;
    }
    Ok(due)
}

fn read_due(row: &Row<'_>) -> Result<Due, StoreError> {
    let delivery = row.get_ref(1)?.as_str().unwrap_or_default();
    Ok(Due {
        id: row.get(0)?,
        delivery: parsed("messages.delivery", delivery, DeliveryId::parse)?,
        reference: row.get(2)?,
        generation: row.get(3)?,
        slot: row.get(4)?,
        phone: row.get(5)?,
        sealed: row.get(6)?,
        replaces: row.get(7)?,
    })
}

/// Takes a message out of the queue that cannot be read, so that it keeps no other up; what is
/// sealed stays for whoever looks into it.
pub(crate) fn fail(
    connection: &Connection,
    id: &str,
    error: &StoreError,
) -> Result<(), StoreError> {
    tracing::error!(id, %error, "a message cannot be sent; it is set aside");
    connection
        .prepare_cached(
            "UPDATE messages SET state = 'failed' WHERE id = ?1 AND state IN ('waiting', 'sending')",
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
                                 state = CASE state WHEN 'sending' THEN 'sent' ELSE state END
             WHERE id = :id",
        )?
        .execute(named_params! {":id": id, ":now": At(now)})?;
    Ok(())
}
