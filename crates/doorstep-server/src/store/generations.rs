//! Generations: each planning of a delivery makes its codes anew, and voids those before.

use super::StoreError;
use super::value::{At, Count, all, named, parsed};
use doorstep::code::{Alphabet, Shape};
use doorstep::id::{DeliveryId, DeviceId};
use doorstep::ledger::{Head, Place, Receipt};
use doorstep::time::{Timestamp, Window};
use rusqlite::{Connection, Row, named_params, params};

named! {
    /// Who checks the codes.
    enum Mode {
        /// A driver's device, without network.
        Offline = "offline",
        /// This server.
        Online = "online",
    }
}

named! {
    /// How much of a code the device checks.
    enum CodeCheck {
        /// A few bits: its owner may search it.
        Split = "split",
        /// All of it: the device is managed.
        Full = "full",
    }
}

named! {
    /// What became of a generation.
    enum State {
        /// Made, and on no device yet.
        Planned = "planned",
        /// In a route of its device.
        HandedOut = "handed_out",
        /// A newer one was made.
        Superseded = "superseded",
        /// Its codes did what they were for.
        Closed = "closed",
        /// Its time passed.
        Expired = "expired",
        /// The delivery was cancelled.
        Cancelled = "cancelled",
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Generation {
    pub(crate) delivery: DeliveryId,
    pub(crate) number: u32,
    pub(crate) mode: Mode,
    /// Which device has it; none when the server checks.
    pub(crate) device: Option<DeviceId>,
    pub(crate) expected_at: Timestamp,
    pub(crate) window: Window,
    pub(crate) shape: Shape,
    /// How many slots; the last is the spare.
    pub(crate) slots: u8,
    /// How much of a code the device checks.
    pub(crate) check: CodeCheck,
    pub(crate) created_at: Timestamp,
    pub(crate) state: State,
    pub(crate) attempts: u8,
    pub(crate) spent_at: Option<Timestamp>,
    pub(crate) head: Head,
}

/// What is kept of one slot's code.
#[derive(Clone, Copy)]
pub(crate) struct HeldCode {
    pub(crate) slot: u8,
    pub(crate) code_mac: [u8; 32],
    pub(crate) scan_hash: [u8; 32],
}

pub(crate) fn insert(
    connection: &Connection,
    generation: &Generation,
    sealed_stop: Option<&[u8]>,
    codes: &[HeldCode],
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO generations (delivery, generation, mode, device, expected_at, window_from,
                 window_until, alphabet, code_length, slots, code_check, created_at, state, sealed_stop)
             VALUES (:delivery, :generation, :mode, :device, :expected, :from, :until, :alphabet,
                 :length, :slots, :check, :created, :state, :sealed)",
        )?
        .execute(named_params! {
            ":delivery": generation.delivery.as_str(), ":generation": generation.number,
            ":mode": generation.mode.as_str(), ":device": generation.device.as_ref().map(DeviceId::as_str),
            ":expected": At(generation.expected_at), ":from": At(generation.window.from()),
            ":until": At(generation.window.until()), ":alphabet": generation.shape.alphabet().size(),
            ":length": generation.shape.length(), ":slots": generation.slots,
            ":check": generation.check.as_str(),
            ":created": At(generation.created_at), ":state": generation.state.as_str(),
            ":sealed": sealed_stop,
        })?;
    let mut statement = connection.prepare_cached(
        "INSERT INTO held_codes (delivery, generation, slot, code_mac, scan_hash) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for code in codes {
        statement.execute(params![
            generation.delivery.as_str(),
            generation.number,
            code.slot,
            code.code_mac,
            code.scan_hash
        ])?;
    }
    Ok(())
}

const COLUMNS: &str = "delivery, generation, mode, device, expected_at, window_from, window_until,
     alphabet, code_length, slots, created_at, state, attempts, spent_at, head_seq, head_hash, code_check";

pub(crate) fn find(
    connection: &Connection,
    delivery: &DeliveryId,
    number: u32,
) -> Result<Option<Generation>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM generations WHERE delivery = ?1 AND generation = ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![delivery.as_str(), number])?;
    rows.next()?.map(read).transpose()
}

