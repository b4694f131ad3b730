//! What journals told of locks: openings, codes of staff, power losses.

use super::StoreError;
use super::locks::Lock;
use super::value::{At, Count, named, parsed};
use doorstep::ledger::Head;
use doorstep::pass::claims::PassId;
use doorstep::pass::reader::GRACE;
use doorstep::time::Timestamp;
use rusqlite::{Connection, Row, named_params, params};

named! {
    /// What happened.
    enum Kind {
        /// It opened.
        Opened = "opened",
        /// A PIN was cancelled by its code.
        PinCancelled = "pin_cancelled",
        /// The next epoch was announced.
        EpochAnnounced = "epoch_announced",
        /// An epoch was ended by its code.
        EpochEnded = "epoch_ended",
        /// The time was set by its code.
        TimeSet = "time_set",
        /// The time came from its issuer in another way.
        TimeSigned = "time_signed",
        /// The clock was reset under the root key, which ends the epoch.
        ClockReset = "clock_reset",
        /// A newer list of revoked passes was taken.
        ListTaken = "list_taken",
        /// A further key of the issuer was taken.
        KeyTaken = "key_taken",
        /// The power was lost.
        PowerLost = "power_lost",
    }
}

named! {
    /// Which code opened.
    enum Form {
        Pin = "pin",
        Long = "long_form",
        Totp = "totp",
        Pass = "pass",
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) kind: Kind,
    /// By the lock's own estimate.
    pub(crate) at: Timestamp,
    pub(crate) form: Option<Form>,
    pub(crate) epoch: Option<u32>,
    /// The PIN's `seq`; none for a PIN that was never given.
    pub(crate) pin: Option<i64>,
    /// The pass, issued or not.
    pub(crate) pass: Option<PassId>,
}

/// An event as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) seq: i64,
    pub(crate) event: Event,
    pub(crate) lock_generation: u32,
    pub(crate) record: u64,
    pub(crate) received_at: Timestamp,
    /// The booking's id and reference.
    pub(crate) booking: Option<(String, Option<String>)>,
    /// The holder and the generation of the PIN.
    pub(crate) holder: Option<(u8, u8)>,
    /// Whether the PIN or the pass should have opened no more.
    pub(crate) was_ended: bool,
    /// Whether the pass was issued.
    pub(crate) pass_is_known: bool,
    /// Whether a pass that was issued was for this lock, around this time, and that often.
    pub(crate) pass_fits: bool,
}

/// How often a PIN opened, and when first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) first: Option<Timestamp>,
    pub(crate) times: u64,
}

/// Stores what a record of the lock's journal told.
pub(crate) fn insert(
    connection: &Connection,
    lock: &Lock,
    head: Head,
    event: &Event,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO lock_events (lock, lock_generation, record, hash, kind, at, form, epoch, pin,
                 pass_id, received_at)
             VALUES (:lock, :generation, :record, :hash, :kind, :at, :form, :epoch, :pin, :pass, :now)",
        )?
        .execute(named_params! {
            ":lock": lock.seq, ":generation": lock.generation, ":record": Count(head.seq),
            ":hash": head.hash, ":kind": event.kind.as_str(), ":at": At(event.at),
            ":form": event.form.map(Form::as_str), ":epoch": event.epoch, ":pin": event.pin,
            ":pass": event.pass.as_ref().map(PassId::as_bytes),
            ":now": At(now),
        })?;
    Ok(())
}

/// The heads after the stored records of a lock's journal, from one number to another.
pub(crate) fn heads(
    connection: &Connection,
    lock: &Lock,
    (first, last): (u64, u64),
) -> Result<Vec<Head>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT record, hash FROM lock_events WHERE lock = ?1 AND lock_generation = ?2
             AND record BETWEEN ?3 AND ?4 ORDER BY record",
    )?;
    let values = params![lock.seq, lock.generation, Count(first), Count(last)];
    let head = |row: &Row<'_>| Ok(Head { seq: row.get::<_, Count>(0)?.0, hash: row.get(1)? });
    Ok(statement.query_map(values, head)?.collect::<Result<_, _>>()?)
}

