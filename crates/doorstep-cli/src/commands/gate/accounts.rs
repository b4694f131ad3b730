//! `doorstep gate add | list | ...`: the accounts in a gate's state file.

use super::{At, Opened, told, write_new};
use crate::error::CliError;
use crate::output::{Answer, BAD, GOOD, WARN, table};
use crate::text::rfc3339;
use doorstep::otp::hotp::Hotp;
use doorstep::otp::otpauth::{self, Kind};
use doorstep::otp::text::write_base32;
use doorstep::otp::totp::Totp;
use doorstep::otp::verify::Accepted;
use doorstep::otp::{Algorithm, Digits, hint};
use doorstep::refusal::Refusal;
use doorstep::time::Timestamp;
use doorstep_gate::gate::{AccountView, Enrolment};
use doorstep_gate::name::Name;
use doorstep_qr::Qr;
use serde_json::json;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::num::NonZeroU64;
use std::path::PathBuf;
use zeroize::Zeroizing;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Enrol an authenticator, for a new account or one more of an account
    #[command(
        after_help = "Examples:\n  doorstep gate add ana\n  doorstep gate add ana --svg ana.svg --json\n\nThe secret is shown once. The authenticator opens nothing until its first code is typed, here or with: doorstep gate activate NAME CODE"
    )]
    Add(AddArgs),
    /// Activate the authenticator enrolled last, by its first code
    #[command(after_help = "Example:\n  doorstep gate activate ana 287082")]
    Activate {
        /// The account
        #[arg(value_parser = name)]
        name: Name,
        /// The code that the authenticator shows now
        code: String,
    },
    /// Show the accounts; never a secret
    List,
    /// Remove an account, with its authenticators and sessions, or one of its authenticators
    #[command(
        after_help = "Examples:\n  doorstep gate remove ana\n  doorstep gate remove ana --authenticator 1"
    )]
    Remove {
        /// The account
        #[arg(value_parser = name)]
        name: Name,
        /// Only this authenticator; the account's sessions end all the same
        #[arg(long, value_name = "N")]
        authenticator: Option<u16>,
    },
    /// Give an account its attempts back, after somebody used them up
    Unlock {
        /// The account
        #[arg(value_parser = name)]
        name: Name,
    },
    /// Make ten recovery codes, in place of those made before
    #[command(
        after_help = "Example:\n  doorstep gate recovery ana > ana-recovery.txt\n\nEach code works once, also when all attempts are used up. They are shown once: print them, or write them down."
    )]
    Recovery {
        /// The account
        #[arg(value_parser = name)]
        name: Name,
    },
    /// Find an authenticator again whose clock or counter is far off
    #[command(
        after_help = "Example:\n  doorstep gate resync ana 755224 287082\n\nThe two codes must follow each other."
    )]
    Resync {
        /// The account
        #[arg(value_parser = name)]
        name: Name,
        /// A code that it shows
        first: String,
        /// The very next one
        second: String,
        /// Which authenticator, if the account has several
        #[arg(long, value_name = "N")]
        authenticator: Option<u16>,
    },
    /// End the sessions of a name, or of everybody
    #[command(
        after_help = "Examples:\n  doorstep gate sign-out ana\n  doorstep gate sign-out --all"
    )]
    SignOut {
        /// Whose
        #[arg(value_parser = name, required_unless_present = "all", conflicts_with = "all")]
        name: Option<Name>,
        /// Everybody's
        #[arg(long)]
        all: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct AddArgs {
    /// The account: a-z, 0-9 and . _ @ + -
    #[arg(value_parser = name)]
    name: Name,
    /// Digits of a code, 6 to 8
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u8).range(6..=8))]
    digits: u8,
    /// Hash: sha1, sha256 or sha512; not every authenticator app knows the others
    #[arg(long, default_value = "sha1", value_parser = algorithm)]
    algorithm: Algorithm,
    /// Seconds of a step
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=otpauth::MAX_PERIOD))]
    period: u64,
    /// Codes that change with a counter, not with the time
    #[arg(long, conflicts_with = "period")]
    hotp: bool,
    /// Write the QR code to a new file as well
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write the QR code to a new file as well
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
}

fn name(text: &str) -> Result<Name, String> {
    Name::parse(text).ok_or_else(|| "a name has 1 to 64 of a-z, 0-9 and . _ @ + -".to_owned())
}

fn algorithm(name: &str) -> Result<Algorithm, String> {
    Algorithm::parse(name).ok_or_else(|| "sha1, sha256 or sha512".to_owned())
}

