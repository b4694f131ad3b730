//! Every try to hand a message to the provider, noted before it is made: one without an outcome was
//! cut off, and whether the provider has it is not known.

use super::StoreError;
use super::value::{At, all, named, parsed};
use doorstep::time::Timestamp;
use rusqlite::{Connection, named_params, params};

named! {
    /// What a try came to.
    enum Outcome {
        /// The provider has the message.
        Taken = "taken",
        /// The provider will not have it.
        Refused = "refused",
        /// The provider does not have it.
        Failed = "failed",
        /// The provider may have it.
        Unknown = "unknown",
    }
}

/// One try.
#[derive(Clone, Debug)]
pub(crate) struct Try {
    pub(crate) number: u32,
    pub(crate) at: Timestamp,
    pub(crate) provider: String,
    /// Nothing while it is under way.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) provider_id: Option<String>,
    pub(crate) error: Option<String>,
}

/// Notes that a try is about to be made.
pub(crate) fn begin(
    connection: &Connection,
    message: &str,
    number: u32,
    provider: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO message_tries (message, number, at, provider) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![message, number, At(now), provider])?;
    Ok(())
}

/// Notes what the try under way came to.
pub(crate) fn end(
    connection: &Connection,
    message: &str,
    outcome: Outcome,
    provider_id: Option<&str>,
    error: Option<&str>,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE message_tries SET outcome = :outcome, provider_id = :provider_id, error = :error
             WHERE message = :message AND outcome IS NULL",
        )?
        .execute(named_params! {
            ":message": message, ":outcome": outcome.as_str(), ":provider_id": provider_id,
            ":error": error,
        })?;
    Ok(())
}

/// All tries of a message, in their order.
pub(crate) fn of_message(connection: &Connection, message: &str) -> Result<Vec<Try>, StoreError> {
    let sql = "SELECT number, at, provider, outcome, provider_id, error FROM message_tries
               WHERE message = ?1 ORDER BY number";
    all(connection, sql, &[&message], |row| {
        let outcome: Option<String> = row.get(3)?;
        Ok(Try {
            number: row.get(0)?,
            at: row.get::<_, At>(1)?.0,
            provider: row.get(2)?,
            outcome: outcome
                .map(|text| parsed("message_tries.outcome", &text, Outcome::parse))
                .transpose()?,
            provider_id: row.get(4)?,
            error: row.get(5)?,
        })
    })
}
