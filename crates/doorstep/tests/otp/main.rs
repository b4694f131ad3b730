//! HOTP, TOTP and OCRA: every vector, every rule of the verifier, and every way this field failed.

#![cfg(feature = "otpauth")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod account;
mod ocra;
mod recovery;
mod regressions;
mod support;
mod vectors;
mod verify;
