//! Settings of the service: one struct a section of `doorstep.toml`, with the values it runs with
//! when nobody says otherwise.

pub mod deliveries;
pub mod layers;
pub mod messages;
pub mod retention;
pub mod server;
pub mod webhooks;

use deliveries::Deliveries;
use messages::Messages;
use retention::Retention;
use serde::{Deserialize, Serialize};
use server::Server;
use std::path::PathBuf;
use webhooks::Webhooks;

/// Settings of one server.
///
/// Every field of a section must be written by `Serialize`, as null if it is not set: what the
/// defaults write are all the names that there are.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where `doorstep init` made the keys and the database. It is no setting of the file, which is
    /// looked for there.
    #[serde(skip)]
    pub data_dir: PathBuf,
    /// How it answers requests.
    pub server: Server,
    /// What is made for deliveries.
    pub deliveries: Deliveries,
    /// How customers are told.
    pub messages: Messages,
    /// How long is kept what is about people.
    pub retention: Retention,
    /// How programs of the business are told.
    pub webhooks: Webhooks,
}

impl Config {
    /// The usual settings for a data directory.
    #[must_use]
    pub fn new(data_dir: PathBuf) -> Self {
        Self { data_dir, ..Self::default() }
    }

    /// Where the `log` provider appends messages.
    pub(crate) fn messages_file(&self) -> PathBuf {
        self.messages.file.clone().unwrap_or_else(|| self.data_dir.join("messages.jsonl"))
    }
}
