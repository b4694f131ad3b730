//! Locks: how each was provisioned, in which epoch its PINs are, and what its last journal told.

use super::StoreError;
use super::value::{At, Count, named, parsed};
use doorstep::clock::{AfterPowerLoss, Clock, Oscillator};
use doorstep::id::LockId;
use doorstep::keypad::profile::{Profile, Uses};
use doorstep::ledger::Head;
use doorstep::otp::totp::Totp;
use doorstep::otp::{Algorithm, Digits};
use doorstep::pass::claims::Audience;
use doorstep::time::Timestamp;
use rusqlite::{Connection, ErrorCode, Row, named_params, params};
use std::num::NonZeroU64;

named! {
    /// What a profile was asked for as.
    enum Kind {
        /// Courts and rooms by the hour.
        Courts = "courts",
        /// From half an hour to 28 days.
        General = "general",
        /// Nights.
        Stays = "stays",
    }
}

named! {
    /// How an epoch's code ends the epoch before.
    enum How {
        /// When the first PIN of the new epoch is used.
        Announce = "announce",
        /// When it is typed.
        End = "end",
    }
}

named! {
    /// Which passes a lock takes.
    enum Takes {
        /// Signed ones, and those under its own key.
        Signed = "signed",
        /// Those under its own key.
        Mac = "mac",
        /// None.
        None = "none",
    }
}

/// The next epoch, for which a code was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) epoch: u32,
    pub(crate) how: How,
}

/// A TOTP secret that the lock shares with the service, still sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SealedSteps {
    pub(crate) totp: Totp,
    pub(crate) sealed: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) struct Lock {
    /// The place in the list, in order of creation, and what other tables name it by.
    pub(crate) seq: i64,
    pub(crate) id: LockId,
    pub(crate) site: String,
    /// The site's key, sealed.
    pub(crate) sealed_key: Vec<u8>,
    pub(crate) name: String,
    pub(crate) generation: u32,
    pub(crate) epoch: u32,
    /// Whether the lock may take PINs of the epoch before as well.
    pub(crate) announced: bool,
    /// When the epoch was confirmed; none for the first.
    pub(crate) epoch_at: Option<Timestamp>,
    pub(crate) pending: Option<Pending>,
    pub(crate) kind: Kind,
    pub(crate) uses: Uses,
    pub(crate) profile: Profile,
    pub(crate) clock: Clock,
    pub(crate) steps: Option<SealedSteps>,
    pub(crate) takes: Takes,
    /// What it is called in passes.
    pub(crate) pass_name: Audience,
    /// The last rotation and bulletin that it knew when it was provisioned.
    pub(crate) rotation: u32,
    pub(crate) bulletin: u32,
    pub(crate) created_at: Timestamp,
    pub(crate) provisioned_at: Timestamp,
    /// The head of its journal, as far as it came home.
    pub(crate) head: Head,
    /// The state there, as the core writes it.
    pub(crate) state: Option<Vec<u8>>,
    pub(crate) last_contact: Option<Timestamp>,
    pub(crate) forked_at: Option<Timestamp>,
}

/// The name in the database and in the API.
pub(crate) const fn uses_name(uses: Uses) -> &'static str {
    match uses {
        Uses::Many => "many",
        Uses::Once => "once",
        Uses::Both => "both",
    }
}

pub(crate) fn parse_uses(name: &str) -> Result<Uses, ()> {
    [Uses::Many, Uses::Once, Uses::Both].into_iter().find(|uses| uses_name(*uses) == name).ok_or(())
}

