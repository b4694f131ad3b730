//! `doorstep lock new` and `provision`: a lock at the server, and the bundle that goes into it, shown once.

use super::door::install;
use super::find;
use super::profile::Choice;
use super::show;
use crate::client::escape;
use crate::clock::Clock;
use crate::commands::Connection;
use crate::commands::new_file::NewFile;
use crate::error::CliError;
use crate::lock::VirtualLock;
use crate::lock::hardware::Weather;
use crate::output::{Answer, BOLD, GOOD, WARN};
use clap::ValueEnum;
use doorstep::clock::{AfterPowerLoss, Oscillator};
use doorstep::door::bundle::Bundle;
use doorstep_qr::{Qr, SCALE};
use serde_json::{Value, json};
use std::path::PathBuf;
use zeroize::Zeroizing;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Counts {
    /// A 32.768 kHz crystal
    Crystal,
    /// A temperature-compensated crystal
    Compensated,
    /// A calibrated RC oscillator
    Calibrated,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum AfterCut {
    /// Opens nothing until somebody types a set-time code
    NeedTime,
    /// Trusts the power to have been off for 90 minutes at most; who cuts it longer stretches a PIN by that
    #[value(name = "trust-90min")]
    Trust90Min,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Takes {
    /// All kinds
    Signed,
    /// Those under the lock's own key, for the smallest locks
    Mac,
    /// None
    None,
}

#[derive(Debug, clap::Args)]
pub(crate) struct New {
    /// What people call it
    #[arg(default_value = "lock")]
    name: String,
    /// The place it belongs to; a new name makes a new site, with a key of its own
    #[arg(long)]
    site: String,
    #[command(flatten)]
    choice: Choice,
    /// What counts its seconds
    #[arg(long, value_enum, default_value = "crystal")]
    oscillator: Counts,
    /// What it does when its seconds stood still
    #[arg(long, value_enum, default_value = "need-time")]
    after_power_loss: AfterCut,
    /// Also take the codes of a TOTP secret that lock and server share, of so many digits (8 when none are named)
    #[arg(long, value_name = "DIGITS", num_args = 0..=1, default_missing_value = "8", value_parser = clap::value_parser!(u8).range(6..=8))]
    totp: Option<u8>,
    /// Which passes it takes
    #[arg(long, value_enum, default_value = "signed")]
    passes: Takes,
    /// A group of the site's locks that it is in, all of which one pass may open; at most 4 times
    #[arg(long = "group", value_name = "NAME")]
    groups: Vec<String>,
    #[command(flatten)]
    bundle: BundleTo,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Provision {
    /// The lock: its id or its name
    lock: String,
    #[command(flatten)]
    bundle: BundleTo,
    #[command(flatten)]
    connection: Connection,
}

/// Where the bundle goes: whoever reads it can derive all codes of the lock. By default test data becomes a
/// virtual lock, in a directory named like it, and real bundles are shown once.
#[derive(Debug, clap::Args)]
struct BundleTo {
    /// Install a virtual lock in this directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Write the bundle to this new file (mode 0600)
    #[arg(long = "bundle", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Write its QR code to this new file (mode 0600), as SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// The same as PNG
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    #[command(flatten)]
    clock: Clock,
}

impl BundleTo {
    /// Makes the files before the bundle: it is answered only once.
    fn make(&self, name: &str, test: bool) -> Result<Places<'_>, CliError> {
        let new = NewFile::make;
        let nowhere = self.file.is_none() && self.svg.is_none() && self.png.is_none();
        let dir = self.dir.clone().or_else(|| (nowhere && test).then(|| named(name)));
        if let Some(dir) = &dir {
            VirtualLock::refuse_existing(dir)?;
        }
        Ok(Places {
            dir,
            clock: self.clock.clone(),
            file: self.file.as_deref().map(new).transpose()?,
            svg: self.svg.as_deref().map(new).transpose()?,
            png: self.png.as_deref().map(new).transpose()?,
        })
    }
}

/// A directory for a lock of this name.
fn named(name: &str) -> PathBuf {
    let plain = |letter: char| letter.is_ascii_alphanumeric().then(|| letter.to_ascii_lowercase());
    let name: String = name.chars().map(|letter| plain(letter).unwrap_or('-')).collect();
    match name.trim_matches('-') {
        "" => "lock".into(),
        name => name.into(),
    }
}

struct Places<'p> {
    dir: Option<PathBuf>,
    clock: Clock,
    file: Option<NewFile<'p>>,
    svg: Option<NewFile<'p>>,
    png: Option<NewFile<'p>>,
}

impl Places<'_> {
    /// Puts the bundle where it was wanted; `None` when it is to be shown instead.
    fn fill(self, bundle: &str) -> Result<Option<String>, CliError> {
        let mut told = String::new();
        let nowhere = self.file.is_none() && self.svg.is_none() && self.png.is_none();
        let qr = || Qr::of_text(bundle);
        if let Some(file) = self.svg {
            file.fill(qr()?.svg().as_bytes())?;
        }
        if let Some(file) = self.png {
            file.fill(&qr()?.png(SCALE))?;
        }
        if let Some(file) = self.file {
            file.fill(Zeroizing::new(format!("{bundle}\n")).as_bytes())?;
        }
        if let Some(dir) = &self.dir {
            let read = Bundle::parse(bundle).map_err(|error| CliError::new(error.to_string()))?;
            let now = install::time(&read, &self.clock)?;
            VirtualLock::install(dir, &read, Weather::new(0, 25_000)?, now)?;
            told = format!(
                "{GOOD}installed{GOOD:#} in {0}: type at it with doorstep lock run --dir {0}\n",
                dir.display()
            );
        }
        if !nowhere {
            told.push_str("the bundle was written; it goes into the lock: doorstep lock install BUNDLE --dir DIR\n");
        }
        Ok((!told.is_empty()).then_some(told))
    }
}

