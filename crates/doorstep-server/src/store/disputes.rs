//! Disputes: a claim without the right code behind it, until an operator or a better claim ends it.
//! They are opened and ended by the triggers of the schema, as the delivery's state changes.

use super::StoreError;
use super::value::{At, named, parsed};
use doorstep::id::DeliveryId;
use doorstep::time::Timestamp;
use rusqlite::{Connection, Row, named_params, params};

named! {
    /// An operator's word on what happened.
    enum Outcome {
        /// The parcel is where it belongs.
        Delivered = "delivered",
        /// It is not.
        NotDelivered = "not_delivered",
    }
}

named! {
    /// How far a dispute has come.
    enum State {
        /// Nobody has ended it.
        Open = "open",
        /// An operator has.
        Resolved = "resolved",
        /// Something else has: a claim with the right code, or a new plan.
        Closed = "closed",
    }
}

/// An operator's word, with whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resolution {
    pub(crate) outcome: Outcome,
    pub(crate) note: String,
    /// The id of the API key.
    pub(crate) by: String,
    pub(crate) at: Timestamp,
}

/// One time that a delivery was disputed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dispute {
    /// The place in the list, in order of opening.
    pub(crate) seq: i64,
    pub(crate) delivery: DeliveryId,
    pub(crate) reference: String,
    pub(crate) opened_at: Timestamp,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) resolution: Option<Resolution>,
}

impl Dispute {
    pub(crate) const fn state(&self) -> State {
        match (&self.ended_at, &self.resolution) {
            (None, _) => State::Open,
            (Some(_), Some(_)) => State::Resolved,
            (Some(_), None) => State::Closed,
        }
    }
}

const SELECT: &str =
    "SELECT s.seq, s.delivery, d.reference, s.opened_at, s.ended_at, s.outcome, s.note, s.by
     FROM disputes AS s JOIN deliveries AS d ON d.id = s.delivery";

fn read(row: &Row<'_>) -> Result<Dispute, StoreError> {
    let delivery = row.get_ref(1)?.as_str().unwrap_or_default();
    let ended_at = row.get::<_, Option<At>>(4)?.map(|at| at.0);
    let outcome: Option<String> = row.get(5)?;
    let resolution = match (outcome, ended_at) {
        (Some(outcome), Some(at)) => Some(Resolution {
            outcome: parsed("disputes.outcome", &outcome, Outcome::parse)?,
            note: row.get::<_, Option<String>>(6)?.unwrap_or_default(),
            by: row.get(7)?,
            at,
        }),
        _ => None,
    };
    Ok(Dispute {
        seq: row.get(0)?,
        delivery: parsed("disputes.delivery", delivery, DeliveryId::parse)?,
        reference: row.get(2)?,
        opened_at: row.get::<_, At>(3)?.0,
        ended_at,
        resolution,
    })
}

/// Up to `limit` disputes after `after`, in order of opening; only those in `state`, and only those
/// about which `device` claimed something.
pub(crate) fn page(
    connection: &Connection,
    state: Option<State>,
    device: Option<&str>,
    after: i64,
    limit: u32,
) -> Result<Vec<Dispute>, StoreError> {
    let sql = format!(
        "{SELECT} WHERE s.seq > :after
           AND (:state IS NULL
                OR :state = CASE WHEN s.ended_at IS NULL THEN 'open'
                                 WHEN s.outcome IS NOT NULL THEN 'resolved' ELSE 'closed' END)
           AND (:device IS NULL OR EXISTS (SELECT 1 FROM claims AS c
                                           WHERE c.delivery = s.delivery AND c.device = :device))
         ORDER BY s.seq LIMIT :limit"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(named_params! {
        ":after": after, ":state": state.map(State::as_str), ":device": device, ":limit": limit,
    })?;
    let mut page = Vec::new();
    while let Some(row) = rows.next()? {
        page.push(read(row)?);
    }
    Ok(page)
}

/// Every time that a delivery was disputed, in order.
pub(crate) fn of_delivery(
    connection: &Connection,
    delivery: &DeliveryId,
) -> Result<Vec<Dispute>, StoreError> {
    let sql = format!("{SELECT} WHERE s.delivery = ?1 ORDER BY s.seq");
    super::value::all(connection, &sql, &[&delivery.as_str()], read)
}

/// Writes an operator's word down, for ever. `false` when no dispute is open.
pub(crate) fn resolve(
    connection: &Connection,
    delivery: &DeliveryId,
    resolution: &Resolution,
) -> Result<bool, StoreError> {
    let changed = connection
        .prepare_cached(
            "UPDATE disputes SET ended_at = ?2, outcome = ?3, note = ?4, by = ?5
             WHERE delivery = ?1 AND ended_at IS NULL",
        )?
        .execute(params![
            delivery.as_str(),
            At(resolution.at),
            resolution.outcome.as_str(),
            resolution.note,
            resolution.by
        ])?;
    Ok(changed == 1)
}
