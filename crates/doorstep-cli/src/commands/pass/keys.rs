//! The keys that passes are signed with.

use super::super::Connection;
use crate::clock::Clock;
use crate::error::CliError;
use crate::output::{self, Answer, BOLD, DIM, WARN};
use crate::text::{parse_time, rfc3339};
use serde_json::{Value, json};

#[derive(Debug, clap::Args)]
pub(crate) struct Rotate {
    /// The kind of key: ed25519, or esp256
    #[arg(long, default_value = "ed25519")]
    algorithm: String,
    /// From when on it signs; now by default
    #[arg(long)]
    from: Option<String>,
    /// When the older keys of its kind end, and with them what they signed: now, +30d, or a time
    #[arg(long, value_name = "TIME")]
    ends_old: Option<String>,
    #[command(flatten)]
    clock: Clock,
    #[command(flatten)]
    connection: Connection,
}

pub(super) fn rotate(rotate: &Rotate) -> Result<Answer, CliError> {
    let now = rotate.clock.now()?;
    let mut body = json!({ "algorithm": rotate.algorithm });
    for (name, time) in [("from", &rotate.from), ("ends_old", &rotate.ends_old)] {
        if let Some(time) = time {
            let time = if time == "now" { now } else { parse_time(time, now)? };
            body[name] = json!(rfc3339(time));
        }
    }
    list(rotate.connection.open()?.post("/v1/pass_keys", &body)?)
}

pub(super) fn list(keys: Value) -> Result<Answer, CliError> {
    let locks = keys["locks"].as_u64().unwrap_or(0);
    let head = ["key", "algorithm", "state", "from", "until", "at locks"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for key in keys["data"].as_array().into_iter().flatten() {
        let word = |name: &str| key[name].as_str().unwrap_or("-").to_owned();
        let at = format!("{} of {locks}", key["at_locks"]);
        rows.push(vec![
            word("name"),
            word("algorithm"),
            word("state"),
            word("from"),
            word("until"),
            at,
        ]);
    }
    let root = keys["root"].as_str().unwrap_or_default();
    let mut text = format!(
        "{}{BOLD}root{BOLD:#}  {root} {DIM}(last statement: {}){DIM:#}\n",
        output::table(&rows),
        keys["rotation"]
    );
    if keys["root_is_here"] == false {
        text.push_str(&format!(
            "{WARN}look{WARN:#}  the root's private key is not on this machine, so keys cannot be rotated here\n"
        ));
    }
    Ok(Answer::new(keys, text))
}
