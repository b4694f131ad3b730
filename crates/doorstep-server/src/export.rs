//! All authenticators of a data directory with their secrets, for whoever can open the directory and
//! its keys anyway. Nothing is written, so that a server may run beside it.

use crate::authenticators;
use crate::context::OpenError;
use crate::init::{DATABASE, KEYS};
use crate::keys::Keys;
use crate::store::authenticators::{Kind, State};
use crate::store::value::parsed;
use crate::store::{self, StoreError, accounts, meta};
use doorstep::id::IssuerId;
use doorstep::otp::OtpSecret;
use doorstep::otp::hotp::Hotp;
use doorstep::otp::ocra::suite::Suite;
use doorstep::otp::totp::Totp;
use doorstep::otp::window::Window;
use std::path::Path;

/// Accounts that are read at a time.
const PAGE: u32 = 1000;

/// One authenticator with its secret.
pub struct ExportedAuthenticator {
    /// Its id.
    pub id: String,
    /// The name of its account.
    pub account: String,
    /// What it was called at enrolment.
    pub label: String,
    /// The shared secret.
    pub secret: OtpSecret,
    /// How its codes are made.
    pub kind: ExportedKind,
}

/// How an authenticator makes its codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportedKind {
    /// By a clock.
    Totp {
        /// How its codes are made.
        totp: Totp,
        /// Which of its steps are taken.
        window: Window,
    },
    /// By a counter.
    Hotp {
        /// How its codes are made.
        hotp: Hotp,
        /// The next counter.
        next: u64,
    },
    /// By challenges.
    Ocra {
        /// What goes into an answer.
        suite: Suite,
        /// The next counter, if one goes in.
        next: Option<u64>,
    },
}

/// Reads the authenticators whose codes are taken, account by account, oldest first, and says how many
/// others there are: whoever takes those in elsewhere would make them active.
///
/// # Errors
/// [`OpenError`]: no data, keys missing or of another issuer, or a database of another version.
pub fn export(dir: &Path, mut each: impl FnMut(ExportedAuthenticator)) -> Result<usize, OpenError> {
    let path = dir.join(DATABASE);
    if !path.is_file() {
        return Err(OpenError::Missing { path: dir.to_owned() });
    }
    let connection = store::open_to_read(&path)?;
    let read = |key, column| meta::get(&connection, key)?.ok_or(StoreError::Corrupt { column });
    let issuer = parsed("meta.issuer", &read(meta::ISSUER, "meta.issuer")?, IssuerId::parse)?;
    let keys = Keys::open(&dir.join(KEYS), issuer, &read(meta::KEY_CHECK, "meta.key_check")?)?;
    // One moment, whatever a server does meanwhile.
    let connection = connection.unchecked_transaction().map_err(StoreError::from)?;
    let (mut after, mut others) = (0, 0_usize);
    loop {
        let page = accounts::page(&connection, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(others) };
        after = last.seq;
        for account in &page {
            for row in store::authenticators::of_account(&connection, account.seq)? {
                if row.state != State::Active || account.disabled_at.is_some() {
                    others = others.saturating_add(1);
                    continue;
                }
                let next = row.remembered.last_step().map_or(0, |last| last.saturating_add(1));
                let secret = authenticators::secret(&keys, &row)
                    .map_err(|_| StoreError::Corrupt { column: "authenticators.sealed" })?;
                each(ExportedAuthenticator {
                    secret,
                    account: account.name.clone(),
                    label: row.label,
                    kind: match row.kind {
                        Kind::Totp { totp, window } => ExportedKind::Totp { totp, window },
                        Kind::Hotp(hotp) => ExportedKind::Hotp { hotp, next },
                        Kind::Ocra { suite, .. } => {
                            let next = suite.has_counter().then_some(next);
                            ExportedKind::Ocra { suite, next }
                        }
                    },
                    id: row.id,
                });
            }
        }
    }
}