pub(super) fn run(at: &At, command: Command, json: bool) -> Result<Answer, CliError> {
    let mut opened = at.open()?;
    let now = opened.now()?;
    let gate = &mut opened.gate;
    match command {
        Command::Add(args) => add(&mut opened, &args, json),
        Command::Activate { name, code } => {
            let verdict = gate.activate(&name, &code, now).map_err(|error| told(&error))?;
            Ok(judged(&name, "active", verdict, now))
        }
        Command::Resync { name, first, second, authenticator } => {
            let verdict = gate
                .resync(&name, authenticator, [&first, &second], now)
                .map_err(|error| told(&error))?;
            Ok(judged(&name, "found again", verdict, now))
        }
        Command::List => list(&mut opened, now),
        Command::Remove { name, authenticator } => {
            match authenticator {
                Some(number) => gate.remove_authenticator(&name, number),
                None => gate.remove(&name),
            }
            .map_err(|error| told(&error))?;
            Ok(done(&name, "removed"))
        }
        Command::Unlock { name } => {
            gate.unlock(&name, now).map_err(|error| told(&error))?;
            Ok(done(&name, "unlocked"))
        }
        Command::Recovery { name } => recovery(&mut opened, &name),
        Command::SignOut { name, .. } => {
            gate.sign_out(name.as_ref()).map_err(|error| told(&error))?;
            let text = name.as_ref().map_or("everybody", Name::as_str);
            let json = json!({ "account": name.as_ref().map(Name::as_str), "state": "signed_out" });
            Ok(Answer::new(json, format!("{text}: {GOOD}signed out{GOOD:#}")))
        }
    }
}

fn done(name: &Name, state: &str) -> Answer {
    let json = json!({ "account": name.as_str(), "state": state });
    Answer::new(json, format!("{name}: {GOOD}{state}{GOOD:#}"))
}

fn judged(name: &Name, state: &str, verdict: Result<Accepted, Refusal>, now: Timestamp) -> Answer {
    match verdict {
        Ok(accepted) => {
            let json = json!({
                "account": name.as_str(), "outcome": "granted", "authenticator": accepted.authenticator,
                "step": accepted.step, "shift": accepted.shift, "why": accepted.why.code(),
            });
            Answer::new(
                json,
                format!(
                    "{name}: authenticator {} is {GOOD}{state}{GOOD:#}",
                    accepted.authenticator
                ),
            )
        }
        Err(refusal) => {
            let (hint, time) = (hint(&refusal), rfc3339(now));
            let json = json!({
                "account": name.as_str(), "outcome": "refused", "reason": refusal.code(),
                "hint": hint, "server_time": time,
                "until": moment(&refusal, "until"), "accepted_at": moment(&refusal, "at"),
            });
            let when = ["until", "at"]
                .map(|word| {
                    moment(&refusal, word).map(|at| format!(", {word} {at}")).unwrap_or_default()
                })
                .concat();
            let text = format!(
                "{name}: {BAD}refused{BAD:#}: {refusal}{when}\nhint: {hint}\nthe time here is {time}"
            );
            Answer::refused(json, text)
        }
    }
}

/// The time that a refusal is about: until when, or at which.
fn moment(refusal: &Refusal, word: &str) -> Option<String> {
    let at = match (refusal, word) {
        (Refusal::Throttled { until }, "until") => *until,
        (Refusal::Expired { until }, "until") => Some(*until),
        (Refusal::AlreadyUsed { at }, "at") => Some(*at),
        _ => None,
    };
    at.map(rfc3339)
}

