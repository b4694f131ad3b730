//! Challenges that wait for an answer.

pub(crate) mod verify;
