//! Column values and domain values, converted in one place and checked on the way back.

use super::StoreError;
use doorstep::time::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row};

/// All rows of a query, each read by `read`.
pub(crate) fn all<T>(
    connection: &Connection,
    sql: &str,
    values: &[&dyn ToSql],
    read: impl Fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

/// An enum whose variants stand in the database and in the API by name.
macro_rules! named {
    ($(#[$about:meta])* enum $name:ident {
        $($(#[$doc:meta])* $variant:ident = $text:literal,)+
    }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name in the database and in the API.
            pub(crate) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            pub(crate) fn parse(text: &str) -> Result<Self, ()> {
                Self::ALL.iter().copied().find(|known| known.as_str() == text).ok_or(())
            }
        }
    };
}
pub(crate) use named;

/// A point in time as a column: whole UTC seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At(pub(crate) Timestamp);

impl ToSql for At {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        // Times beyond the last that fits are that one: a clock so far off must not stop the server.
        Ok(i64::try_from(self.0.seconds()).unwrap_or(i64::MAX).into())
    }
}

impl FromSql for At {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let seconds =
            u64::try_from(value.as_i64()?).map_err(|error| FromSqlError::Other(error.into()))?;
        Ok(Self(Timestamp::from_seconds(seconds)))
    }
}

/// A number that only grows, as a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) u64);

impl ToSql for Count {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let number = i64::try_from(self.0)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        Ok(number.into())
    }
}

impl FromSql for Count {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        u64::try_from(value.as_i64()?).map(Self).map_err(|error| FromSqlError::Other(error.into()))
    }
}

/// Reads a stored text with its own parser; what does not parse is damage, never a default.
///
/// # Errors
/// [`StoreError::Corrupt`] naming `column`.
pub(crate) fn parsed<T, E>(
    column: &'static str,
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, StoreError> {
    parse(text).map_err(|_| StoreError::Corrupt { column })
}
