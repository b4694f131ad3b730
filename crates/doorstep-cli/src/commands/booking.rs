//! `doorstep booking`: who may open a lock and when, over the server's API.

mod message;
mod show;

use super::Connection;
use super::lock::find;
use super::pass::Terms;
use crate::client::escape;
use crate::clock::Clock;
use crate::error::CliError;
use crate::output::{self, Answer, DIM};
use crate::text::{parse_span, parse_time_in, rfc3339, span_face, zone};
use clap::ValueEnum;
use doorstep::time::Timestamp;
use serde_json::{Value, json};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Book a lock: answers with PINs and the window in which they really open
    #[command(
        after_help = "Examples:\n  doorstep booking add \"Court 3\" --from 14:00 --for 1h\n  doorstep booking add \"Court 3\" --from \"2026-03-02 14:00\" --until \"2026-03-02 15:30\" --zone Europe/Madrid --holders 2\n  doorstep booking add lck_01k… --from +10m --for 1h --once --reference B-1001\n  doorstep booking add \"Court 3\" --from 14:00 --for 1h --access both --collect"
    )]
    Add(Add),
    /// List bookings, oldest first
    #[command(
        after_help = "Examples:\n  doorstep booking list\n  doorstep booking list --lock \"Court 3\" --from 08:00 --until 22:00\n  doorstep booking list --reference B-1001"
    )]
    List {
        /// Only those of this lock: its id or its name
        #[arg(long)]
        lock: Option<String>,
        /// Only those that open after this
        #[arg(long, requires = "lock")]
        from: Option<String>,
        /// Only those that open before this
        #[arg(long, requires = "lock")]
        until: Option<String>,
        /// Only the one with this reference
        #[arg(long)]
        reference: Option<String>,
        #[command(flatten)]
        clock: Clock,
        /// At most this many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
        /// Go on from an earlier answer's next_cursor
        #[arg(long)]
        cursor: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Show a booking: its PINs, and the truth about those that should open no more
    Show {
        #[command(flatten)]
        of: Booking,
    },
    /// Move a booking to another time; new PINs, unless the window stays the same
    #[command(after_help = "Example:\n  doorstep booking change bkg_01k… --from 16:00 --for 1h")]
    Change {
        /// Its id
        booking: String,
        #[command(flatten)]
        when: When,
        #[command(flatten)]
        connection: Connection,
    },
    /// Cancel a booking; says what ends its PINs at the lock
    Cancel {
        #[command(flatten)]
        of: Booking,
    },
    /// One more PIN for the same window, for a friend without a phone
    Friend {
        #[command(flatten)]
        of: Booking,
    },
    /// A new PIN for a holder whose PIN was lost or seen
    #[command(after_help = "Example:\n  doorstep booking renew bkg_01k… --holder 0")]
    Renew {
        #[command(flatten)]
        of: Booking,
        /// Which holder, from 0
        #[arg(long, default_value_t = 0)]
        holder: u8,
    },
    /// Write the message for a guest
    #[command(
        after_help = "Example:\n  doorstep booking message bkg_01k… --zone Europe/Madrid | mail -s \"Your booking\" ana@example.com"
    )]
    Message {
        #[command(flatten)]
        of: Booking,
        /// Which holder, from 0
        #[arg(long, default_value_t = 0)]
        holder: u8,
    },
}

/// What opens a lock for a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Access {
    Pin,
    Pass,
    Both,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Add {
    /// The lock: its id or its name
    lock: String,
    #[command(flatten)]
    when: When,
    /// How many PINs
    #[arg(long)]
    holders: Option<u8>,
    /// Each PIN, and each pass, opens once
    #[arg(long)]
    once: bool,
    /// What opens it: a PIN, a pass for each holder, or both
    #[arg(long, value_enum, default_value_t = Access::Pin)]
    access: Access,
    /// Passes under the lock's own key, which are short
    #[arg(long)]
    pass_mac: bool,
    #[command(flatten)]
    pass: Terms,
    /// Your own name for it
    #[arg(long)]
    reference: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Booking {
    /// Its id
    booking: String,
    #[command(flatten)]
    place: Place,
}

/// Where the server is, and in which zone times are told.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// Time zone of the place, as Europe/Madrid; yours by default
    #[arg(long)]
    zone: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// From when until when.
#[derive(Debug, clap::Args)]
pub(crate) struct When {
    /// When it begins: 14:00, "2026-03-02 14:00", RFC 3339, or +2h
    #[arg(long)]
    from: Option<String>,
    /// When it ends
    #[arg(long)]
    until: Option<String>,
    /// How long it lasts, instead
    #[arg(long = "for", value_name = "SPAN", conflicts_with = "until", id = "length")]
    length: Option<String>,
    /// Time zone that these times are in, as Europe/Madrid; yours by default
    #[arg(long)]
    zone: Option<String>,
    #[command(flatten)]
    clock: Clock,
}

impl When {
    /// The zone that its times are in, if one was named.
    pub(super) fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }

    pub(super) fn window(&self) -> Result<(Timestamp, Timestamp), CliError> {
        let zone = zone(self.zone())?;
        let now = self.clock.now()?;
        let from = self.from.as_deref().ok_or_else(|| CliError::usage("say --from"))?;
        let from = parse_time_in(from, now, &zone)?;
        let until = match (&self.until, &self.length) {
            // A time of day is the next one after the beginning.
            (Some(until), _) if until.starts_with('+') => parse_time_in(until, now, &zone)?,
            (Some(until), _) => parse_time_in(until, from, &zone)?,
            (None, Some(length)) => from.later(parse_span(length)?),
            (None, None) => return Err(CliError::usage("say --until or --for")),
        };
        Ok((from, until))
    }
}

