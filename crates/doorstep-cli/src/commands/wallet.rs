//! `doorstep wallet`: passes for locks, as a guest's phone keeps and shows them.

mod add;
mod collect;
mod init;
mod key;
mod list;
mod remove;
mod show;
mod sync;
mod tap;

use crate::clock::Clock;
use crate::error::CliError;
use crate::output::Answer;
use crate::refused::Stop;
use crate::vault::default_path;
use crate::vault::passphrase::Source;
use crate::wallet::Vault;
use std::path::PathBuf;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a wallet and its key
    #[command(after_help = init::EXAMPLES)]
    Init(init::Args),
    /// Show the wallet's public key, for whoever makes a pass for it
    #[command(after_help = key::EXAMPLES)]
    Key(key::Args),
    /// Collect the pass that a ticket stands for
    #[command(after_help = collect::EXAMPLES)]
    Collect(collect::Args),
    /// Take in a pass: an image of its QR code, its bytes or its text
    #[command(after_help = add::EXAMPLES)]
    Add(add::Args),
    /// List the passes
    List(At),
    /// Show a pass, or bring it out as a QR code or bytes
    #[command(after_help = show::EXAMPLES)]
    Show(show::Args),
    /// Hold the phone to a lock
    #[command(after_help = tap::EXAMPLES)]
    Tap(tap::Args),
    /// Ask the services for news, and bring them the locks' journals
    #[command(after_help = sync::EXAMPLES)]
    Sync(At),
    /// Remove a pass
    #[command(after_help = remove::EXAMPLES)]
    Remove(remove::Args),
}

/// Which wallet, and what opens it.
#[derive(Debug, clap::Args)]
pub(crate) struct At {
    /// The wallet [default: doorstep/wallet below $XDG_DATA_HOME or ~/.local/share]
    #[arg(long, env = "DOORSTEP_WALLET", value_name = "FILE")]
    wallet: Option<PathBuf>,
    /// File that holds the passphrase on its first line; - is standard input
    #[arg(long, env = "DOORSTEP_PASSPHRASE_FILE", value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    clock: Clock,
}

impl At {
    fn path(&self) -> Result<PathBuf, CliError> {
        self.wallet.clone().or_else(|| default_path("wallet")).ok_or_else(|| {
            CliError::usage("there is no home directory to keep a wallet in")
                .hint("give --wallet FILE")
        })
    }

    fn passphrase(&self) -> Source {
        Source::new(self.passphrase_file.clone())
    }

    fn open(&self) -> Result<Vault, Stop> {
        Vault::open(&self.path()?, &self.passphrase(), &self.clock)
    }

    /// Refuses two things from one standard input.
    fn refuse_stdin_twice(&self, other: &str, what: &str) -> Result<(), CliError> {
        if self.passphrase().is_stdin() && other == "-" {
            return Err(CliError::usage(format!(
                "passphrase and {what} cannot both come from standard input"
            ))
            .hint("give one of them in a file"));
        }
        Ok(())
    }
}

pub(crate) fn run(command: &Command) -> Result<Answer, CliError> {
    let answer = match command {
        Command::Init(args) => init::run(args),
        Command::Key(args) => key::run(args),
        Command::Collect(args) => collect::run(args),
        Command::Add(args) => add::run(args),
        Command::List(at) => list::run(at),
        Command::Show(args) => show::run(args),
        Command::Tap(args) => tap::run(args),
        Command::Sync(at) => sync::run(at),
        Command::Remove(args) => remove::run(args),
    };
    Stop::settle(answer)
}