/// How often a PIN opened.
pub(crate) fn used(connection: &Connection, pin: i64) -> Result<Used, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT min(at), count(*) FROM lock_events WHERE pin = ?1 AND kind = 'opened'",
        )?
        .query_row([pin], |row| {
            let first: Option<At> = row.get(0)?;
            Ok(Used { first: first.map(|at| at.0), times: row.get::<_, Count>(1)?.0 })
        })?)
}

/// How far from its window a pass may open: a lock's grace, and a day by which the lock's clock may be wrong.
const FAR: u64 = GRACE + 86_400;

/// Up to `limit` events of a lock after `after`, in the order in which they came home.
pub(crate) fn page(
    connection: &Connection,
    lock: i64,
    after: i64,
    limit: u32,
) -> Result<Vec<Listed>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT e.seq, e.kind, e.at, e.form, e.epoch, e.pin, e.lock_generation, e.record,
             e.received_at, bookings.id, bookings.reference, pins.holder, pins.generation,
             coalesce(pins.ended_at, passes.revoked_at) <= e.at, e.pass_id, passes.seq,
             (passes.lock IS e.lock OR passes.lock_group IN
                 (SELECT lock_group FROM lock_group_members WHERE lock = e.lock))
             AND e.at BETWEEN passes.from_at - ?4 AND passes.until_at + ?4
             AND (passes.uses IS NULL OR passes.uses >= (SELECT count(*)
                 FROM lock_events AS b INDEXED BY lock_events_by_pass
                 WHERE b.pass_id = e.pass_id AND b.lock = e.lock
                     AND b.lock_generation = e.lock_generation AND b.seq <= e.seq))
         FROM lock_events AS e LEFT JOIN pins ON pins.seq = e.pin
             LEFT JOIN passes ON passes.id = e.pass_id
             LEFT JOIN bookings ON bookings.seq = coalesce(pins.booking, passes.booking)
         WHERE e.lock = ?1 AND e.seq > ?2 ORDER BY e.seq LIMIT ?3",
    )?;
    let mut rows = statement.query(params![lock, after, limit, Count(FAR)])?;
    let mut page = Vec::new();
    while let Some(row) = rows.next()? {
        page.push(read(row)?);
    }
    Ok(page)
}

fn read(row: &Row<'_>) -> Result<Listed, StoreError> {
    let text = |index| Ok::<_, rusqlite::Error>(row.get_ref(index)?.as_str().unwrap_or_default());
    let form = match row.get::<_, Option<String>>(3)? {
        Some(form) => Some(parsed("lock_events.form", &form, Form::parse)?),
        None => None,
    };
    let booking = match row.get::<_, Option<String>>(9)? {
        Some(id) => Some((id, row.get(10)?)),
        None => None,
    };
    let pass = match row.get_ref(14)?.as_blob_or_null().unwrap_or(None) {
        Some(id) => PassId::from_bytes(id),
        None => None,
    };
    Ok(Listed {
        seq: row.get(0)?,
        event: Event {
            kind: parsed("lock_events.kind", text(1)?, Kind::parse)?,
            at: row.get::<_, At>(2)?.0,
            form,
            epoch: row.get(4)?,
            pin: row.get(5)?,
            pass,
        },
        lock_generation: row.get(6)?,
        record: row.get::<_, Count>(7)?.0,
        received_at: row.get::<_, At>(8)?.0,
        booking,
        holder: row.get::<_, Option<u8>>(11)?.zip(row.get(12)?),
        was_ended: row.get::<_, Option<bool>>(13)?.unwrap_or(false),
        pass_is_known: row.get::<_, Option<i64>>(15)?.is_some(),
        pass_fits: row.get::<_, Option<bool>>(16)?.unwrap_or(false),
    })
}
