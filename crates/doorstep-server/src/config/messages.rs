//! `[messages]`: how customers are told.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How customers are told.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Messages {
    /// Where the `log` provider appends the messages to customers, one JSON object a line;
    /// `messages.jsonl` in the data directory if it is not set.
    pub file: Option<PathBuf>,
    /// The address that messages link to, with the text to scan behind a `#`; without it messages
    /// carry the code alone.
    pub link_base: Option<String>,
}
