//! What phones bring to a lock: bulletins, keys of the issuer, fresh time.

use super::super::Connection;
use super::super::lock::find;
use super::super::new_file::NewFile;
use crate::error::CliError;
use crate::output::{Answer, WARN};
use crate::text::from_base64url;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct Riders {
    /// The lock: its id or its name
    lock: String,
    /// Write them to this directory, as 1.bin, 2.bin, in the order in which they are held to the lock
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TimeToken {
    /// The lock: its id or its name
    lock: String,
    /// What the lock asked with, 32 hexadecimal digits
    nonce: String,
    /// Write it to this new file
    #[arg(long, value_name = "FILE")]
    bin: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

pub(super) fn run(args: &Riders) -> Result<Answer, CliError> {
    let client = args.connection.open()?;
    let path = format!("/v1/locks/{}/riders", find::id(&client, &args.lock)?);
    let riders = client.get(&path)?;
    let documents = riders["documents"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut text = format!(
        "bulletin {}: {} passes are revoked\n{} documents for the lock\n",
        riders["bulletin"]["sequence"],
        riders["bulletin"]["revoked"],
        documents.len(),
    );
    if let Some(left_out) = riders["bulletin"]["left_out"].as_u64().filter(|count| *count > 0) {
        text.push_str(&format!(
            "{WARN}look{WARN:#}  {left_out} more have no room in it and open until their time is over; a new generation of the lock ends all: doorstep lock provision\n"
        ));
    }
    if let Some(dir) = &args.dir {
        std::fs::create_dir_all(dir)
            .map_err(|error| CliError::io("make the directory", dir, &error))?;
        for (number, document) in (1..).zip(documents) {
            let file = dir.join(format!("{number}.bin"));
            fill(&file, document)?;
            text.push_str(&format!("written to {}\n", file.display()));
        }
    }
    Ok(Answer::new(riders, text))
}

pub(super) fn time_token(args: &TimeToken) -> Result<Answer, CliError> {
    let client = args.connection.open()?;
    let path = format!("/v1/locks/{}/time_token", find::id(&client, &args.lock)?);
    let token = client.post(&path, &json!({ "nonce": args.nonce }))?;
    let text = match &args.bin {
        Some(file) => {
            fill(file, &token["document"])?;
            format!(
                "written to {}; the lock takes it for ten minutes after it asked\n",
                file.display()
            )
        }
        None => format!("{}\n", token["document"].as_str().unwrap_or_default()),
    };
    Ok(Answer::new(token, text))
}

fn fill(path: &std::path::Path, document: &Value) -> Result<(), CliError> {
    NewFile::make(path)?.fill(&from_base64url(document.as_str().unwrap_or_default())?)
}
