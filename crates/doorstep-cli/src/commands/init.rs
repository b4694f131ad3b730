//! `doorstep init`: makes an issuer, once.

use crate::clock::{self, Clock};
use crate::error::CliError;
use crate::output::{Answer, GOOD};
use crate::randomness;
use crate::text::parse_time;
use doorstep_server::{Mode, init};
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  doorstep init --data /var/lib/doorstep\n  doorstep init --test --at 2026-03-02T09:00:00Z"
)]
pub(crate) struct Args {
    /// The directory to make
    #[arg(long, env = "DOORSTEP_DATA", default_value = "doorstep-data", value_name = "DIR")]
    data: PathBuf,
    /// Mark the data as test for ever: only such data takes a simulated clock and seeds
    #[arg(long)]
    test: bool,
    /// Begin the simulated clock (DIR/clock) at this time; now by default
    #[arg(long, requires = "test", value_name = "TIME")]
    at: Option<String>,
    /// Seed of the issuer's keys
    #[arg(long, requires = "test", value_name = "NUMBER")]
    seed: Option<u64>,
}

pub(crate) fn run(args: &Args) -> Result<Answer, CliError> {
    let mode = if args.test { Mode::Test } else { Mode::Live };
    let system = Clock::SYSTEM.now()?;
    let now = match &args.at {
        Some(text) => parse_time(text, system)?,
        None => system,
    };
    let issuer = init(&args.data, mode, &mut randomness::source(args.seed), now)
        .map_err(|error| CliError::new(error.to_string()).hint(error.hint()))?;
    let data = args.data.display();
    let mut json =
        json!({ "issuer": issuer.as_str(), "data": data.to_string(), "mode": mode.as_str() });
    let mut text = format!("{GOOD}made{GOOD:#} issuer {issuer} in {data}\n");
    if args.test {
        let file = args.data.join("clock");
        clock::set(&file, now)?;
        json["clock"] = json!(file);
        text.push_str(&format!(
            "next:\n  doorstep key create --data {data} --name me --out doorstep.key\n  doorstep serve --data {data} --clock {}\n",
            file.display()
        ));
    } else {
        text.push_str(&format!(
            "keep {data}/keys apart from backups of the database\nnext:\n  doorstep key create --data {data} --name me --out doorstep.key\n  doorstep serve --data {data}\n"
        ));
    }
    Ok(Answer::new(json, text))
}
