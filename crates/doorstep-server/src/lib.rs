//! The issuer's service: it takes in deliveries, makes their codes, hands routes to drivers'
//! devices, sends the messages to customers and takes the outcomes back in; it keeps accounts and
//! verifies the codes of their authenticators; and it keeps locks and gives their bookings PINs.
//!
//! A binary makes a data directory with [`init()`], opens it as a [`Context`] with its own [`Clock`]
//! and randomness, and runs [`serve()`]. This crate reads no clock and draws no randomness by
//! itself.

mod api;
mod authenticators;
mod backup;
mod bulletins;
pub mod config;
mod context;
pub mod doctor;
mod epochs;
mod evidence;
mod export;
mod health;
mod hex;
pub mod holder_key;
mod http;
mod ids;
mod init;
mod issuing;
mod jobs;
mod keys;
mod lock_journal;
mod lock_keys;
mod lock_state;
mod messages;
#[cfg(test)]
mod no_oracle;
mod outgoing;
mod pass_keys;
mod pass_revocation;
mod pass_root;
mod passes;
pub mod phone;
mod presentation;
mod revocation;
mod riders;
pub mod scope;
mod serve;
mod signed_time;
mod stalled;
mod standard_webhooks;
mod store;
#[cfg(test)]
mod test_authenticator;
#[cfg(test)]
mod test_lock;
#[cfg(test)]
mod test_pass;
#[cfg(test)]
mod test_server;
mod text;
pub mod ticket;
mod tls;
mod utc;
mod wallet;

use doorstep_files::seal;
use rand_core::CryptoRng;
use scope::Scopes;
use zeroize::Zeroizing;

pub use api::openapi::openapi_json;
pub use backup::{
    Access, BackedUp, BackupError, KeyFiles, Open, Restored, Restoring, Voided, backup, restore,
};
pub use config::Config;
pub use context::{Clock, Context, OpenError, SharedRng};
pub use export::{ExportedAuthenticator, ExportedKind, export};
pub use init::{InitError, Mode, init};
pub use keys::KeyError;
pub use messages::MessagesError;
pub use serve::{ServeError, serve};
pub use store::StoreError;
pub use tls::TlsError;

/// Makes a secret for the Standard Webhooks scheme, which both sides have to know.
pub fn make_webhook_secret(rng: &mut (impl CryptoRng + ?Sized)) -> Zeroizing<String> {
    standard_webhooks::WebhookSecret::make(rng).reveal()
}

/// An API key that was just made.
pub struct CreatedKey {
    /// Its id.
    pub id: String,
    /// The key itself, to be shown once.
    pub secret: String,
}

/// Makes an API key without asking for one: for who can open the data directory anyway. It may
/// run beside a server on the same directory. Without a `lifetime` in seconds it lives until it is
/// revoked.
///
/// # Errors
/// [`CreateKeyError`]: a name that is empty, too long or not printable, or the store's.
pub async fn create_api_key(
    context: &Context,
    name: &str,
    scopes: Scopes,
    lifetime: Option<u64>,
) -> Result<CreatedKey, CreateKeyError> {
    text::name(name).map_err(|error| CreateKeyError::Name(error.to_string()))?;
    let expires_at = lifetime.map(|seconds| context.now().later(seconds));
    let (key, secret) =
        api::v1::keys::create::make(context, name.to_owned(), scopes, expires_at).await?;
    Ok(CreatedKey { id: key.id, secret })
}

/// Why an API key was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateKeyError {
    /// The name will not do.
    #[error("the key's name {0}")]
    Name(String),
    /// It could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}
