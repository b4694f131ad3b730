//! What devices claimed, counted, for whoever looks for those that claim too much.

use super::StoreError;
use super::generations::CodeCheck;
use super::value::{At, Count, all, parsed};
use doorstep::code::{Alphabet, Shape};
use doorstep::time::Timestamp;
use rusqlite::Connection;

/// What one device claimed.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    pub(crate) device: String,
    pub(crate) driver: String,
    pub(crate) state: String,
    /// Parcels that it says it handed over.
    pub(crate) granted: u64,
    /// With another code than the one that was sent.
    pub(crate) mismatches: u64,
    /// With one that is a single slip away.
    pub(crate) typos: u64,
    /// That came in after their window.
    pub(crate) late: u64,
    /// That contradict its other claims.
    pub(crate) forks: u64,
    /// Attempts that it says failed.
    pub(crate) failed: u64,
}

/// The counts of each device that claimed something since then.
pub(crate) fn counts(connection: &Connection, since: Timestamp) -> Result<Vec<Counts>, StoreError> {
    let sql = "SELECT c.device, d.driver, d.state,
                      sum(c.outcome = 'granted'), sum(c.verdict IS 'mismatch'),
                      sum(c.verdict IS 'match_with_typo'), sum(c.late_possible), sum(c.forked),
                      sum(c.outcome = 'failed')
               FROM claims AS c JOIN devices AS d ON d.id = c.device
               WHERE c.received_at >= ?1 GROUP BY c.device ORDER BY d.seq";
    all(connection, sql, &[&At(since)], |row| {
        let count = |index| Ok::<_, StoreError>(row.get::<_, Count>(index)?.0);
        Ok(Counts {
            device: row.get(0)?,
            driver: row.get(1)?,
            state: row.get(2)?,
            granted: count(3)?,
            mismatches: count(4)?,
            typos: count(5)?,
            late: count(6)?,
            forks: count(7)?,
            failed: count(8)?,
        })
    })
}

/// How many typed claims of a device were compared, of one kind of code.
#[derive(Clone, Debug)]
pub(crate) struct Compared {
    pub(crate) device: String,
    pub(crate) shape: Shape,
    pub(crate) check: CodeCheck,
    pub(crate) slots: u8,
    pub(crate) claims: u64,
}

/// The typed claims since then that were compared, by device and kind of code.
pub(crate) fn compared(
    connection: &Connection,
    since: Timestamp,
) -> Result<Vec<Compared>, StoreError> {
    let sql = "SELECT c.device, g.alphabet, g.code_length, g.code_check, g.slots, count(*)
               FROM claims AS c
               JOIN generations AS g ON g.delivery = c.delivery AND g.generation = c.generation
               WHERE c.received_at >= ?1 AND c.means = 'typed'
                 AND c.verdict IN ('match', 'match_with_typo', 'mismatch')
               GROUP BY 1, 2, 3, 4, 5";
    all(connection, sql, &[&At(since)], |row| {
        let alphabet = match row.get::<_, u8>(1)? {
            10 => Alphabet::Digits,
            32 => Alphabet::Crockford,
            _ => return Err(StoreError::Corrupt { column: "generations.alphabet" }),
        };
        let check = row.get_ref(3)?.as_str().unwrap_or_default();
        Ok(Compared {
            device: row.get(0)?,
            shape: Shape::new(alphabet, row.get(2)?)
                .ok_or(StoreError::Corrupt { column: "generations.code_length" })?,
            check: parsed("generations.code_check", check, CodeCheck::parse)?,
            slots: row.get(4)?,
            claims: row.get::<_, Count>(5)?.0,
        })
    })
}
