//! The commands, one file each.

pub(crate) mod account;
pub(crate) mod advise;
pub(crate) mod auth;
pub(crate) mod backup;
pub(crate) mod booking;
pub(crate) mod clock;
pub(crate) mod code;
pub(crate) mod config;
pub(crate) mod confirm;
pub(crate) mod delivery;
pub(crate) mod demo;
pub(crate) mod dispute;
pub(crate) mod doctor;
pub(crate) mod driver;
pub(crate) mod evidence;
pub(crate) mod gate;
pub(crate) mod init;
pub(crate) mod key;
pub(crate) mod lock;
pub(crate) mod message;
pub(crate) mod new_file;
pub(crate) mod odds;
pub(crate) mod pass;
pub(crate) mod receipt;
pub(crate) mod restore;
pub(crate) mod serve;
pub(crate) mod wallet;
pub(crate) mod webhook;

use crate::client::Client;
use crate::error::CliError;
use crate::output::Answer;
use std::path::PathBuf;

/// Where the server is, and the key to talk to it with.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Connection {
    /// Address of the server
    #[arg(
        long,
        env = "DOORSTEP_SERVER",
        default_value = "http://127.0.0.1:7070",
        value_name = "URL"
    )]
    server: String,
    /// File that holds the API key; - reads it from standard input
    #[arg(long, env = "DOORSTEP_KEY_FILE", default_value = "doorstep.key", value_name = "FILE")]
    key_file: PathBuf,
}

impl Connection {
    pub(crate) fn open(&self) -> Result<Client, CliError> {
        Client::with_key(&self.server, &self.key_file)
    }
}

/// The OpenAPI document, as it is checked in.
pub(crate) fn openapi() -> Result<Answer, CliError> {
    let text = doorstep_server::openapi_json();
    let json = serde_json::from_str(&text)
        .map_err(|error| CliError::new(format!("the OpenAPI document is not JSON: {error}")))?;
    Ok(Answer::new(json, text))
}
