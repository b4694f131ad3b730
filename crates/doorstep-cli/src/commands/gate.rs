//! `doorstep gate`: one-time codes in front of web pages and of PAM, from one state file.

mod accounts;
mod run;

use crate::clock::Clock;
use crate::commands::serve::chain;
use crate::error::CliError;
use crate::output::{Answer, GOOD};
use crate::randomness::{self, Source};
use doorstep::time::Timestamp;
use doorstep_files::private;
use doorstep_gate::GateError;
use doorstep_gate::config::Config;
use doorstep_gate::gate::Gate;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = false,
    after_help = "Examples:\n  doorstep gate init --file /etc/doorstep/gate.toml\n  doorstep gate add ana --file /etc/doorstep/gate.toml\n  doorstep gate --file /etc/doorstep/gate.toml\n\ndocs/gate.md shows how nginx, Caddy, Traefik, sshd and sudo ask the gate."
)]
pub(crate) struct Args {
    #[command(flatten)]
    at: At,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Which gate.
#[derive(Clone, Debug, clap::Args)]
struct At {
    /// The settings of the gate
    #[arg(
        long,
        global = true,
        env = "DOORSTEP_GATE",
        default_value = "gate.toml",
        value_name = "FILE"
    )]
    file: PathBuf,
    /// Simulated clock (test data only)
    #[arg(long, global = true, env = "DOORSTEP_CLOCK", value_name = "FILE")]
    clock: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run the web gate (the same as no command)
    Run,
    /// Make a gate: its settings, its key and its state file
    #[command(
        after_help = "Examples:\n  doorstep gate init --file /etc/doorstep/gate.toml\n  doorstep gate init --test --file gate.toml"
    )]
    Init(InitArgs),
    #[command(flatten)]
    Accounts(accounts::Command),
}

#[derive(Debug, clap::Args)]
struct InitArgs {
    /// Mark the gate as test for ever: only such a gate takes a simulated clock
    #[arg(long)]
    test: bool,
}

pub(crate) fn run(args: Args, json: bool) -> Result<Answer, CliError> {
    match args.command {
        None | Some(Command::Run) => run::run(&args.at, json),
        Some(Command::Init(init)) => make(&args.at, &init),
        Some(Command::Accounts(command)) => accounts::run(&args.at, command, json),
    }
}

const SETTINGS: &str = "\
# The settings of a doorstep gate. docs/gate.md explains each of them.

# Who decides for the web gate: \"local\", by the state file, or \"service\".
verify = \"local\"
listen = \"127.0.0.1:7171\"

# How authenticator apps call this gate.
issuer = \"doorstep gate\"

[session]
lifetime = \"12h\"
# idle = \"1h\"

[proxy]
# The header in which the proxy says from where a request comes.
client_address = \"x-real-ip\"

# [service]
# url = \"https://otp.example\"
# key_file = \"service.key\"
";

fn make(at: &At, args: &InitArgs) -> Result<Answer, CliError> {
    let clock = Clock::new(at.clock.clone());
    if clock.is_simulated() && !args.test {
        return Err(told(&GateError::Real));
    }
    if at.file.symlink_metadata().is_err() {
        write_new(&at.file, SETTINGS.as_bytes())?;
    }
    let config = Config::read(&at.file).map_err(|error| told(&error))?;
    Gate::create(&config, args.test, clock.now()?, &mut randomness::source(None))
        .map_err(|error| told(&error))?;
    let file = at.file.display();
    let json = json!({
        "settings": at.file, "state": config.state, "key": config.key, "test": args.test,
    });
    let text = format!(
        "{GOOD}made{GOOD:#} a gate: settings {file}, state {}, key {}\nkeep the key apart from backups of the state\nnext:\n  doorstep gate add NAME --file {file}\n  doorstep gate --file {file}\n",
        config.state.display(),
        config.key.display(),
    );
    Ok(Answer::new(json, text))
}

/// A gate as its commands use it.
struct Opened {
    config: Config,
    gate: Gate,
    clock: Clock,
    rng: Source,
}

impl Opened {
    fn now(&self) -> Result<Timestamp, CliError> {
        self.clock.now()
    }
}

impl At {
    fn open(&self) -> Result<Opened, CliError> {
        let config = self.read()?;
        let gate = Gate::open(&config).map_err(|error| told(&error))?;
        let clock = self.clock(&gate)?;
        Ok(Opened { config, gate, clock, rng: randomness::source(None) })
    }

    fn read(&self) -> Result<Config, CliError> {
        Config::read(&self.file).map_err(|error| match error {
            GateError::File(doorstep_files::FileError::Missing { path }) => {
                CliError::new(format!("there is no {}", path.display()))
                    .hint("make one: doorstep gate init --file FILE")
            }
            error => told(&error),
        })
    }

    /// The clock, which is real for a real gate.
    fn clock(&self, gate: &Gate) -> Result<Clock, CliError> {
        let clock = Clock::new(self.clock.clone());
        if clock.is_simulated() && !gate.is_test() {
            return Err(told(&GateError::Real));
        }
        clock.now()?;
        Ok(clock)
    }
}

fn told(error: &GateError) -> CliError {
    CliError::new(chain(error)).hint(error.hint())
}

/// Writes a new file that only its owner reads.
fn write_new(path: &Path, content: &[u8]) -> Result<(), CliError> {
    private::create(path, content).map_err(|error| told(&error.into()))
}
