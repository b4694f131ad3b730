//! The log of claims: numbered, chained, never dropped and never changed but for the verdict.

use super::StoreError;
use super::value::{At, Count, named, parsed};
use doorstep::handover::claim::Outcome;
use doorstep::id::{DeliveryId, DeviceId};
use doorstep::ledger::Head;
use doorstep::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

named! {
    /// What the issuer found when it checked a claim.
    enum Verdict {
        /// The code that was sent.
        Match = "match",
        /// One symbol or one swap away from it.
        MatchWithTypo = "match_with_typo",
        /// Another code.
        Mismatch = "mismatch",
        /// Certainly after the window, or well before it.
        OutsideWindow = "outside_window",
        /// A claim on the same generation was checked before.
        Repeated = "repeated",
        /// Not checked: two generations of this driver were, it names a signed time from after its arrival,
        /// its plan was lost with the database, its codes were erased, or what is stored of it is damaged.
        Unchecked = "unchecked",
        /// A newer generation had been made, or the delivery was cancelled: the claim is void, and kept as evidence.
        Superseded = "superseded",
        /// A failed attempt: there is no code to compare.
        Noted = "noted",
        /// The generation never was this device's, so the claim says nothing about the delivery.
        Void = "void",
    }
}

/// A claim whose signature was verified.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) number: u64,
    pub(crate) previous: [u8; 32],
    pub(crate) hash: [u8; 32],
    pub(crate) delivery: DeliveryId,
    pub(crate) generation: u32,
    pub(crate) outcome: Outcome,
    pub(crate) at: Timestamp,
    pub(crate) signed_time: Timestamp,
    pub(crate) document: Vec<u8>,
}

/// The end of the log.
pub(crate) fn head(connection: &Connection) -> Result<Head, StoreError> {
    let head = connection
        .prepare_cached("SELECT log_seq, log_hash FROM claims ORDER BY log_seq DESC LIMIT 1")?
        .query_row([], |row| Ok(Head { seq: row.get::<_, Count>(0)?.0, hash: row.get(1)? }))
        .optional()?;
    Ok(head.unwrap_or(Head::EMPTY))
}

/// Whether exactly this claim is stored.
pub(crate) fn is_stored(
    connection: &Connection,
    device: &DeviceId,
    number: u64,
    hash: &[u8; 32],
) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM claims WHERE device = ?1 AND number = ?2 AND hash = ?3")?
        .exists(params![device.as_str(), Count(number), hash])?)
}

/// Appends a claim after `log`, the end of the log, and gives back the new end. Whether the claim can decide
/// anything is noted with it: a failed attempt cannot, nor a claim on what is not the device's, nor any grant of
/// this device after its first on a delivery.
pub(crate) fn append(
    connection: &Connection,
    log: Head,
    device: &DeviceId,
    claim: &Received,
    forked: bool,
    now: Timestamp,
) -> Result<Head, StoreError> {
    // The claim's hash covers all of it, and its device is in it.
    let log = log.then(&claim.hash);
    let (outcome, granted, failed) = match &claim.outcome {
        Outcome::Granted { slot, means, .. } => ("granted", Some((*slot, means.as_str())), None),
        Outcome::Failed { reason, note } => {
            ("failed", None, Some((reason.as_str(), note.as_str())))
        }
    };
    connection
        .prepare_cached(
            "INSERT INTO claims (log_seq, log_hash, device, number, hash, document, delivery,
                                 generation, outcome, slot, means, reason, note, at, signed_time,
                                 received_at, forked, idle)
             VALUES (:seq, :log_hash, :device, :number, :hash, :document, :delivery, :generation,
                     :outcome, :slot, :means, :reason, :note, :at, :signed_time, :now, :forked,
                     :outcome = 'failed'
                     OR NOT EXISTS (SELECT 1 FROM generations
                                    WHERE delivery = :delivery AND generation = :generation
                                      AND device = :device)
                     OR EXISTS (SELECT 1 FROM claims
                                WHERE device = :device AND delivery = :delivery
                                  AND outcome = 'granted'))",
        )?
        .execute(named_params! {
            ":seq": Count(log.seq), ":log_hash": log.hash, ":device": device.as_str(),
            ":number": Count(claim.number), ":hash": claim.hash, ":document": claim.document,
            ":delivery": claim.delivery.as_str(), ":generation": claim.generation,
            ":outcome": outcome, ":slot": granted.map(|(slot, _)| slot),
            ":means": granted.map(|(_, means)| means), ":reason": failed.map(|(reason, _)| reason),
            ":note": failed.map(|(_, note)| note), ":at": At(claim.at),
            ":signed_time": At(claim.signed_time), ":now": At(now), ":forked": forked,
        })?;
    Ok(log)
}