/// Stores a lock that was just made; `None` when another lock of the site has its name.
pub(crate) fn insert(
    connection: &Connection,
    site: i64,
    new: &Lock,
) -> Result<Option<i64>, StoreError> {
    let result = connection
        .prepare_cached(
            "INSERT INTO locks (id, site, name, generation, epoch, kind, uses, profile, oscillator,
                 after_power_loss, totp_digits, totp_period, sealed_totp, takes, pass_name, rotation,
                 bulletin, created_at, provisioned_at)
             VALUES (:id, :site, :name, :generation, :epoch, :kind, :uses, :profile, :oscillator,
                 :after, :digits, :period, :sealed, :takes, :pass_name, :rotation, :bulletin, :created,
                 :provisioned)",
        )?
        .execute(named_params! {
            ":id": new.id.as_str(), ":site": site, ":name": new.name,
            ":generation": new.generation, ":epoch": new.epoch, ":kind": new.kind.as_str(),
            ":uses": uses_name(new.uses), ":profile": new.profile.to_bytes(),
            ":oscillator": new.clock.oscillator.name(),
            ":after": new.clock.after_power_loss.name(),
            ":digits": new.steps.as_ref().map(|steps| steps.totp.digits.get()),
            ":period": new.steps.as_ref().map(|steps| Count(steps.totp.period.get())),
            ":sealed": new.steps.as_ref().map(|steps| &steps.sealed),
            ":takes": new.takes.as_str(), ":pass_name": new.pass_name.as_str(),
            ":rotation": new.rotation, ":bulletin": new.bulletin,
            ":created": At(new.created_at), ":provisioned": At(new.provisioned_at),
        });
    match result {
        // The id is random, so the constraint that failed is the name's.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => Ok(None),
        other => {
            other?;
            Ok(Some(connection.last_insert_rowid()))
        }
    }
}

const COLUMNS: &str = "locks.seq, locks.id, sites.name, locks.name, generation, epoch, announced,
     pending_epoch, pending_how, kind, uses, profile, oscillator, after_power_loss, totp_digits,
     totp_period, sealed_totp, locks.created_at, provisioned_at, head_seq, head_hash, state, last_contact,
     forked_at, sealed_key, epoch_at, takes, pass_name, rotation, bulletin FROM locks JOIN sites ON sites.seq = locks.site";

pub(crate) fn find(connection: &Connection, id: &str) -> Result<Option<Lock>, StoreError> {
    one(connection, "locks.id = ?1", params![id])
}

/// The lock that has this name in passes.
pub(crate) fn by_pass_name(
    connection: &Connection,
    name: &Audience,
) -> Result<Option<Lock>, StoreError> {
    one(connection, "locks.pass_name = ?1", params![name.as_str()])
}

/// The lock of this `seq`, which another table named.
pub(crate) fn at(connection: &Connection, seq: i64) -> Result<Lock, StoreError> {
    let found = one(connection, "locks.seq = ?1", params![seq])?;
    found.ok_or(StoreError::Corrupt { column: "bookings.lock" })
}

/// The locks that take signed passes.
pub(crate) fn taking_signed(connection: &Connection) -> Result<Vec<Lock>, StoreError> {
    let sql = format!("SELECT {COLUMNS} WHERE takes = 'signed' ORDER BY locks.seq");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

fn one(
    connection: &Connection,
    which: &str,
    values: &[&dyn rusqlite::ToSql],
) -> Result<Option<Lock>, StoreError> {
    let sql = format!("SELECT {COLUMNS} WHERE {which}");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(values)?;
    rows.next()?.map(read).transpose()
}

/// Up to `limit` locks after `after`, in order of creation.
pub(crate) fn page(
    connection: &Connection,
    site: Option<&str>,
    name: Option<&str>,
    after: i64,
    limit: u32,
) -> Result<Vec<Lock>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} WHERE locks.seq > ?1 AND (?2 IS NULL OR sites.name = ?2)
             AND (?3 IS NULL OR locks.name = ?3) ORDER BY locks.seq LIMIT ?4"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![after, site, name, limit])?;
    let mut page = Vec::new();
    while let Some(row) = rows.next()? {
        page.push(read(row)?);
    }
    Ok(page)
}

fn read(row: &Row<'_>) -> Result<Lock, StoreError> {
    let text = |index| Ok::<_, rusqlite::Error>(row.get_ref(index)?.as_str().unwrap_or_default());
    let corrupt = |column| StoreError::Corrupt { column };
    let clock = Clock {
        oscillator: Oscillator::parse(text(12)?).ok_or_else(|| corrupt("locks.oscillator"))?,
        after_power_loss: AfterPowerLoss::parse(text(13)?)
            .ok_or_else(|| corrupt("locks.after_power_loss"))?,
    };
    let pending = match row.get::<_, Option<u32>>(7)? {
        Some(epoch) => {
            Some(Pending { epoch, how: parsed("locks.pending_how", text(8)?, How::parse)? })
        }
        None => None,
    };
    Ok(Lock {
        seq: row.get(0)?,
        id: parsed("locks.id", text(1)?, LockId::parse)?,
        site: row.get(2)?,
        name: row.get(3)?,
        generation: row.get(4)?,
        epoch: row.get(5)?,
        announced: row.get(6)?,
        pending,
        kind: parsed("locks.kind", text(9)?, Kind::parse)?,
        uses: parsed("locks.uses", text(10)?, parse_uses)?,
        profile: Profile::from_bytes(&row.get(11)?).ok_or_else(|| corrupt("locks.profile"))?,
        clock,
        steps: read_steps(row)?,
        created_at: row.get::<_, At>(17)?.0,
        provisioned_at: row.get::<_, At>(18)?.0,
        head: Head { seq: row.get::<_, Count>(19)?.0, hash: row.get(20)? },
        state: row.get(21)?,
        last_contact: row.get::<_, Option<At>>(22)?.map(|at| at.0),
        forked_at: row.get::<_, Option<At>>(23)?.map(|at| at.0),
        sealed_key: row.get(24)?,
        epoch_at: row.get::<_, Option<At>>(25)?.map(|at| at.0),
        takes: parsed("locks.takes", text(26)?, Takes::parse)?,
        pass_name: Audience::parse(text(27)?).ok_or_else(|| corrupt("locks.pass_name"))?,
        rotation: row.get(28)?,
        bulletin: row.get(29)?,
    })
}