fn add(opened: &mut Opened, args: &AddArgs, json: bool) -> Result<Answer, CliError> {
    let digits = Digits::for_enrolment(args.digits).unwrap_or(Digits::SIX);
    let algorithm = args.algorithm;
    let kind = if args.hotp {
        Kind::Hotp { hotp: Hotp { algorithm, digits }, counter: 0 }
    } else {
        let period = NonZeroU64::new(args.period).unwrap_or(NonZeroU64::MIN);
        Kind::Totp(Totp { algorithm, digits, period, ..Totp::default() })
    };
    let now = opened.now()?;
    let Opened { config, gate, rng, .. } = opened;
    let enrolled = gate.enrol(&args.name, kind, &config.issuer, now, rng);
    let enrolment = enrolled.map_err(|error| told(&error))?;
    let uri = otpauth::write(&enrolment.entry)
        .map_err(|error| CliError::new(format!("the authenticator cannot be shown: {error}")))?;
    let qr = Qr::of_text(&uri)?;
    if let Some(path) = &args.svg {
        write_new(path, qr.svg().as_bytes())?;
    }
    if let Some(path) = &args.png {
        write_new(path, &qr.png(doorstep_qr::SCALE))?;
    }
    let seed = grouped(&enrolment);
    let name = &args.name;
    let number = enrolment.number;
    let shown = Zeroizing::new(format!(
        "{}\nseed: {}\n{WARN}it is shown this once{WARN:#}; scan the code, or type the seed into an authenticator app\n",
        *qr.terminal(),
        *seed,
    ));
    if json || !std::io::stdin().is_terminal() {
        let next = format!("doorstep gate activate {name} CODE");
        let json = json!({
            "account": name.as_str(), "authenticator": number, "state": "pending",
            "uri": *uri, "secret": *seed,
        });
        return Ok(Answer::new(
            json,
            format!("{}then, with the code that it shows:  {next}", *shown),
        ));
    }
    anstream::print!("{}code: ", *shown);
    drop(std::io::stdout().flush());
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let line = Zeroizing::new(line);
        let now = opened.now()?;
        match opened.gate.activate(name, &line, now).map_err(|error| told(&error))? {
            Err(refusal) if matches!(refusal, Refusal::Mistyped | Refusal::WrongCode { .. }) => {
                anstream::println!("{BAD}refused{BAD:#}: {refusal}; {}", hint(&refusal));
            }
            verdict => return Ok(judged(name, "active", verdict, now)),
        }
        anstream::print!("code: ");
        drop(std::io::stdout().flush());
    }
    Err(CliError::new("no code was typed, so the authenticator is not active")
        .hint(format!("doorstep gate activate {name} CODE")))
}

/// The seed in groups of four, as people type it.
fn grouped(enrolment: &Enrolment) -> Zeroizing<String> {
    let mut seed = Zeroizing::new(String::new());
    // Writing to a text never fails.
    let _ = write_base32(&enrolment.entry.secret, &mut *seed);
    let mut grouped = Zeroizing::new(String::with_capacity(seed.len() * 2));
    for (index, symbol) in seed.chars().enumerate() {
        if index > 0 && index.is_multiple_of(4) {
            grouped.push(' ');
        }
        grouped.push(symbol);
    }
    grouped
}

fn list(opened: &mut Opened, now: Timestamp) -> Result<Answer, CliError> {
    let accounts = opened.gate.list(now).map_err(|error| told(&error))?;
    let heads = ["account", "authenticators", "attempts left", "recovery codes", "known devices"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    let mut json = Vec::new();
    for account in &accounts {
        let state = |active: bool| if active { "active" } else { "pending" };
        let authenticators: Vec<String> = account
            .authenticators
            .iter()
            .map(|(number, active)| format!("{number} {}", state(*active)))
            .collect();
        rows.push(vec![
            account.name.to_string(),
            authenticators.join(", "),
            account.attempts_left.to_string(),
            account.recovery_codes.to_string(),
            account.known_devices.to_string(),
        ]);
        let authenticators = account.authenticators.iter();
        let authenticators: Vec<_> = authenticators
            .map(|(number, active)| json!({ "number": number, "state": state(*active) }))
            .collect();
        json.push(json!({
            "account": account.name.as_str(), "authenticators": authenticators,
            "attempts_left": account.attempts_left, "recovery_codes": account.recovery_codes,
            "known_devices": account.known_devices,
            "stalled_until": account.stalled_until.map(rfc3339),
        }));
    }
    let text = if accounts.is_empty() {
        "no accounts; add one with: doorstep gate add NAME".to_owned()
    } else {
        let stalled = |account: &AccountView| {
            let (name, until) = (&account.name, rfc3339(account.stalled_until?));
            Some(format!(
                "\n{WARN}{name}: the clock was ahead once, and no attempt comes back before {until}{WARN:#}\nhint: doorstep gate unlock {name}"
            ))
        };
        table(&rows) + &accounts.iter().filter_map(stalled).collect::<String>()
    };
    Ok(Answer::new(json!({ "accounts": json }), text))
}

fn recovery(opened: &mut Opened, name: &Name) -> Result<Answer, CliError> {
    let Opened { gate, rng, .. } = opened;
    let codes = gate.make_recovery_codes(name, rng).map_err(|error| told(&error))?;
    let mut texts = Vec::new();
    let mut sheet = Zeroizing::new(format!(
        "Recovery codes of {name}. Each works once, in place of a code of the authenticator.\nKeep them where the authenticator is not.\n\n"
    ));
    for (index, code) in codes.iter().enumerate() {
        let mut text = Zeroizing::new(String::new());
        // Writing to a text never fails.
        let _ = code.write_grouped(&mut *text);
        sheet.push_str(&format!("{:>4}.  {}\n", index + 1, *text));
        texts.push(text.to_string());
    }
    let json = json!({ "account": name.as_str(), "codes": texts });
    Ok(Answer::new(json, sheet.to_string()))
}
