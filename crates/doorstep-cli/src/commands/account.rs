//! `doorstep account`: accounts and their authenticators, over the server's API.

mod enrol;
mod export;
mod find;
mod import;
mod pskc;
mod recovery;
mod show;
mod table;

use super::Connection;
use crate::client::escape;
use crate::error::CliError;
use crate::output::{Answer, BAD, DIM, GOOD};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make an account
    #[command(after_help = "Example:\n  doorstep account add ana@example.com")]
    Add {
        /// Its name; case does not tell two accounts apart
        name: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// List accounts, oldest first
    List {
        /// At most this many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
        /// Go on from an earlier answer's next_cursor
        #[arg(long)]
        cursor: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Show one account: authenticators, drift, attempts left
    Show {
        #[command(flatten)]
        of: Account,
    },
    /// Enrol an authenticator: shows its QR code and its secret, once
    #[command(
        after_help = "Examples:\n  doorstep account enrol ana@example.com --issuer \"Example Ltd\"\n  doorstep account enrol ana@example.com --png ana.png\n  doorstep account enrol ana@example.com --kind hotp --secret-file token.txt --hex --active\n  doorstep account enrol ana@example.com --kind ocra --suite OCRA-1:HOTP-SHA1-6:QN08\n\nThen activate it with the first code it shows."
    )]
    Enrol(enrol::Args),
    /// Activate an authenticator with the first code it shows
    #[command(after_help = "Example:\n  doorstep account activate ana@example.com \"287 082\"")]
    Activate {
        #[command(flatten)]
        of: Account,
        /// The code
        code: String,
        /// Which authenticator, if several wait
        #[arg(long, value_name = "ID")]
        authenticator: Option<String>,
        /// Seconds of a step, as the program says; the usual ones are tried by default
        #[arg(long)]
        period: Option<u64>,
        #[command(flatten)]
        known: KnownDevice,
    },
    /// Verify a code of an account
    #[command(
        after_help = "Examples:\n  doorstep account verify ana@example.com \"287 082\"\n  doorstep account verify ana@example.com 287082 --remember\n\nExit status 0: granted, and the code is spent. 3: refused."
    )]
    Verify {
        #[command(flatten)]
        of: Account,
        /// The code
        code: String,
        /// Give the device that is let in a token of its own, so that others cannot lock it out
        #[arg(long)]
        remember: bool,
        #[command(flatten)]
        known: KnownDevice,
    },
    /// Take up an authenticator whose clock or counter is far off, also a pending one
    #[command(after_help = "Example:\n  doorstep account resync ana@example.com 338314 254676")]
    Resync {
        #[command(flatten)]
        of: Account,
        /// A code
        first: String,
        /// The one that follows it
        second: String,
        /// Which authenticator, if there are several
        #[arg(long, value_name = "ID")]
        authenticator: Option<String>,
        #[command(flatten)]
        known: KnownDevice,
    },
    /// Make a challenge for an OCRA authenticator
    #[command(
        after_help = "Examples:\n  doorstep account challenge ana@example.com\n  doorstep account challenge ana@example.com --lifetime 300 --session \"transfer 100\""
    )]
    Challenge {
        #[command(flatten)]
        of: Account,
        /// Which authenticator, if there are several
        #[arg(long, value_name = "ID")]
        authenticator: Option<String>,
        /// Seconds that it may be answered
        #[arg(long)]
        lifetime: Option<u32>,
        /// What the session is about, for a suite with S
        #[arg(long, value_name = "TEXT")]
        session: Option<String>,
    },
    /// Verify the answer to a challenge
    #[command(after_help = "Example:\n  doorstep account answer chl_01k… 237653")]
    Answer {
        /// The challenge's id
        challenge: String,
        /// What the authenticator shows
        response: String,
        /// Give the device that is let in a token of its own, so that others cannot lock it out
        #[arg(long)]
        remember: bool,
        #[command(flatten)]
        known: KnownDevice,
        #[command(flatten)]
        connection: Connection,
    },
    /// Make ten recovery codes to print; those made before are void
    #[command(
        after_help = "Examples:\n  doorstep account recovery ana@example.com | lp\n  doorstep account recovery ana@example.com --html ana.html"
    )]
    Recovery {
        #[command(flatten)]
        of: Account,
        /// Write a page to print to this new file (mode 0600) instead
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// Use a recovery code
    #[command(after_help = "Example:\n  doorstep account recover ana@example.com 7K2M-9QXD-0VTB")]
    Recover {
        #[command(flatten)]
        of: Account,
        /// The code
        code: String,
        /// Give the device that is let in a token of its own, so that others cannot lock it out
        #[arg(long)]
        remember: bool,
        #[command(flatten)]
        known: KnownDevice,
    },
    /// Give an account all its attempts back
    Unlock {
        #[command(flatten)]
        of: Account,
    },
    /// Disable an account, or one authenticator for ever
    #[command(
        after_help = "Examples:\n  doorstep account disable ana@example.com\n  doorstep account disable ana@example.com --authenticator aut_01k…"
    )]
    Disable {
        #[command(flatten)]
        of: Account,
        /// Only this authenticator
        #[arg(long, value_name = "ID")]
        authenticator: Option<String>,
    },
    /// Enable an account again
    Enable {
        #[command(flatten)]
        of: Account,
    },
    /// Take in tokens and old secrets from CSV or PSKC, all rows or none
    #[command(
        after_help = "CSV: the first row names the columns: secret, and optionally serial, account, encoding\n(base32 or hex), kind (totp or hotp), digits, period, window, counter, algorithm. Without an\naccount the serial names one. PSKC: RFC 6030, not encrypted.\n\nExamples:\n  doorstep account import tokens.csv\n  doorstep account import tokens.pskc.xml"
    )]
    Import {
        /// The file
        file: PathBuf,
        #[command(flatten)]
        connection: Connection,
    },
    /// Write all secrets of a data directory to a new file, in plain
    #[command(
        after_help = "Reads the data directory and its keys, also beside a running server: no API key can do this.\n\nExamples:\n  doorstep account export --out seeds.txt\n  doorstep account export --format pskc --data /var/lib/doorstep --out seeds.xml"
    )]
    Export(export::Args),
}

