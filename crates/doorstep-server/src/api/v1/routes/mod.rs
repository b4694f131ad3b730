//! Routes: what devices are handed before they go offline.

pub(crate) mod fetch;
