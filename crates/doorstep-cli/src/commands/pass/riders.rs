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
    /// Write them to this directory, as 01.bin, 02.bin, in the order in which they are held to the lock, which takes no other
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
        "bulletin {}, revoked passes: {}\ndocuments for the lock: {}\n",
        riders["bulletin"]["sequence"],
        riders["bulletin"]["revoked"],
        documents.len(),
    );
    text.push_str(&warnings(&riders));
    if let Some(dir) = &args.dir {
        std::fs::create_dir_all(dir)
            .map_err(|error| CliError::io("make the directory", dir, &error))?;
        for (number, document) in (1..).zip(documents) {
            let file = dir.join(format!("{number:02}.bin"));
            fill(&file, document)?;
            text.push_str(&format!("written to {}\n", file.display()));
        }
    }
    Ok(Answer::new(riders, text))
}

/// What no bulletin can do at the moment, and what helps.
fn warnings(riders: &Value) -> String {
    let mut text = String::new();
    let left_out = &riders["bulletin"]["left_out"];
    for warning in riders["warnings"].as_array().into_iter().flatten() {
        let told = match warning.as_str() {
            Some("list_full") => format!(
                "{left_out} more have no room in it and open until they are over; signed ones end with their key (doorstep pass rotate --ends-old now), those under the lock's own with its epoch (doorstep lock epoch), and all others are to be handed out anew"
            ),
            Some("journal_needed") => format!(
                "{left_out} more are not in it, and no newer one can be made before the lock's journal came home: doorstep lock take-journal"
            ),
            Some("bundle_not_confirmed") => "the lock was provisioned anew, and no journal came home since: until its new bundle is installed it takes none of them".to_owned(),
            other => other.unwrap_or_default().to_owned(),
        };
        text.push_str(&format!("{WARN}look{WARN:#}  {told}\n"));
    }
    text
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

#[cfg(test)]
mod tests {
    use super::warnings;
    use serde_json::json;

    #[test]
    fn what_a_bulletin_cannot_do_is_told_with_what_helps() {
        let riders = |warnings: &[&str]| json!({"bulletin": {"left_out": 3}, "warnings": warnings});
        assert_eq!(warnings(&riders(&[])), "");
        let full = warnings(&riders(&["list_full"]));
        assert!(full.contains("3 more") && full.contains("pass rotate --ends-old now"), "{full}");
        assert!(!full.contains("provision"), "signed passes outlive it: {full}");
        let stuck = warnings(&riders(&["journal_needed"]));
        assert!(stuck.contains("take-journal") && !stuck.contains("room"), "{stuck}");
    }
}
