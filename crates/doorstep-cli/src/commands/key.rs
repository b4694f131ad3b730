//! `doorstep key`: API keys, made by whoever can open the data directory.

use super::serve::chain;
use crate::clock::Clock;
use crate::error::CliError;
use crate::output::{Answer, GOOD};
use crate::randomness;
use doorstep_server::{Config, Context, CreatedKey, create_api_key};
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a key; it is shown once
    #[command(
        after_help = "Examples:\n  doorstep key create --name shop --out doorstep.key\n  doorstep key create --name shop | secret-store put\n\nThe server may be running. Keys are listed and revoked over the API: GET /v1/keys, POST /v1/keys/{id}/revoke."
    )]
    Create {
        /// What the key is for
        #[arg(long)]
        name: String,
        /// Write the key to this new file (mode 0600) instead of printing it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// The issuer's directory
        #[arg(long, env = "DOORSTEP_DATA", default_value = "doorstep-data", value_name = "DIR")]
        data: PathBuf,
    },
}

pub(crate) fn run(command: &Command) -> Result<Answer, CliError> {
    let Command::Create { name, out, data } = command;
    // The file first: a key that could not be written down would stay valid and in nobody's hands.
    let file = out.as_deref().map(create_private).transpose()?;
    let made = make(name, data);
    if made.is_err()
        && let Some(path) = out
    {
        // Only the empty file that was just made.
        let _ = std::fs::remove_file(path);
    }
    let key = made?;
    match (file, out) {
        (Some(mut file), Some(path)) => {
            writeln!(file, "{}", key.secret)
                .map_err(|error| CliError::io("write the key to", path, &error))?;
            let json = json!({ "id": key.id, "name": name, "file": path });
            Ok(Answer::new(
                json,
                format!("{GOOD}made{GOOD:#} key {} in {}", key.id, path.display()),
            ))
        }
        _ => {
            Ok(Answer::new(json!({ "id": key.id, "name": name, "secret": key.secret }), key.secret))
        }
    }
}

fn make(name: &str, data: &Path) -> Result<CreatedKey, CliError> {
    let context = Context::open(
        Config::new(data.to_owned()),
        Arc::new(Clock::System),
        randomness::source(None),
    )
    .map_err(|error| CliError::new(chain(&error)).hint(error.hint()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| CliError::new(format!("cannot start: {error}")))?;
    runtime.block_on(create_api_key(&context, name)).map_err(|error| CliError::new(chain(&error)))
}

fn create_private(path: &Path) -> Result<File, CliError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| CliError::io("write the key to", path, &error).hint("name a new file"))
}
