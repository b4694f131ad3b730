//! Deliveries and the people they are for.

use super::StoreError;
use super::value::{At, named, parsed};
use crate::messages::Place;
use doorstep::id::{DeliveryId, DeviceId};
use doorstep::time::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, named_params, params};
use std::fmt;

named! {
    /// How far a delivery has come.
    enum State {
        Created = "created",
        Planned = "planned",
        HandedOut = "handed_out",
        Notified = "notified",
        Reported = "reported",
        Delivered = "delivered",
        Disputed = "disputed",
        Failed = "failed",
        Expired = "expired",
        Cancelled = "cancelled",
    }
}

named! {
    /// Why an attempt failed: what a driver may say, and one that only an operator can.
    enum FailureReason {
        Absent = "absent",
        RefusedByRecipient = "refused_by_recipient",
        WrongAddress = "wrong_address",
        Damaged = "damaged",
        NoAccess = "no_access",
        Other = "other",
        /// A dispute was resolved this way.
        NotDelivered = "not_delivered",
    }
}

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: FailureReason,
    /// In the driver's words, or the operator's.
    pub(crate) note: Option<String>,
    pub(crate) at: Timestamp,
    /// Whose device said so; `None` when an operator did.
    pub(crate) device: Option<String>,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recipient {
    pub(crate) name: String,
    pub(crate) phone: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// The place in the list, in order of creation.
    pub(crate) seq: i64,
    pub(crate) id: DeliveryId,
    pub(crate) reference: String,
    pub(crate) address: String,
    pub(crate) note: Option<String>,
    pub(crate) state: State,
    /// The newest generation; 0 until planned.
    pub(crate) generation: u32,
    /// Which device has it; none when the server checks.
    pub(crate) device: Option<DeviceId>,
    pub(crate) expected_at: Option<Timestamp>,
    /// The last attempt that failed, also after it was planned again.
    pub(crate) failure: Option<Failure>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// In order of their slots.
    pub(crate) recipients: Vec<Recipient>,
}

/// What is needed to store a new delivery. All of it was checked before.
#[derive(Clone, Debug)]
pub(crate) struct NewDelivery {
    pub(crate) id: DeliveryId,
    pub(crate) reference: String,
    pub(crate) address: String,
    pub(crate) note: Option<String>,
    /// What the customer reads and where he is, if the settings are not to say so.
    pub(crate) place: Place,
    pub(crate) recipients: Vec<Recipient>,
}

/// Whether a delivery was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    Yes,
    /// Another delivery has its reference.
    DuplicateReference,
}

pub(crate) fn insert(
    connection: &Connection,
    delivery: &NewDelivery,
    now: Timestamp,
) -> Result<Inserted, StoreError> {
    let result = connection
        .prepare_cached(
            "INSERT INTO deliveries (id, reference, address, note, language, zone, state,
                                     created_at, updated_at)
             VALUES (:id, :reference, :address, :note, :language, :zone, 'created', :now, :now)",
        )?
        .execute(named_params! {
            ":id": delivery.id.as_str(), ":reference": delivery.reference,
            ":address": delivery.address, ":note": delivery.note, ":now": At(now),
            ":language": delivery.place.language, ":zone": delivery.place.zone,
        });
    match result {
        // The id is random, so the constraint that failed is the reference's.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            return Ok(Inserted::DuplicateReference);
        }
        other => other?,
    };
    let mut statement = connection.prepare_cached(
        "INSERT INTO recipients (delivery, slot, name, phone) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (slot, recipient) in (0_i64..).zip(&delivery.recipients) {
        statement.execute(params![delivery.id.as_str(), slot, recipient.name, recipient.phone])?;
    }
    connection
        .prepare_cached(
            "INSERT INTO delivery_words (rowid, text) SELECT seq, text FROM delivery_texts WHERE id = ?1",
        )?
        .execute([delivery.id.as_str()])?;
    Ok(Inserted::Yes)
}

/// Whether a delivery has this reference.
pub(crate) fn has_reference(connection: &Connection, reference: &str) -> Result<bool, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT 1 FROM deliveries WHERE reference = ?1")?;
    Ok(statement.exists([reference])?)
}

const COLUMNS: &str =
    "seq, id, reference, address, note, state, generation, created_at, updated_at,
     failure_reason, failure_note, failed_at, failed_by,
     device, expected_at";

pub(crate) fn find(
    connection: &Connection,
    id: &DeliveryId,
) -> Result<Option<Delivery>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM deliveries WHERE id = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([id.as_str()])?;
    rows.next()?.map(|row| read(connection, row)).transpose()
}