/// One account.
#[derive(Debug, clap::Args)]
pub(crate) struct Account {
    /// Its name, or its id
    account: String,
    #[command(flatten)]
    connection: Connection,
}

/// A device that was let in before.
#[derive(Debug, clap::Args)]
pub(crate) struct KnownDevice {
    /// File that holds its token; - reads it from standard input
    #[arg(long, value_name = "FILE")]
    known_device_file: Option<PathBuf>,
}

impl KnownDevice {
    /// Adds the token to a request.
    fn present(&self, body: &mut Value) -> Result<(), CliError> {
        if let Some(file) = &self.known_device_file {
            body["known_device"] = json!(*crate::client::read_secret(file, "token")?);
        }
        Ok(())
    }
}

pub(crate) fn run(command: Command) -> Result<Answer, CliError> {
    match command {
        Command::Add { name, connection } => {
            let made = connection.open()?.post("/v1/accounts", &json!({ "name": name }))?;
            let text = format!("{GOOD}made{GOOD:#} account {}", text(&made, "id"));
            Ok(Answer::new(made, text))
        }
        Command::List { limit, cursor, connection } => {
            let mut query = format!("/v1/accounts?limit={limit}");
            if let Some(cursor) = cursor {
                query.push_str(&format!("&cursor={}", escape(&cursor)));
            }
            Ok(show::list(connection.open()?.get(&query)?))
        }
        Command::Show { of } => {
            let client = of.connection.open()?;
            Ok(show::account(client.get(&find::path(&client, &of.account, "")?)?))
        }
        Command::Enrol(args) => enrol::run(&args),
        Command::Activate { code, authenticator, period, known, of } => {
            let client = of.connection.open()?;
            let wanted = |one: &Value| one["state"] == "pending" && one["kind"] != "ocra";
            let id = find::authenticator(&client, &of.account, authenticator, wanted)?;
            let mut body = json!({ "code": code });
            if let Some(period) = period {
                body["period"] = json!(period);
            }
            known.present(&mut body)?;
            let path = format!("/v1/authenticators/{}/activate", escape(&id));
            Ok(outcome(client.post(&path, &body)?))
        }
        Command::Verify { code, remember, known, of } => {
            let mut body = json!({ "account": of.account, "code": code, "remember": remember });
            known.present(&mut body)?;
            Ok(outcome(of.connection.open()?.post("/v1/accounts/verify", &body)?))
        }
        Command::Resync { first, second, authenticator, known, of } => {
            let client = of.connection.open()?;
            let wanted = |one: &Value| one["state"] != "disabled" && one["kind"] != "ocra";
            let id = find::authenticator(&client, &of.account, authenticator, wanted)?;
            let path = format!("/v1/authenticators/{}/resync", escape(&id));
            let mut body = json!({ "codes": [first, second] });
            known.present(&mut body)?;
            Ok(outcome(client.post(&path, &body)?))
        }
        Command::Challenge { authenticator, lifetime, session, of } => {
            let client = of.connection.open()?;
            let wanted = |one: &Value| one["state"] != "disabled" && one["kind"] == "ocra";
            let id = find::authenticator(&client, &of.account, authenticator, wanted)?;
            let mut body = json!({});
            for (name, value) in
                [("lifetime", lifetime.map(Value::from)), ("session", session.map(Value::from))]
            {
                if let Some(value) = value {
                    body[name] = value;
                }
            }
            let path = format!("/v1/authenticators/{}/challenges", escape(&id));
            Ok(show::challenge(client.post(&path, &body)?))
        }
        Command::Answer { challenge, response, remember, known, connection } => {
            let path = format!("/v1/challenges/{}/verify", escape(&challenge));
            let mut body = json!({ "response": response, "remember": remember });
            known.present(&mut body)?;
            Ok(outcome(connection.open()?.post(&path, &body)?))
        }
        Command::Recovery { html, of } => recovery::run(&of, html.as_deref()),
        Command::Recover { code, remember, known, of } => {
            let mut body = json!({ "account": of.account, "code": code, "remember": remember });
            known.present(&mut body)?;
            Ok(outcome(of.connection.open()?.post("/v1/accounts/recover", &body)?))
        }
        Command::Unlock { of } => change(&of, "/unlock"),
        Command::Enable { of } => change(&of, "/enable"),
        Command::Disable { authenticator: None, of } => change(&of, "/disable"),
        Command::Disable { authenticator: Some(id), of } => {
            let client = of.connection.open()?;
            // Looked up in the account, so that a slip of the pen disables nobody else's.
            let id = find::authenticator(&client, &of.account, Some(id), |_| true)?;
            let path = format!("/v1/authenticators/{}/disable", escape(&id));
            client.post(&path, &Value::Null)?;
            Ok(show::account(client.get(&find::path(&client, &of.account, "")?)?))
        }
        Command::Import { file, connection } => import::run(&file, &connection.open()?),
        Command::Export(args) => export::run(&args),
    }
}