fn read_steps(row: &Row<'_>) -> Result<Option<SealedSteps>, StoreError> {
    let (Some(digits), Some(Count(period)), Some(sealed)) =
        (row.get::<_, Option<u8>>(14)?, row.get(15)?, row.get(16)?)
    else {
        return Ok(None);
    };
    let digits = Digits::new(digits).ok_or(StoreError::Corrupt { column: "locks.totp_digits" })?;
    let period =
        NonZeroU64::new(period).ok_or(StoreError::Corrupt { column: "locks.totp_period" })?;
    let totp = Totp { algorithm: Algorithm::Sha1, digits, period, ..Totp::default() };
    Ok(Some(SealedSteps { totp, sealed }))
}

/// Stores the last statement about keys that a lock was provisioned with.
pub(crate) fn set_rotation(
    connection: &Connection,
    lock: i64,
    rotation: u32,
) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE locks SET rotation = ?2 WHERE seq = ?1")?
        .execute(params![lock, rotation])?;
    Ok(())
}

/// Begins a new generation: another root, another journal, perhaps another TOTP secret. The epoch stays.
pub(crate) fn provision(
    connection: &Connection,
    lock: &Lock,
    generation: u32,
    sealed_totp: Option<&[u8]>,
    (rotation, bulletin): (u32, u32),
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE locks SET generation = ?2, sealed_totp = ?3, provisioned_at = ?4, announced = 0,
                 pending_epoch = NULL, pending_how = NULL, head_seq = 0, head_hash = zeroblob(32),
                 state = NULL, last_contact = NULL, forked_at = NULL, rotation = ?5, bulletin = ?6
             WHERE seq = ?1",
        )?
        .execute(params![lock.seq, generation, sealed_totp, At(now), rotation, bulletin])?;
    Ok(())
}

/// Stores the next epoch, for which a code was made.
pub(crate) fn set_pending(
    connection: &Connection,
    lock: i64,
    pending: Pending,
) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE locks SET pending_epoch = ?2, pending_how = ?3 WHERE seq = ?1")?
        .execute(params![lock, pending.epoch, pending.how.as_str()])?;
    Ok(())
}

/// Stores in which epoch PINs are derived since `at`, and whether the one before may still open.
pub(crate) fn set_epoch(
    connection: &Connection,
    lock: i64,
    epoch: u32,
    announced: bool,
    at: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE locks SET epoch = ?2, announced = ?3, epoch_at = ?4, pending_epoch = NULL,
                 pending_how = NULL WHERE seq = ?1",
        )?
        .execute(params![lock, epoch, announced, At(at)])?;
    Ok(())
}

/// Stores what a journal told last.
pub(crate) fn heard(
    connection: &Connection,
    lock: i64,
    head: Head,
    state: &[u8],
    contact: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE locks SET head_seq = ?2, head_hash = ?3, state = ?4, last_contact = ?5
             WHERE seq = ?1",
        )?
        .execute(params![lock, Count(head.seq), head.hash, state, At(contact)])?;
    Ok(())
}

/// Notes that two of its journals contradict each other. The first time is kept.
pub(crate) fn forked(connection: &Connection, lock: i64, now: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE locks SET forked_at = coalesce(forked_at, ?2) WHERE seq = ?1")?
        .execute(params![lock, At(now)])?;
    Ok(())
}
