//! `doorstep driver`: a driver's device, which works without the server except to sync.

mod door;
mod online;
mod pin;
mod ranking;
mod show;

use super::Connection;
use crate::clock::Clock;
use crate::device::journal::Journal;
use crate::device::key::{self, Stored};
use crate::device::pin::PinSource;
use crate::error::CliError;
use crate::output::{Answer, WARN};
use crate::refused::Stop;
use doorstep::cose::keys::SoftwareKey;
use doorstep::handover::device::{Device, Known, Waiting};
use doorstep::id::DeliveryId;
use doorstep::time::{Position, Timestamp};
use std::path::PathBuf;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Invite a driver: prints a one-time ticket for the device (asks the server)
    #[command(
        after_help = "Example:\n  doorstep driver invite Ana > ana.ticket\n  doorstep driver invite Leo --managed > leo.ticket"
    )]
    Invite {
        /// The driver's name
        name: String,
        /// The business manages the device, so it may check whole codes
        #[arg(long)]
        managed: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Rank drivers by the claims that chance does not explain (asks the server)
    #[command(after_help = "Example:\n  doorstep driver ranking --days 30")]
    Ranking {
        /// Claims that came in during so many days
        #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=3660))]
        days: u64,
        #[command(flatten)]
        connection: Connection,
    },
    /// Make this directory the device of an invited driver
    #[command(
        after_help = "Examples:\n  doorstep driver enrol --ticket ana.ticket --dir ana\n  doorstep driver enrol --ticket ana.ticket --dir ana --pin"
    )]
    Enrol(online::Enrol),
    /// Put the device's key under a PIN, or change the PIN
    #[command(
        after_help = "Ten wrong PINs in a row erase the key. What was not synced by then is not lost:\ndoorstep driver journal export --with-claims, then doorstep driver carry.\n\nExample:\n  doorstep driver pin --dir ana"
    )]
    Pin(pin::Args),
    /// Send outcomes, fetch the route (needs the server)
    Sync {
        #[command(flatten)]
        server: Server,
        #[command(flatten)]
        keyed: Keyed,
    },
    /// Take a delivery on: say which, and when you will be there (needs the server)
    #[command(
        after_help = "Examples:\n  doorstep driver take A-17 --at 14:30 --dir ana\n  doorstep driver take A-17 --at +45m --variance 30m --dir ana"
    )]
    Take(online::Take),
    /// Show the stops
    List {
        #[command(flatten)]
        at: At,
    },
    /// Hand a delivery over against its code, without any network
    #[command(
        after_help = "Examples:\n  doorstep driver handover 1 \"4829 1635\" --dir ana\n  doorstep driver handover dlv_01k… \"4829 1635\" --slot neighbour --dir ana"
    )]
    Handover(door::Handover),
    /// Hand a delivery over against the customer's QR code or link, without any network
    #[command(
        after_help = "Examples:\n  doorstep driver scan door.png --dir ana\n  doorstep driver scan \"https://example.com/d#HO1:…\" --dir ana\n  zbarcam --raw -1 | doorstep driver scan - --dir ana"
    )]
    Scan(door::Scan),
    /// Say why a delivery could not be handed over; its code stays valid
    #[command(
        after_help = "Reasons: absent, refused-by-recipient, wrong-address, damaged, no-access, other\n\nExamples:\n  doorstep driver fail 1 --reason absent --dir ana\n  doorstep driver fail 1 --reason other --note \"the bridge is closed\" --dir ana"
    )]
    Fail(door::Fail),
    /// Show the device: who it is, what waits to be synced
    Status {
        #[command(flatten)]
        at: At,
    },
    /// What happened on the device
    #[command(subcommand)]
    Journal(show::Journal),
    /// Report a device lost: it gets nothing more (asks the server)
    #[command(
        after_help = "Examples:\n  doorstep driver lose Ana\n  doorstep driver lose dev_01k…"
    )]
    Lose {
        /// The driver's name, or the device's id
        device: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Bring the outcomes of a device that has lost its key (asks the server)
    #[command(
        after_help = "Example:\n  doorstep driver journal export --with-claims --dir ana > ana.jsonl\n  doorstep driver carry ana.jsonl"
    )]
    Carry {
        /// What `driver journal export --with-claims` wrote
        file: PathBuf,
        #[command(flatten)]
        connection: Connection,
    },
}

/// Where the device is, and its time.
#[derive(Debug, clap::Args)]
pub(crate) struct At {
    /// The device's directory
    #[arg(long, env = "DOORSTEP_DEVICE", default_value = "doorstep-device", value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    clock: Clock,
}

/// The same, for what the device's key is needed for.
#[derive(Debug, clap::Args)]
pub(crate) struct Keyed {
    /// File that holds the device's PIN, if it has one; - reads it from standard input
    #[arg(long, env = "DOORSTEP_PIN_FILE", value_name = "FILE")]
    pin_file: Option<PathBuf>,
    #[command(flatten)]
    at: At,
}

/// Which server.
#[derive(Debug, clap::Args)]
pub(crate) struct Server {
    /// Address of the server, when it is not the one of the enrolment any more
    #[arg(long, env = "DOORSTEP_SERVER", value_name = "URL")]
    server: Option<String>,
}