pub(crate) fn run(command: &Command) -> Result<Answer, CliError> {
    match command {
        Command::Add(add) => self::add(add),
        Command::List { lock, from, until, reference, clock, limit, cursor, place } => {
            let client = place.connection.open()?;
            let mut query = format!("/v1/bookings?limit={limit}");
            if let Some(lock) = lock {
                query.push_str(&format!("&lock={}", find::id(&client, lock)?));
            }
            let (zone, now) = (zone(place.zone.as_deref())?, clock.now()?);
            for (name, time) in [("from", from), ("until", until)] {
                if let Some(time) = time {
                    let time = rfc3339(parse_time_in(time, now, &zone)?);
                    query.push_str(&format!("&{name}={}", escape(&time)));
                }
            }
            for (name, value) in [("reference", reference), ("cursor", cursor)] {
                if let Some(value) = value {
                    query.push_str(&format!("&{name}={}", escape(value)));
                }
            }
            list(client.get(&query)?, place)
        }
        Command::Show { of } => {
            show::answer(of.place.connection.open()?.get(&of.path(""))?, &of.place)
        }
        Command::Change { booking, when, connection } => {
            let (from, until) = when.window()?;
            let body = json!({ "from": rfc3339(from), "until": rfc3339(until) });
            let path = format!("/v1/bookings/{}/change", escape(booking));
            let booking = connection.open()?.post(&path, &body)?;
            show::answer_in(booking, &zone(when.zone.as_deref())?)
        }
        Command::Cancel { of } => of.post("/cancel"),
        Command::Friend { of } => of.post("/holders"),
        Command::Renew { of, holder } => of.post(&format!("/holders/{holder}/renew")),
        Command::Message { of, holder } => {
            let client = of.place.connection.open()?;
            let booking = client.get(&of.path(""))?;
            message::message(&client, &booking, *holder, &zone(of.place.zone.as_deref())?)
        }
    }
}

impl Booking {
    fn path(&self, verb: &str) -> String {
        format!("/v1/bookings/{}{verb}", escape(&self.booking))
    }

    fn post(&self, verb: &str) -> Result<Answer, CliError> {
        let booking = self.place.connection.open()?.post(&self.path(verb), &json!({}))?;
        show::answer(booking, &self.place)
    }
}

fn add(add: &Add) -> Result<Answer, CliError> {
    let client = add.connection.open()?;
    let (from, until) = add.when.window()?;
    let mut body = json!({
        "lock": find::id(&client, &add.lock)?,
        "from": rfc3339(from), "until": rfc3339(until), "once": add.once && add.access != Access::Pass,
    });
    if let Some(holders) = add.holders {
        body["holders"] = json!(holders);
    }
    if add.access != Access::Pin {
        body["access"] = json!(if add.access == Access::Pass { "pass" } else { "both" });
        let mut pass = add.pass.body(add.once)?;
        pass["kind"] = json!(if add.pass_mac { "mac" } else { "signed" });
        body["pass"] = pass;
    }
    if let Some(reference) = &add.reference {
        body["reference"] = json!(reference);
    }
    let booking = client.post("/v1/bookings", &body)?;
    show::answer_in(booking, &zone(add.when.zone.as_deref())?)
}

fn list(answer: Value, place: &Place) -> Result<Answer, CliError> {
    let zone = zone(place.zone.as_deref())?;
    let mut rows =
        vec![["booking", "reference", "lock", "state", "opens"].map(str::to_owned).to_vec()];
    for booking in answer["data"].as_array().into_iter().flatten() {
        let text = |name: &str| booking[name].as_str().unwrap_or("-").to_owned();
        let (from, until) = show::opens(booking)?;
        let opens = span_face(from, until, &zone);
        rows.push(vec![text("id"), text("reference"), text("lock"), text("state"), opens]);
    }
    let mut text = output::table(&rows);
    if let Some(cursor) = answer["next_cursor"].as_str() {
        text.push_str(&format!("{DIM}more: --cursor {cursor}{DIM:#}"));
    }
    Ok(Answer::new(answer, text))
}