/// The numbers of all generations of a delivery that are known, in order. A restoring leaves wide gaps.
pub(crate) fn numbers(
    connection: &Connection,
    delivery: &DeliveryId,
) -> Result<Vec<u32>, StoreError> {
    let sql = "SELECT generation FROM generations WHERE delivery = ?1 ORDER BY generation";
    all(connection, sql, &[&delivery.as_str()], |row| Ok(row.get(0)?))
}

fn read(row: &Row<'_>) -> Result<Generation, StoreError> {
    let text = |index| Ok::<_, rusqlite::Error>(row.get_ref(index)?.as_str().unwrap_or_default());
    let device: Option<String> = row.get(3)?;
    let window = Window::new(row.get::<_, At>(5)?.0, row.get::<_, At>(6)?.0)
        .ok_or(StoreError::Corrupt { column: "generations.window_until" })?;
    let alphabet = match row.get::<_, u8>(7)? {
        10 => Alphabet::Digits,
        32 => Alphabet::Crockford,
        _ => return Err(StoreError::Corrupt { column: "generations.alphabet" }),
    };
    Ok(Generation {
        delivery: parsed("generations.delivery", text(0)?, DeliveryId::parse)?,
        number: row.get(1)?,
        mode: parsed("generations.mode", text(2)?, Mode::parse)?,
        device: device.map(|id| parsed("generations.device", &id, DeviceId::parse)).transpose()?,
        expected_at: row.get::<_, At>(4)?.0,
        window,
        shape: Shape::new(alphabet, row.get(8)?)
            .ok_or(StoreError::Corrupt { column: "generations.code_length" })?,
        slots: row.get(9)?,
        created_at: row.get::<_, At>(10)?.0,
        state: parsed("generations.state", text(11)?, State::parse)?,
        attempts: row.get(12)?,
        spent_at: row.get::<_, Option<At>>(13)?.map(|at| at.0),
        head: Head { seq: row.get::<_, Count>(14)?.0, hash: row.get(15)? },
        check: parsed("generations.code_check", text(16)?, CodeCheck::parse)?,
    })
}

/// What is kept of a generation's codes, by slot.
pub(crate) fn held(
    connection: &Connection,
    delivery: &DeliveryId,
    number: u32,
) -> Result<Vec<HeldCode>, StoreError> {
    let codes = connection
        .prepare_cached(
            "SELECT slot, code_mac, scan_hash FROM held_codes
             WHERE delivery = ?1 AND generation = ?2 ORDER BY slot",
        )?
        .query_map(params![delivery.as_str(), number], |row| {
            Ok(HeldCode { slot: row.get(0)?, code_mac: row.get(1)?, scan_hash: row.get(2)? })
        })?
        .collect::<Result<_, _>>()?;
    Ok(codes)
}

/// Ends a generation and erases what a device would have been handed.
pub(crate) fn end(
    connection: &Connection,
    delivery: &DeliveryId,
    number: u32,
    state: State,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE generations SET state = ?3, sealed_stop = NULL WHERE delivery = ?1 AND generation = ?2",
        )?
        .execute(params![delivery.as_str(), number, state.as_str()])?;
    Ok(())
}

/// What a device has still to deliver, with the references.
pub(crate) fn open_of(
    connection: &Connection,
    device: &DeviceId,
    now: Timestamp,
) -> Result<Vec<(String, Generation)>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS}, (SELECT reference FROM deliveries WHERE id = delivery) AS reference
         FROM generations AS g
         WHERE device = ?1 AND state IN ('planned', 'handed_out') AND window_until > ?2
           AND EXISTS (SELECT 1 FROM deliveries AS d
                       WHERE d.id = g.delivery AND d.generation = g.generation
                         AND d.state IN ('planned', 'handed_out', 'notified', 'failed'))
         ORDER BY window_from, delivery"
    );
    all(connection, &sql, &[&device.as_str(), &At(now)], |row| {
        Ok((row.get("reference")?, read(row)?))
    })
}

