//! Recovery codes: keyed hashes, each good for once.

use super::StoreError;
use super::value::At;
use doorstep::otp::recovery::Held;
use doorstep::time::Timestamp;
use rusqlite::{Connection, params};

/// The account's codes, by number.
pub(crate) fn of_account(connection: &Connection, account: i64) -> Result<Vec<Held>, StoreError> {
    let held = connection
        .prepare_cached(
            "SELECT number, mac, used_at FROM recovery_codes WHERE account = ?1 ORDER BY number",
        )?
        .query_map([account], |row| {
            Ok(Held {
                number: row.get(0)?,
                mac: row.get(1)?,
                used: row.get::<_, Option<At>>(2)?.map(|at| at.0),
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(held)
}

/// Puts a new set in the place of the old one.
pub(crate) fn replace(
    connection: &Connection,
    account: i64,
    macs: &[[u8; 32]],
) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM recovery_codes WHERE account = ?1")?
        .execute([account])?;
    let mut statement = connection
        .prepare_cached("INSERT INTO recovery_codes (account, number, mac) VALUES (?1, ?2, ?3)")?;
    for (number, mac) in (0_i64..).zip(macs) {
        statement.execute(params![account, number, mac])?;
    }
    Ok(())
}

/// Spends a code. Says whether it was still unused.
pub(crate) fn spend(
    connection: &Connection,
    account: i64,
    number: u8,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let changed = connection
        .prepare_cached(
            "UPDATE recovery_codes SET used_at = ?3
             WHERE account = ?1 AND number = ?2 AND used_at IS NULL",
        )?
        .execute(params![account, number, At(now)])?;
    Ok(changed == 1)
}
