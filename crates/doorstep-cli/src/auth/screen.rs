//! The live screen as a pure function: events go in, lines and wishes come out. It knows no
//! terminal, no clock and no vault.

use super::authenticator::Authenticator;
use super::find::matches;
use crate::terminal::{Key, Line, Look, cut, piece};
use doorstep::code::Code;
use doorstep::otp::otpauth::{Entry, Kind};
use doorstep::otp::totp::Totp;
use doorstep::time::Timestamp;
use std::fmt::Write as _;
use zeroize::Zeroizing;

/// Cells of a bar that counts down.
const BAR: u64 = 10;

/// The next code is shown for the last third of a step, and no longer than this, in seconds.
const NEXT_SHOWN: u64 = 10;

/// Lines that are not the list: a title, two gaps and the keys.
const FRAME: usize = 4;

/// The widest column of names, in characters.
const WIDEST: usize = 28;

/// The longest passphrase and search that are taken, in characters.
const LONGEST: usize = 1024;

/// What happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// A key was pressed.
    Key(Key),
    /// It is this time.
    Tick(Timestamp),
    /// The terminal has this many columns and lines.
    Size(usize, usize),
    /// The vault was opened again.
    Opened(Vec<Authenticator>),
    /// A counter gave a code, once; the vault is now this.
    Counted { authenticators: Vec<Authenticator>, place: usize, code: Code },
    /// Something did not work.
    Said(String),
}

/// What the screen wants done.
#[derive(Debug)]
pub(crate) enum Wish {
    Nothing,
    Quit,
    /// Forget the vault and its key.
    Lock,
    /// Open the vault.
    Open(Zeroizing<String>),
    /// Take the next code of a counter.
    Count(Box<Authenticator>),
}

/// The screen.
pub(crate) struct Screen {
    state: State,
    now: Timestamp,
    /// When a key was pressed last.
    touched: Timestamp,
    /// Seconds without a key after which the vault is locked.
    lock_after: u64,
    columns: usize,
    lines: usize,
    hidden: bool,
    search: String,
    searching: bool,
    /// Which of the found ones.
    selected: usize,
    /// The code that a counter gave last, and at which place.
    counted: Option<(usize, Code)>,
    said: Option<String>,
}

enum State {
    Open(Vec<Authenticator>),
    Locked(Zeroizing<String>),
}

impl Screen {
    pub(crate) fn new(authenticators: Vec<Authenticator>, now: Timestamp, lock_after: u64) -> Self {
        Self {
            state: State::Open(authenticators),
            now,
            touched: now,
            lock_after,
            columns: 80,
            lines: 24,
            hidden: false,
            search: String::new(),
            searching: false,
            selected: 0,
            counted: None,
            said: None,
        }
    }

    pub(crate) fn handle(&mut self, event: Event) -> Wish {
        match event {
            Event::Size(columns, lines) => (self.columns, self.lines) = (columns, lines),
            Event::Tick(now) => return self.tick(now),
            Event::Said(text) => self.said = Some(text),
            Event::Opened(authenticators) => {
                self.state = State::Open(authenticators);
                self.touched = self.now;
                self.said = None;
            }
            Event::Counted { authenticators, place, code } => {
                self.state = State::Open(authenticators);
                self.counted = Some((place, code));
            }
            Event::Key(Key::Interrupt) => return Wish::Quit,
            Event::Key(key) => {
                self.said = None;
                self.touched = self.now;
                return if matches!(self.state, State::Locked(_)) {
                    self.locked_key(key)
                } else if self.searching {
                    self.search_key(key)
                } else {
                    self.open_key(key)
                };
            }
        }
        Wish::Nothing
    }

    fn tick(&mut self, now: Timestamp) -> Wish {
        self.now = now;
        // A clock that is set back says nothing of how long nobody was there.
        let idle = now.since(self.touched).max(self.touched.since(now));
        if idle < self.lock_after || matches!(self.state, State::Locked(_)) {
            return Wish::Nothing;
        }
        self.state = State::Locked(Zeroizing::new(String::with_capacity(4 * LONGEST)));
        self.counted = None;
        self.searching = false;
        self.search.clear();
        self.selected = 0;
        Wish::Lock
    }

