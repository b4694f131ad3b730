//! Bookings: which window of which lock is whose.

use super::StoreError;
use super::value::{At, named, parsed};
use doorstep::keypad::profile::{Fit, Profile};
use doorstep::time::{Timestamp, Window};
use rusqlite::{Connection, Row, named_params, params};

named! {
    /// Whether its PINs are to open.
    enum State {
        Booked = "booked",
        Cancelled = "cancelled",
    }
}

named! {
    /// How its holders come in.
    enum Access {
        /// With a PIN each.
        Pin = "pin",
        /// With a pass each.
        Pass = "pass",
        /// With either.
        Both = "both",
    }
}

impl Access {
    pub(crate) fn has_pins(self) -> bool {
        self != Self::Pass
    }

    pub(crate) fn has_passes(self) -> bool {
        self != Self::Pin
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Booking {
    /// The place in the list, in order of creation, and what other tables name it by.
    pub(crate) seq: i64,
    pub(crate) id: String,
    /// The lock's `seq`.
    pub(crate) lock: i64,
    pub(crate) reference: Option<String>,
    pub(crate) state: State,
    pub(crate) access: Access,
    /// As it was asked for.
    pub(crate) asked: Window,
    /// The class of its true window, by its number in the lock's profile.
    pub(crate) class: u8,
    pub(crate) index: u32,
    /// Its true window.
    pub(crate) opens: Window,
    pub(crate) created_at: Timestamp,
    pub(crate) cancelled_at: Option<Timestamp>,
}

impl Booking {
    /// The rounded window as the core has it.
    pub(crate) fn fit(&self, profile: &Profile) -> Result<Fit, StoreError> {
        let class = profile.classes().get(usize::from(self.class));
        let class = *class.ok_or(StoreError::Corrupt { column: "bookings.class" })?;
        Ok(Fit { class, index: self.index, window: self.opens })
    }
}

/// The number of a window's class in the profile.
pub(crate) fn class_number(profile: &Profile, fit: &Fit) -> Option<u8> {
    let class = profile.classes().iter().position(|class| *class == fit.class)?;
    u8::try_from(class).ok()
}

pub(crate) fn insert(connection: &Connection, new: &Booking) -> Result<i64, StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO bookings (id, lock, reference, state, access, from_at, until_at, class,
                 beginning, opens_from, opens_until, created_at)
             VALUES (:id, :lock, :reference, :state, :access, :from, :until, :class, :beginning,
                 :opens_from, :opens_until, :created)",
        )?
        .execute(named_params! {
            ":id": new.id, ":lock": new.lock, ":reference": new.reference,
            ":state": new.state.as_str(), ":access": new.access.as_str(), ":from": At(new.asked.from()),
            ":until": At(new.asked.until()), ":class": new.class, ":beginning": new.index,
            ":opens_from": At(new.opens.from()), ":opens_until": At(new.opens.until()),
            ":created": At(new.created_at),
        })?;
    Ok(connection.last_insert_rowid())
}

const COLUMNS: &str = "seq, id, lock, reference, state, from_at, until_at, class, beginning,
     opens_from, opens_until, created_at, cancelled_at, access";

pub(crate) fn find(connection: &Connection, id: &str) -> Result<Option<Booking>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM bookings WHERE id = ?1");
    Ok(select(connection, &sql, params![id])?.pop())
}

/// The id of the booking of this `seq`, which another table named.
pub(crate) fn id_of(connection: &Connection, seq: i64) -> Result<String, StoreError> {
    let mut statement = connection.prepare_cached("SELECT id FROM bookings WHERE seq = ?1")?;
    Ok(statement.query_row([seq], |row| row.get(0))?)
}

/// Whether a booking of the lock that still stands has this reference.
pub(crate) fn is_referred(
    connection: &Connection,
    lock: i64,
    reference: &str,
) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT 1 FROM bookings WHERE reference = ?1 AND lock = ?2 AND state = 'booked'",
        )?
        .exists(params![reference, lock])?)
}

/// The bookings of a lock that stand and whose true windows meet a span. `longest` is how long a window
/// of the lock can be, so that an index finds them.
pub(crate) fn meeting(
    connection: &Connection,
    lock: i64,
    span: &Window,
    longest: u64,
) -> Result<Vec<Booking>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM bookings INDEXED BY bookings_by_end
         WHERE lock = ?1 AND opens_until > ?2 AND opens_until < ?3 AND opens_from < ?4
             AND state = 'booked' ORDER BY opens_from, seq"
    );
    let last = At(span.until().later(longest));
    let values = params![lock, At(span.from()), last, At(span.until())];
    select(connection, &sql, values)
}

