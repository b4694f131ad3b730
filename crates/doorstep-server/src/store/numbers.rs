//! How much of what there is, for the metrics; each by an index.

use super::StoreError;
use super::value::{At, Count, all};
use doorstep::time::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};

/// What is counted.
#[derive(Debug)]
pub(crate) struct Numbers {
    pub(crate) messages_due: u64,
    /// Seconds.
    pub(crate) message_lag: u64,
    pub(crate) messages_failed: u64,
    pub(crate) claims_waiting: u64,
    pub(crate) disputes: u64,
    /// By state.
    pub(crate) devices: Vec<(String, u64)>,
    pub(crate) database_bytes: u64,
}

/// Counts all.
pub(crate) fn read(connection: &Connection, now: Timestamp) -> Result<Numbers, StoreError> {
    let count = |sql: &str| -> Result<u64, StoreError> {
        Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, Count>(0))?.0)
    };
    let due = connection
        .prepare_cached(
            "SELECT count(*), min(next_at) FROM messages
             WHERE state IN ('waiting', 'sending') AND next_at <= ?1",
        )?
        .query_row([At(now)], |row| Ok((row.get::<_, Count>(0)?.0, row.get::<_, Option<At>>(1)?)))
        .optional()?;
    let (messages_due, oldest) = due.unwrap_or_default();
    let pages = count("SELECT page_count FROM pragma_page_count")?;
    let page = count("SELECT page_size FROM pragma_page_size")?;
    Ok(Numbers {
        messages_due,
        message_lag: oldest.map_or(0, |oldest| now.since(oldest.0)),
        messages_failed: count("SELECT count(*) FROM messages WHERE state = 'failed'")?,
        claims_waiting: count("SELECT count(*) FROM claims WHERE verdict IS NULL")?,
        disputes: count("SELECT count(*) FROM deliveries WHERE state = 'disputed'")?,
        devices: all(
            connection,
            "SELECT state, count(*) FROM devices GROUP BY state ORDER BY state",
            &[],
            |row| Ok((row.get(0)?, row.get::<_, Count>(1)?.0)),
        )?,
        database_bytes: pages.saturating_mul(page),
    })
}
