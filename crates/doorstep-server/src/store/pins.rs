//! PINs that were given: what each means, until when it should open, and whether it still may. Their
//! digits are derived whenever they are shown.

use super::StoreError;
use super::bookings::{class_number, window};
use super::locks::Lock;
use super::value::{At, named, parsed};
use doorstep::keypad::profile::{Fit, Profile};
use doorstep::keypad::tuple::Tuple;
use doorstep::time::{Timestamp, Window};
use rusqlite::{Connection, Row, params};

named! {
    /// Why a PIN should open no more.
    enum Because {
        /// Its booking was cancelled.
        Cancelled = "cancelled",
        /// Its booking has another window.
        Changed = "changed",
        /// Its holder has a newer one.
        Renewed = "renewed",
        /// Its epoch ended.
        Epoch = "epoch",
        /// Its lock was provisioned anew.
        Provisioned = "provisioned",
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pin {
    pub(crate) seq: i64,
    /// The booking's `seq`.
    pub(crate) booking: i64,
    pub(crate) lock_generation: u32,
    pub(crate) tuple: Tuple,
    pub(crate) epoch: u32,
    pub(crate) opens: Window,
    /// Why it should open no more.
    pub(crate) ended: Option<Because>,
    /// When it opened no more, as far as that is known.
    pub(crate) done_at: Option<Timestamp>,
}

/// Gives a PIN of the lock's generation and an epoch.
pub(crate) fn insert(
    connection: &Connection,
    (lock, lock_generation): (&Lock, u32),
    booking: i64,
    tuple: &Tuple,
    epoch: u32,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let corrupt = StoreError::Corrupt { column: "pins.class" };
    let opens = Window::new(tuple.from(), tuple.until()).ok_or(corrupt)?;
    let fit = Fit { class: tuple.class, index: tuple.index, window: opens };
    let class = class_number(&lock.profile, &fit);
    connection
        .prepare_cached(
            "INSERT INTO pins (booking, lock, lock_generation, class, beginning, holder, generation,
                 epoch, opens_from, opens_until, made_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            booking,
            lock.seq,
            lock_generation,
            class,
            tuple.index,
            tuple.holder,
            tuple.generation,
            epoch,
            At(opens.from()),
            At(opens.until()),
            At(now)
        ])?;
    Ok(connection.last_insert_rowid())
}

const COLUMNS: &str = "seq, booking, lock_generation, class, beginning, holder, generation, epoch,
     opens_from, opens_until, because, done_at";

/// All PINs that were ever given for a window, in this generation of the lock.
pub(crate) fn of_window(
    connection: &Connection,
    (lock, lock_generation): (&Lock, u32),
    fit: &Fit,
) -> Result<Vec<Pin>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM pins WHERE lock = ?1 AND lock_generation = ?2 AND class = ?3
             AND beginning = ?4"
    );
    let class = class_number(&lock.profile, fit);
    let values = params![lock.seq, lock_generation, class, fit.index];
    select(connection, &lock.profile, &sql, values)
}

/// All PINs of a generation of the lock whose windows meet a span, given up or not.
pub(crate) fn meeting(
    connection: &Connection,
    (lock, lock_generation): (&Lock, u32),
    span: &Window,
) -> Result<Vec<Pin>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM pins INDEXED BY pins_by_end
         WHERE lock = ?1 AND opens_until > ?2 AND opens_until < ?3 AND opens_from < ?4
             AND lock_generation = ?5"
    );
    let last = At(span.until().later(lock.profile.longest()));
    let values = params![lock.seq, At(span.from()), last, At(span.until()), lock_generation];
    select(connection, &lock.profile, &sql, values)
}

/// The PINs of a lock that are to open and whose windows end after `now`, by booking.
pub(crate) fn open_after(
    connection: &Connection,
    lock: &Lock,
    now: Timestamp,
) -> Result<Vec<Pin>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM pins INDEXED BY pins_by_end
         WHERE lock = ?1 AND opens_until > ?2 AND ended_at IS NULL ORDER BY booking, holder, seq"
    );
    select(connection, &lock.profile, &sql, params![lock.seq, At(now)])
}