/// How many claims of a device do not fit its chain.
pub(crate) fn count_forked(connection: &Connection, device: &DeviceId) -> Result<u64, StoreError> {
    Ok(connection
        .prepare_cached("SELECT count(*) FROM claims WHERE device = ?1 AND forked")?
        .query_row([device.as_str()], |row| row.get::<_, Count>(0))?
        .0)
}

/// When, since a time, a device sent the last claim that decides nothing and is one more than `room`, counted
/// from the newest. `None`: there is room left.
pub(crate) fn idle_beyond(
    connection: &Connection,
    device: &DeviceId,
    since: Timestamp,
    room: u64,
) -> Result<Option<Timestamp>, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT received_at FROM claims WHERE device = ?1 AND idle AND received_at > ?2
             ORDER BY received_at DESC LIMIT 1 OFFSET ?3",
        )?
        .query_row(params![device.as_str(), At(since), Count(room)], |row| row.get::<_, At>(0))
        .optional()?
        .map(|at| at.0))
}

/// A claim that waits for its verdict.
pub(crate) struct Open {
    pub(crate) log_seq: u64,
    pub(crate) device: DeviceId,
    pub(crate) delivery: DeliveryId,
    pub(crate) generation: u32,
    pub(crate) document: Vec<u8>,
    /// Of the claim in the document, when that was verified.
    pub(crate) hash: [u8; 32],
    pub(crate) signed_time: Timestamp,
    pub(crate) received_at: Timestamp,
    pub(crate) forked: bool,
}

/// A claim that cannot be checked, because what is stored about it cannot be read.
pub(crate) struct Damaged {
    pub(crate) log_seq: u64,
    /// `None` when that is what cannot be read.
    pub(crate) delivery: Option<DeliveryId>,
}

/// Claims without a verdict after one in the log, oldest first.
pub(crate) fn open(
    connection: &Connection,
    after: u64,
    limit: u32,
) -> Result<Vec<Result<Open, Damaged>>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT log_seq, device, delivery, generation, document, hash, signed_time, received_at,
                forked
         FROM claims
         WHERE verdict IS NULL AND log_seq > ?1 ORDER BY log_seq LIMIT ?2",
    )?;
    let mut rows = statement.query(params![Count(after), limit])?;
    let mut open = Vec::new();
    while let Some(row) = rows.next()? {
        let log_seq = row.get::<_, Count>(0)?.0;
        let delivery = row.get_ref(2)?.as_str().unwrap_or_default();
        let delivery = parsed("claims.delivery", delivery, DeliveryId::parse);
        let known = delivery.as_ref().ok().copied();
        match delivery.and_then(|delivery| read_open(row, log_seq, delivery)) {
            Ok(claim) => open.push(Ok(claim)),
            Err(error) => open.push(Err(damaged(log_seq, known, error)?)),
        }
    }
    Ok(open)
}

fn read_open(row: &Row<'_>, log_seq: u64, delivery: DeliveryId) -> Result<Open, StoreError> {
    let device = row.get_ref(1)?.as_str().unwrap_or_default();
    Ok(Open {
        log_seq,
        device: parsed("claims.device", device, DeviceId::parse)?,
        delivery,
        generation: row.get(3)?,
        document: row.get(4)?,
        hash: row.get(5)?,
        signed_time: row.get::<_, At>(6)?.0,
        received_at: row.get::<_, At>(7)?.0,
        forked: row.get(8)?,
    })
}

/// Sets a claim aside whose own data is to blame for `error`.
///
/// # Errors
/// `error` itself, when it passes or concerns the whole database.
pub(crate) fn damaged(
    log_seq: u64,
    delivery: Option<DeliveryId>,
    error: StoreError,
) -> Result<Damaged, StoreError> {
    if !error.is_damage() {
        return Err(error);
    }
    tracing::error!(claim = log_seq, %error, "a claim cannot be checked; it is set aside");
    Ok(Damaged { log_seq, delivery })
}

