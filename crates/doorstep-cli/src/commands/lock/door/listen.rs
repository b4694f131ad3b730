//! `doorstep lock listen`: the reader of a lock, for phones that come and go.

use super::At;
use super::tap::{json, text, why_text};
use crate::error::CliError;
use crate::lock::antenna::{Antenna, Carrier};
use crate::lock::listener::{Happened, Listener};
use crate::output::{Answer, BAD, GOOD};
use crate::randomness;
use crate::text::clock_face;
use doorstep::pass::exchange::ble::FragmentSize;
use serde_json::{Value, json};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub(crate) const EXAMPLES: &str = "Examples:\n  doorstep lock listen --dir court-3\n  doorstep lock listen --dir court-3 --fragment 20     # replies over BLE in small fragments\n\nPhones meet the lock at nfc.sock and ble.sock in its directory, where they speak as docs/dp1.md,\nsection 12, says: doorstep wallet tap ID --lock court-3. One line is printed for each answer, with --json\none document a line. Ctrl-C ends it. Other commands may use the lock at the same time.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Bytes of a fragment that the lock sends over BLE, 20 to 244
    #[arg(long, value_name = "BYTES", default_value = "244")]
    fragment: FragmentSize,
    /// Print also what only the lock's inside knows, for operators and tests
    #[arg(long)]
    why: bool,
    #[command(flatten)]
    at: At,
}

pub(crate) fn run(args: &Args, json: bool) -> Result<Answer, CliError> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop))
            .map_err(|error| CliError::new(format!("cannot wait for signals: {error}")))?;
    }
    let mut listener = Listener::new(args.at.open()?, randomness::source(None), args.fragment)?;
    let antenna = Antenna::put_up(&args.at.dir)?;
    say(&beginning(&antenna, args.fragment, json));
    listener.listen(&antenna, &stop, |happened| say(&line(&happened, args.why, json)))?;
    // The lines of this command's answer were printed as it came to them.
    Ok(Answer::new(Value::Null, ""))
}

/// Whoever reads may have gone away; the lock goes on.
fn say(line: &str) {
    let mut out = anstream::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn beginning(antenna: &Antenna, fragment: FragmentSize, json: bool) -> String {
    let path = |carrier| antenna.path(carrier);
    let (nfc, ble) = (path(Carrier::Nfc), path(Carrier::Ble));
    if json {
        return json!({ "listening": { "nfc": nfc, "ble": ble }, "fragment": fragment.get() })
            .to_string();
    }
    let shown = [nfc, ble].map(|path| path.map(|path| path.display().to_string()));
    format!(
        "{GOOD}listening{GOOD:#} at {}",
        shown.into_iter().flatten().collect::<Vec<_>>().join(" and ")
    )
}

fn line(happened: &Happened<'_>, why: bool, as_json: bool) -> String {
    match happened {
        Happened::Judged(carrier, judged, belief) if as_json => {
            let mut json = json(judged, belief);
            if let Some(json) = json.as_object_mut() {
                json.insert("carrier".to_owned(), json!(carrier.name()));
            }
            json.to_string()
        }
        Happened::Failed(error) if as_json => error.to_json().to_string(),
        Happened::Judged(carrier, judged, belief) => {
            let now = belief.probable();
            let said = text(judged, belief);
            let line = format!("{} {}  {said}", clock_face(now, now), carrier.name());
            if why { format!("{line}\n{}", why_text(judged, belief)) } else { line }
        }
        Happened::Failed(error) => format!("{BAD}out of order{BAD:#}: {error}"),
    }
}
