//! `doorstep auth code`: one code. What a counter gave is given once: the counter moves on, on the
//! disk, before anything is shown.

use super::At;
use crate::auth::authenticator::{Authenticator, Ocra};
use crate::auth::find::find;
use crate::auth::vault::Vault;
use crate::commands::code::{Beside, response};
use crate::error::CliError;
use crate::output::{Answer, DIM};
use crate::refused::{Refused, Stop};
use crate::text::rfc3339;
use doorstep::code::Code;
use doorstep::otp::otpauth::{Entry, Kind};
use doorstep::otp::totp::Totp;
use doorstep::time::Timestamp;
use serde_json::json;
use std::path::Path;
use zeroize::Zeroizing;

pub(crate) const EXAMPLES: &str = "Examples:\n  doorstep auth code github\n  doorstep auth code \"GitHub: ana\" --json\n  doorstep auth code vpn --challenge 12345678\n\nA counter's code is shown once; the next call shows the next one.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which: a part of its issuer or account, or its number in `auth list`
    name: String,
    /// The challenge, or what is to be signed, of an OCRA authenticator
    #[arg(short, long, visible_alias = "question", value_name = "CHALLENGE")]
    challenge: Option<String>,
    #[command(flatten)]
    beside: Beside,
    #[command(flatten)]
    at: At,
}

pub(crate) fn run(args: &Args) -> Result<Answer, Stop> {
    if args.at.passphrase().is_stdin() && args.beside.pin_file.as_deref() == Some(Path::new("-")) {
        return Err(CliError::usage("passphrase and PIN cannot both come from standard input")
            .hint("give one of them in a file")
            .into());
    }
    let mut vault = args.at.open()?;
    let now = args.at.clock.now()?;
    let place = find(vault.authenticators(), &args.name)?;
    let Some(meant) = vault.authenticators().get(place).cloned() else {
        return Err(CliError::new("the vault is empty").into());
    };
    match &meant {
        Authenticator::Ocra(_) => respond(&mut vault, &meant, args, now),
        _ if args.challenge.is_some() => {
            Err(CliError::usage(format!("{} answers no challenges", meant.label()))
                .hint("leave --challenge out")
                .into())
        }
        Authenticator::Otp(Entry { kind: Kind::Totp(totp), .. }) => {
            Ok(totp_code(totp, &meant, now)?)
        }
        Authenticator::Otp(Entry { kind: Kind::Hotp { .. }, .. }) => {
            let (counter, code) = next_hotp(&mut vault, &meant)?;
            let json = json!({ "name": meant.label(), "code": *digits(&code), "counter": counter });
            let text = format!("{}\n{DIM}counter {counter}{DIM:#}", *digits(&code));
            Ok(Answer::new(json, text))
        }
    }
}

fn totp_code(totp: &Totp, meant: &Authenticator, now: Timestamp) -> Result<Answer, CliError> {
    let before = || CliError::new("the clock is before the first step");
    let step = totp.step(now).ok_or_else(before)?;
    let left = totp.seconds_left(now).ok_or_else(before)?;
    let keyed = totp.keyed(meant.secret());
    let code = digits(&totp.code(&keyed, step));
    let next = step.checked_add(1).map(|step| digits(&totp.code(&keyed, step)));
    let json = json!({
        "name": meant.label(), "code": *code, "seconds_left": left, "next": next.as_deref(),
        "until": rfc3339(now.later(left)), "step": step,
    });
    let then = next.map_or_else(String::new, |next| format!(", then {}", *next));
    Ok(Answer::new(json, format!("{}\n{DIM}{left} s left{then}{DIM:#}", *code)))
}

/// Takes the next code of a counter out of the vault: when this returns, no other call gets it.
pub(crate) fn next_hotp(vault: &mut Vault, meant: &Authenticator) -> Result<(u64, Code), Stop> {
    vault.update(|authenticators| {
        let Authenticator::Otp(Entry { secret, kind: Kind::Hotp { hotp, counter }, .. }) =
            again(authenticators, meant)?
        else {
            return Err(gone(meant).into());
        };
        let used = *counter;
        *counter = counter.checked_add(1).ok_or_else(|| used_up(meant))?;
        Ok((used, hotp.code(&hotp.keyed(secret), used)))
    })
}

fn respond(
    vault: &mut Vault,
    meant: &Authenticator,
    args: &Args,
    now: Timestamp,
) -> Result<Answer, Stop> {
    let Some(question) = &args.challenge else {
        return Err(CliError::usage(format!("{} answers challenges", meant.label()))
            .hint("give --challenge as the service shows it")
            .into());
    };
    let respond = |ocra: &Ocra, counter| {
        let (suite, secret) = (&ocra.suite, &ocra.secret);
        response(suite, secret, question, &args.beside, counter, Some(now))
    };
    let counts = matches!(meant, Authenticator::Ocra(ocra) if ocra.suite.has_counter());
    let (counter, (response, time_step)) = if counts {
        vault.update(|authenticators| {
            let Authenticator::Ocra(ocra) = again(authenticators, meant)? else {
                return Err(gone(meant).into());
            };
            let used = ocra.counter;
            let response = respond(ocra, Some(used))?;
            ocra.counter = used.checked_add(1).ok_or_else(|| used_up(meant))?;
            Ok((Some(used), response))
        })?
    } else {
        let Authenticator::Ocra(ocra) = meant else { return Err(gone(meant).into()) };
        (None, respond(ocra, None)?)
    };
    let json = json!({
        "name": meant.label(), "response": *response, "counter": counter, "time_step": time_step,
    });
    Ok(Answer::new(json, response.as_str()))
}

/// The same authenticator, as other processes have left it.
fn again<'a>(
    authenticators: &'a mut [Authenticator],
    meant: &Authenticator,
) -> Result<&'a mut Authenticator, CliError> {
    authenticators.iter_mut().find(|one| one.is_copy_of(meant)).ok_or_else(|| gone(meant))
}

fn gone(meant: &Authenticator) -> CliError {
    CliError::new(format!("{} was removed meanwhile", meant.label())).hint("nothing was changed")
}

fn used_up(meant: &Authenticator) -> Refused {
    Refused::new(
        "counter_used_up",
        format!("the counter of {} is at its end", meant.label()),
        "enrol it anew at its service",
    )
}

fn digits(code: &Code) -> Zeroizing<String> {
    Zeroizing::new(crate::commands::code::shown(code.expose()))
}
