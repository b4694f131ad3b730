//! `doorstep lock install`: what an installer does, once.

use super::weather::Change;
use crate::clock::Clock;
use crate::error::CliError;
use crate::input::{is_image, read_codes, read_file};
use crate::lock::hardware::Weather;
use crate::lock::{VirtualLock, not_test};
use crate::output::{Answer, GOOD};
use crate::text::{clock_face, rfc3339};
use doorstep::door::bundle::{Bundle, PREFIX};
use doorstep::time::Timestamp;
use serde_json::json;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

pub(crate) const EXAMPLES: &str = "Examples:\n  doorstep lock install court-3.bundle --dir court-3\n  doorstep lock install court-3.png --dir court-3          # a picture of its QR code\n  doorstep lock install - --dir court-3 --drift-ppm 20 --temperature 10 < court-3.bundle\n\nThis machine's clock sets the lock's. Whoever has the bundle can derive all codes of the lock:\nremove the file once it is installed.";

/// By how many seconds an installer's clock may be behind the server's.
const BEHIND: u64 = 60;

/// By how many seconds it may be ahead before it is asked: a bundle is seldom older than that. No set-time
/// code brings a lock back.
const AHEAD: u64 = 30 * 24 * 60 * 60;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The lock's bundle, or a picture of its QR code; - reads it from standard input
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// The directory that becomes the lock
    #[arg(long, env = "DOORSTEP_LOCK", value_name = "DIR")]
    dir: PathBuf,
    /// Believe this machine's clock, although the bundle was made more than 30 days ago by it
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    weather: Change,
    #[command(flatten)]
    clock: Clock,
}

pub(crate) fn run(args: &Args) -> Result<Answer, CliError> {
    let text = read(&args.bundle)?;
    let bundle = Bundle::parse(&text).map_err(|error| {
        CliError::new(error.to_string()).hint(error.hint()).code("bundle_refused")
    })?;
    let now = time(&bundle, &args.clock)?;
    if now > bundle.made_at.later(AHEAD) && !args.yes {
        return Err(clock_ahead(&bundle, now));
    }
    let weather = args.weather.over(Weather::new(0, 25_000)?)?;
    VirtualLock::install(&args.dir, &bundle, weather, now)?;
    let digits = bundle.profile.digits().get();
    let json = json!({
        "lock": bundle.lock.as_str(), "generation": bundle.generation, "epoch": bundle.epoch,
        "test": bundle.test, "installed_at": rfc3339(now), "dir": args.dir,
        "pin_digits": digits, "totp": bundle.steps.is_some(),
    });
    let dir = args.dir.display();
    let text = format!(
        "{GOOD}installed{GOOD:#} {} in {dir} at {}: PINs of {digits} digits{}\nnext: doorstep lock press DIGITS --dir {dir}, or doorstep lock run --dir {dir}",
        bundle.lock,
        clock_face(now, now),
        if bundle.steps.is_some() { ", and codes of an authenticator" } else { "" },
    );
    Ok(Answer::new(json, text))
}

/// When a lock is installed, by the installer's clock.
///
/// # Errors
/// A clock that cannot be right, or a simulated one for a real lock.
pub(crate) fn time(bundle: &Bundle, clock: &Clock) -> Result<Timestamp, CliError> {
    if clock.is_simulated() && !bundle.test {
        return Err(not_test());
    }
    let now = clock.now()?;
    if now.later(BEHIND) < bundle.made_at {
        return Err(CliError::new(format!(
            "this machine's clock says {}, and the bundle was made at {}",
            rfc3339(now),
            rfc3339(bundle.made_at)
        ))
        .hint("set the clock first: the lock would take over its error")
        .code("clock_behind"));
    }
    Ok(now.max(bundle.made_at))
}

/// A clock that is wrong, or an old bundle: only who installs can know.
fn clock_ahead(bundle: &Bundle, now: Timestamp) -> CliError {
    CliError::new(format!(
        "this machine's clock says {}, and the bundle was made at {}, more than 30 days before",
        rfc3339(now),
        rfc3339(bundle.made_at)
    ))
    .hint(
        "if the clock is wrong, set it first: no set-time code turns a lock back. If it is right, take a fresh bundle (doorstep lock provision), or this one with --yes",
    )
    .code("clock_ahead")
}

/// The text of a bundle, out of a file or out of an image of its QR code.
fn read(path: &Path) -> Result<Zeroizing<String>, CliError> {
    let content = read_file(path)?;
    let no_text = |bytes: &[u8]| {
        str::from_utf8(bytes).map(|text| Zeroizing::new(text.to_owned())).map_err(|_| {
            CliError::new("this is no bundle of a lock")
                .hint("give the file of one, or an image (PNG, JPEG) of its QR code")
                .code("bundle_refused")
        })
    };
    if !is_image(&content) {
        return no_text(&content);
    }
    let codes = read_codes(&content)?;
    let mut bundles = codes.iter().filter(|code| code.starts_with(PREFIX.as_bytes()));
    match (bundles.next(), bundles.next()) {
        (Some(code), None) => no_text(code),
        (None, _) => Err(CliError::new("no QR code of this image is the bundle of a lock")
            .hint("a bundle begins with DSLOCK1:")
            .code("bundle_refused")),
        (Some(_), Some(_)) => Err(CliError::new("the image shows the bundles of several locks")
            .hint("cut it to the one that is meant")
            .code("bundle_refused")),
    }
}
