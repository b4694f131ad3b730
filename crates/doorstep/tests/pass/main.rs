//! Passes: every rule of the lock, the sizes, every vector, and what nobody thought of.

#![cfg(all(feature = "encrypt", feature = "esp256"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod documents;
mod encrypted;
mod exchange;
mod lock;
mod mutations;
mod riders;
mod starts;
mod support;
mod timed;
mod vectors;
mod wycheproof;