/// The PINs of a lock that are to open no more, may do so still, and whose windows end after `since`.
pub(crate) fn undone_after(
    connection: &Connection,
    lock: &Lock,
    since: Timestamp,
) -> Result<Vec<Pin>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM pins INDEXED BY pins_undone
         WHERE lock = ?1 AND opens_until > ?2 AND ended_at IS NOT NULL AND done_at IS NULL"
    );
    select(connection, &lock.profile, &sql, params![lock.seq, At(since)])
}

/// Whether a PIN of this epoch, or a later one, is to open before `until`.
pub(crate) fn any_open(
    connection: &Connection,
    lock: &Lock,
    epoch: u32,
    (since, until): (Timestamp, Timestamp),
) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT 1 FROM pins INDEXED BY pins_by_end
             WHERE lock = ?1 AND opens_until > ?2 AND opens_from < ?3 AND lock_generation = ?4
                 AND epoch >= ?5 AND ended_at IS NULL LIMIT 1",
        )?
        .exists(params![lock.seq, At(since), At(until), lock.generation, epoch])?)
}

/// The PINs of a booking, in the order in which they were given.
pub(crate) fn of_booking(
    connection: &Connection,
    lock: &Lock,
    booking: i64,
) -> Result<Vec<Pin>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM pins WHERE booking = ?1 ORDER BY seq");
    select(connection, &lock.profile, &sql, params![booking])
}

/// The PIN that a lock named in its journal.
pub(crate) fn find(
    connection: &Connection,
    lock: &Lock,
    tuple: &Tuple,
    epoch: u32,
) -> Result<Option<i64>, StoreError> {
    let Some(window) = Window::new(tuple.from(), tuple.until()) else { return Ok(None) };
    let fit = Fit { class: tuple.class, index: tuple.index, window };
    let all = of_window(connection, (lock, lock.generation), &fit)?;
    let found = all.iter().find(|pin| pin.tuple == *tuple && pin.epoch == epoch);
    Ok(found.map(|pin| pin.seq))
}

/// From now on it should open no more.
pub(crate) fn end(
    connection: &Connection,
    seq: i64,
    because: Because,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE pins SET ended_at = ?2, because = ?3 WHERE seq = ?1 AND ended_at IS NULL",
        )?
        .execute(params![seq, At(now), because.as_str()])?;
    Ok(())
}

/// At this time it opened no more. The first that is known is kept.
pub(crate) fn done(connection: &Connection, seq: i64, at: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE pins SET done_at = coalesce(done_at, ?2) WHERE seq = ?1")?
        .execute(params![seq, At(at)])?;
    Ok(())
}

/// Takes back that PINs of the lock's generation, of epochs from one until another, opened no more.
pub(crate) fn not_done(
    connection: &Connection,
    lock: &Lock,
    (first, end): (u32, u32),
    since: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE pins INDEXED BY pins_by_end SET done_at = NULL
             WHERE lock = ?1 AND opens_until > ?2 AND lock_generation = ?3 AND epoch >= ?4
                 AND epoch < ?5 AND done_at IS NOT NULL",
        )?
        .execute(params![lock.seq, At(since), lock.generation, first, end])?;
    Ok(())
}

fn select(
    connection: &Connection,
    profile: &Profile,
    sql: &str,
    values: &[&dyn rusqlite::ToSql],
) -> Result<Vec<Pin>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row, profile)?);
    }
    Ok(all)
}

fn read(row: &Row<'_>, profile: &Profile) -> Result<Pin, StoreError> {
    let class = profile.classes().get(usize::from(row.get::<_, u8>(3)?));
    let class = *class.ok_or(StoreError::Corrupt { column: "pins.class" })?;
    let ended = match row.get_ref(10)?.as_str_or_null() {
        Ok(Some(because)) => Some(parsed("pins.because", because, Because::parse)?),
        _ => None,
    };
    Ok(Pin {
        seq: row.get(0)?,
        booking: row.get(1)?,
        lock_generation: row.get(2)?,
        tuple: Tuple { class, index: row.get(4)?, holder: row.get(5)?, generation: row.get(6)? },
        epoch: row.get(7)?,
        opens: window(row, 8, "pins.opens_until")?,
        ended,
        done_at: row.get::<_, Option<At>>(11)?.map(|at| at.0),
    })
}
