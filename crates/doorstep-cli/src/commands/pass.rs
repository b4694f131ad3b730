//! `doorstep pass`: passes for offline locks, over the server's API.

mod hand_out;
mod keys;
mod riders;
mod sheet;
mod show;

use super::Connection;
use super::booking::When;
use super::lock::find;
use crate::client::escape;
use crate::error::CliError;
use crate::output::{self, Answer, DIM};
use crate::text::{parse_span, rfc3339, span_face, time_of, zone};
use clap::ValueEnum;
use hand_out::HandOut;
use serde_json::{Value, json};
pub(super) use show::truth;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Issue a pass: for a lock, for a group of locks, or for a booking
    #[command(
        after_help = "Examples:\n  doorstep pass issue --booking bkg_01k… --png ana.png\n  doorstep pass issue --lock \"Court 3\" --from 14:00 --for 1h --once --collect\n  doorstep pass issue --lock \"Court 3\" --from 08:00 --until 22:00 --lasts 2h --kind mac --qr\n  doorstep pass issue --group courts --from 2026-03-01 --until 2026-04-01 --holder p256:A6uT… --bin staff.bin\n\nA bearer pass opens for whoever has it, so files get mode 0600. With --collect the guest's phone\nmakes its own key and fetches the pass by a ticket; with --holder the pass is bound to a key at once."
    )]
    Issue(Box<Issue>),
    /// List passes, oldest first
    List {
        /// Only those of this lock: its id or its name
        #[arg(long)]
        lock: Option<String>,
        /// Only those of this booking
        #[arg(long)]
        booking: Option<String>,
        /// At most this many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
        /// Go on from an earlier answer's next_cursor
        #[arg(long)]
        cursor: Option<String>,
        /// Time zone of the place, as Europe/Madrid; yours by default
        #[arg(long)]
        zone: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// Show a pass; with an output option, hand it out again
    #[command(
        after_help = "Examples:\n  doorstep pass show 9f1c7a0b33d2e845\n  doorstep pass show 9f1c7a0b33d2e845 --sheet ana.html"
    )]
    Show {
        /// Its id
        pass: String,
        #[command(flatten)]
        out: HandOut,
        /// Time zone of the place, as Europe/Madrid; yours by default
        #[arg(long)]
        zone: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// End a pass before its time; says what makes that true at the lock
    Revoke {
        /// Its id
        pass: String,
        /// Time zone of the place, as Europe/Madrid; yours by default
        #[arg(long)]
        zone: Option<String>,
        #[command(flatten)]
        connection: Connection,
    },
    /// What somebody's phone should bring to a lock: the bulletin of revoked passes, new keys of the issuer
    #[command(
        after_help = "Examples:\n  doorstep pass riders \"Court 3\"\n  doorstep pass riders \"Court 3\" --dir for-court-3 && doorstep lock tap for-court-3/01.bin"
    )]
    Riders(riders::Riders),
    /// The answer to a lock that asked for the time
    #[command(
        after_help = "Example:\n  doorstep pass time-token \"Court 3\" 00112233445566778899aabbccddeeff --bin token.bin"
    )]
    TimeToken(riders::TimeToken),
    /// The keys that passes are signed with, and how many locks have them
    Keys {
        #[command(flatten)]
        connection: Connection,
    },
    /// Sign with a new key from now on, or from a later time
    #[command(
        after_help = "Examples:\n  doorstep pass rotate\n  doorstep pass rotate --algorithm esp256\n  doorstep pass rotate --ends-old +30d\n\nLocks hear of the new key from phones that bring their riders; until then passes are signed with\na key that they have. A leaked key is ended with --ends-old now."
    )]
    Rotate(keys::Rotate),
}

/// What proves a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A signature of the issuer
    Signed,
    /// A MAC under the lock's own key: short, for one lock
    Mac,
    /// Under the lock's own key too, and readable for nobody else
    Encrypted,
}

#[derive(Debug, clap::Args)]
#[group(id = "place", required = true, multiple = false, args = ["lock", "group", "booking"])]
pub(crate) struct Issue {
    /// The lock: its id or its name
    #[arg(long, requires = "from")]
    lock: Option<String>,
    /// A group of locks, all of which it opens
    #[arg(long, requires = "from")]
    group: Option<String>,
    /// A booking, for exactly the time that was asked for
    #[arg(long, conflicts_with_all = ["from", "until", "length"])]
    booking: Option<String>,
    #[command(flatten)]
    when: When,
    /// What proves it
    #[arg(long, value_enum, default_value_t = Kind::Signed)]
    kind: Kind,
    /// It opens once
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    terms: Terms,
    /// The door may be held open
    #[arg(long)]
    passage: bool,
    /// The kind of key that signs it: ed25519 or esp256
    #[arg(long)]
    algorithm: Option<String>,
    /// Your own name for it
    #[arg(long)]
    reference: Option<String>,
    #[command(flatten)]
    out: HandOut,
    #[command(flatten)]
    connection: Connection,
}