    fn locked_key(&mut self, key: Key) -> Wish {
        let State::Locked(typed) = &mut self.state else { return Wish::Nothing };
        match key {
            Key::Char(c) if typed.chars().count() < LONGEST => typed.push(c),
            Key::Backspace => {
                typed.pop();
            }
            Key::Escape => return Wish::Quit,
            Key::Enter => {
                let passphrase = Zeroizing::new(typed.as_str().to_owned());
                zeroize::Zeroize::zeroize(&mut **typed);
                return Wish::Open(passphrase);
            }
            _ => {}
        }
        Wish::Nothing
    }

    fn search_key(&mut self, key: Key) -> Wish {
        match key {
            Key::Char(c) if self.search.chars().count() < LONGEST => self.search.push(c),
            Key::Backspace => {
                self.search.pop();
            }
            Key::Escape => {
                self.search.clear();
                self.searching = false;
            }
            Key::Enter => self.searching = false,
            _ => return self.open_key(key),
        }
        self.selected = 0;
        Wish::Nothing
    }

    fn open_key(&mut self, key: Key) -> Wish {
        let last = self.found().len().saturating_sub(1);
        let page = self.lines.saturating_sub(FRAME).max(1);
        match key {
            Key::Char('q') => return Wish::Quit,
            Key::Escape if self.search.is_empty() => return Wish::Quit,
            Key::Escape => self.search.clear(),
            Key::Char('/') => self.searching = true,
            Key::Char('h') => self.hidden = !self.hidden,
            Key::Char('n') | Key::Enter => return self.count(),
            Key::Up | Key::Char('k') => self.selected = self.selected.saturating_sub(1),
            Key::Down | Key::Char('j') => self.selected = (self.selected + 1).min(last),
            Key::PageUp => self.selected = self.selected.saturating_sub(page),
            Key::PageDown => self.selected = (self.selected + page).min(last),
            Key::Char(_) | Key::Backspace | Key::Interrupt => {}
        }
        Wish::Nothing
    }

    fn count(&mut self) -> Wish {
        match self.found().get(self.selected) {
            Some((_, one @ Authenticator::Otp(Entry { kind: Kind::Hotp { .. }, .. }))) => {
                Wish::Count(Box::new((*one).clone()))
            }
            _ => {
                self.said = Some("select one with a counter first".to_owned());
                Wish::Nothing
            }
        }
    }

    /// Those that the search finds, with their places in the vault.
    fn found(&self) -> Vec<(usize, &Authenticator)> {
        let State::Open(all) = &self.state else { return Vec::new() };
        let wanted = self.search.to_lowercase();
        all.iter().enumerate().filter(|(_, one)| matches(one, &wanted)).collect()
    }

    /// The whole screen.
    pub(crate) fn view(&self) -> Vec<Line> {
        let mut lines = match &self.state {
            State::Locked(typed) => self.view_locked(typed.chars().count()),
            State::Open(all) => self.view_open(all.len()),
        };
        lines.truncate(self.lines);
        for line in &mut lines {
            cut(line, self.columns);
        }
        lines
    }

    fn view_locked(&self, typed: usize) -> Vec<Line> {
        let said = self.said.as_deref().unwrap_or_default();
        vec![
            vec![piece(Look::Bold, "locked")],
            Line::new(),
            vec![piece(Look::Plain, format!("passphrase: {}", "*".repeat(typed)))],
            vec![piece(Look::Warn, said)],
            vec![piece(Look::Dim, "Enter opens, Esc quits")],
        ]
    }

