//! `doorstep wallet remove`: a pass that is wanted no more.

use super::At;
use crate::commands::confirm::confirm;
use crate::error::CliError;
use crate::output::Answer;
use crate::refused::Stop;
use crate::wallet::find::find;
use serde_json::json;

pub(crate) const EXAMPLES: &str = "Examples:\n  doorstep wallet remove 2\n  doorstep wallet remove 4f0a --yes\n\nIt is gone from this wallet alone: whoever made it can make it again, and a copy still opens.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which: its number in `wallet list`, how its id begins, or the name of the door
    #[arg(value_name = "ID")]
    pass: String,
    /// Ask nothing
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    at: At,
}

pub(crate) fn run(args: &Args) -> Result<Answer, Stop> {
    let mut wallet = args.at.open()?;
    let place = find(&wallet.content().passes, &args.pass)?;
    let Some(meant) = wallet.content().passes.get(place).cloned() else {
        return Err(CliError::new("the wallet is empty").into());
    };
    let name = format!("{} {}", meant.id_text(), meant.name());
    if !args.yes {
        confirm(&format!("remove the pass {name}?"))?;
    }
    wallet.update(|wallet| {
        // What was confirmed is removed, wherever other processes have moved it.
        wallet.remove(&meant.id_text());
        Ok(())
    })?;
    let json = json!({ "removed": meant.to_json(args.at.clock.now()?) });
    Ok(Answer::new(json, format!("removed {name}")))
}
