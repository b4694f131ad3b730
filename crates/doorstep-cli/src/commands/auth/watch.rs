//! `doorstep auth watch`: the live screen on a real terminal, which is always left as it was found.

use super::At;
use super::code::next_hotp;
use crate::auth::screen::{Event, Screen, Wish};
use crate::auth::vault::Vault;
use crate::output::Answer;
use crate::refused::Stop;
use crate::terminal::{Input, Terminal};
use crate::text::parse_span;
use crate::vault::passphrase::Source;
use serde_json::Value;
use zeroize::Zeroizing;

pub(crate) const EXAMPLES: &str = "Examples:\n  doorstep auth watch\n  doorstep auth watch --lock-after 1m\n\nKeys: q or Esc quits, / searches, arrows or j and k select, n shows the next code of a counter,\nh hides the codes. After some minutes without a key it locks and asks for the passphrase.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Lock after this long without a key
    #[arg(long, value_name = "SPAN", default_value = "5m")]
    lock_after: String,
    #[command(flatten)]
    at: At,
}

pub(crate) fn run(args: &Args) -> Result<Answer, Stop> {
    Terminal::is_needed("doorstep auth code NAME")?;
    let lock_after = parse_span(&args.lock_after)?.max(1);
    let clock = &args.at.clock;
    let mut vault = Some(args.at.open()?);
    let open = vault.as_ref().map(|vault| vault.authenticators().to_vec());
    let mut screen = Screen::new(open.unwrap_or_default(), clock.now()?, lock_after);
    let mut terminal = Terminal::take()?;
    let (columns, lines) = terminal.size();
    screen.handle(Event::Size(columns, lines));
    let mut events = Vec::new();
    loop {
        events.push(Event::Tick(clock.now()?));
        for event in events.drain(..) {
            let mut wish = screen.handle(event);
            loop {
                wish = match wish {
                    Wish::Nothing => break,
                    Wish::Quit => return Ok(Answer::new(Value::Null, "")),
                    Wish::Lock => {
                        vault = None;
                        break;
                    }
                    Wish::Open(passphrase) => screen.handle(reopen(args, &passphrase, &mut vault)),
                    Wish::Count(meant) => {
                        let event = match &mut vault {
                            Some(vault) => match next_hotp(vault, &meant) {
                                Ok((_, code)) => {
                                    let authenticators = vault.authenticators().to_vec();
                                    let place = authenticators
                                        .iter()
                                        .position(|one| one.is_copy_of(&meant));
                                    let place = place.unwrap_or(usize::MAX);
                                    Event::Counted { authenticators, place, code }
                                }
                                Err(stop) => said(&stop),
                            },
                            None => Event::Said("the vault is locked".to_owned()),
                        };
                        screen.handle(event)
                    }
                };
            }
        }
        terminal.draw(&screen.view())?;
        match terminal.wait()? {
            Input::Key(key) => events.push(Event::Key(key)),
            Input::Size(columns, lines) => events.push(Event::Size(columns, lines)),
            Input::Nothing => {}
            Input::Gone => break,
        }
    }
    Ok(Answer::new(Value::Null, ""))
}

fn reopen(args: &Args, passphrase: &Zeroizing<String>, vault: &mut Option<Vault>) -> Event {
    let opened =
        args.at.path().map_err(Stop::from).and_then(|path| {
            Vault::open(&path, &Source::Given(passphrase.clone()), &args.at.clock)
        });
    match opened {
        Ok(opened) => {
            let authenticators = opened.authenticators().to_vec();
            *vault = Some(opened);
            Event::Opened(authenticators)
        }
        Err(stop) => said(&stop),
    }
}

fn said(stop: &Stop) -> Event {
    Event::Said(match stop {
        Stop::Refused(refused) => refused.message.clone(),
        Stop::Failed(error) => error.to_string().lines().next().unwrap_or_default().to_owned(),
    })
}
