//! Drivers' devices: invited by a one-time ticket, then known by their public key.

use super::StoreError;
use super::value::{At, Count, named, parsed};
use doorstep::cose::keys::PublicKey;
use doorstep::id::DeviceId;
use doorstep::ledger::Head;
use doorstep::time::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, named_params, params};

named! {
    /// What the issuer thinks of a device.
    enum State {
        /// A ticket was made and not used yet.
        Invited = "invited",
        /// It has a key and may be handed routes.
        Enrolled = "enrolled",
        /// It came back with less than it had acknowledged: a restored backup.
        RolledBack = "rolled_back",
        /// Two different histories came under one key: a copy.
        Forked = "forked",
        /// Reported lost: it is handed nothing until it is enrolled anew.
        Lost = "lost",
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    /// The place in the list, in order of creation.
    pub(crate) seq: i64,
    pub(crate) id: DeviceId,
    pub(crate) driver: String,
    pub(crate) state: State,
    pub(crate) created_at: Timestamp,
    pub(crate) enrolled_at: Option<Timestamp>,
    pub(crate) last_sync_at: Option<Timestamp>,
    pub(crate) route_version: u64,
    pub(crate) claims: u64,
    /// Whether it may check whole codes.
    pub(crate) managed: bool,
}

pub(crate) fn invite(
    connection: &Connection,
    id: &DeviceId,
    driver: &str,
    managed: bool,
    ticket_hash: &[u8; 32],
    ticket_expires_at: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO devices (id, driver, state, managed, ticket_hash, ticket_expires_at, created_at)
             VALUES (:id, :driver, 'invited', :managed, :hash, :expires, :now)",
        )?
        .execute(named_params! {
            ":id": id.as_str(), ":driver": driver, ":managed": managed, ":hash": ticket_hash,
            ":expires": At(ticket_expires_at), ":now": At(now),
        })?;
    Ok(())
}

const COLUMNS: &str =
    "seq, id, driver, state, created_at, enrolled_at, last_sync_at, route_version, claim_number,
     managed";

pub(crate) fn find(connection: &Connection, id: &DeviceId) -> Result<Option<Device>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM devices WHERE id = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([id.as_str()])?;
    rows.next()?.map(read).transpose()
}

/// Up to `limit` devices after `after`, in order of creation.
pub(crate) fn page(
    connection: &Connection,
    after: i64,
    limit: u32,
) -> Result<Vec<Device>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM devices WHERE seq > ?1 ORDER BY seq LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query((after, limit))?;
    let mut page = Vec::new();
    while let Some(row) = rows.next()? {
        page.push(read(row)?);
    }
    Ok(page)
}

fn read(row: &Row<'_>) -> Result<Device, StoreError> {
    Ok(Device {
        seq: row.get(0)?,
        id: parsed("devices.id", row.get_ref(1)?.as_str().unwrap_or_default(), DeviceId::parse)?,
        driver: row.get(2)?,
        state: parsed("devices.state", row.get_ref(3)?.as_str().unwrap_or_default(), State::parse)?,
        created_at: row.get::<_, At>(4)?.0,
        enrolled_at: row.get::<_, Option<At>>(5)?.map(|at| at.0),
        last_sync_at: row.get::<_, Option<At>>(6)?.map(|at| at.0),
        route_version: row.get::<_, Count>(7)?.0,
        claims: row.get::<_, Count>(8)?.0,
        managed: row.get(9)?,
    })
}

/// What a ticket leads to.
pub(crate) struct Invitation {
    pub(crate) id: DeviceId,
    pub(crate) driver: String,
    pub(crate) expires_at: Timestamp,
    /// The key that already enrolled with it.
    pub(crate) public_key: Option<PublicKey>,
    /// Whether the device may check whole codes.
    pub(crate) managed: bool,
}

pub(crate) fn by_ticket(
    connection: &Connection,
    ticket_hash: &[u8; 32],
) -> Result<Option<Invitation>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, driver, ticket_expires_at, public_key, managed FROM devices WHERE ticket_hash = ?1",
    )?;
    let mut rows = statement.query([ticket_hash])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(Invitation {
        id: parsed("devices.id", row.get_ref(0)?.as_str().unwrap_or_default(), DeviceId::parse)?,
        driver: row.get(1)?,
        expires_at: row.get::<_, At>(2)?.0,
        public_key: read_key(row.get(3)?)?,
        managed: row.get(4)?,
    }))
}

/// Whether a device was enrolled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Enrolled {
    Yes,
    /// Another device has this key.
    KeyTaken,
}

