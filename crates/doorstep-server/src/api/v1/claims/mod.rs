//! Claims: what devices say happened at the door, on its way in.

pub(crate) mod carry;
mod report;
pub(crate) mod upload;
