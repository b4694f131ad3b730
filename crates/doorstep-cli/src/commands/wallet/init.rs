//! `doorstep wallet init`: a new wallet, with a key of its own.

use super::At;
use crate::error::CliError;
use crate::output::{Answer, GOOD};
use crate::randomness;
use crate::refused::Stop;
use crate::wallet::key::{Algorithm, HolderKey, text};
use crate::wallet::{Vault, Wallet};
use serde_json::json;
use std::path::Path;

pub(crate) const EXAMPLES: &str = "Examples:\n  doorstep wallet init\n  doorstep wallet init --algorithm ed25519 --wallet bo.wallet\n\nAsks for a passphrase. The public key is for whoever makes passes for this wallet: a pass that names\nit opens with this wallet alone.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What kind of key
    #[arg(long, value_enum, default_value = "p256")]
    algorithm: Algorithm,
    #[command(flatten)]
    at: At,
}

pub(crate) fn run(args: &Args) -> Result<Answer, Stop> {
    let path = args.at.path()?;
    if path.exists() {
        return Err(exists(&path).into());
    }
    let key = HolderKey::make(args.algorithm, &mut randomness::source(None));
    let public = text(&key.public());
    let passphrase = args.at.passphrase();
    let (wallet, made) = Vault::open_or_make(&path, &passphrase, &args.at.clock, Wallet::new(key))?;
    if !made {
        // Another process was faster.
        return Err(exists(&path).into());
    }
    let kind = if wallet.is_test() { "a test wallet" } else { "a wallet" };
    let said = format!("{GOOD}made{GOOD:#} {kind}: {}\nits key: {public}", wallet.path().display());
    let json = json!({ "wallet": wallet.path(), "test": wallet.is_test(), "key": public });
    Ok(Answer::new(json, said))
}

fn exists(path: &Path) -> CliError {
    CliError::new(format!("{} is there already, and nothing is overwritten", path.display()))
        .hint("doorstep wallet key shows its key; --wallet FILE names another")
        .code("wallet_exists")
}