/// Whose a pass is, and how often it opens.
#[derive(Debug, clap::Args)]
pub(crate) struct Terms {
    /// The public key of the phone whose pass it is, from `doorstep wallet key`
    #[arg(long, value_name = "KEY")]
    holder: Option<String>,
    /// A ticket in its place: the first phone that shows it gets the pass
    #[arg(long, conflicts_with = "holder")]
    collect: bool,
    /// It opens so many times
    #[arg(long, value_name = "N", conflicts_with = "once", value_parser = clap::value_parser!(u8).range(1..))]
    uses: Option<u8>,
    /// For how long from its first opening, as 2h
    #[arg(long, value_name = "SPAN")]
    lasts: Option<String>,
    /// Only while the lock knows the time within a quarter of an hour
    #[arg(long)]
    exact: bool,
}

impl Terms {
    /// The fields that the API has for them.
    pub(super) fn body(&self, once: bool) -> Result<Value, CliError> {
        let holder = if self.collect { Some("collect") } else { self.holder.as_deref() };
        let lasts = self.lasts.as_deref().map(parse_span).transpose()?;
        let mut body = json!({ "holder": holder.unwrap_or("bearer"), "exact": self.exact });
        if once {
            body["uses"] = json!("once");
        } else if let Some(uses) = self.uses {
            body["uses"] = json!(uses);
        }
        if let Some(seconds) = lasts {
            if seconds == 0 || seconds % 60 != 0 {
                return Err(CliError::usage("--lasts takes whole minutes, as 90m or 2h"));
            }
            body["lasts_minutes"] = json!(seconds / 60);
        }
        Ok(body)
    }
}

pub(crate) fn run(command: &Command) -> Result<Answer, CliError> {
    match command {
        Command::Issue(issue) => self::issue(issue),
        Command::List { lock, booking, limit, cursor, zone, connection } => {
            let client = connection.open()?;
            let mut query = format!("/v1/passes?limit={limit}");
            if let Some(lock) = lock {
                query.push_str(&format!("&lock={}", find::id(&client, lock)?));
            }
            for (name, value) in [("booking", booking), ("cursor", cursor)] {
                if let Some(value) = value {
                    query.push_str(&format!("&{name}={}", escape(value)));
                }
            }
            list(client.get(&query)?, zone.as_deref())
        }
        Command::Show { pass, out, zone, connection } => {
            let file = out.make()?;
            let query = if out.is_wanted() { "?document=true" } else { "" };
            let client = connection.open()?;
            let pass = client.get(&format!("/v1/passes/{}{query}", escape(pass)))?;
            out.answer(file, pass, &crate::text::zone(zone.as_deref())?, &client)
        }
        Command::Revoke { pass, zone, connection } => {
            let path = format!("/v1/passes/{}/revoke", escape(pass));
            let pass = connection.open()?.post(&path, &json!({}))?;
            let text = show::text(&pass, &crate::text::zone(zone.as_deref())?)?;
            Ok(Answer::new(pass, text))
        }
        Command::Riders(riders) => riders::run(riders),
        Command::TimeToken(token) => riders::time_token(token),
        Command::Keys { connection } => keys::list(connection.open()?.get("/v1/pass_keys")?),
        Command::Rotate(rotate) => keys::rotate(rotate),
    }
}

fn issue(issue: &Issue) -> Result<Answer, CliError> {
    let file = issue.out.make()?;
    let client = issue.connection.open()?;
    let mut body = issue.terms.body(issue.once)?;
    let kind = issue.kind.to_possible_value().map(|kind| kind.get_name().to_owned());
    body["kind"] = json!(kind);
    body["passage"] = json!(issue.passage);
    if let Some(booking) = &issue.booking {
        body["booking"] = json!(booking);
    } else {
        let (from, until) = issue.when.window()?;
        body["from"] = json!(rfc3339(from));
        body["until"] = json!(rfc3339(until));
    }
    if let Some(lock) = &issue.lock {
        body["lock"] = json!(find::id(&client, lock)?);
    }
    for (name, value) in
        [("group", &issue.group), ("algorithm", &issue.algorithm), ("reference", &issue.reference)]
    {
        if let Some(value) = value {
            body[name] = json!(value);
        }
    }
    let pass = client.post("/v1/passes", &body)?;
    issue.out.answer(file, pass, &zone(issue.when.zone())?, &client)
}

fn list(answer: Value, zone_name: Option<&str>) -> Result<Answer, CliError> {
    let zone = zone(zone_name)?;
    let head = ["pass", "reference", "place", "state", "kind", "opens", "used"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for pass in answer["data"].as_array().into_iter().flatten() {
        let text = |name: &str| pass[name].as_str().unwrap_or("-").to_owned();
        let opens = span_face(time_of(&pass["from"])?, time_of(&pass["until"])?, &zone);
        let used = pass["uses_seen"].to_string();
        let place = show::place(pass);
        rows.push(vec![
            text("id"),
            text("reference"),
            place,
            text("state"),
            text("kind"),
            opens,
            used,
        ]);
    }
    let mut text = output::table(&rows);
    if let Some(cursor) = answer["next_cursor"].as_str() {
        text.push_str(&format!("{DIM}more: --cursor {cursor}{DIM:#}"));
    }
    Ok(Answer::new(answer, text))
}
