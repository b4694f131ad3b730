//! HOTP, TOTP and OCRA: every vector, every rule of the verifier, and every way this field failed.

#![cfg(feature = "otpauth")]

mod ocra;
mod regressions;
mod support;
mod vectors;
mod verify;
