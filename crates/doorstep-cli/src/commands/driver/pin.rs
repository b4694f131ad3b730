//! `doorstep driver pin`: puts the device's key under a PIN, or changes it.

use super::At;
use crate::device::key::{self, Stored};
use crate::device::pin::{MOST_TRIES, Pin, PinSource};
use crate::error::CliError;
use crate::output::{Answer, GOOD};
use crate::randomness;
use crate::refused::Stop;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File that holds the PIN that the device has, if it has one
    #[arg(long, env = "DOORSTEP_PIN_FILE", value_name = "FILE")]
    pin_file: Option<PathBuf>,
    /// File that holds the PIN that it is to have
    #[arg(long, value_name = "FILE")]
    new_pin_file: Option<PathBuf>,
    #[command(flatten)]
    at: At,
}

pub(super) fn run(args: &Args) -> Result<Answer, Stop> {
    let (journal, _) = args.at.open()?;
    let dir = &args.at.dir;
    let (key, changed) = match key::load(dir)? {
        Some(Stored::Open(key)) => (key, false),
        Some(Stored::Sealed(_)) => {
            (key::unseal(dir, &PinSource::new(args.pin_file.clone()).ask()?)?, true)
        }
        None => return Err(key::erased().into()),
    };
    let pin = PinSource::new(args.new_pin_file.clone()).ask_new()?;
    let test = journal.device().identity().test;
    key::seal(dir, &key, &pin, test, &mut randomness::source(None))?;
    let what = if changed { "changed" } else { "set" };
    let text = format!(
        "{GOOD}the PIN is {what}{GOOD:#}; {MOST_TRIES} wrong ones in a row erase the device's key"
    );
    Ok(Answer::new(json!({ "pin": true, "changed": changed }), text))
}

/// Puts the key of a device that was just enrolled under a PIN.
pub(super) fn set(dir: &Path, pin: &Pin, test: bool) -> Result<(), CliError> {
    match key::load(dir)? {
        Some(Stored::Open(key)) => key::seal(dir, &key, pin, test, &mut randomness::source(None)),
        Some(Stored::Sealed(_)) | None => Ok(()),
    }
}
