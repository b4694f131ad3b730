//! Forgets what is about people: who got a delivery and where, the claims themselves, and events. What
//! is left says what happened, by ids, hashes, times and verdicts.

use super::StoreError;
use super::value::{At, all, parsed};
use doorstep::id::DeliveryId;
use doorstep::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

/// Deliveries that ended before then, and still say whom they were for.
pub(crate) fn with_contacts(
    connection: &Connection,
    before: Timestamp,
    limit: u32,
) -> Result<Vec<DeliveryId>, StoreError> {
    let sql = "SELECT id FROM deliveries
               WHERE state IN ('delivered', 'failed', 'expired', 'cancelled') AND erased_at IS NULL
                 AND updated_at < ?1 LIMIT ?2";
    all(connection, sql, &[&At(before), &limit], |row| {
        let id = row.get_ref(0)?.as_str().unwrap_or_default();
        parsed("deliveries.id", id, DeliveryId::parse)
    })
}

/// When a delivery was erased.
pub(crate) fn erased_at(
    connection: &Connection,
    id: &DeliveryId,
) -> Result<Option<Timestamp>, StoreError> {
    let erased = connection
        .prepare_cached("SELECT erased_at FROM deliveries WHERE id = ?1")?
        .query_row([id.as_str()], |row| row.get::<_, Option<At>>(0))
        .optional()?;
    Ok(erased.flatten().map(|at| at.0))
}

/// Erases name, phone number, address and notes of a delivery.
pub(crate) fn erase_contacts(
    connection: &Connection,
    id: &DeliveryId,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE deliveries SET address = '', note = NULL, failure_note = NULL, erased_at = ?2
             WHERE id = ?1",
        )?
        .execute(params![id.as_str(), At(now)])?;
    for sql in [
        "UPDATE recipients SET name = '', phone = '' WHERE delivery = ?1",
        "UPDATE messages SET phone = NULL WHERE delivery = ?1",
        // Providers name numbers as they like.
        "UPDATE message_tries SET error = NULL
         WHERE message IN (SELECT id FROM messages WHERE delivery = ?1)",
    ] {
        connection.prepare_cached(sql)?.execute([id.as_str()])?;
    }
    erase_claim_notes(connection, id)
}

/// Erases what drivers wrote about a delivery; it stays in the claims that they signed, until those are erased.
pub(crate) fn erase_claim_notes(
    connection: &Connection,
    id: &DeliveryId,
) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE claims SET note = '' WHERE delivery = ?1 AND note IS NOT NULL")?
        .execute([id.as_str()])?;
    Ok(())
}

/// Whether a claim is old enough to be erased.
pub(crate) fn any_claims(connection: &Connection, before: Timestamp) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT 1 FROM claims WHERE verdict IS NOT NULL AND document <> x'' AND received_at < ?1
               AND NOT EXISTS (SELECT 1 FROM disputes AS s
                               WHERE s.delivery = claims.delivery AND s.ended_at IS NULL)",
        )?
        .exists([At(before)])?)
}

/// Erases claims that came in before then, and what they are judged by; those of open disputes stay.
pub(crate) fn erase_claims(
    connection: &Connection,
    before: Timestamp,
    limit: u32,
) -> Result<(), StoreError> {
    let sql = "SELECT log_seq, delivery, generation FROM claims
               WHERE verdict IS NOT NULL AND document <> x'' AND received_at < ?1
                 AND NOT EXISTS (SELECT 1 FROM disputes AS s
                                 WHERE s.delivery = claims.delivery AND s.ended_at IS NULL)
               LIMIT ?2";
    let found: Vec<(i64, String, u32)> = all(connection, sql, &[&At(before), &limit], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    for (log_seq, delivery, generation) in found {
        connection
            .prepare_cached(
                "UPDATE claims SET document = x'', note = CASE WHEN note IS NULL THEN NULL ELSE '' END
                 WHERE log_seq = ?1",
            )?
            .execute([log_seq])?;
        // Another claim on the generation may still be looked at again.
        connection
            .prepare_cached(
                "DELETE FROM held_codes WHERE delivery = ?1 AND generation = ?2
                   AND NOT EXISTS (SELECT 1 FROM claims
                                   WHERE delivery = ?1 AND generation = ?2 AND document <> x'')",
            )?
            .execute(params![delivery, generation])?;
    }
    Ok(())
}

/// Whether an event is old enough to be forgotten.
pub(crate) fn any_events(connection: &Connection, before: Timestamp) -> Result<bool, StoreError> {
    // The oldest one says it for all.
    Ok(connection
        .prepare_cached("SELECT 1 FROM (SELECT at FROM events ORDER BY seq LIMIT 1) WHERE at < ?1")?
        .exists([At(before)])?)
}

/// Forgets events that happened before then, and where they were on their way to.
pub(crate) fn forget_events(
    connection: &Connection,
    before: Timestamp,
    limit: u32,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE at < ?1 ORDER BY seq LIMIT ?2)",
        )?
        .execute(params![At(before), limit])?;
    Ok(())
}
