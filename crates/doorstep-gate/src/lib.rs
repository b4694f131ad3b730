//! Login gates: one-time codes in front of web pages (nginx, Caddy, Traefik) and of PAM (sshd,
//! sudo), from one state file, without a server or a database (`docs/gate.md`).
//!
//! [`config`] reads `gate.toml`; [`gate`] opens the state file, [`verify`] decides by the core,
//! [`service`] asks a doorstep service instead; [`session`] makes and checks cookies. The web gate
//! itself is `web`, behind the feature of that name. Time and randomness are arguments.

mod account;
pub mod config;
pub mod error;
pub mod gate;
mod keys;
pub mod name;
pub mod service;
pub mod session;
mod state;
mod token;
pub mod verify;
#[cfg(feature = "web")]
pub mod web;

pub use error::GateError;
