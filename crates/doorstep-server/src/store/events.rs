//! What happened, in order. Rows are written by the triggers of the schema, in the transaction of
//! the change itself; here they are only read, and forgotten when they are old.

use super::StoreError;
use super::value::{At, Count, all};
use doorstep::time::Timestamp;
use rusqlite::{Connection, Row};

/// One event: ids and the business's own reference; no name, no phone number and no code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The place in the list.
    pub(crate) seq: i64,
    /// Of the database when it happened.
    pub(crate) epoch: u64,
    pub(crate) kind: String,
    pub(crate) at: Timestamp,
    pub(crate) delivery: Option<String>,
    pub(crate) reference: Option<String>,
    pub(crate) generation: Option<u32>,
    pub(crate) device: Option<String>,
    pub(crate) message: Option<String>,
}

impl Event {
    /// The event's name, which is no other's, also after a backup was put back.
    pub(crate) fn id(&self) -> String {
        id_of(self.epoch, self.seq)
    }
}

/// The id of the event with this number.
pub(crate) fn id_of(epoch: u64, seq: i64) -> String {
    format!("evt_{epoch}_{seq}")
}

/// Reads what [`id_of`] wrote: the epoch and the number, in one spelling alone.
pub(crate) fn parse_id(text: &str) -> Option<(u64, i64)> {
    let (epoch, seq) = text.strip_prefix("evt_")?.split_once('_')?;
    let (epoch, seq) = (epoch.parse().ok()?, seq.parse().ok()?);
    (id_of(epoch, seq) == text).then_some((epoch, seq))
}

const COLUMNS: &str = "seq, epoch, type, at, delivery, reference, generation, device, message";

fn read(row: &Row<'_>) -> Result<Event, StoreError> {
    Ok(Event {
        seq: row.get(0)?,
        epoch: row.get::<_, Count>(1)?.0,
        kind: row.get(2)?,
        at: row.get::<_, At>(3)?.0,
        delivery: row.get(4)?,
        reference: row.get(5)?,
        generation: row.get(6)?,
        device: row.get(7)?,
        message: row.get(8)?,
    })
}

pub(crate) fn find(
    connection: &Connection,
    epoch: u64,
    seq: i64,
) -> Result<Option<Event>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM events WHERE seq = ?1 AND epoch = ?2");
    Ok(all(connection, &sql, &[&seq, &Count(epoch)], read)?.pop())
}

/// Up to `limit` events after `after`, in order; of one delivery or of all.
pub(crate) fn page(
    connection: &Connection,
    delivery: Option<&str>,
    after: i64,
    limit: u32,
) -> Result<Vec<Event>, StoreError> {
    match delivery {
        Some(delivery) => {
            let sql = format!(
                "SELECT {COLUMNS} FROM events WHERE delivery = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"
            );
            all(connection, &sql, &[&delivery, &after, &limit], read)
        }
        None => {
            let sql = format!("SELECT {COLUMNS} FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2");
            all(connection, &sql, &[&after, &limit], read)
        }
    }
}
