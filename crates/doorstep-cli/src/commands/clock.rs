//! `doorstep clock`: the simulated time that test programs share.

use crate::clock::{self, Clock};
use crate::error::CliError;
use crate::output::Answer;
use crate::text::{parse_span, parse_time, rfc3339};
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show the simulated time
    Show {
        #[command(flatten)]
        file: File,
    },
    /// Move the simulated time on
    #[command(
        after_help = "Examples:\n  doorstep clock advance 2h\n  doorstep clock advance 0s --from 2026-03-02T09:00:00Z"
    )]
    Advance {
        /// How far: 45s, 30m, 2h, 1h30m, 3d
        span: String,
        /// Begin at this time instead of the one in the file
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        #[command(flatten)]
        file: File,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct File {
    /// The clock file that the test programs were given
    #[arg(
        long,
        env = "DOORSTEP_CLOCK",
        default_value = "doorstep-data/clock",
        value_name = "FILE"
    )]
    clock: PathBuf,
}

pub(crate) fn run(command: &Command) -> Result<Answer, CliError> {
    let now = match command {
        Command::Show { file } => clock::read(&file.clock)?,
        Command::Advance { span, from, file } => {
            let base = match from {
                Some(text) => parse_time(text, Clock::SYSTEM.now()?)?,
                None => clock::read(&file.clock)?,
            };
            let now = base.later(parse_span(span)?);
            clock::set(&file.clock, now)?;
            now
        }
    };
    Ok(Answer::new(json!({ "now": rfc3339(now) }), rfc3339(now)))
}
