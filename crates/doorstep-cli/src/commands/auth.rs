//! `doorstep auth`: an authenticator for the terminal, offline always.

mod add;
mod code;
mod export;
mod import;
mod watch;

use crate::auth::authenticator::Authenticator;
use crate::auth::find::find;
use crate::auth::vault::Vault;
use crate::clock::Clock;
use crate::commands::confirm::confirm;
use crate::error::CliError;
use crate::output::{Answer, table};
use crate::refused::Stop;
use crate::vault::default_path;
use crate::vault::passphrase::Source;
use serde_json::json;
use std::io::Write as _;
use std::path::PathBuf;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Add an authenticator; the first one makes the vault
    #[command(after_help = add::EXAMPLES)]
    Add(add::Args),
    /// Show the names, never the secrets
    List(At),
    /// Show the code of one authenticator
    #[command(after_help = code::EXAMPLES)]
    Code(code::Args),
    /// Watch the codes on a live screen, with search
    #[command(after_help = watch::EXAMPLES)]
    Watch(watch::Args),
    /// Take in what another app exported
    #[command(after_help = import::EXAMPLES)]
    Import(import::Args),
    /// Write the secrets for another app, or as a backup
    #[command(after_help = export::EXAMPLES)]
    Export(export::Args),
    /// Remove an authenticator and its secret
    #[command(
        after_help = "Examples:\n  doorstep auth remove github\n  doorstep auth remove \"GitHub: ana\" --yes\n\nSwitch the second factor off at the service first: without its secret nobody makes codes for it."
    )]
    Remove {
        /// Which: a part of its issuer or account, or its number in `auth list`
        name: String,
        /// Ask nothing
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        at: At,
    },
    /// Change the passphrase of the vault
    #[command(
        after_help = "Examples:\n  doorstep auth passphrase\n  doorstep auth passphrase --passphrase-file old.txt --new-passphrase-file new.txt\n\nCopies of the old file still open with the old passphrase."
    )]
    Passphrase {
        /// File that holds the new passphrase on its first line; - is standard input
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
        #[command(flatten)]
        at: At,
    },
}

/// Which vault, and what opens it.
#[derive(Debug, clap::Args)]
pub(crate) struct At {
    /// The vault [default: doorstep/vault below $XDG_DATA_HOME or ~/.local/share]
    #[arg(long, env = "DOORSTEP_VAULT", value_name = "FILE")]
    vault: Option<PathBuf>,
    /// File that holds the passphrase on its first line; - is standard input
    #[arg(long, env = "DOORSTEP_PASSPHRASE_FILE", value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    clock: Clock,
}

impl At {
    fn path(&self) -> Result<PathBuf, CliError> {
        self.vault.clone().or_else(|| default_path("vault")).ok_or_else(|| {
            CliError::usage("there is no home directory to keep a vault in")
                .hint("give --vault FILE")
        })
    }

    fn passphrase(&self) -> Source {
        Source::new(self.passphrase_file.clone())
    }

    fn open(&self) -> Result<Vault, Stop> {
        Vault::open(&self.path()?, &self.passphrase(), &self.clock)
    }

    fn open_or_make(&self) -> Result<Vault, Stop> {
        let (vault, made) =
            Vault::open_or_make(&self.path()?, &self.passphrase(), &self.clock, Vec::new())?;
        if made {
            let kind = if vault.is_test() { "a test vault" } else { "a new vault" };
            let path = vault.path().display();
            let _ = writeln!(anstream::stderr(), "made {kind}: {path}");
        }
        Ok(vault)
    }
}

pub(crate) fn run(command: &Command) -> Result<Answer, CliError> {
    let answer = match command {
        Command::Add(args) => add::run(args),
        Command::List(at) => list(at),
        Command::Code(args) => code::run(args),
        Command::Watch(args) => watch::run(args),
        Command::Import(args) => import::run(args),
        Command::Export(args) => export::run(args),
        Command::Remove { name, yes, at } => remove(name, *yes, at),
        Command::Passphrase { new_passphrase_file, at } => {
            passphrase(new_passphrase_file.as_ref(), at)
        }
    };
    Stop::settle(answer)
}

fn list(at: &At) -> Result<Answer, Stop> {
    let vault = at.open()?;
    let authenticators = vault.authenticators();
    let all: Vec<_> = authenticators.iter().map(Authenticator::to_json).collect();
    let json = json!({ "vault": vault.path(), "test": vault.is_test(), "authenticators": all });
    if authenticators.is_empty() {
        return Ok(Answer::new(json, "the vault is empty\nhint: doorstep auth add"));
    }
    let head = ["#", "issuer", "account", "kind"].map(str::to_owned).to_vec();
    let rows = authenticators.iter().enumerate().map(|(place, one)| {
        let number = (place + 1).to_string();
        vec![number, one.issuer().to_owned(), one.account().to_owned(), one.method()]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    Ok(Answer::new(json, table(&rows)))
}

fn remove(name: &str, yes: bool, at: &At) -> Result<Answer, Stop> {
    let mut vault = at.open()?;
    let place = find(vault.authenticators(), name)?;
    let Some(meant) = vault.authenticators().get(place).cloned() else {
        return Err(CliError::new("the vault is empty").into());
    };
    if !yes {
        confirm(&format!("remove {} and its secret?", meant.label()))?;
    }
    vault.update(|authenticators| {
        // What was confirmed is removed, wherever other processes have moved it.
        authenticators.retain(|one| !one.is_copy_of(&meant));
        Ok(())
    })?;
    let text = format!("removed {}", meant.label());
    Ok(Answer::new(json!({ "removed": meant.to_json() }), text))
}

fn passphrase(new: Option<&PathBuf>, at: &At) -> Result<Answer, Stop> {
    let (old, new) = (at.passphrase(), Source::new(new.cloned()));
    if old.is_stdin() && new.is_stdin() {
        return Err(CliError::usage("two passphrases cannot both come from standard input")
            .hint("give one of them in a file")
            .into());
    }
    let mut vault = at.open()?;
    vault.change_passphrase(&new.ask_new("the vault")?)?;
    let json = json!({ "vault": vault.path(), "changed": true });
    Ok(Answer::new(json, "changed; copies of the old file still open with the old passphrase"))
}