impl At {
    /// Opens the device, and writes the time down if enough of it passed.
    fn open(&self) -> Result<(Journal, Clock), CliError> {
        let mut journal = Journal::open(&self.dir)?;
        let clock = self.clock.clone();
        if clock.is_simulated() && !journal.device().identity().test {
            return Err(CliError::new(
                "a simulated clock is for test data, and this device's is real",
            )
            .hint("leave out --clock, or unset DOORSTEP_CLOCK"));
        }
        if let Some(record) = journal.device().tick(clock.now()?) {
            journal.append(&record)?;
        }
        Ok((journal, clock))
    }
}

impl Keyed {
    /// The device's key; asks for the PIN if there is one.
    fn key(&self) -> Result<SoftwareKey, Stop> {
        match key::load(&self.at.dir)? {
            Some(Stored::Open(key)) => Ok(key),
            Some(Stored::Sealed(_)) => {
                key::unseal(&self.at.dir, &PinSource::new(self.pin_file.clone()).ask()?)
            }
            None => Err(key::erased().into()),
        }
    }
}

pub(crate) fn run(command: Command) -> Result<Answer, CliError> {
    let answer = match command {
        Command::Ranking { days, connection } => {
            connection.open().and_then(|client| ranking::run(&client, days)).map_err(Stop::Failed)
        }
        Command::Invite { name, managed, connection } => {
            online::invite(&name, managed, &connection).map_err(Stop::Failed)
        }
        Command::Enrol(enrol) => online::enrol(&enrol),
        Command::Pin(args) => pin::run(&args),
        Command::Sync { server, keyed } => online::sync(server.server.as_deref(), &keyed),
        Command::Take(take) => online::take(&take),
        Command::List { at } => show::list(&at).map_err(Stop::Failed),
        Command::Handover(handover) => door::handover(&handover),
        Command::Scan(scan) => door::scan(&scan),
        Command::Fail(fail) => door::fail(&fail),
        Command::Status { at } => show::status(&at).map_err(Stop::Failed),
        Command::Journal(journal) => show::journal(&journal).map_err(Stop::Failed),
        Command::Lose { device, connection } => {
            online::lose(&device, &connection).map_err(Stop::Failed)
        }
        Command::Carry { file, connection } => {
            online::carry(&file, &connection).map_err(Stop::Failed)
        }
    };
    Stop::settle(answer)
}

/// The newest generation of each delivery, by window.
fn in_order(device: &Device) -> Vec<&Known> {
    let newest = |known: &&Known| {
        device
            .stop(known.stop.delivery)
            .is_some_and(|last| last.stop.generation == known.stop.generation)
    };
    let mut stops: Vec<&Known> = device.stops().filter(newest).collect();
    stops.sort_by_key(|known| (known.stop.window.from(), known.stop.delivery));
    stops
}

fn state(known: &Known, now: Timestamp) -> &'static str {
    match (known.spent, known.withdrawn, known.stop.window.position(now)) {
        (Some(_), _, _) => "accepted",
        (None, true, _) => "withdrawn",
        (None, false, Position::Before) => "early",
        (None, false, Position::Inside) => "open",
        (None, false, Position::After) => "expired",
    }
}

/// The delivery that a driver names: by its id, its reference, or its number in the list.
fn select(device: &Device, delivery: &str) -> Result<DeliveryId, CliError> {
    let stops = in_order(device);
    let id = DeliveryId::parse(delivery).ok();
    if let Some(known) = stops.iter().find(|known| Some(known.stop.delivery) == id) {
        return Ok(known.stop.delivery);
    }
    // As the list writes it: "01" is a label of some other parcel.
    let numbered = (1..).zip(&stops).find(|(number, _)| usize::to_string(number) == delivery);
    let number = numbered.map(|(_, known)| known.stop.delivery);
    let named = stops.iter().find(|known| known.stop.reference == delivery);
    match (named.map(|known| known.stop.delivery), number, id) {
        (Some(named), Some(number), _) if named != number => {
            let what =
                format!("\"{delivery}\" is the number of one stop and the reference of another");
            Err(CliError::new(what).hint("give the delivery's id: doorstep driver list --json"))
        }
        (Some(named), ..) => Ok(named),
        (None, Some(number), _) => Ok(number),
        // Perhaps an id that came by another way: the device says what it knows of it.
        (None, None, Some(id)) if delivery.parse::<usize>().is_err() => Ok(id),
        (None, None, _) => {
            Err(CliError::new(format!("no stop has the number, reference or id \"{delivery}\""))
                .hint("doorstep driver list shows them; sync while online"))
        }
    }
}

/// What the server does not have yet, for people.
fn waiting_text(waiting: Waiting) -> String {
    let Waiting { delivered, failed } = waiting;
    let attempts = match failed {
        0 => String::new(),
        1 => " (and 1 failed attempt)".to_owned(),
        more => format!(" (and {more} failed attempts)"),
    };
    if delivered == 0 && failed == 0 {
        return "everything synced".to_owned();
    }
    format!("{WARN}delivered, waiting to sync: {delivered}{attempts}{WARN:#}")
}

/// The same, for machines: how many outcomes.
const fn waiting_count(waiting: Waiting) -> u64 {
    waiting.delivered.saturating_add(waiting.failed)
}
