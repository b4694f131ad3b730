//! The rules of HO1 that the core holds, each by a test that goes red when the rule is broken.
//!
//! An in-memory journal with compare-and-swap stands for the device's file; power cuts and other
//! processes are schedules of single steps.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod bench;
mod bytes;
mod clock;
mod concurrency;
mod door;
mod failures;
mod full;
mod journal;
mod pipeline;
mod power_cut;
mod routes;
mod schedule;
mod secrets;
mod sync;
