//! What doorstep's programs keep in files, so that the driver's device and the login gate share one
//! way to survive a crash and one way to keep others out.

pub mod error;
mod frame;
pub mod journal;
pub mod private;
pub mod seal;

pub use error::FileError;
