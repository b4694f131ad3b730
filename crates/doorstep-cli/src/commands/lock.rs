//! `doorstep lock`: locks as the server knows them, and the virtual lock at its door.

mod codes;
mod door;
mod events;
pub(crate) mod find;
mod new;
mod profile;
mod profiles;
mod show;

use super::Connection;
use crate::client::escape;
use crate::error::CliError;
use crate::output::{Answer, WARN};
use crate::text::base64url;
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// At the server: a new lock, and the bundle that goes into it
    #[command(
        after_help = "Examples:\n  doorstep lock new --site demo\n  doorstep lock new \"Court 3\" --site harbour --uses both --bundle court-3.bundle\n  doorstep lock new \"Room 12\" --site inn --profile stays --check-in 15:00 --check-out 10:00 --zone Europe/Madrid --png room-12.png\n  doorstep lock new \"Back door\" --site club --totp"
    )]
    New(new::New),
    /// At the server: list locks, with the health of their clocks
    List {
        /// Only those of this site
        #[arg(long)]
        site: Option<String>,
        /// At most this many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
        /// Go on from an earlier answer's next_cursor
        #[arg(long)]
        cursor: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// At the server: show a lock, what it takes, its odds and its clock
    Show {
        #[command(flatten)]
        of: Lock,
    },
    /// At the server: provision a lock anew, after a reset or when its key may be known; all PINs change
    Provision(new::Provision),
    /// At the server: the code of a TOTP door at this moment
    Code {
        #[command(flatten)]
        of: Lock,
    },
    /// At the server: a code that sets the lock's clock, for staff who stand before it
    SetTime {
        #[command(flatten)]
        of: Lock,
    },
    /// At the server: a code that ends all PINs of a lock, now or with the first new one
    #[command(
        after_help = "Examples:\n  doorstep lock epoch \"Court 3\" announce\n  doorstep lock epoch \"Court 3\" end\n  doorstep lock epoch \"Court 3\" confirm"
    )]
    Epoch {
        #[command(flatten)]
        of: Lock,
        /// What to do
        #[arg(value_enum)]
        change: codes::Change,
        /// The code of the epoch that was confirmed, once more, for a lock at which it was never typed
        #[arg(long)]
        again: bool,
    },
    /// At the server: take in a lock's journal
    TakeJournal {
        #[command(flatten)]
        of: Lock,
        /// The file that the lock wrote
        file: PathBuf,
    },
    /// At the server: what a lock's journals told: who opened, and when
    Events {
        #[command(flatten)]
        of: Lock,
        /// At most this many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
        /// Go on from an earlier answer's next_cursor
        #[arg(long)]
        cursor: Option<String>,
    },
    /// What each kind of lock takes, and what a guesser gains
    #[command(
        after_help = "Examples:\n  doorstep lock profiles\n  doorstep lock profiles --profile general --uses both\n  doorstep lock profiles --profile stays --nights 7 --zone Europe/Madrid"
    )]
    Profiles(profiles::Args),
    #[command(flatten)]
    Door(door::Command),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Lock {
    /// The lock: its id or its name
    lock: String,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) fn run(command: &Command, json: bool) -> Result<Answer, CliError> {
    match command {
        Command::New(args) => new::new(args),
        Command::List { site, limit, cursor, connection } => {
            let mut query = format!("/v1/locks?limit={limit}");
            for (name, value) in [("site", site), ("cursor", cursor)] {
                if let Some(value) = value {
                    query.push_str(&format!("&{name}={}", escape(value)));
                }
            }
            show::list(connection.open()?.get(&query)?)
        }
        Command::Show { of } => {
            let client = of.connection.open()?;
            let lock = find::id(&client, &of.lock)?;
            Ok(show::answer(client.get(&format!("/v1/locks/{lock}"))?))
        }
        Command::Provision(args) => new::provision(args),
        Command::Code { of } => {
            let client = of.connection.open()?;
            codes::now(&client, &find::id(&client, &of.lock)?)
        }
        Command::SetTime { of } => {
            let client = of.connection.open()?;
            codes::set_time(&client, &find::id(&client, &of.lock)?)
        }
        Command::Epoch { of, change, again } => {
            let client = of.connection.open()?;
            codes::epoch(&client, &find::id(&client, &of.lock)?, *change, *again)
        }
        Command::TakeJournal { of, file } => take_journal(of, file),
        Command::Events { of, limit, cursor } => {
            let client = of.connection.open()?;
            let lock = find::id(&client, &of.lock)?;
            let cursor = cursor.as_ref().map(|cursor| format!("&cursor={}", escape(cursor)));
            let query = format!("?limit={limit}{}", cursor.unwrap_or_default());
            events::list(client.get(&format!("/v1/locks/{lock}/events{query}"))?)
        }
        Command::Profiles(args) => profiles::run(args),
        Command::Door(command) => door::run(command, json),
    }
}

fn take_journal(of: &Lock, file: &PathBuf) -> Result<Answer, CliError> {
    let journal =
        std::fs::read(file).map_err(|error| CliError::io("read the journal", file, &error))?;
    let client = of.connection.open()?;
    let lock = find::id(&client, &of.lock)?;
    let body = json!({ "journal": base64url(&journal) });
    let taken = client.post(&format!("/v1/locks/{lock}/journal"), &body)?;
    let many = |name: &str, one: &str, more: &str| match taken[name].as_u64() {
        Some(1) => format!("1 {one}"),
        count => format!("{} {more}", count.unwrap_or(0)),
    };
    let mut text = format!(
        "{}, {} of them new: {}, {} refused, {}\n",
        many("records", "record", "records"),
        taken["new_records"],
        many("openings", "opening", "openings"),
        taken["refused"],
        many("power_losses", "power cut", "power cuts"),
    );
    if taken["gap"] == true {
        text.push_str(&format!("{WARN}some records before these never came home{WARN:#}\n"));
    }
    if taken["forked"] == true {
        text.push_str(&format!(
            "{WARN}it does not go on from the journal before: the lock was set back, or there are two{WARN:#}\n"
        ));
    }
    if taken["epoch_behind"] == true {
        text.push_str(&format!(
            "{WARN}the lock is in an epoch before the one that was confirmed; its code again: doorstep lock epoch {} end --again{WARN:#}\n",
            of.lock
        ));
    }
    Ok(Answer::new(taken, text))
}
