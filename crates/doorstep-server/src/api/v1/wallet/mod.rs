//! What phones without an account may ask for: the pass that a ticket stands for, and what to bring to its lock.

pub(crate) mod collect;
mod phone_pass;
pub(crate) mod sync;

use crate::http::base64url::write;

/// Riders as they go out.
fn documents(riders: &[Vec<u8>]) -> Vec<String> {
    riders.iter().map(|document| write(document)).collect()
}
