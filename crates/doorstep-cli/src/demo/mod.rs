//! The demo: each story on real input, with every command run as a user would run it and every
//! answer checked.

mod browser;
mod deliveries;
mod locks;
mod logins;
mod naive;
mod next_day;
mod passes;
mod phone;
mod relay;
mod report;
mod stage;
mod world;

use crate::error::CliError;
use crate::output::Answer;
use report::Report;
use stage::{Role, Stage};
use std::io::IsTerminal as _;
use std::path::Path;
use world::World;

/// What can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Story {
    /// A day of two drivers and their customers, and the morning after
    Deliveries,
    /// Bookings, and locks whose clocks drift for more than a year
    Locks,
    /// A service and an authenticator, from enrolment to a gate without a network
    Logins,
}

impl Story {
    const ALL: &[Self] = &[Self::Deliveries, Self::Locks, Self::Logins];

    const fn name(self) -> &'static str {
        match self {
            Self::Deliveries => "deliveries",
            Self::Locks => "locks",
            Self::Logins => "logins",
        }
    }

    fn tell(self, world: &mut World, report: &mut Report) -> Result<(), CliError> {
        match self {
            Self::Deliveries => deliveries::tell(world, report),
            Self::Locks => locks::tell(world, report),
            Self::Logins => logins::tell(world, report),
        }
    }
}

/// Tells one story, or all of them, in a new directory, which is removed again unless it is to be
/// kept.
pub(crate) fn run(
    story: Option<Story>,
    keep: Option<&Path>,
    fast: bool,
    json: bool,
) -> Result<Answer, CliError> {
    let paced = !fast && !json && std::io::stdout().is_terminal();
    let mut report = Report::new(paced, json);
    let stage = Stage::new(keep)?;
    let stories = story.as_ref().map_or(Story::ALL, std::slice::from_ref);
    for story in stories {
        let mut world = stage.world(story.name())?;
        story.tell(&mut world, &mut report)?;
        world.stop(Role::Reader)?;
        world.stop(Role::Server)?;
    }
    report.finish(stage.kept())
}