pub(crate) fn enrol(
    connection: &Connection,
    id: &DeviceId,
    key: &PublicKey,
    now: Timestamp,
) -> Result<Enrolled, StoreError> {
    let result = connection
        .prepare_cached(
            "UPDATE devices SET state = 'enrolled', public_key = :key, enrolled_at = :now, state_at = :now
             WHERE id = :id AND state = 'invited'",
        )?
        .execute(named_params! {":id": id.as_str(), ":key": key.to_bytes(), ":now": At(now)});
    match result {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            Ok(Enrolled::KeyTaken)
        }
        Ok(1) => Ok(Enrolled::Yes),
        Ok(_) => Err(StoreError::Corrupt { column: "devices.state" }),
        Err(error) => Err(error.into()),
    }
}

/// The key of an enrolled device, in whatever standing.
pub(crate) fn key(connection: &Connection, id: &DeviceId) -> Result<Option<PublicKey>, StoreError> {
    let bytes = connection
        .prepare_cached("SELECT public_key FROM devices WHERE id = ?1")?
        .query_row([id.as_str()], |row| row.get::<_, Option<[u8; 33]>>(0))
        .optional()?;
    read_key(bytes.flatten())
}

fn read_key(bytes: Option<[u8; 33]>) -> Result<Option<PublicKey>, StoreError> {
    bytes
        .map(|bytes| PublicKey::from_bytes(&bytes))
        .transpose()
        .map_err(|_| StoreError::Corrupt { column: "devices.public_key" })
}

/// How far the issuer and a device have come with each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) state: State,
    pub(crate) route_version: u64,
    pub(crate) claim_number: u64,
    pub(crate) claim_hash: [u8; 32],
    /// The journal's head when the device last asked for its route.
    pub(crate) journal: Head,
    /// The head that the last acknowledgement asked for.
    pub(crate) prove: Head,
    pub(crate) nonce: [u8; 16],
}

pub(crate) fn progress(connection: &Connection, id: &DeviceId) -> Result<Progress, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT state, route_version, claim_number, claim_hash, journal_seq, journal_hash,
                prove_seq, prove_hash, nonce FROM devices WHERE id = ?1",
    )?;
    let mut rows = statement.query([id.as_str()])?;
    let row = rows.next()?.ok_or(StoreError::Corrupt { column: "devices.id" })?;
    Ok(Progress {
        state: parsed("devices.state", row.get_ref(0)?.as_str().unwrap_or_default(), State::parse)?,
        route_version: row.get::<_, Count>(1)?.0,
        claim_number: row.get::<_, Count>(2)?.0,
        claim_hash: row.get(3)?,
        journal: Head { seq: row.get::<_, Count>(4)?.0, hash: row.get(5)? },
        prove: Head { seq: row.get::<_, Count>(6)?.0, hash: row.get(7)? },
        nonce: row.get(8)?,
    })
}

pub(crate) fn set_state(
    connection: &Connection,
    id: &DeviceId,
    state: State,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE devices SET state = ?2, state_at = ?3 WHERE id = ?1")?
        .execute(params![id.as_str(), state.as_str(), At(now)])?;
    Ok(())
}

/// Notes up to which claim a device's claims were taken in.
pub(crate) fn claimed(
    connection: &Connection,
    id: &DeviceId,
    number: u64,
    hash: &[u8; 32],
) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE devices SET claim_number = ?2, claim_hash = ?3 WHERE id = ?1")?
        .execute(params![id.as_str(), Count(number), hash])?;
    Ok(())
}

/// Notes that a device itself was here, and what its next request has to name.
pub(crate) fn acknowledged(
    connection: &Connection,
    id: &DeviceId,
    nonce: &[u8; 16],
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE devices SET nonce = :nonce, prove_seq = journal_seq, prove_hash = journal_hash,
                                last_sync_at = :now WHERE id = :id",
        )?
        .execute(named_params! {":id": id.as_str(), ":nonce": nonce, ":now": At(now)})?;
    Ok(())
}

/// Notes the journal's head that a device proved, and the newest route made for it.
pub(crate) fn routed(
    connection: &Connection,
    id: &DeviceId,
    journal: Head,
    route_version: u64,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE devices SET journal_seq = :seq, journal_hash = :hash, route_version = :version
             WHERE id = :id",
        )?
        .execute(named_params! {
            ":id": id.as_str(), ":seq": Count(journal.seq), ":hash": journal.hash,
            ":version": Count(route_version),
        })?;
    Ok(())
}

/// Reports a device lost, with a ticket that was not used yet.
pub(crate) fn lose(
    connection: &Connection,
    id: &DeviceId,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE devices SET ticket_expires_at = min(ticket_expires_at, ?2) WHERE id = ?1",
        )?
        .execute(params![id.as_str(), At(now)])?;
    set_state(connection, id, State::Lost, now)
}
