//! What is read of the log of claims for whoever has to judge later.

use super::StoreError;
use super::claims::Verdict;
use super::value::{At, Count, all, parsed};
use doorstep::id::{DeliveryId, DeviceId};
use doorstep::ledger::Head;
use doorstep::time::Timestamp;
use doorstep::verifier::Means;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// A claim as it was filed.
#[derive(Clone, Debug)]
pub(crate) struct Filed {
    /// The log right after it.
    pub(crate) log: Head,
    pub(crate) device: DeviceId,
    pub(crate) received_at: Timestamp,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) late_possible: bool,
    pub(crate) forked: bool,
    /// Empty once it was erased.
    pub(crate) document: Vec<u8>,
}

/// The claims about a delivery, in the order of the log. What a claim itself says stands in its document:
/// where what is stored beside it is damaged, the claim is evidence all the same.
pub(crate) fn of_delivery(
    connection: &Connection,
    delivery: &DeliveryId,
) -> Result<Vec<Filed>, StoreError> {
    all(
        connection,
        "SELECT log_seq, log_hash, device, received_at, verdict, late_possible, forked, document
         FROM claims WHERE delivery = ?1 ORDER BY log_seq",
        &[&delivery.as_str()],
        read,
    )
}

fn read(row: &Row<'_>) -> Result<Filed, StoreError> {
    let verdict: Option<String> = row.get(4)?;
    Ok(Filed {
        log: Head { seq: row.get::<_, Count>(0)?.0, hash: row.get(1)? },
        device: parsed(
            "claims.device",
            row.get_ref(2)?.as_str().unwrap_or_default(),
            DeviceId::parse,
        )?,
        received_at: row.get::<_, At>(3)?.0,
        verdict: verdict.map(|text| parsed("claims.verdict", &text, Verdict::parse)).transpose()?,
        late_possible: row.get(5)?,
        forked: row.get(6)?,
        document: row.get(7)?,
    })
}

/// The claim that proved a delivery.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    /// The log right after it.
    pub(crate) log: Head,
    pub(crate) device: DeviceId,
    pub(crate) generation: u32,
    /// Whose code was taken.
    pub(crate) slot: u8,
    /// How it was shown.
    pub(crate) means: Means,
    pub(crate) at: Timestamp,
    pub(crate) signed_time: Timestamp,
    pub(crate) received_at: Timestamp,
}

/// The first claim about a delivery with the code that was sent.
pub(crate) fn proof(
    connection: &Connection,
    delivery: &DeliveryId,
) -> Result<Option<Proof>, StoreError> {
    let sql =
        "SELECT log_seq, log_hash, device, generation, slot, means, at, signed_time, received_at
               FROM claims WHERE delivery = ?1 AND verdict = 'match' ORDER BY log_seq LIMIT 1";
    let read = |row: &Row<'_>| {
        let text = |index| row.get_ref(index).map(|value| value.as_str().unwrap_or_default());
        Ok(Proof {
            log: Head { seq: row.get::<_, Count>(0)?.0, hash: row.get(1)? },
            device: parsed("claims.device", text(2)?, DeviceId::parse)?,
            generation: row.get(3)?,
            slot: row.get(4)?,
            means: match text(5)? {
                "typed" => Means::Typed,
                "scanned" => Means::Scanned,
                _ => return Err(StoreError::Corrupt { column: "claims.means" }),
            },
            at: row.get::<_, At>(6)?.0,
            signed_time: row.get::<_, At>(7)?.0,
            received_at: row.get::<_, At>(8)?.0,
        })
    };
    Ok(all(connection, sql, &[&delivery.as_str()], read)?.pop())
}

/// The log as it was after its record `seq`.
pub(crate) fn head_at(connection: &Connection, seq: u64) -> Result<Head, StoreError> {
    if seq == 0 {
        return Ok(Head::EMPTY);
    }
    let hash = connection
        .prepare_cached("SELECT log_hash FROM claims WHERE log_seq = ?1")?
        .query_row([Count(seq)], |row| row.get(0))
        .optional()?
        .ok_or(StoreError::Corrupt { column: "claims.log_seq" })?;
    Ok(Head { seq, hash })
}

/// The hashes of the claims after `seq`, at most `limit`.
pub(crate) fn hashes_after(
    connection: &Connection,
    seq: u64,
    limit: u64,
) -> Result<Vec<[u8; 32]>, StoreError> {
    let hashes = connection
        .prepare_cached("SELECT hash FROM claims WHERE log_seq > ?1 ORDER BY log_seq LIMIT ?2")?
        .query_map(params![Count(seq), Count(limit)], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(hashes)
}
