//! `doorstep auth watch`: the live screen on a real terminal, which is always left as it was found.

use super::At;
use super::code::next_hotp;
use crate::auth::Stop;
use crate::auth::passphrase::Source;
use crate::auth::screen::{Event, Key, Line, Look, Screen, Wish};
use crate::auth::vault::Vault;
use crate::error::CliError;
use crate::output::{Answer, BOLD, DIM, WARN};
use crate::text::parse_span;
use anstyle::Style;
use crossterm::event::{self, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::{cursor, queue, terminal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;
use zeroize::Zeroizing;

pub(crate) const EXAMPLES: &str = "Examples:\n  doorstep auth watch\n  doorstep auth watch --lock-after 1m\n\nKeys: q or Esc quits, / searches, arrows or j and k select, n shows the next code of a counter,\nh hides the codes. After some minutes without a key it locks and asks for the passphrase.";

/// How long the time may wait for its place on the screen.
const TICK: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Lock after this long without a key
    #[arg(long, value_name = "SPAN", default_value = "5m")]
    lock_after: String,
    #[command(flatten)]
    at: At,
}

pub(crate) fn run(args: &Args) -> Result<Answer, Stop> {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(CliError::usage("there is no terminal to draw on")
            .hint("for scripts: doorstep auth code NAME")
            .into());
    }
    let lock_after = parse_span(&args.lock_after)?.max(1);
    let clock = args.at.clock();
    let mut vault = Some(args.at.open()?);
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop))
            .map_err(|error| CliError::new(format!("cannot wait for signals: {error}")))?;
    }
    let open = vault.as_ref().map(|vault| vault.authenticators().to_vec());
    let mut screen = Screen::new(open.unwrap_or_default(), clock.now()?, lock_after);
    let mut terminal = Terminal::take()?;
    screen.handle(terminal.size());
    let keys = read_keys();
    let mut events = Vec::new();
    while !stop.load(Ordering::Relaxed) {
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
        match keys.recv_timeout(TICK) {
            Ok(event) => {
                let event = event.map_err(|error| gone(&error))?;
                if matches!(event, event::Event::Resize(..)) {
                    // What is shown may have been wrapped or cut.
                    terminal.shown = Zeroizing::default();
                }
                events.extend(translate(&event));
            }
            // The window was closed: nobody is there to be told.
            Err(RecvTimeoutError::Timeout) if hung_up() => break,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok(Answer::new(Value::Null, ""))
}

/// Reads keys on a thread of its own. The library that does it waits without end for the rest of a
/// key that came in part, and reads the end of a closed terminal for ever; neither may keep the
/// screen from locking or this program from ending.
fn read_keys() -> Receiver<std::io::Result<event::Event>> {
    let (send, keys) = channel();
    std::thread::spawn(move || while send.send(event::read()).is_ok() {});
    keys
}

/// Whether the terminal is there no more.
fn hung_up() -> bool {
    let stdin = std::io::stdin();
    let mut terminal = [PollFd::new(&stdin, PollFlags::empty())];
    let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    poll(&mut terminal, Some(&Timespec::default())).is_ok()
        && terminal.iter().any(|terminal| terminal.revents().intersects(gone))
}

fn gone(error: &std::io::Error) -> CliError {
    CliError::new(format!("the terminal is gone: {error}"))
}

fn reopen(args: &Args, passphrase: &Zeroizing<String>, vault: &mut Option<Vault>) -> Event {
    let opened =
        args.at.path().map_err(Stop::from).and_then(|path| {
            Vault::open(&path, &Source::Given(passphrase.clone()), &args.at.clock())
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

fn translate(event: &event::Event) -> Option<Event> {
    match event {
        event::Event::Resize(columns, lines) => {
            Some(Event::Size(usize::from(*columns), usize::from(*lines)))
        }
        event::Event::Key(key) if key.kind != KeyEventKind::Release => key_of(key).map(Event::Key),
        _ => None,
    }
}

fn key_of(key: &KeyEvent) -> Option<Key> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return (key.code == KeyCode::Char('c')).then_some(Key::Interrupt);
    }
    match key.code {
        KeyCode::Char(c) => Some(Key::Char(c)),
        KeyCode::Enter => Some(Key::Enter),
        KeyCode::Esc => Some(Key::Escape),
        KeyCode::Backspace => Some(Key::Backspace),
        KeyCode::Up => Some(Key::Up),
        KeyCode::Down => Some(Key::Down),
        KeyCode::PageUp => Some(Key::PageUp),
        KeyCode::PageDown => Some(Key::PageDown),
        _ => None,
    }
}

/// The terminal while it is ours. It is given back when this is dropped, after a panic too.
struct Terminal {
    colours: bool,
    /// What it shows, so that only changes are drawn.
    shown: Zeroizing<String>,
}

impl Terminal {
    fn take() -> Result<Self, CliError> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // What went wrong must be readable afterwards.
            give_back();
            before(panic);
        }));
        let colours =
            anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
        let taken = Self { colours, shown: Zeroizing::default() };
        let mut out = std::io::stdout();
        terminal::enable_raw_mode()
            .and_then(|()| queue!(out, terminal::EnterAlternateScreen, cursor::Hide))
            .and_then(|()| out.flush())
            .map_err(|error| CliError::new(format!("cannot draw on this terminal: {error}")))?;
        Ok(taken)
    }

    /// Its size; one that does not know it is taken for the smallest that is common.
    fn size(&self) -> Event {
        let known = terminal::size().ok().filter(|(columns, lines)| *columns > 0 && *lines > 0);
        let (columns, lines) = known.unwrap_or((80, 24));
        Event::Size(usize::from(columns), usize::from(lines))
    }

    fn draw(&mut self, lines: &[Line]) -> Result<(), CliError> {
        let mut frame = Zeroizing::new(String::with_capacity(16 << 10));
        for (row, line) in lines.iter().enumerate() {
            if row > 0 {
                frame.push_str("\r\n");
            }
            for (look, text) in line {
                let style = if self.colours { style(*look) } else { Style::new() };
                frame.push_str(&format!("{style}{}{style:#}", **text));
            }
            frame.push_str("\u{1b}[K");
        }
        if frame == self.shown {
            return Ok(());
        }
        let mut out = std::io::stdout();
        queue!(out, terminal::BeginSynchronizedUpdate, cursor::MoveTo(0, 0))
            .and_then(|()| out.write_all(frame.as_bytes()))
            .and_then(|()| {
                queue!(
                    out,
                    terminal::Clear(terminal::ClearType::FromCursorDown),
                    terminal::EndSynchronizedUpdate
                )
            })
            .and_then(|()| out.flush())
            .map_err(|error| gone(&error))?;
        self.shown = frame;
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// Leaves the terminal as it was found; there is nobody to tell if that fails.
fn give_back() {
    let mut out = std::io::stdout();
    let _ = queue!(out, cursor::Show, terminal::LeaveAlternateScreen).and_then(|()| out.flush());
    let _ = terminal::disable_raw_mode();
}

const fn style(look: Look) -> Style {
    match look {
        Look::Plain => Style::new(),
        Look::Bold => BOLD,
        Look::Dim => DIM,
        Look::Warn => WARN,
    }
}
