//! `doorstep wallet key`: the public half of the wallet's key.

use super::At;
use crate::error::CliError;
use crate::output::Answer;
use crate::refused::Stop;
use crate::wallet::key::text;
use doorstep_qr::Qr;
use serde_json::json;

pub(crate) const EXAMPLES: &str = "Examples:\n  doorstep wallet key\n  doorstep wallet key --qr                  to be scanned by whoever makes the pass\n\nThe key is no secret.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show it as a QR code as well
    #[arg(long)]
    qr: bool,
    #[command(flatten)]
    at: At,
}

pub(crate) fn run(args: &Args) -> Result<Answer, Stop> {
    let wallet = args.at.open()?;
    let key = text(&wallet.content().key.public());
    let mut said = key.clone();
    if args.qr {
        let qr = Qr::of_text(&key).map_err(CliError::from)?;
        said = format!("{}\n{key}", *qr.terminal());
    }
    Ok(Answer::new(json!({ "key": key }), said))
}
