//! Claims: what devices say happened at the door, on its way in.

pub(crate) mod upload;
