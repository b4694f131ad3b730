//! Authenticators: how their codes are made, their sealed secrets, and what was accepted last.

use super::StoreError;
use super::value::{At, named, parsed};
use doorstep::otp::hotp::Hotp;
use doorstep::otp::ocra::suite::Suite;
use doorstep::otp::record::{STATE_LENGTH, State as Remembered};
use doorstep::otp::totp::Totp;
use doorstep::otp::window::Window;
use doorstep::otp::{Algorithm, Digits};
use doorstep::time::Timestamp;
use rusqlite::{Connection, Row, named_params, params};
use std::num::NonZeroU64;

named! {
    /// Whether codes are taken from an authenticator.
    enum State {
        /// Not yet: no code of it was seen.
        Pending = "pending",
        Active = "active",
        /// Not any more.
        Disabled = "disabled",
    }
}

/// How an authenticator makes its codes, and which of them are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Totp { totp: Totp, window: Window },
    Hotp(Hotp),
    Ocra { suite: Suite, window: Window },
}

impl Kind {
    /// The name in the database and in the API.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Totp { .. } => "totp",
            Self::Hotp(_) => "hotp",
            Self::Ocra { .. } => "ocra",
        }
    }

    pub(crate) const fn algorithm(self) -> Algorithm {
        match self {
            Self::Totp { totp, .. } => totp.algorithm,
            Self::Hotp(hotp) => hotp.algorithm,
            Self::Ocra { suite, .. } => suite.algorithm(),
        }
    }

    /// Digits of a code; 0 where the whole hash is the response.
    pub(crate) fn digits(self) -> u8 {
        match self {
            Self::Totp { totp, .. } => totp.digits.get(),
            Self::Hotp(hotp) => hotp.digits.get(),
            Self::Ocra { suite, .. } => suite.digits().map_or(0, Digits::get),
        }
    }

    /// Seconds of a step of a clock.
    pub(crate) const fn period(self) -> Option<NonZeroU64> {
        match self {
            Self::Totp { totp, .. } => Some(totp.period),
            Self::Hotp(_) => None,
            Self::Ocra { suite, .. } => suite.period(),
        }
    }

    pub(crate) const fn window(self) -> Option<Window> {
        match self {
            Self::Totp { window, .. } | Self::Ocra { window, .. } => Some(window),
            Self::Hotp(_) => None,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Authenticator {
    /// The account's `seq`.
    pub(crate) account: i64,
    pub(crate) number: u16,
    pub(crate) id: String,
    pub(crate) state: State,
    pub(crate) kind: Kind,
    pub(crate) label: String,
    pub(crate) sealed: Vec<u8>,
    pub(crate) sealed_pin: Option<Vec<u8>>,
    pub(crate) remembered: Remembered,
    pub(crate) created_at: Timestamp,
    pub(crate) activated_at: Option<Timestamp>,
    pub(crate) last_used_at: Option<Timestamp>,
}

pub(crate) fn insert(connection: &Connection, new: &Authenticator) -> Result<(), StoreError> {
    // The period of a suite stands in the suite.
    let period = match new.kind {
        Kind::Totp { totp, .. } => Some(seconds(totp.period)),
        Kind::Hotp(_) | Kind::Ocra { .. } => None,
    };
    let suite = match &new.kind {
        Kind::Ocra { suite, .. } => Some(suite.as_str()),
        Kind::Totp { .. } | Kind::Hotp(_) => None,
    };
    connection
        .prepare_cached(
            "INSERT INTO authenticators (account, number, id, state, kind, label, algorithm, digits,
                 period, accepts, suite, sealed, sealed_pin, remembered, created_at, activated_at)
             VALUES (:account, :number, :id, :state, :kind, :label, :algorithm, :digits,
                 :period, :accepts, :suite, :sealed, :sealed_pin, :remembered, :created, :activated)",
        )?
        .execute(named_params! {
            ":account": new.account, ":number": new.number, ":id": new.id,
            ":state": new.state.as_str(), ":kind": new.kind.as_str(), ":label": new.label,
            ":algorithm": new.kind.algorithm().name(), ":digits": new.kind.digits(),
            ":period": period, ":accepts": new.kind.window().map(|window| window.to_string()),
            ":suite": suite, ":sealed": new.sealed, ":sealed_pin": new.sealed_pin,
            ":remembered": new.remembered.to_bytes(), ":created": At(new.created_at),
            ":activated": new.activated_at.map(At),
        })?;
    Ok(())
}

fn seconds(period: NonZeroU64) -> i64 {
    i64::try_from(period.get()).unwrap_or(i64::MAX)
}

const COLUMNS: &str = "account, number, id, state, kind, label, algorithm, digits, period, accepts,
     suite, sealed, sealed_pin, remembered, created_at, activated_at, last_used_at";

pub(crate) fn find(connection: &Connection, id: &str) -> Result<Option<Authenticator>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM authenticators WHERE id = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([id])?;
    rows.next()?.map(read).transpose()
}

