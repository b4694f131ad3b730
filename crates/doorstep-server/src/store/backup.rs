//! Copies of the database: one that is whole while a server writes, and one that takes the place of what was
//! lost.

use super::restore::{self, Access, Open, Voided};
use super::{StoreError, make_durable, make_private_file, meta, migrate, open, open_to_read};
use crate::init::Mode;
use crate::store::value::parsed;
use doorstep::id::IssuerId;
use doorstep::time::Timestamp;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// Whose a database is.
pub(crate) struct Owner {
    pub(crate) issuer: IssuerId,
    pub(crate) mode: Mode,
    pub(crate) key_check: String,
    /// When it was copied, if it is a backup.
    pub(crate) backup_at: Option<Timestamp>,
}

fn owner(connection: &Connection) -> Result<Owner, StoreError> {
    let read = |key, column| meta::get(connection, key)?.ok_or(StoreError::Corrupt { column });
    let backup_at = meta::get(connection, meta::BACKUP)?
        .map(|text| parsed("meta.backup", &text, str::parse).map(Timestamp::from_seconds))
        .transpose()?;
    Ok(Owner {
        issuer: parsed("meta.issuer", &read(meta::ISSUER, "meta.issuer")?, IssuerId::parse)?,
        mode: parsed("meta.mode", &read(meta::MODE, "meta.mode")?, Mode::parse)?,
        key_check: read(meta::KEY_CHECK, "meta.key_check")?,
        backup_at,
    })
}

/// Copies a database as it is at one moment, and marks the copy as one. `to` must not be there.
pub(crate) fn copy(from: &Path, to: &Path, now: Timestamp) -> Result<Owner, StoreError> {
    let make = |source| StoreError::Make { path: to.to_owned(), source };
    let source = open_to_read(from)?;
    // Made here, since SQLite would let others read it.
    make_private_file(to).map_err(make)?;
    let name = to.to_str().ok_or_else(|| make(std::io::ErrorKind::InvalidFilename.into()))?;
    // One read transaction: what is written meanwhile is not in it, and nobody waits.
    source.execute("VACUUM INTO ?1", [name])?;
    drop(source);
    let copy = open(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    copy.execute_batch("PRAGMA synchronous=FULL; PRAGMA fullfsync=ON;")?;
    meta::set(&copy, meta::BACKUP, &now.seconds().to_string())?;
    whole(&copy)?;
    owner(&copy)
}

fn whole(connection: &Connection) -> Result<(), StoreError> {
    match restore::damage(connection)? {
        None => Ok(()),
        Some(found) => Err(StoreError::Damaged { found }),
    }
}

/// What was made of a copy.
pub(crate) struct SetBack {
    pub(crate) epoch: u64,
    pub(crate) voided: Voided,
    pub(crate) open: Open,
}

/// Makes a copy one that a server may run on: checks it, brings its schema up to date and voids what it cannot
/// vouch for, in one transaction. `agree` is told whose it is and may refuse. A `rehearsal` changes nothing.
pub(crate) fn set_back<E: From<StoreError>>(
    path: &Path,
    access: Access,
    now: Timestamp,
    rehearsal: bool,
    agree: impl FnOnce(&Owner) -> Result<(), E>,
) -> Result<(Owner, SetBack), E> {
    let mut connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    make_durable(&connection)?;
    whole(&connection)?;
    migrate::run(&mut connection, |_| Ok(()))?;
    let owner = owner(&connection)?;
    agree(&owner)?;
    let transaction = connection.transaction().map_err(StoreError::from)?;
    let (epoch, voided) = restore::void(&transaction, access, now)?;
    let open = restore::open(&transaction, now)?;
    if rehearsal {
        transaction.rollback().map_err(StoreError::from)?;
    } else {
        transaction.commit().map_err(StoreError::from)?;
    }
    // One file again, before it gets its name.
    connection.execute_batch("PRAGMA journal_mode=DELETE").map_err(StoreError::from)?;
    Ok((owner, SetBack { epoch, voided, open }))
}
