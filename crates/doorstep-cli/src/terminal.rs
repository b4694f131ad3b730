//! The terminal under a live screen: keys come in, lines go out, and it is always left as it was found.

use crate::error::CliError;
use crate::output::{BAD, BOLD, DIM, GOOD, WARN};
use anstyle::Style;
use crossterm::event::{self, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::{cursor, queue, terminal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;
use zeroize::Zeroizing;

/// How long the time may wait for its place on the screen.
const TICK: Duration = Duration::from_millis(200);

/// How many times in a second nothing happens.
pub(crate) const TICKS_A_SECOND: u32 = 5;

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Char(char),
    Enter,
    Escape,
    Backspace,
    Up,
    Down,
    PageUp,
    PageDown,
    /// Ctrl-C.
    Interrupt,
}

/// How a piece of a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Plain,
    Bold,
    Dim,
    Good,
    Bad,
    Warn,
}

/// Pieces of text, one after the other.
pub(crate) type Line = Vec<(Look, Zeroizing<String>)>;

pub(crate) fn piece(look: Look, text: impl Into<String>) -> (Look, Zeroizing<String>) {
    (look, Zeroizing::new(text.into()))
}

/// Cuts a line off at the terminal's edge, so that it does not wrap.
pub(crate) fn cut(line: &mut Line, columns: usize) {
    let mut room = columns;
    for (_, text) in line.iter_mut() {
        let length = text.chars().count();
        if length > room {
            *text = Zeroizing::new(text.chars().take(room).collect());
        }
        room = room.saturating_sub(length);
    }
}

/// What comes from the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Key(Key),
    /// It has this many columns and lines now.
    Size(usize, usize),
    /// Nothing, for a fifth of a second.
    Nothing,
    /// The window was closed, or this program is to end: nobody is there to be told.
    Gone,
}

/// The terminal while it is ours. It is given back when this is dropped, after a panic too.
pub(crate) struct Terminal {
    colours: bool,
    /// What it shows, so that only changes are drawn.
    shown: Zeroizing<String>,
    keys: Receiver<std::io::Result<event::Event>>,
    stop: Arc<AtomicBool>,
}

impl Terminal {
    /// Refuses to begin without a terminal; `instead` is what a script can do.
    pub(crate) fn is_needed(instead: &str) -> Result<(), CliError> {
        if std::io::stdout().is_terminal() && std::io::stdin().is_terminal() {
            return Ok(());
        }
        Err(CliError::usage("there is no terminal to draw on")
            .hint(format!("for scripts: {instead}")))
    }

    pub(crate) fn take() -> Result<Self, CliError> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&stop))
                .map_err(|error| CliError::new(format!("cannot wait for signals: {error}")))?;
        }
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // What went wrong must be readable afterwards.
            give_back();
            before(panic);
        }));
        let colours =
            anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
        let taken = Self { colours, shown: Zeroizing::default(), keys: read_keys(), stop };
        let mut out = std::io::stdout();
        terminal::enable_raw_mode()
            .and_then(|()| queue!(out, terminal::EnterAlternateScreen, cursor::Hide))
            .and_then(|()| out.flush())
            .map_err(|error| CliError::new(format!("cannot draw on this terminal: {error}")))?;
        Ok(taken)
    }

    /// Its columns and lines; one that does not know them is taken for the smallest that is common.
    pub(crate) fn size(&self) -> (usize, usize) {
        let known = terminal::size().ok().filter(|(columns, lines)| *columns > 0 && *lines > 0);
        let (columns, lines) = known.unwrap_or((80, 24));
        (usize::from(columns), usize::from(lines))
    }

    /// Waits for what comes next.
    pub(crate) fn wait(&mut self) -> Result<Input, CliError> {
        if self.stop.load(Ordering::Relaxed) {
            return Ok(Input::Gone);
        }
        let event = match self.keys.recv_timeout(TICK) {
            Ok(event) => event.map_err(|error| gone(&error))?,
            Err(RecvTimeoutError::Timeout) if self.stop.load(Ordering::Relaxed) || hung_up() => {
                return Ok(Input::Gone);
            }
            Err(RecvTimeoutError::Timeout) => return Ok(Input::Nothing),
            Err(RecvTimeoutError::Disconnected) => return Ok(Input::Gone),
        };
        Ok(match event {
            event::Event::Resize(columns, lines) => {
                // What is shown may have been wrapped or cut.
                self.shown = Zeroizing::default();
                Input::Size(usize::from(columns), usize::from(lines))
            }
            event::Event::Key(key) if key.kind != KeyEventKind::Release => {
                key_of(&key).map_or(Input::Nothing, Input::Key)
            }
            _ => Input::Nothing,
        })
    }

    pub(crate) fn draw(&mut self, lines: &[Line]) -> Result<(), CliError> {
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

/// Reads keys on a thread of its own. The library that does it waits without end for the rest of a
/// key that came in part, and reads the end of a closed terminal for ever; neither may keep the
/// screen from going on or this program from ending.
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
        Look::Good => GOOD,
        Look::Bad => BAD,
        Look::Warn => WARN,
    }
}
