//! `doorstep demo`: the stories on real input, with every answer checked.

use crate::demo::{self, Story};
use crate::error::CliError;
use crate::output::Answer;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Runs servers, devices and authenticators as processes of their own, on made-up data in a\ntemporary directory, with a simulated clock. Exit status 1 when anything differs from what\nmust happen.\n\nExamples:\n  doorstep demo\n  doorstep demo logins\n  doorstep demo --fast --json\n  doorstep demo --keep demo-data"
)]
pub(crate) struct Args {
    /// One story alone
    #[arg(value_enum)]
    story: Option<Story>,
    /// Do not pause between the steps
    #[arg(long)]
    fast: bool,
    /// Work in this new directory and leave everything there
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, json: bool) -> Result<Answer, CliError> {
    demo::run(args.story, args.keep.as_deref(), args.fast, json)
}