/// The authenticator that another table named.
pub(crate) fn at(
    connection: &Connection,
    account: i64,
    number: u16,
) -> Result<Authenticator, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM authenticators WHERE account = ?1 AND number = ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![account, number])?;
    let row = rows.next()?.ok_or(StoreError::Corrupt { column: "challenges.number" })?;
    read(row)
}

/// All authenticators of an account, by number.
pub(crate) fn of_account(
    connection: &Connection,
    account: i64,
) -> Result<Vec<Authenticator>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM authenticators WHERE account = ?1 ORDER BY number");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([account])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

fn read(row: &Row<'_>) -> Result<Authenticator, StoreError> {
    let text = |index| Ok::<_, rusqlite::Error>(row.get_ref(index)?.as_str().unwrap_or_default());
    let remembered: [u8; STATE_LENGTH] = row.get(13)?;
    Ok(Authenticator {
        account: row.get(0)?,
        number: row.get(1)?,
        id: row.get(2)?,
        state: parsed("authenticators.state", text(3)?, State::parse)?,
        kind: read_kind(row)?,
        label: row.get(5)?,
        sealed: row.get(11)?,
        sealed_pin: row.get(12)?,
        remembered: Remembered::from_bytes(&remembered)
            .ok_or(StoreError::Corrupt { column: "authenticators.remembered" })?,
        created_at: row.get::<_, At>(14)?.0,
        activated_at: row.get::<_, Option<At>>(15)?.map(|at| at.0),
        last_used_at: row.get::<_, Option<At>>(16)?.map(|at| at.0),
    })
}

fn read_kind(row: &Row<'_>) -> Result<Kind, StoreError> {
    let text = |index| Ok::<_, rusqlite::Error>(row.get_ref(index)?.as_str().unwrap_or_default());
    let algorithm = Algorithm::parse(text(6)?)
        .ok_or(StoreError::Corrupt { column: "authenticators.algorithm" })?;
    let digits =
        || Digits::new(row.get(7)?).ok_or(StoreError::Corrupt { column: "authenticators.digits" });
    let window =
        || parsed("authenticators.accepts", text(9)?, |name| Window::parse(name).ok_or(()));
    match text(4)? {
        "totp" => {
            let period = u64::try_from(row.get::<_, i64>(8)?).ok().and_then(NonZeroU64::new);
            let period = period.ok_or(StoreError::Corrupt { column: "authenticators.period" })?;
            let totp = Totp { algorithm, digits: digits()?, period, ..Totp::default() };
            Ok(Kind::Totp { totp, window: window()? })
        }
        "hotp" => Ok(Kind::Hotp(Hotp { algorithm, digits: digits()? })),
        "ocra" => {
            let suite = parsed("authenticators.suite", text(10)?, Suite::parse)?;
            Ok(Kind::Ocra { suite, window: window()? })
        }
        _ => Err(StoreError::Corrupt { column: "authenticators.kind" }),
    }
}

/// Stores what is to be remembered of an authenticator, and when it let somebody in.
pub(crate) fn remember(
    connection: &Connection,
    authenticator: &Authenticator,
    remembered: &Remembered,
    used_at: Option<Timestamp>,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE authenticators SET remembered = ?3, last_used_at = coalesce(?4, last_used_at)
             WHERE account = ?1 AND number = ?2",
        )?
        .execute(params![
            authenticator.account,
            authenticator.number,
            remembered.to_bytes(),
            used_at.map(At)
        ])?;
    Ok(())
}

/// Takes codes from now on; `period` is that of its clock, as its first code showed.
pub(crate) fn activate(
    connection: &Connection,
    authenticator: &Authenticator,
    period: Option<NonZeroU64>,
    now: Timestamp,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE authenticators SET state = 'active', activated_at = ?3, period = coalesce(?4, period)
             WHERE account = ?1 AND number = ?2",
        )?
        .execute(params![
            authenticator.account,
            authenticator.number,
            At(now),
            period.map(seconds)
        ])?;
    Ok(())
}

/// Takes no codes any more, for ever.
pub(crate) fn disable(
    connection: &Connection,
    authenticator: &Authenticator,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE authenticators SET state = 'disabled' WHERE account = ?1 AND number = ?2",
        )?
        .execute(params![authenticator.account, authenticator.number])?;
    Ok(())
}

/// Whether an authenticator was made before `before` and never activated.
pub(crate) fn any_pending(connection: &Connection, before: Timestamp) -> Result<bool, StoreError> {
    Ok(connection
        .prepare_cached("SELECT 1 FROM authenticators WHERE state = 'pending' AND created_at < ?1")?
        .exists([At(before)])?)
}

/// Forgets authenticators that were made before `before` and never activated.
pub(crate) fn forget_pending(connection: &Connection, before: Timestamp) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM authenticators WHERE state = 'pending' AND created_at < ?1")?
        .execute([At(before)])?;
    Ok(())
}
