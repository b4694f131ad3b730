//! `[retention]`: how long is kept what is about people.

use serde::{Deserialize, Serialize};

/// How long things are kept, in days.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Names, phone numbers, addresses and notes, after a delivery ended.
    pub contacts_days: u32,
    /// Claims as the devices signed them, and what they are judged by, after they came in. Their hashes,
    /// times and verdicts stay.
    pub evidence_days: u32,
    /// Events, after they happened.
    pub events_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { contacts_days: 90, evidence_days: 730, events_days: 90 }
    }
}
