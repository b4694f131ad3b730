//! Brings a database to the schema this program knows, one numbered step at a time.

use super::StoreError;
use rusqlite::{Connection, TransactionBehavior};

/// Each step leads from its index to the next `user_version`. Steps are never edited once released.
const STEPS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
    include_str!("migrations/0006.sql"),
    include_str!("migrations/0007.sql"),
    include_str!("migrations/0008.sql"),
    include_str!("migrations/0009.sql"),
    include_str!("migrations/0010.sql"),
    include_str!("migrations/0011.sql"),
];

/// Takes the steps that are missing, then `fill`, in one transaction.
pub(super) fn run(
    connection: &mut Connection,
    fill: impl FnOnce(&Connection) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    // Taken at once, so that two programs starting together do not both migrate.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    let done =
        usize::try_from(found).map_err(|_| StoreError::Corrupt { column: "user_version" })?;
    for step in STEPS.iter().skip(done) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    fill(&transaction)?;
    transaction.commit()?;
    Ok(())
}

/// Refuses a database of another version.
pub(super) fn require_known(connection: &Connection) -> Result<(), StoreError> {
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match found.cmp(&known) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(StoreError::Newer { found, known }),
        std::cmp::Ordering::Less => Err(StoreError::Older { found, known }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_of_the_first_schema_is_brought_up_to_date_and_keeps_what_it_holds() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(STEPS[0]).unwrap();
        connection.execute_batch("INSERT INTO meta VALUES ('a', 'b')").unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        assert!(matches!(require_known(&connection), Err(StoreError::Older { found: 1, .. })));
        run(&mut connection, |_| Ok(())).unwrap();
        require_known(&connection).unwrap();
        let count = |table: &str| -> i64 {
            let sql = format!("SELECT count(*) FROM {table}");
            connection.query_row(&sql, [], |row| row.get(0)).unwrap()
        };
        assert_eq!((count("meta"), count("accounts"), count("uncompared")), (1, 0, 1));
        assert_eq!((count("locks"), count("bookings"), count("told_time")), (0, 0, 1));
    }

    #[test]
    fn migrating_twice_changes_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection, |_| Ok(())).unwrap();
        let schema = |c: &Connection| -> String {
            c.query_row("SELECT group_concat(sql, ';') FROM sqlite_schema", [], |r| r.get(0))
                .unwrap()
        };
        let before = schema(&connection);
        run(&mut connection, |_| Ok(())).unwrap();
        assert_eq!(schema(&connection), before);
    }
}
