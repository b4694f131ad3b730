//! The demo: a scripted day of one server, two drivers and their customers, each command run as a
//! user would run it.

mod report;
mod story;
mod world;

use crate::error::CliError;
use crate::output::Answer;
use report::Report;
use std::io::IsTerminal as _;
use std::path::Path;
use world::World;

/// Runs the story in a new directory, which is removed again unless it is to be kept.
pub(crate) fn run(keep: Option<&Path>, fast: bool, json: bool) -> Result<Answer, CliError> {
    let paced = !fast && !json && std::io::stdout().is_terminal();
    let mut report = Report::new(paced, json);
    let mut world = World::new(keep)?;
    story::tell(&mut world, &mut report)?;
    world.stop_server()?;
    report.finish(&world)
}