fn change(of: &Account, verb: &str) -> Result<Answer, CliError> {
    let client = of.connection.open()?;
    let path = find::path(&client, &of.account, verb)?;
    Ok(show::account(client.post(&path, &Value::Null)?))
}

/// Yes or no, in words.
fn outcome(answer: Value) -> Answer {
    if answer["outcome"] == "refused" {
        let mut told = format!("{BAD}refused{BAD:#}: {}", text(&answer, "message"));
        // The message of a wrong code has them already.
        let left = answer["attempts_left"].as_u64().filter(|_| answer["reason"] != "wrong_code");
        if let Some(left) = left {
            told.push_str(&format!(", {left} attempts left"));
        }
        if let Some(until) = answer["until"].as_str().filter(|_| answer["reason"] == "throttled") {
            told.push_str(&format!("; the next one is taken at {until}"));
        }
        told.push_str(&format!("\nhint: {}", text(&answer, "hint")));
        told.push_str(&format!(
            "\n{DIM}the server's time is {}{DIM:#}",
            text(&answer, "server_time")
        ));
        return Answer::refused(answer, told);
    }
    let mut told = format!("{GOOD}granted{GOOD:#}");
    match (answer["why"].as_str(), answer["shift"].as_i64()) {
        (Some("current") | None, _) | (_, None) => {}
        (Some(why), Some(shift)) => told.push_str(&format!(" ({why}, shift {shift:+})")),
    }
    if let Some(token) = answer["known_device"].as_str() {
        told.push_str(&format!("\nknown device: {token}"));
    }
    if let Some(left) = answer["recovery_codes_left"].as_u64() {
        told.push_str(&format!("; {left} recovery codes left"));
    }
    Answer::new(answer, told)
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}