pub(crate) fn new(args: &New) -> Result<Answer, CliError> {
    let oscillator = match args.oscillator {
        Counts::Crystal => Oscillator::Crystal,
        Counts::Compensated => Oscillator::Compensated,
        Counts::Calibrated => Oscillator::Calibrated,
    };
    let after_power_loss = match args.after_power_loss {
        AfterCut::NeedTime => AfterPowerLoss::NeedTime,
        AfterCut::Trust90Min => AfterPowerLoss::Trust90Min,
    };
    let mut body = json!({
        "site": args.site, "name": args.name, "profile": args.choice.json()?,
        "oscillator": oscillator.name(), "after_power_loss": after_power_loss.name(),
    });
    body["passes"] =
        json!(args.passes.to_possible_value().map(|takes| takes.get_name().to_owned()));
    if !args.groups.is_empty() {
        body["groups"] = json!(args.groups);
    }
    if let Some(digits) = args.totp {
        body["totp"] = json!({ "digits": digits });
    }
    let client = args.connection.open()?;
    let places = args.bundle.make(&args.name, client.is_test())?;
    let made = client.post("/v1/locks", &body)?;
    told(made, places)
}

pub(crate) fn provision(args: &Provision) -> Result<Answer, CliError> {
    let client = args.connection.open()?;
    let places = args.bundle.make(&args.lock, client.is_test())?;
    let lock = find::id(&client, &args.lock)?;
    let made = client.post(&format!("/v1/locks/{}/provision", escape(&lock)), &json!({}))?;
    told(made, places)
}

fn told(mut made: Value, places: Places<'_>) -> Result<Answer, CliError> {
    let bundle = made["bundle"].as_str().map(str::to_owned).map(Zeroizing::new);
    let bundle = bundle.ok_or_else(|| CliError::new("the server's answer holds no bundle"))?;
    let mut text = match places.fill(&bundle)? {
        Some(told) => {
            if let Some(made) = made.as_object_mut() {
                made.remove("bundle");
            }
            told
        }
        None => {
            let qr = Qr::of_text(&bundle)?;
            format!(
                "{}{WARN}the bundle, shown once; whoever reads it can open this lock:{WARN:#}\n{}\n",
                qr.terminal().as_str(),
                bundle.as_str(),
            )
        }
    };
    let lock = &made["lock"];
    let word = |name: &str| lock[name].as_str().unwrap_or_default();
    text.push_str(&format!("{GOOD}provisioned{GOOD:#} {} as {}\n", word("name"), word("id")));
    text.push_str(&show::summary(lock));
    if let Some(bookings) = made["bookings_changed"].as_u64().filter(|bookings| *bookings > 0) {
        text.push_str(&format!(
            "{WARN}{bookings} bookings have new PINs; send their guests the new ones{WARN:#}\n"
        ));
    }
    text.push_str(&show::pins_lost(&made));
    let anew = made["passes_begin_anew"].as_array().map_or(&[][..], Vec::as_slice);
    for pass in anew.iter().filter_map(Value::as_str) {
        text.push_str(&format!(
            "{WARN}pass {pass} was used in part, which the lock forgot: revoke it, and hand out another{WARN:#}\n"
        ));
    }
    text.push_str(&format!(
        "next: {BOLD}doorstep booking add {} --from +10m --for 1h{BOLD:#}",
        word("id")
    ));
    Ok(Answer::new(made, text))
}
