//! `doorstep wallet show`: one pass, and what is held to a lock that can only look.

use super::At;
use super::list::{opens_text, standing_text};
use crate::commands::code::warn;
use crate::commands::new_file::NewFile;
use crate::error::CliError;
use crate::output::{Answer, BOLD, GOOD};
use crate::pass_file::to_text;
use crate::refused::Stop;
use crate::text::{rfc3339, span_text, zone};
use crate::wallet::find::find;
use crate::wallet::key::{self, HolderKey};
use crate::wallet::pass::HeldPass;
use crate::wallet::present;
use doorstep::pass::claims::Audience;
use doorstep::time::Timestamp;
use doorstep_qr::{Qr, SCALE};
use serde_json::json;
use std::path::PathBuf;
use zeroize::Zeroizing;

pub(crate) const EXAMPLES: &str = "Examples:\n  doorstep wallet show 1\n  doorstep wallet show 1 --qr                 on the terminal, for the lock's camera\n  doorstep wallet show court --png pass.png   into a new file, mode 0600\n\nA bearer pass comes out as it is, and a copy of it is as good. Any other comes with a proof by this\nmachine's clock: for about a minute, once, at one lock.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which: its number in `wallet list`, how its id begins, or the name of the door
    #[arg(value_name = "ID")]
    pass: String,
    /// The lock that it is for, if the pass names none: a name of up to 16 characters
    #[arg(long, value_name = "NAME", value_parser = audience)]
    lock: Option<Audience>,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    at: At,
}

fn audience(text: &str) -> Result<Audience, String> {
    Audience::parse(text).ok_or_else(|| "1 to 16 of a-z, 0-9, _ and -".to_owned())
}

/// In which form it is brought out.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Form {
    /// A QR code on the terminal
    #[arg(long)]
    qr: bool,
    /// A QR code in a new PNG file
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    /// A QR code in a new SVG file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Its bytes in a new file
    #[arg(long, value_name = "FILE")]
    bin: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<Answer, Stop> {
    let wallet = args.at.open()?;
    let now = args.at.clock.now()?;
    let passes = &wallet.content().passes;
    let place = find(passes, &args.pass)?;
    let Some(held) = passes.get(place) else {
        return Err(CliError::new("the wallet is empty").into());
    };
    let form = &args.form;
    let mut json = json!({ "pass": held.to_json(now) });
    let file = form.png.as_ref().or(form.svg.as_ref()).or(form.bin.as_ref());
    if !form.qr && file.is_none() {
        return Ok(Answer::new(json, describe(held, now)?));
    }
    let presented = presented(&wallet.content().key, held, args.lock.as_ref(), now)?;
    if held.is_bearer() {
        warn("this is a bearer pass: whoever photographs or copies it can open as well");
    } else if presented.as_slice() == held.document() {
        warn(
            "this pass comes without a proof, since only its lock knows whether it needs one; with --lock NAME it has one",
        );
    } else {
        json["proven_at"] = json!(rfc3339(now));
    }
    let text = to_text(&presented);
    let code = || Qr::of_text(&text).map_err(CliError::from);
    let Some(file) = file else {
        json["text"] = json!(*text);
        return Ok(Answer::new(json, format!("{}\n{}", *code()?.terminal(), describe(held, now)?)));
    };
    let place = NewFile::make(file)?;
    if form.png.is_some() {
        place.fill(&code()?.png(SCALE))?;
    } else if form.svg.is_some() {
        place.fill(code()?.svg().as_bytes())?;
    } else {
        place.fill(&presented)?;
    }
    json["file"] = json!(file);
    Ok(Answer::new(json, format!("{GOOD}written{GOOD:#} to {}", file.display())))
}

/// What is held to the lock.
fn presented(
    key: &HolderKey,
    held: &HeldPass,
    lock: Option<&Audience>,
    now: Timestamp,
) -> Result<Zeroizing<Vec<u8>>, CliError> {
    // Of one that only its lock can read nobody here knows whether it has a holder.
    if held.is_bearer() || (held.window().is_none() && lock.is_none()) {
        return Ok(Zeroizing::new(held.document().to_vec()));
    }
    let lock = match (held.lock(), lock) {
        (Some(named), Some(given)) if named != given => {
            return Err(CliError::usage(format!("this pass is for the lock {named:?} alone")));
        }
        (Some(lock), _) | (None, Some(lock)) => lock,
        (None, None) => {
            return Err(CliError::usage("this pass names no lock, and its proof is for one")
                .hint("give --lock NAME, which stands at the lock; or hold the phone to it: doorstep wallet tap"));
        }
    };
    let time = u32::try_from(now.seconds())
        .map_err(|_| CliError::new("this clock is beyond the times of passes").hint("set it"))?;
    Ok(present::by_time(key, held, lock, time))
}

fn describe(held: &HeldPass, now: Timestamp) -> Result<String, CliError> {
    let zone = zone(None)?;
    let mut text = format!("{BOLD}{}{BOLD:#}\n", held.name());
    let mut line = |name: &str, value: &str| text.push_str(&format!("{name:<8} {value}\n"));
    line("id", &held.id_text());
    line("opens", &format!("{} ({})", opens_text(held, &zone), standing_text(held, now)));
    line("uses", &held.uses_text());
    if let Some(seconds) = held.lasts_seconds() {
        line("lasts", &format!("{} from the first time", span_text(u64::from(seconds))));
    }
    if let Some(lock) = held.lock() {
        line("lock", lock.as_str());
    }
    if let Some(group) = held.group() {
        line("group", group);
    }
    line("kind", held.kind().name());
    match held.holder() {
        Some(holder) => line("holder", &format!("{} (this wallet)", key::text(holder))),
        None if held.is_bearer() => line("holder", "nobody: whoever has a copy can open"),
        None => line("holder", "only its lock knows"),
    }
    if let Some(source) = held.source() {
        line("from", &source.server);
    }
    Ok(text)
}
