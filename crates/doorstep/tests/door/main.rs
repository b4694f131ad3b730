//! A lock as it is installed: its bundle, a keypad and steps at one door, and its journal on the way home.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bundle;
mod journal;
mod passes;
mod steps;
mod support;
mod vectors;
