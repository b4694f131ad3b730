//! The issuer itself.

pub(crate) mod show;
