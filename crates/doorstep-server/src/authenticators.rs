//! Enrolled secrets: sealed into the database, and opened into what the core verifies with.

use crate::context::Context;
use crate::http::problem::Problem;
use crate::keys::Keys;
use crate::seal::{Place, SealError};
use crate::store::StoreError;
use crate::store::authenticators::{Authenticator, Kind};
use doorstep::otp::OtpSecret;
use doorstep::otp::ocra::PinHash;
use doorstep::otp::ocra::verify::OcraAuthenticator;
use doorstep::otp::verify::{Authenticator as Otp, Drift, Method};

/// Counters that may have been shown and not presented.
const LOOK_AHEAD: u8 = 10;

const fn place<'a>(column: &'static str, id: &'a str) -> Place<'a> {
    Place { table: "authenticators", column, row: id }
}

/// Seals the secret of the authenticator `id`.
pub(crate) fn seal(context: &Context, id: &str, secret: &OtpSecret) -> Result<Vec<u8>, SealError> {
    context.with_rng(|rng| context.keys.seal.seal(place("sealed", id), secret.expose(), rng))
}

/// Seals the hash of its PIN.
pub(crate) fn seal_pin(context: &Context, id: &str, pin: &PinHash) -> Result<Vec<u8>, SealError> {
    context.with_rng(|rng| context.keys.seal.seal(place("sealed_pin", id), pin.expose(), rng))
}

/// Opens the secret.
pub(crate) fn secret(keys: &Keys, row: &Authenticator) -> Result<OtpSecret, Problem> {
    let bytes = keys.seal.open(place("sealed", &row.id), &row.sealed)?;
    OtpSecret::from_bytes(&bytes)
        .ok_or_else(|| StoreError::Corrupt { column: "authenticators.sealed" }.into())
}

/// Opens an authenticator whose codes are typed as they are; `None` for OCRA.
pub(crate) fn otp(keys: &Keys, row: &Authenticator) -> Result<Option<Otp>, Problem> {
    let method = match row.kind {
        Kind::Totp { totp, window } => Method::Totp { totp, window, drift: Drift::QUARTZ },
        Kind::Hotp(hotp) => Method::Hotp { hotp, look_ahead: LOOK_AHEAD },
        Kind::Ocra { .. } => return Ok(None),
    };
    Ok(Some(Otp::new(&secret(keys, row)?, method)))
}

/// The hash of its PIN, when its suite has one.
pub(crate) fn pin(keys: &Keys, row: &Authenticator) -> Result<Option<PinHash>, Problem> {
    let (Kind::Ocra { suite, .. }, Some(sealed)) = (row.kind, &row.sealed_pin) else {
        return Ok(None);
    };
    let hash = keys.seal.open(place("sealed_pin", &row.id), sealed)?;
    let pin = suite.pin().and_then(|algorithm| PinHash::from_bytes(algorithm, &hash));
    pin.map(Some).ok_or_else(|| StoreError::Corrupt { column: "authenticators.sealed_pin" }.into())
}

/// Opens an OCRA authenticator; `None` for the others.
pub(crate) fn ocra(keys: &Keys, row: &Authenticator) -> Result<Option<OcraAuthenticator>, Problem> {
    let Kind::Ocra { suite, window } = row.kind else { return Ok(None) };
    let made = OcraAuthenticator::new(&secret(keys, row)?, suite, pin(keys, row)?);
    let made = made.ok_or(StoreError::Corrupt { column: "authenticators.suite" })?;
    Ok(Some(made.with_window(window)))
}
