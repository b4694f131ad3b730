//! A driver's device as a directory: `journal`, the append-only record of everything that happened,
//! and `device.key`, its private key.

pub(crate) mod door;
pub(crate) mod journal;
pub(crate) mod key;
pub(crate) mod sync;
