//! A server that dies: killed at random under load, or with the power of its machine. What it said before must
//! still be so afterwards.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod disk;
mod kills;
mod line;
mod load;
mod phone;
mod power_cut;
#[path = "../support/mod.rs"]
mod support;
mod wreck;
