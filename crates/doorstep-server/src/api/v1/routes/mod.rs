//! Routes: what drivers' devices are handed, and what drivers take on themselves.

pub(crate) mod fetch;
pub(crate) mod take;
