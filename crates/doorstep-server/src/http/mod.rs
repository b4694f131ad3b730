//! What all endpoints share: how requests are read and authenticated, and how errors are worded.

pub(crate) mod auth;
pub(crate) mod base64url;
pub(crate) mod cursor;
pub(crate) mod extract;
pub(crate) mod idempotency;
pub(crate) mod key_cache;
pub(crate) mod limits;
pub(crate) mod metrics;
pub(crate) mod peer;
pub(crate) mod problem;
pub(crate) mod request_id;
pub(crate) mod timeout;