/// The generations of a delivery whose code was compared for a claim of `device`.
pub(crate) fn compared(
    connection: &Connection,
    delivery: &DeliveryId,
    device: &DeviceId,
) -> Result<Vec<u32>, StoreError> {
    let generations = connection
        .prepare_cached(
            "SELECT generation FROM claims WHERE delivery = ?1 AND device = ?2
               AND verdict IN ('match', 'match_with_typo', 'mismatch', 'outside_window')",
        )?
        .query_map(params![delivery.as_str(), device.as_str()], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(generations)
}

/// Gives a claim its verdict, once; tells whether it had none.
pub(crate) fn judge(
    connection: &Connection,
    log_seq: u64,
    verdict: Verdict,
    late_possible: bool,
) -> Result<bool, StoreError> {
    let changed = connection
        .prepare_cached(
            "UPDATE claims SET verdict = ?2, late_possible = ?3 WHERE log_seq = ?1 AND verdict IS NULL",
        )?
        .execute(params![Count(log_seq), verdict.as_str(), late_possible])?;
    Ok(changed > 0)
}

/// Whether a claim about a delivery held the code that was sent.
pub(crate) fn any_match(
    connection: &Connection,
    delivery: &DeliveryId,
) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM claims WHERE delivery = ?1 AND verdict = 'match'")?
        .exists([delivery.as_str()])?)
}

/// Whether anything that was claimed about a delivery may decide its outcome: a claim that still
/// waits for its verdict, or one that was judged: not superseded, void or unchecked.
pub(crate) fn any_of_weight(
    connection: &Connection,
    delivery: &DeliveryId,
) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT 1 FROM claims WHERE delivery = ?1
               AND outcome = 'granted'
               AND (verdict IS NULL OR verdict NOT IN ('superseded', 'void', 'unchecked'))",
        )?
        .exists([delivery.as_str()])?)
}

/// Whether the device of a generation claims that it handed the parcel over.
pub(crate) fn any_granted(
    connection: &Connection,
    delivery: &DeliveryId,
    generation: u32,
) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT 1 FROM claims WHERE delivery = ?1 AND generation = ?2
               AND outcome = 'granted' AND verdict IS NOT 'void'",
        )?
        .exists(params![delivery.as_str(), generation])?)
}

/// A claim as the dispatcher sees it.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) device: String,
    pub(crate) driver: String,
    pub(crate) number: u64,
    pub(crate) generation: u32,
    /// Of a grant.
    pub(crate) slot: Option<u8>,
    pub(crate) means: Option<String>,
    /// Of a failure.
    pub(crate) reason: Option<String>,
    pub(crate) note: Option<String>,
    pub(crate) at: Timestamp,
    pub(crate) signed_time: Timestamp,
    pub(crate) received_at: Timestamp,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) late_possible: bool,
    pub(crate) forked: bool,
}

/// The claims about a delivery, in order of arrival.
pub(crate) fn of_delivery(
    connection: &Connection,
    delivery: &DeliveryId,
) -> Result<Vec<Listed>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT c.device, d.driver, c.generation, c.means, c.at, c.received_at, c.verdict,
                c.late_possible, c.forked, c.number, c.slot, c.signed_time, c.reason, c.note
         FROM claims AS c JOIN devices AS d ON d.id = c.device
         WHERE c.delivery = ?1 ORDER BY c.log_seq",
    )?;
    let mut rows = statement.query([delivery.as_str()])?;
    let mut claims = Vec::new();
    while let Some(row) = rows.next()? {
        let verdict: Option<String> = row.get(6)?;
        claims.push(Listed {
            device: row.get(0)?,
            driver: row.get(1)?,
            generation: row.get(2)?,
            means: row.get(3)?,
            at: row.get::<_, At>(4)?.0,
            received_at: row.get::<_, At>(5)?.0,
            verdict: verdict
                .map(|text| parsed("claims.verdict", &text, Verdict::parse))
                .transpose()?,
            late_possible: row.get(7)?,
            forked: row.get(8)?,
            number: row.get::<_, Count>(9)?.0,
            slot: row.get(10)?,
            signed_time: row.get::<_, At>(11)?.0,
            reason: row.get(12)?,
            note: row.get(13)?,
        });
    }
    Ok(claims)
}
