//! Claims: what devices say happened at the door, on its way in.

pub(crate) mod carry;
mod flood;
mod report;
pub(crate) mod upload;