/// The stops that a device is still to be handed, sealed.
pub(crate) fn to_hand_out(
    connection: &Connection,
    device: &DeviceId,
    now: Timestamp,
) -> Result<Vec<(DeliveryId, u32, Vec<u8>)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT delivery, generation, sealed_stop FROM generations
         WHERE device = ?1 AND state = 'planned' AND window_until > ?2 AND sealed_stop IS NOT NULL
         ORDER BY window_from, delivery",
    )?;
    let mut rows = statement.query(params![device.as_str(), At(now)])?;
    let mut stops = Vec::new();
    while let Some(row) = rows.next()? {
        let delivery = row.get_ref(0)?.as_str().unwrap_or_default();
        stops.push((
            parsed("generations.delivery", delivery, DeliveryId::parse)?,
            row.get(1)?,
            row.get(2)?,
        ));
    }
    Ok(stops)
}

/// The stops that a device has, and is to be told to give up: what was superseded or cancelled, and what an
/// operator's word ended before the right code did.
pub(crate) fn to_withdraw(
    connection: &Connection,
    device: &DeviceId,
) -> Result<Vec<(DeliveryId, u32)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT delivery, generation FROM generations AS g
         WHERE device = ?1 AND route_version IS NOT NULL AND withdrawn = 0
           AND (state IN ('superseded', 'cancelled')
                OR (state = 'closed'
                    AND EXISTS (SELECT 1 FROM disputes AS s
                                WHERE s.delivery = g.delivery AND s.outcome IS NOT NULL)
                    AND NOT EXISTS (SELECT 1 FROM claims AS c
                                    WHERE c.delivery = g.delivery AND c.generation = g.generation
                                      AND c.verdict = 'match')))
         ORDER BY delivery, generation",
    )?;
    let mut rows = statement.query([device.as_str()])?;
    let mut stops = Vec::new();
    while let Some(row) = rows.next()? {
        let delivery = row.get_ref(0)?.as_str().unwrap_or_default();
        stops.push((parsed("generations.delivery", delivery, DeliveryId::parse)?, row.get(1)?));
    }
    Ok(stops)
}

/// Notes that a stop is in a route; from here on only the device has its tags.
pub(crate) fn hand_out(
    connection: &Connection,
    delivery: &DeliveryId,
    number: u32,
    version: u64,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE generations SET state = 'handed_out', route_version = ?3, sealed_stop = NULL
             WHERE delivery = ?1 AND generation = ?2 AND state = 'planned'",
        )?
        .execute(params![delivery.as_str(), number, Count(version)])?;
    Ok(())
}

pub(crate) fn withdraw(
    connection: &Connection,
    delivery: &DeliveryId,
    number: u32,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE generations SET withdrawn = 1 WHERE delivery = ?1 AND generation = ?2",
        )?
        .execute(params![delivery.as_str(), number])?;
    Ok(())
}

/// Counts an attempt, if the chain's head is still what the attempt was decided on. The receipt is
/// worth something once the transaction is committed, and nothing leaves the server before.
pub(crate) fn count_attempt(
    connection: &Connection,
    generation: &Generation,
    place: &Place,
) -> Result<Option<Receipt>, StoreError> {
    let changed = connection
        .prepare_cached(
            "UPDATE generations SET attempts = attempts + 1, head_seq = :seq, head_hash = :hash
             WHERE delivery = :delivery AND generation = :generation AND spent_at IS NULL
               AND head_seq = :before_seq AND head_hash = :before",
        )?
        .execute(named_params! {
            ":seq": Count(place.after.seq), ":hash": place.after.hash,
            ":before_seq": Count(place.before.seq), ":before": place.before.hash,
            ":delivery": generation.delivery.as_str(), ":generation": generation.number,
        })?;
    Ok((changed == 1).then(|| place.appended()))
}

/// Spends a generation, on the same terms as [`count_attempt`].
pub(crate) fn spend(
    connection: &Connection,
    generation: &Generation,
    place: &Place,
    now: Timestamp,
) -> Result<Option<Receipt>, StoreError> {
    let changed = connection
        .prepare_cached(
            "UPDATE generations SET spent_at = :now, state = 'closed', sealed_stop = NULL,
                                    head_seq = :seq, head_hash = :hash
             WHERE delivery = :delivery AND generation = :generation AND spent_at IS NULL
               AND head_seq = :before_seq AND head_hash = :before",
        )?
        .execute(named_params! {
            ":now": At(now), ":seq": Count(place.after.seq), ":hash": place.after.hash,
            ":before_seq": Count(place.before.seq), ":before": place.before.hash,
            ":delivery": generation.delivery.as_str(), ":generation": generation.number,
        })?;
    Ok((changed == 1).then(|| place.appended()))
}

