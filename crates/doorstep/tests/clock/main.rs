//! A lock's belief about the time: every rule, and every attack that has a name.

#![cfg(feature = "lock")]

mod attacks;
mod rules;
mod support;
#[cfg(feature = "otp")]
mod totp;
