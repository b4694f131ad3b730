//! `doorstep lock run`: the keypad of a lock on a real terminal.

use super::At;
use super::status::Attempts;
use super::weather::Change;
use crate::clock::Clock;
use crate::error::CliError;
use crate::lock::keypad::{self, Event, Keypad, Seen, Wish};
use crate::lock::{Pressed, VirtualLock, Woken};
use crate::output::Answer;
use crate::terminal::{Input, Terminal};
use crate::text::{clock_face, exact_face, span_text};
use doorstep::door::MARKS;
use doorstep::door::state::State;
use serde_json::Value;

pub(crate) const EXAMPLES: &str = "Examples:\n  doorstep lock run --dir court-3\n  doorstep lock run --dir court-3 --show-clock --temperature -10\n\nKeys: 0 to 9, Backspace, C clears, Enter. Esc or q leaves; the lock goes on without it, as its\nhardware counts on. Other commands may use the lock at the same time.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show at the foot what the lock believes about the time, for operators
    #[arg(long)]
    show_clock: bool,
    #[command(flatten)]
    weather: Change,
    #[command(flatten)]
    at: At,
}

pub(crate) fn run(args: &Args) -> Result<Answer, CliError> {
    Terminal::is_needed("doorstep lock press DIGITS")?;
    let mut lock = args.at.open()?;
    if !args.weather.is_none() {
        let weather = args.weather.over(lock.hardware()?.weather())?;
        lock.tinker(|hardware, now| hardware.expose_to(weather, now))?;
    }
    let clock = &args.at.clock;
    let door = lock.door();
    let test = if lock.is_test() { " (test)" } else { "" };
    let title = format!("{} generation {}{test}", door.id(), door.generation());
    let digits = door.lock().profile().digits().get();
    let seen = see(&mut lock, clock, args.show_clock)?;
    let mut keypad = Keypad::new(title, digits, seen);
    let mut terminal = Terminal::take()?;
    let (columns, lines) = terminal.size();
    keypad.handle(Event::Size(columns, lines));
    loop {
        terminal.draw(&keypad.view())?;
        let event = match terminal.wait()? {
            Input::Key(key) => Event::Key(key),
            Input::Size(columns, lines) => Event::Size(columns, lines),
            Input::Nothing => Event::Tick,
            Input::Gone => break,
        };
        match keypad.handle(event) {
            Wish::Nothing => {}
            Wish::Quit => break,
            Wish::Press(typed) => {
                let answer = press(&mut lock, &typed).unwrap_or_else(|error| {
                    let text = error.to_string();
                    keypad::Answer::Failed(text.lines().next().unwrap_or_default().to_owned())
                });
                keypad.handle(Event::Answered(answer));
            }
        }
        keypad.handle(Event::Seen(see(&mut lock, clock, args.show_clock)?));
    }
    Ok(Answer::new(Value::Null, ""))
}

fn press(lock: &mut VirtualLock, typed: &str) -> Result<keypad::Answer, CliError> {
    match lock.wake()? {
        Woken::Dark { .. } => Err(CliError::new("there is no power")),
        Woken::Awake(mut awake) => Ok(match awake.press(typed)? {
            Pressed::Obeyed(_) => keypad::Answer::Done,
            pressed => keypad::Answer::Shown(pressed.shown()),
        }),
    }
}

/// What the keypad shows of the lock at this moment.
fn see(lock: &mut VirtualLock, clock: &Clock, show_clock: bool) -> Result<Seen, CliError> {
    let state = match lock.tick()? {
        Err(until) => return Ok(Seen::Dark(clock_face(until, clock.now()?))),
        Ok(state) => state,
    };
    let attempts = Attempts::all(&state, lock.door().totp().is_some());
    let used_up = attempts.iter().filter(|kind| kind.left() == 0);
    let waits = used_up.filter_map(|kind| Some((kind.label, kind.next()?)));
    Ok(Seen::Ready {
        clock_set: state.keypad.belief().now().is_some(),
        waits: waits.collect(),
        foot: show_clock.then(|| foot(&state)),
    })
}

fn foot(state: &State<MARKS>) -> String {
    let belief = state.keypad.belief();
    let probable = belief.probable();
    let face = |at| exact_face(at, probable);
    let floor = face(belief.floor());
    match belief.now() {
        Some(now) => format!(
            "probably {}, {} to {}, give or take {}; floor {floor}",
            face(now.probable),
            face(now.earliest),
            face(now.latest),
            span_text(now.uncertainty()),
        ),
        None => format!("clock unset, last {}; floor {floor}", face(probable)),
    }
}
