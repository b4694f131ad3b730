//! A virtual lock and the world around it: commands that never talk to the server.

pub(super) mod install;
mod journal;
mod listen;
mod passes;
mod press;
mod pull_power;
mod run;
mod status;
mod tap;
mod weather;

use crate::clock::Clock;
use crate::error::CliError;
use crate::lock::VirtualLock;
use crate::output::Answer;
use crate::text::{clock_face, rfc3339};
use doorstep::keypad::lock::Found;
use doorstep::keypad::tuple::{Form, Tuple};
use doorstep::refusal::Refusal;
use doorstep::time::Timestamp;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// At the door: install a virtual lock, from its bundle
    #[command(after_help = install::EXAMPLES)]
    Install(install::Args),
    /// At the door: type a code at the keypad
    #[command(after_help = press::EXAMPLES)]
    Press(press::Args),
    /// At the door: hold a pass to the reader
    #[command(after_help = tap::EXAMPLES)]
    Tap(tap::Args),
    /// At the door: the reader, live: phones meet the lock at its sockets, as over NFC and BLE
    #[command(after_help = listen::EXAMPLES)]
    Listen(listen::Args),
    /// At the door: the keypad, live in the terminal
    #[command(after_help = run::EXAMPLES)]
    Run(run::Args),
    /// At the door: what it believes, what it remembers, how long that lasts
    Status(At),
    /// At the door: what happened, as a list or as the file that the server takes
    #[command(after_help = journal::EXAMPLES)]
    Journal(journal::Args),
    /// At the door: the drift and the temperature of its oscillator
    #[command(after_help = weather::EXAMPLES)]
    Weather(weather::Args),
    /// At the door: no power for a while
    #[command(after_help = pull_power::EXAMPLES)]
    PullPower(pull_power::Args),
}

/// Which lock, and the true time.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct At {
    /// The lock's directory
    #[arg(long, env = "DOORSTEP_LOCK", default_value = ".", value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    clock: Clock,
}

impl At {
    fn open(&self) -> Result<VirtualLock, CliError> {
        VirtualLock::open(&self.dir, self.clock.clone())
    }
}

pub(crate) fn run(command: &Command, json: bool) -> Result<Answer, CliError> {
    match command {
        Command::Install(args) => install::run(args),
        Command::Press(args) => press::run(args),
        Command::Tap(args) => tap::run(args),
        Command::Listen(args) => listen::run(args, json),
        Command::Run(args) => run::run(args),
        Command::Status(at) => status::run(at),
        Command::Journal(args) => journal::run(args),
        Command::Weather(args) => weather::run(args),
        Command::PullPower(args) => pull_power::run(args),
    }
}

fn no_power(until: Timestamp, now: Timestamp) -> CliError {
    CliError::new(format!("the lock has no power until {}", clock_face(until, now)))
        .hint("wait; with a simulated clock: doorstep clock advance SPAN. To put the battery back now: doorstep lock pull-power --for 0s")
        .code("no_power")
}

/// Since when a refusal holds, or until when, in words.
fn when_text(refusal: &Refusal, now: Timestamp) -> String {
    match refusal {
        Refusal::AlreadyUsed { at } => format!(", at {}", clock_face(*at, now)),
        Refusal::Expired { until } => format!(", since {}", clock_face(*until, now)),
        Refusal::NotYetValid { from } => format!(", only from {}", clock_face(*from, now)),
        _ => String::new(),
    }
}

/// A PIN that the lock found, in words. Nothing of it tells its digits.
fn pin_text(found: &Found, now: Timestamp) -> String {
    let Found { tuple, epoch, form } = found;
    let form = match form {
        Form::Pin => "PIN",
        Form::Long => "long form",
    };
    format!("{form} for {}, epoch {epoch}", tuple_text(tuple, now))
}

fn tuple_text(tuple: &Tuple, now: Timestamp) -> String {
    let once = if tuple.class.one_time { ", opens once" } else { "" };
    format!(
        "{} to {}, holder {}, generation {}{once}",
        clock_face(tuple.from(), now),
        clock_face(tuple.until(), now),
        tuple.holder,
        tuple.generation,
    )
}

fn pin_json(found: &Found) -> Value {
    let mut json = tuple_json(&found.tuple, found.epoch);
    if let Some(object) = json.as_object_mut() {
        let form = match found.form {
            Form::Pin => "pin",
            Form::Long => "long_form",
        };
        object.insert("form".to_owned(), json!(form));
    }
    json
}

fn tuple_json(tuple: &Tuple, epoch: u32) -> Value {
    json!({
        "from": rfc3339(tuple.from()), "until": rfc3339(tuple.until()), "holder": tuple.holder,
        "generation": tuple.generation, "once": tuple.class.one_time, "epoch": epoch,
    })
}
