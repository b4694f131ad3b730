//! doorstep: one-time codes that are verified where there is no network.
//!
//! This crate is the shared module of every doorstep program: the server that issues codes, the
//! driver's device and the lock that verify them. It knows no clock, draws no randomness and does
//! no input or output: time, random bytes and stored state are arguments, and what must be stored
//! is a result.
//!
//! Every use is the same small play. An issuer hands a verifier, ahead of time, what it needs to
//! check a code; the holder gets the code; later, offline, the verifier decides alone:
//!
//! ```text
//! parse -> normalise once -> throttle -> the attempt is counted (durable) -> compare
//!       -> spent (durable) -> grant
//! ```
//!
//! [`verifier`] orders these steps by types: a comparison exists only after the attempt's record
//! was appended, a grant only after the spending was. [`handover`] is the first method: delivery
//! codes (HO1, `docs/ho1.md`), made with [`handover::issue`] and checked with
//! [`handover::device::Device`].
//!
//! [`otp`] is the method of authenticators: HOTP, TOTP and OCRA (`docs/otp.md`); [`keypad`] that of
//! locks: PINs for a window (KP1, `docs/kp1.md`), judged by what [`clock`] believes; [`door`] is a lock as it
//! is installed; [`pass`] is the method of signed tokens (DP1, `docs/dp1.md`).
//!
//! Without the default features `handover` and `otpauth` the crate needs no allocator; `aws-lc` needs `std`.

#![no_std]
#![cfg_attr(
    not(test),
    warn(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::panic
    )
)]

#[cfg(any(feature = "aws-lc", feature = "handover", feature = "otpauth"))]
extern crate alloc;
#[cfg(test)]
extern crate std;

#[cfg(any(feature = "lock", feature = "otp"))]
mod bytes;
#[cfg(feature = "lock")]
pub mod clock;
pub mod code;
#[cfg(any(feature = "handover", feature = "pass"))]
pub mod cose;
pub mod crockford;
#[cfg(all(feature = "otp", feature = "pass"))]
pub mod door;
#[cfg(feature = "handover")]
pub mod handover;
pub mod id;
#[cfg(feature = "lock")]
pub mod keypad;
pub mod ledger;
pub mod odds;
#[cfg(feature = "otp")]
pub mod otp;
#[cfg(feature = "pass")]
pub mod pass;
pub mod refusal;
pub mod secret;
pub mod throttle;
pub mod time;
pub mod verifier;
