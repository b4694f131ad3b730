//! `doorstep key`: API keys, made by whoever can open the data directory, and looked after over the
//! API.

use super::Connection;
use super::serve::{chain, open};
use crate::client::escape;
use crate::clock::Clock;
use crate::error::CliError;
use crate::output::{Answer, GOOD, table};
use crate::text::{parse_span, safe};
use doorstep_server::scope::{Scope, Scopes};
use doorstep_server::{Config, CreatedKey, create_api_key};
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a key; it is shown once
    #[command(
        after_help = "Examples:\n  doorstep key create --name me --out doorstep.key\n  doorstep key create --name wiki-login --scopes gate --expires 365d --out gate.key\n  doorstep key create --name shop --scopes deliveries:read,deliveries:write | secret-store put\n\nThe server may be running."
    )]
    Create {
        /// What the key is for
        #[arg(long)]
        name: String,
        /// What it may do, with commas between; without it, everything
        #[arg(long, value_name = "SCOPES")]
        scopes: Option<String>,
        /// How long it lives, as in 90d; without it, until it is revoked
        #[arg(long, value_name = "SPAN")]
        expires: Option<String>,
        /// Write the key to this new file (mode 0600) instead of printing it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// The issuer's directory
        #[arg(long, env = "DOORSTEP_DATA", default_value = "doorstep-data", value_name = "DIR")]
        data: PathBuf,
        #[command(flatten)]
        clock: Clock,
    },
    /// List the keys, over the API
    List {
        #[command(flatten)]
        connection: Connection,
    },
    /// Give a key another secret; the one before lives on for the overlap
    #[command(
        after_help = "Examples:\n  doorstep key rotate key_01k... --out new.key\n  doorstep key rotate key_01k... --overlap 0s --out new.key    the old secret ends at once"
    )]
    Rotate {
        /// The key's id
        id: String,
        /// How long the secret before is still taken, at most 7d
        #[arg(long, default_value = "1h", value_name = "SPAN")]
        overlap: String,
        /// Write the key to this new file (mode 0600) instead of printing it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Revoke a key at once and for ever
    Revoke {
        /// The key's id
        id: String,
        #[command(flatten)]
        connection: Connection,
    },
}

pub(crate) fn run(command: &Command) -> Result<Answer, CliError> {
    match command {
        Command::Create { name, scopes, expires, out, data, clock } => {
            let (scopes, lifetime) = (read_scopes(scopes.as_deref())?, expires.as_deref());
            let lifetime = lifetime.map(parse_span).transpose()?;
            hand_over(out.as_deref(), "made", || make(name, scopes, lifetime, data, clock.clone()))
        }
        Command::List { connection } => list(&connection.open()?.get("/v1/keys")?),
        Command::Rotate { id, overlap, out, connection } => {
            let client = connection.open()?;
            let body = json!({ "overlap_minutes": parse_span(overlap)?.div_ceil(60) });
            hand_over(out.as_deref(), "rotated", || {
                let answer = client.post(&format!("/v1/keys/{}/rotate", escape(id)), &body)?;
                let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
                Ok(CreatedKey { id: text("id"), secret: text("secret") })
            })
        }
        Command::Revoke { id, connection } => {
            let path = format!("/v1/keys/{}/revoke", escape(id));
            let answer = connection.open()?.post(&path, &json!({}))?;
            Ok(Answer::new(answer, format!("{GOOD}revoked{GOOD:#} key {id}")))
        }
    }
}

fn read_scopes(text: Option<&str>) -> Result<Scopes, CliError> {
    let Some(text) = text else { return Ok(Scopes::admin()) };
    Scopes::parse(text).map_err(|wrong| {
        let known: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        CliError::usage(format!("\"{wrong}\" is no scope"))
            .hint(format!("there are: {}", known.join(", ")))
    })
}

fn list(answer: &Value) -> Result<Answer, CliError> {
    let titles = ["id", "name", "scopes", "last used", "state"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    for key in answer["data"].as_array().into_iter().flatten() {
        let text = |name: &str| key[name].as_str().unwrap_or("-").to_owned();
        let scopes: Vec<&str> =
            key["scopes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let state = match (key["revoked_at"].as_str(), key["expires_at"].as_str()) {
            (Some(at), _) => format!("revoked {at}"),
            (None, Some(at)) => format!("until {at}"),
            (None, None) => "valid".to_owned(),
        };
        rows.push(vec![
            text("id"),
            safe(&text("name")),
            scopes.join(" "),
            text("last_used_at"),
            state,
        ]);
    }
    Ok(Answer::new(answer.clone(), table(&rows)))
}

/// Hands a new secret over, in a file or as the answer.
fn hand_over(
    out: Option<&Path>,
    done: &str,
    make: impl FnOnce() -> Result<CreatedKey, CliError>,
) -> Result<Answer, CliError> {
    // The file first: a key that could not be written down would stay valid and in nobody's hands.
    let file = out.map(create_private).transpose()?;
    let made = make();
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
            let json = json!({ "id": key.id, "file": path });
            Ok(Answer::new(
                json,
                format!("{GOOD}{done}{GOOD:#} key {} in {}", key.id, path.display()),
            ))
        }
        _ => Ok(Answer::new(json!({ "id": key.id, "secret": key.secret }), key.secret)),
    }
}

fn make(
    name: &str,
    scopes: Scopes,
    lifetime: Option<u64>,
    data: &Path,
    clock: Clock,
) -> Result<CreatedKey, CliError> {
    let context = open(Config::new(data.to_owned()), clock, None)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| CliError::new(format!("cannot start: {error}")))?;
    runtime
        .block_on(create_api_key(&context, name, scopes, lifetime))
        .map_err(|error| CliError::new(chain(&error)))
}

fn create_private(path: &Path) -> Result<File, CliError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| CliError::io("write the key to", path, &error).hint("name a new file"))
}
