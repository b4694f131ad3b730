//! Drivers' devices: invited by a one-time ticket, then known by their public key.

use super::StoreError;
use super::value::{At, parsed};
use doorstep::id::DeviceId;
use doorstep::time::Timestamp;
use rusqlite::{Connection, Row, named_params};

/// What the issuer thinks of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// A ticket was made and not used yet.
    Invited,
    /// It has a key and may be handed routes.
    Enrolled,
    /// It came back with less than it had acknowledged: a restored backup.
    RolledBack,
    /// Two different histories came under one key: a copy.
    Forked,
}

impl State {
    const ALL: [Self; 4] = [
        Self::Invited,
        Self::Enrolled,
        Self::RolledBack,
        Self::Forked,
    ];

    /// The name in the database and in the API.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Enrolled => "enrolled",
            Self::RolledBack => "rolled_back",
            Self::Forked => "forked",
        }
    }

    fn parse(text: &str) -> Result<Self, ()> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    /// The place in the list, in order of creation.
    pub(crate) seq: i64,
    pub(crate) id: DeviceId,
    pub(crate) driver: String,
    pub(crate) state: State,
    pub(crate) ticket_expires_at: Timestamp,
    pub(crate) created_at: Timestamp,
    pub(crate) enrolled_at: Option<Timestamp>,
    pub(crate) last_sync_at: Option<Timestamp>,
}

pub(crate) fn invite(
    connection: &Connection,
    id: &DeviceId,
    driver: &str,
    ticket_hash: &[u8; 32],
    ticket_expires_at: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO devices (id, driver, state, ticket_hash, ticket_expires_at, created_at)
             VALUES (:id, :driver, 'invited', :hash, :expires, :now)",
        )?
        .execute(named_params! {
            ":id": id.as_str(), ":driver": driver, ":hash": ticket_hash,
            ":expires": At(ticket_expires_at), ":now": At(now),
        })?;
    Ok(())
}

const COLUMNS: &str =
    "seq, id, driver, state, ticket_expires_at, created_at, enrolled_at, last_sync_at";

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
        id: parsed(
            "devices.id",
            row.get_ref(1)?.as_str().unwrap_or_default(),
            DeviceId::parse,
        )?,
        driver: row.get(2)?,
        state: parsed(
            "devices.state",
            row.get_ref(3)?.as_str().unwrap_or_default(),
            State::parse,
        )?,
        ticket_expires_at: row.get::<_, At>(4)?.0,
        created_at: row.get::<_, At>(5)?.0,
        enrolled_at: row.get::<_, Option<At>>(6)?.map(|at| at.0),
        last_sync_at: row.get::<_, Option<At>>(7)?.map(|at| at.0),
    })
}