/// The delivery with a reference.
pub(crate) fn by_reference(
    connection: &Connection,
    reference: &str,
) -> Result<Option<Delivery>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM deliveries WHERE reference = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([reference])?;
    rows.next()?.map(|row| read(connection, row)).transpose()
}

/// The delivery with an id, or with a reference. A reference may look like an id; it counts if no
/// delivery has the id.
pub(crate) fn named(connection: &Connection, name: &str) -> Result<Option<Delivery>, StoreError> {
    if let Ok(id) = DeliveryId::parse(name)
        && let Some(delivery) = find(connection, &id)?
    {
        return Ok(Some(delivery));
    }
    by_reference(connection, name)
}

fn read(connection: &Connection, row: &Row<'_>) -> Result<Delivery, StoreError> {
    let id =
        parsed("deliveries.id", row.get_ref(1)?.as_str().unwrap_or_default(), DeliveryId::parse)?;
    let state =
        parsed("deliveries.state", row.get_ref(5)?.as_str().unwrap_or_default(), State::parse)?;
    let recipients = connection
        .prepare_cached("SELECT name, phone FROM recipients WHERE delivery = ?1 ORDER BY slot")?
        .query_map([id.as_str()], |row| Ok(Recipient { name: row.get(0)?, phone: row.get(1)? }))?
        .collect::<Result<_, _>>()?;
    let failure = match row.get_ref(9)?.as_str_or_null().map_err(rusqlite::Error::from)? {
        Some(reason) => Some(Failure {
            reason: parsed("deliveries.failure_reason", reason, FailureReason::parse)?,
            note: row.get(10)?,
            at: row.get::<_, At>(11)?.0,
            device: row.get(12)?,
        }),
        None => None,
    };
    let device: Option<String> = row.get(13)?;
    Ok(Delivery {
        seq: row.get(0)?,
        id,
        reference: row.get(2)?,
        address: row.get(3)?,
        note: row.get(4)?,
        state,
        generation: row.get(6)?,
        failure,
        device: device.map(|id| parsed("deliveries.device", &id, DeviceId::parse)).transpose()?,
        expected_at: row.get::<_, Option<At>>(14)?.map(|at| at.0),
        created_at: row.get::<_, At>(7)?.0,
        updated_at: row.get::<_, At>(8)?.0,
        recipients,
    })
}

/// Moves a delivery on.
pub(crate) fn set_state(
    connection: &Connection,
    id: &DeliveryId,
    state: State,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE deliveries SET state = ?2, updated_at = ?3 WHERE id = ?1")?
        .execute(params![id.as_str(), state.as_str(), At(now)])?;
    Ok(())
}

/// Moves a delivery on if it is in one of the states `from`.
pub(crate) fn advance(
    connection: &Connection,
    id: &DeliveryId,
    from: &[State],
    to: State,
    now: Timestamp,
) -> Result<(), StoreError> {
    let current = connection
        .prepare_cached("SELECT state FROM deliveries WHERE id = ?1")?
        .query_row([id.as_str()], |row| row.get::<_, String>(0))
        .optional()?;
    match current {
        Some(current) if from.iter().any(|state| state.as_str() == current) => {
            set_state(connection, id, to, now)
        }
        _ => Ok(()),
    }
}

/// Makes a delivery failed if it is in one of the states `from`; says whether it was.
pub(crate) fn fail(
    connection: &Connection,
    id: &DeliveryId,
    from: &[State],
    failure: &Failure,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let from: Vec<&str> = from.iter().copied().map(State::as_str).collect();
    let changed = connection
        .prepare_cached(
            "UPDATE deliveries SET state = 'failed', failure_reason = :reason, failure_note = :note,
                 failed_at = :at, failed_by = :device, updated_at = :now
             WHERE id = :id AND instr(:from, ' ' || state || ' ')",
        )?
        .execute(named_params! {
            ":id": id.as_str(), ":reason": failure.reason.as_str(), ":note": failure.note,
            ":at": At(failure.at), ":device": failure.device, ":now": At(now),
            ":from": format!(" {} ", from.join(" ")),
        })?;
    Ok(changed == 1)
}

/// Makes `generation` the delivery's newest, planned one.
pub(crate) fn plan(
    connection: &Connection,
    id: &DeliveryId,
    (generation, device): (u32, Option<&DeviceId>),
    expected_at: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE deliveries SET state = 'planned', generation = ?2, updated_at = ?3, device = ?4,
                                   expected_at = ?5
             WHERE id = ?1",
        )?
        .execute(params![
            id.as_str(),
            generation,
            At(now),
            device.map(DeviceId::as_str),
            At(expected_at)
        ])?;
    Ok(())
}
