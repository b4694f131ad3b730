//! Accounts: who has authenticators, and everything that is presented to them.

pub(crate) mod create;
pub(crate) mod disable;
pub(crate) mod enable;
pub(crate) mod enrol;
pub(crate) mod enrolment;
pub(crate) mod import;
pub(crate) mod list;
pub(crate) mod outcome;
pub(crate) mod recover;
pub(crate) mod recovery_codes;
pub(crate) mod show;
pub(crate) mod unlock;
pub(crate) mod verify;

use super::authenticators::AuthenticatorView;
use crate::http::problem::{Code, Problem};
use crate::store::accounts::{self, Account, Named};
use crate::store::{StoreError, authenticators, known_devices, recovery_codes as codes};
use crate::text;
use crate::utc::Utc;
use doorstep::refusal::Refusal;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::Serialize;
use utoipa::ToSchema;

/// An account. It never shows a secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccountView {
    /// Its id, for ever.
    #[schema(example = "acc_01m7zpcgdg2c2rbw8qte4qcp8y")]
    id: String,
    /// Its name. Names that differ in case alone are one.
    #[schema(example = "ana@example.com")]
    name: String,
    /// Whether it is disabled, and since when.
    disabled_at: Option<Utc>,
    created_at: Utc,
    /// Attempts that anybody has left.
    attempts_left: u8,
    /// When the next attempt of anybody is taken; null while there are any.
    throttled_until: Option<Utc>,
}

impl AccountView {
    pub(crate) fn new(account: Account, now: Timestamp) -> Self {
        let throttled_until = match account.bucket.take(now) {
            Err(Refusal::Throttled { until }) => until.map(Utc),
            _ => None,
        };
        Self {
            id: account.id,
            name: account.name,
            disabled_at: account.disabled_at.map(Utc),
            created_at: Utc(account.created_at),
            attempts_left: account.bucket.filled(now).left(),
            throttled_until,
        }
    }
}

/// An account with what belongs to it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccountDetails {
    #[serde(flatten)]
    account: AccountView,
    authenticators: Vec<AuthenticatorView>,
    /// Recovery codes that were not used yet.
    recovery_codes_left: usize,
    /// Devices that have attempts of their own.
    known_devices: u32,
}

/// An account as it now is.
pub(crate) fn details(
    connection: &Connection,
    named: &Named,
    now: Timestamp,
) -> Result<AccountDetails, Problem> {
    let account = accounts::find(connection, named)?.ok_or_else(not_found)?;
    let authenticators = authenticators::of_account(connection, account.seq)?;
    let codes = codes::of_account(connection, account.seq)?;
    Ok(AccountDetails {
        authenticators: authenticators.iter().map(AuthenticatorView::from).collect(),
        recovery_codes_left: codes.iter().filter(|code| code.used.is_none()).count(),
        known_devices: known_devices::count(connection, account.seq)?,
        account: AccountView::new(account, now),
    })
}

/// Reads how a caller names an account; `None` for what cannot be a name.
pub(crate) fn named(text: &str) -> Option<Named> {
    if is_id(text) {
        return Some(Named::Id(text.to_owned()));
    }
    text::account_name(text).ok().map(|(_, key)| Named::Key(key))
}

fn is_id(text: &str) -> bool {
    text.len() == 30 && text.starts_with("acc_")
}

/// The account that a path names by its id.
pub(crate) fn find(connection: &Connection, id: &str) -> Result<Account, Problem> {
    accounts::find(connection, &Named::Id(id.to_owned()))?.ok_or_else(not_found)
}

pub(crate) fn not_found() -> Problem {
    Problem::new(Code::AccountNotFound, "no account has this id")
        .hint("GET /v1/accounts?name=... finds one by its name")
}

/// Adds an account. Its id is drawn before.
pub(crate) fn insert(
    connection: &Connection,
    id: &str,
    (name, key): &(String, String),
    now: Timestamp,
) -> Result<Option<i64>, StoreError> {
    Ok(match accounts::insert(connection, id, name, key, now)? {
        accounts::Inserted::Yes(seq) => Some(seq),
        accounts::Inserted::DuplicateName => None,
    })
}
