//! `doorstep restore`: brings a backup back, and says what is void and what somebody has to look at.

use super::backup::KeysFile;
use super::serve::chain;
use crate::clock::Clock;
use crate::error::CliError;
use crate::output::{Answer, GOOD, WARN};
use crate::refused::Stop;
use crate::text::rfc3339;
use crate::vault::Vault;
use crate::vault::passphrase::Source;
use doorstep_server::{Access, Mode, Open, Restored, Restoring, Voided, restore};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  doorstep restore monday.db --data /var/lib/doorstep --dry-run        what would be void\n  doorstep restore monday.db --data /var/lib/doorstep --keys monday.db.keys\n  doorstep restore monday.db --data /var/lib/doorstep --keep-access     no key or device was given up since\n\nThe directory must have no database. Its keys come from a file of `backup --with-keys`, or are there already.\nWhat was used, sent or ended since the backup is not known, so whatever would harm if it happened twice is made\nvoid before a server can start: docs/backup.md."
)]
pub(crate) struct Args {
    /// A backup; or the database of a server that is not running, copied with the files beside it
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The issuer's directory
    #[arg(long, env = "DOORSTEP_DATA", default_value = "doorstep-data", value_name = "DIR")]
    data: PathBuf,
    /// The keys, as `backup --with-keys` sealed them
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// File that holds their passphrase on its first line; - is standard input
    #[arg(long, value_name = "FILE", requires = "keys")]
    passphrase_file: Option<PathBuf>,
    /// Leave API keys and devices as they were: say so only if none was revoked, lost or set back since
    #[arg(long)]
    keep_access: bool,
    /// Only say what would be void
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    clock: Clock,
}

pub(crate) fn run(args: &Args) -> Result<Answer, CliError> {
    Stop::settle(bring_back(args))
}

fn bring_back(args: &Args) -> Result<Answer, Stop> {
    let now = args.clock.now()?;
    let keys = match &args.keys {
        Some(path) => {
            let source = Source::new(args.passphrase_file.clone());
            Some(Vault::<KeysFile>::open(path, &source, &args.clock)?)
        }
        None => None,
    };
    let order = Restoring {
        file: &args.file,
        data: &args.data,
        keys: keys.as_ref().map(|vault| vault.content().files()),
        access: if args.keep_access { Access::Kept } else { Access::Ended },
        now,
        is_simulated: args.clock.is_simulated(),
        rehearsal: args.dry_run,
    };
    let restored =
        restore(&order).map_err(|error| CliError::new(chain(&error)).hint(error.hint()))?;
    Ok(Answer::new(to_json(args, &restored), to_text(args, &restored)))
}

fn to_json(args: &Args, restored: &Restored) -> Value {
    json!({
        "issuer": restored.issuer.as_str(), "mode": restored.mode.as_str(), "data": args.data,
        "backup_at": restored.backup_at.map(rfc3339), "epoch": restored.epoch,
        "dry_run": args.dry_run, "void": restored.voided, "look_at": restored.open,
    })
}

fn to_text(args: &Args, restored: &Restored) -> String {
    let data = args.data.display();
    let when = restored
        .backup_at
        .map_or_else(|| "of unknown time".to_owned(), |time| format!("of {}", rfc3339(time)));
    let mut text = match args.dry_run {
        true => format!("the backup {when}, of {}: this would be void\n", restored.issuer),
        false => format!(
            "{GOOD}brought back{GOOD:#} the backup {when}, of {}, into {data}; void are\n",
            restored.issuer
        ),
    };
    let lines = voided(&restored.voided);
    for (_, line) in lines.iter().filter(|(count, _)| *count > 0) {
        text.push_str(&format!("  {line}\n"));
    }
    if lines.iter().all(|(count, _)| *count == 0) {
        text.push_str("  nothing\n");
    }
    let lines = open(&restored.open);
    if lines.iter().any(|(count, _)| *count > 0) {
        text.push_str(&format!("{WARN}look at{WARN:#}\n"));
    }
    for (_, line) in lines.iter().filter(|(count, _)| *count > 0) {
        text.push_str(&format!("  {line}\n"));
    }
    text.push_str(
        "what was ended since the backup is not known to be: end it again (accounts, passes, PINs, keys of passes)\n",
    );
    if !args.dry_run {
        let clock = match restored.mode {
            Mode::Test => format!(" --clock {data}/clock"),
            Mode::Live => String::new(),
        };
        let key = if args.keep_access {
            String::new()
        } else {
            format!("  doorstep key create --data {data} --name me --out doorstep.key\n")
        };
        text.push_str(&format!("next:\n{key}  doorstep serve --data {data}{clock}\n"));
    }
    text
}

fn voided(voided: &Voided) -> Vec<(usize, String)> {
    let Voided {
        online_codes,
        plans,
        messages_held,
        api_keys,
        devices,
        webhooks,
        invitations,
        counting_authenticators,
        steps_spent,
        recovery_codes,
        challenges,
        pass_tickets,
        kept_answers,
        ..
    } = *voided;
    [
        (online_codes, "codes that the server checks: plan those deliveries again"),
        (plans, "plans that no device had at the backup: plan those deliveries again"),
        (
            messages_held,
            "messages that were due: each may have been sent; send it with delivery send",
        ),
        (api_keys, "API keys: make new ones"),
        (devices, "drivers' devices: invite them anew; what they bring home is still taken"),
        (webhooks, "webhooks are paused: look at each, and go on with webhook change ID --resume"),
        (invitations, "invitations of devices: invite them anew"),
        (counting_authenticators, "authenticators that count (HOTP): enrol them anew"),
        (steps_spent, "authenticators by time: codes up to now are spent, the next ones are taken"),
        (recovery_codes, "recovery codes: make new ones"),
        (challenges, "challenges: make new ones"),
        (pass_tickets, "tickets of passes that nobody had collected: issue those passes anew"),
        (
            kept_answers,
            "answers kept for Idempotency-Keys: a repetition is told that its end is not known",
        ),
    ]
    .map(|(count, what)| (count, format!("{count} {what}")))
    .into()
}

fn open(open: &Open) -> Vec<(usize, String)> {
    let Open { deliveries_out, messages_waiting, locks, accounts, .. } = *open;
    [
        (deliveries_out, "deliveries are with devices: their outcomes come home when the devices sync"),
        (messages_waiting, "messages for later times go out at their time"),
        (locks, "locks have PINs or passes: end the epoch of each whose bookings changed since (lock epoch)"),
        (accounts, "accounts are as they were: disable again who was disabled since"),
    ]
    .map(|(count, what)| (count, format!("{count} {what}")))
    .into()
}