    fn view_open(&self, count: usize) -> Vec<Line> {
        let found = self.found();
        let mut title = vec![piece(Look::Bold, format!("{} of {count}", found.len()))];
        if self.searching || !self.search.is_empty() {
            let cursor = if self.searching { "_" } else { "" };
            title.push(piece(Look::Plain, format!("   /{}{cursor}", self.search)));
        }
        let mut lines = vec![title, Line::new()];
        let rows = self.lines.saturating_sub(FRAME).max(1);
        let top = (self.selected + 1).saturating_sub(rows);
        let width = |name: fn(&Authenticator) -> &str| {
            let names = found.iter().map(|(_, one)| name(one).chars().count());
            names.max().unwrap_or(0).min(WIDEST)
        };
        let widths = (width(Authenticator::issuer), width(Authenticator::account));
        for (row, (place, one)) in found.iter().enumerate().skip(top).take(rows) {
            lines.push(self.row(*place, one, row == self.selected, widths));
        }
        if found.is_empty() {
            let text = if count == 0 { "the vault is empty" } else { "nothing is called so" };
            lines.push(vec![piece(Look::Dim, text)]);
        }
        lines.push(Line::new());
        let keys = if self.searching {
            "type to search   Enter keeps   Esc clears"
        } else {
            "q quit   / search   n next code of a counter   h hide codes"
        };
        lines.push(match &self.said {
            Some(said) => vec![piece(Look::Warn, said.as_str())],
            None => vec![piece(Look::Dim, keys)],
        });
        lines
    }

    fn row(
        &self,
        place: usize,
        one: &Authenticator,
        selected: bool,
        (issuers, accounts): (usize, usize),
    ) -> Line {
        let look = if selected { Look::Bold } else { Look::Plain };
        let mark = if selected { ">" } else { " " };
        let (issuer, account) = (fit(one.issuer(), issuers), fit(one.account(), accounts));
        let mut line = vec![piece(look, format!("{mark} {issuer}  {account}  "))];
        match one {
            Authenticator::Otp(Entry { kind: Kind::Totp(totp), .. }) => {
                self.totp(totp, one, look, &mut line);
            }
            Authenticator::Otp(_) => match &self.counted {
                Some((counted, code)) if *counted == place => line.push(self.code(look, code)),
                _ => line.push(piece(Look::Dim, "press n")),
            },
            Authenticator::Ocra(_) => line.push(piece(Look::Dim, "doorstep auth code --challenge")),
        }
        line
    }

    fn totp(&self, totp: &Totp, one: &Authenticator, look: Look, line: &mut Line) {
        let Some((step, left)) = totp.step(self.now).zip(totp.seconds_left(self.now)) else {
            line.push(piece(Look::Dim, "the clock is before the first step"));
            return;
        };
        let keyed = totp.keyed(one.secret());
        line.push(self.code(look, &totp.code(&keyed, step)));
        let period = totp.period.get();
        let full = left.saturating_mul(BAR).div_ceil(period).min(BAR);
        let bar: String = (0..BAR).map(|cell| if cell < full { '█' } else { '░' }).collect();
        let soon = left <= NEXT_SHOWN.min(period / 3);
        line.push(piece(if soon { Look::Warn } else { Look::Dim }, format!("  {bar} {left:>2} s")));
        if let Some(next) = step.checked_add(1).filter(|_| soon) {
            line.push(piece(Look::Dim, "  then "));
            line.push(self.code(Look::Dim, &totp.code(&keyed, next)));
        }
    }

    fn code(&self, look: Look, code: &Code) -> (Look, Zeroizing<String>) {
        let mut text = Zeroizing::new(String::with_capacity(32));
        // Writing into a string does not fail.
        let _ = code.write_grouped(&mut *text);
        if self.hidden {
            let dots: String = text.chars().map(|c| if c == ' ' { ' ' } else { '•' }).collect();
            return (look, Zeroizing::new(dots));
        }
        (look, text)
    }
}

/// A name in exactly `width` characters.
fn fit(name: &str, width: usize) -> String {
    let length = name.chars().count();
    if length <= width {
        let mut fitted = name.to_owned();
        fitted.extend(std::iter::repeat_n(' ', width - length));
        return fitted;
    }
    let mut fitted: String = name.chars().take(width.saturating_sub(1)).collect();
    let _ = fitted.write_char('…');
    fitted
}

#[cfg(test)]
mod tests;
