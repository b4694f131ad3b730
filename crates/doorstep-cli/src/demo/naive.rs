//! The lock that most sites begin with: TOTP, one step to either side, and no memory. It is here to be
//! compared with.

use super::phone::plain;
use super::world::World;
use crate::error::CliError;
use crate::lock::hardware::{Hardware, Power, Weather};
use crate::text::parse_span;
use doorstep::door::Steps;
use doorstep::door::bundle::Bundle;
use doorstep::time::Timestamp;

/// A clock that was set once and counts on, and the secret that it shares with the server.
pub(super) struct NaiveLock {
    steps: Steps,
    hardware: Hardware,
    /// What its clock showed when it last began to count.
    set_to: Timestamp,
}

impl NaiveLock {
    /// One with the secret of a bundle, and a crystal that is so many billionths too fast.
    pub(super) fn install(world: &World, bundle: &str, ppb: i64) -> Result<Self, CliError> {
        let path = world.path(bundle);
        let text = std::fs::read_to_string(&path)
            .map_err(|error| CliError::io("read the bundle", &path, &error))?;
        let bundle = Bundle::parse(&text).map_err(|error| CliError::new(error.to_string()))?;
        let steps = bundle.steps.ok_or_else(|| CliError::new("this lock takes no TOTP codes"))?;
        let (now, weather) = (world.now()?, Weather::new(ppb, 25_000)?);
        let hardware = Hardware::new(bundle.clock.oscillator, weather, now);
        Ok(Self { steps, hardware, set_to: now })
    }

    /// What its clock shows; without power the time at which it stopped.
    fn clock(&self, world: &World) -> Result<Timestamp, CliError> {
        Ok(match self.hardware.at(world.now()?) {
            Power::On(reading) => self.set_to.later(reading.counter),
            Power::Off { .. } => self.set_to,
        })
    }

    /// Takes its battery out. It goes on from where it stopped.
    pub(super) fn pull_power(&mut self, world: &World, span: &str) -> Result<(), CliError> {
        self.set_to = self.clock(world)?;
        self.hardware.pull_power(world.now()?, parse_span(span)?);
        Ok(())
    }

    /// Whether it takes a code.
    pub(super) fn press(&self, world: &World, typed: &str) -> Result<bool, CliError> {
        Ok(plain(&self.steps.totp, &self.steps.secret, typed, self.clock(world)?))
    }
}