/// Generations whose time passed: the window, and for codes that this server checks also
/// `lifetime` seconds after the last one was sent.
pub(crate) fn ended_by(
    connection: &Connection,
    now: Timestamp,
    lifetime: u64,
    limit: u32,
) -> Result<Vec<Generation>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM generations AS g
         WHERE state IN ('planned', 'handed_out') AND window_until <= :now
           AND NOT EXISTS (SELECT 1 FROM messages AS m
                           WHERE g.mode = 'online' AND m.delivery = g.delivery
                             AND m.generation = g.generation AND m.sent_at + :lifetime > :now)
         LIMIT :limit"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(named_params! {
        ":now": At(now), ":lifetime": Count(lifetime), ":limit": limit,
    })?;
    let mut ended = Vec::new();
    while let Some(row) = rows.next()? {
        ended.push(read(row)?);
    }
    Ok(ended)
}

/// The generations that a device has, or is to be handed, and that have not ended.
pub(crate) fn open_on(
    connection: &Connection,
    device: &DeviceId,
) -> Result<Vec<(DeliveryId, u32)>, StoreError> {
    all(
        connection,
        "SELECT delivery, generation FROM generations
         WHERE device = ?1 AND state IN ('planned', 'handed_out') ORDER BY delivery, generation",
        &[&device.as_str()],
        |row| {
            let delivery = row.get_ref(0)?.as_str().unwrap_or_default();
            let delivery = parsed("generations.delivery", delivery, DeliveryId::parse)?;
            Ok((delivery, row.get(1)?))
        },
    )
}

/// Notes which request of its device a generation was made for.
pub(crate) fn take(
    connection: &Connection,
    delivery: &DeliveryId,
    number: u32,
    nonce: &[u8; 16],
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE generations SET taken = ?3 WHERE delivery = ?1 AND generation = ?2",
        )?
        .execute(params![delivery.as_str(), number, nonce])?;
    Ok(())
}

/// How often drivers took deliveries on since a time.
pub(crate) struct Takes {
    /// This delivery, whoever took it.
    pub(crate) of_delivery: u32,
    /// This device, whichever it took.
    pub(crate) by_device: u32,
    /// Whether this device did with this nonce.
    pub(crate) nonce_used: bool,
}

pub(crate) fn takes_since(
    connection: &Connection,
    delivery: &DeliveryId,
    device: &DeviceId,
    nonce: &[u8; 16],
    since: Timestamp,
) -> Result<Takes, StoreError> {
    let takes = connection
        .prepare_cached(
            "SELECT (SELECT count(*) FROM generations
                     WHERE delivery = :delivery AND taken IS NOT NULL AND created_at > :since),
                    (SELECT count(*) FROM generations
                     WHERE device = :device AND taken IS NOT NULL AND created_at > :since),
                    EXISTS (SELECT 1 FROM generations WHERE device = :device AND taken = :nonce)",
        )?
        .query_row(
            named_params! {
                ":delivery": delivery.as_str(), ":device": device.as_str(),
                ":nonce": nonce, ":since": At(since),
            },
            |row| {
                Ok(Takes {
                    of_delivery: row.get(0)?,
                    by_device: row.get(1)?,
                    nonce_used: row.get(2)?,
                })
            },
        )?;
    Ok(takes)
}

/// Whether a device may have used this generation in a way that it did not tell yet: it has not synced
/// since the window ended. After a restore nobody knows what it was handed.
pub(crate) fn may_be_used(
    connection: &Connection,
    delivery: &DeliveryId,
    number: u32,
) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT 1 FROM generations AS g JOIN devices AS d ON d.id = g.device
         WHERE g.delivery = ?1 AND g.generation = ?2
           AND coalesce(d.last_sync_at, 0) < g.window_until",
    )?;
    Ok(statement.exists(params![delivery.as_str(), number])?)
}