/// Which bookings a page shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// The lock's `seq`, and the longest of its windows.
    pub(crate) lock: Option<(i64, u64)>,
    /// Only those that meet this span; of one lock only.
    pub(crate) span: Option<Window>,
    pub(crate) reference: Option<String>,
}

/// Up to `limit` bookings after `after`, in order of creation.
pub(crate) fn page(
    connection: &Connection,
    filter: &Filter,
    after: i64,
    limit: u32,
) -> Result<Vec<Booking>, StoreError> {
    // Each filter has the index that finds its bookings among a million others.
    let select_by = |index: &str, which: &str, values: &[&dyn rusqlite::ToSql]| {
        let place: [&dyn rusqlite::ToSql; 2] = [&after, &limit];
        let sql = format!(
            "SELECT {COLUMNS} FROM bookings {index} WHERE seq > ?1 {which} ORDER BY seq LIMIT ?2"
        );
        select(connection, &sql, &[&place, values].concat())
    };
    let lock = filter.lock.map(|(lock, _)| lock);
    match (filter.lock, &filter.span, &filter.reference) {
        (Some((lock, longest)), Some(span), reference) => select_by(
            "INDEXED BY bookings_by_end",
            "AND lock = ?3 AND opens_until > ?4 AND opens_until < ?5 AND until_at > ?4
                 AND from_at < ?6 AND (?7 IS NULL OR reference = ?7)",
            params![
                lock,
                At(span.from()),
                At(span.until().later(longest)),
                At(span.until()),
                reference
            ],
        ),
        (_, _, Some(reference)) => select_by(
            "INDEXED BY bookings_by_reference",
            "AND reference = ?3 AND (?4 IS NULL OR lock = ?4)",
            params![reference, lock],
        ),
        (Some((lock, _)), None, None) => {
            select_by("INDEXED BY bookings_by_lock", "AND lock = ?3", params![lock])
        }
        (None, _, None) => select_by("", "", params![]),
    }
}

fn select(
    connection: &Connection,
    sql: &str,
    values: &[&dyn rusqlite::ToSql],
) -> Result<Vec<Booking>, StoreError> {
    super::value::all(connection, sql, values, read)
}

fn read(row: &Row<'_>) -> Result<Booking, StoreError> {
    let state = row.get_ref(4)?.as_str().unwrap_or_default();
    Ok(Booking {
        seq: row.get(0)?,
        id: row.get(1)?,
        lock: row.get(2)?,
        reference: row.get(3)?,
        state: parsed("bookings.state", state, State::parse)?,
        asked: window(row, 5, "bookings.until_at")?,
        class: row.get(7)?,
        index: row.get(8)?,
        opens: window(row, 9, "bookings.opens_until")?,
        created_at: row.get::<_, At>(11)?.0,
        cancelled_at: row.get::<_, Option<At>>(12)?.map(|at| at.0),
        access: parsed("bookings.access", &row.get::<_, String>(13)?, Access::parse)?,
    })
}

/// The span that a column and the one after it hold.
pub(super) fn window(
    row: &Row<'_>,
    index: usize,
    column: &'static str,
) -> Result<Window, StoreError> {
    let (from, until): (At, At) = (row.get(index)?, row.get(index.saturating_add(1))?);
    Window::new(from.0, until.0).ok_or(StoreError::Corrupt { column })
}

/// Moves a booking to another window.
pub(crate) fn change(connection: &Connection, changed: &Booking) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE bookings SET from_at = ?2, until_at = ?3, class = ?4, beginning = ?5,
                 opens_from = ?6, opens_until = ?7 WHERE seq = ?1",
        )?
        .execute(params![
            changed.seq,
            At(changed.asked.from()),
            At(changed.asked.until()),
            changed.class,
            changed.index,
            At(changed.opens.from()),
            At(changed.opens.until())
        ])?;
    Ok(())
}

/// Cancels a booking. Its time is kept if it was cancelled before.
pub(crate) fn cancel(connection: &Connection, seq: i64, now: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE bookings SET state = 'cancelled', cancelled_at = coalesce(cancelled_at, ?2)
             WHERE seq = ?1",
        )?
        .execute(params![seq, At(now)])?;
    Ok(())
}
