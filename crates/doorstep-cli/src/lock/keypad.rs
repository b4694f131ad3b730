//! The keypad of a running lock as a pure function: keys and what the lock knows go in, lines and
//! wishes come out. It knows no terminal, no clock and no lock.

use crate::terminal::{Key, Line, Look, TICKS_A_SECOND, cut, piece};
use crate::text::span_text;
use doorstep::keypad::Shown;
use zeroize::Zeroizing;

/// More digits than any code has.
const LONGEST: usize = 20;

/// An answer stays for five seconds, or until the next key.
const ANSWER: u32 = 5 * TICKS_A_SECOND;

/// Who went away leaves no digits behind.
const FORGET: u32 = 20 * TICKS_A_SECOND;

/// What happened.
#[derive(Debug)]
pub(crate) enum Event {
    Key(Key),
    /// Nothing, for a tick.
    Tick,
    /// This is how the lock is now.
    Seen(Seen),
    /// What was typed was answered.
    Answered(Answer),
    /// The terminal has this many columns and lines.
    Size(usize, usize),
}

/// How the lock is, as far as its keypad shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It has no power, until then.
    Dark(String),
    Ready {
        clock_set: bool,
        /// Codes whose attempts are used up, and for how many seconds.
        waits: Vec<(&'static str, u64)>,
        /// What only operators are shown.
        foot: Option<String>,
    },
}

/// An answer to what was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Shown(Shown),
    /// A control code was carried out.
    Done,
    /// The lock itself failed.
    Failed(String),
}

/// What the keypad wants done.
#[derive(Debug)]
pub(crate) enum Wish {
    Nothing,
    Quit,
    /// Compare this.
    Press(Zeroizing<String>),
}

/// The lights. One of them is lit at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Light {
    Green,
    Red,
    Amber,
}

pub(crate) struct Keypad {
    title: String,
    /// Digits of a PIN, which settle how what is typed is grouped.
    digits: usize,
    typed: Zeroizing<String>,
    seen: Seen,
    answer: Option<Answer>,
    /// Ticks since the last key.
    idle: u32,
    columns: usize,
    lines: usize,
}

impl Keypad {
    pub(crate) fn new(title: String, digits: u8, seen: Seen) -> Self {
        Self {
            title,
            digits: usize::from(digits),
            typed: Zeroizing::new(String::with_capacity(LONGEST)),
            seen,
            answer: None,
            idle: 0,
            columns: 80,
            lines: 24,
        }
    }

    pub(crate) fn handle(&mut self, event: Event) -> Wish {
        match event {
            Event::Size(columns, lines) => (self.columns, self.lines) = (columns, lines),
            Event::Seen(seen) => {
                if matches!(seen, Seen::Dark(_)) {
                    self.typed.clear();
                    self.answer = None;
                }
                self.seen = seen;
            }
            Event::Answered(answer) => {
                self.answer = Some(answer);
                self.idle = 0;
            }
            Event::Tick => {
                self.idle = self.idle.saturating_add(1);
                if self.idle >= ANSWER {
                    self.answer = None;
                }
                if self.idle >= FORGET {
                    self.typed.clear();
                }
            }
            Event::Key(key) => return self.key(key),
        }
        Wish::Nothing
    }

    fn key(&mut self, key: Key) -> Wish {
        if matches!(key, Key::Interrupt | Key::Escape | Key::Char('q')) {
            return Wish::Quit;
        }
        if matches!(self.seen, Seen::Dark(_)) {
            return Wish::Nothing;
        }
        self.idle = 0;
        self.answer = None;
        match key {
            Key::Char(digit @ '0'..='9') if self.typed.len() < LONGEST => self.typed.push(digit),
            Key::Backspace => {
                self.typed.pop();
            }
            Key::Char('c' | 'C') => self.typed.clear(),
            Key::Enter if !self.typed.is_empty() => {
                let empty = Zeroizing::new(String::with_capacity(LONGEST));
                return Wish::Press(std::mem::replace(&mut self.typed, empty));
            }
            _ => {}
        }
        Wish::Nothing
    }

    /// Which light is lit, and what it says.
    fn light(&self) -> Option<(Light, String)> {
        let Seen::Ready { clock_set, waits, .. } = &self.seen else { return None };
        let said = |light, text: &str| Some((light, text.to_owned()));
        let wait = |seconds: u64| format!("wait {}", span_text(seconds));
        match &self.answer {
            Some(Answer::Done) => return said(Light::Green, "done"),
            Some(Answer::Shown(Shown::Opened)) => return said(Light::Green, "opened"),
            Some(Answer::Shown(Shown::Refused)) => return said(Light::Red, "refused"),
            Some(Answer::Shown(Shown::AlreadyUsed)) => return said(Light::Red, "already used"),
            Some(Answer::Failed(_)) => return said(Light::Red, "out of order"),
            // These are so until something changes.
            Some(Answer::Shown(Shown::Wait { .. } | Shown::ClockUnset)) | None => {}
        }
        if !clock_set {
            return said(Light::Amber, "clock unset");
        }
        let waits: Vec<String> =
            waits.iter().map(|(what, seconds)| format!("{what}: {}", wait(*seconds))).collect();
        (!waits.is_empty()).then(|| (Light::Amber, waits.join(", ")))
    }

    /// What is typed, in groups as it stands in the message.
    fn grouped(&self) -> Zeroizing<String> {
        let length = self.typed.chars().count();
        let size = match self.digits {
            9 if length <= self.digits => 3,
            10 if length <= self.digits => 5,
            _ => 4,
        };
        let mut text = Zeroizing::new(String::with_capacity(2 * LONGEST));
        for (place, digit) in self.typed.chars().enumerate() {
            if place > 0 && place % size == 0 {
                text.push(' ');
            }
            text.push(digit);
        }
        text
    }

    /// The whole screen.
    pub(crate) fn view(&self) -> Vec<Line> {
        let dark = matches!(self.seen, Seen::Dark(_));
        let inside = usize::from(!dark) + LONGEST + 4;
        let mut shown = self.grouped();
        if !dark {
            shown.push('_');
        }
        let room = inside.saturating_sub(shown.chars().count());
        shown.extend(std::iter::repeat_n(' ', room));
        let edge = "─".repeat(inside + 2);
        let plain = |text: String| vec![piece(Look::Plain, text)];
        let mut lines = vec![
            vec![piece(Look::Bold, self.title.as_str())],
            Line::new(),
            plain(format!("  ┌{edge}┐")),
            vec![piece(Look::Plain, "  │ "), (Look::Bold, shown), piece(Look::Plain, " │")],
            plain(format!("  └{edge}┘")),
        ];
        let lit = self.light();
        for (light, name, look) in [
            (Light::Green, "green", Look::Good),
            (Light::Red, "red  ", Look::Bad),
            (Light::Amber, "amber", Look::Warn),
        ] {
            lines.push(match &lit {
                Some((lit, said)) if *lit == light => {
                    vec![piece(look, format!("    ● {name}  {said}"))]
                }
                _ => vec![piece(Look::Dim, format!("    ○ {name}"))],
            });
        }
        lines.push(Line::new());
        let look = if dark { Look::Dim } else { Look::Plain };
        for row in ["1   2   3", "4   5   6", "7   8   9", "C   0   Enter"] {
            lines.push(vec![piece(look, format!("        {row}"))]);
        }
        lines.push(Line::new());
        let keys = "digits, Backspace, C clears, Enter; Esc or q leaves";
        lines.push(match (&self.seen, &self.answer) {
            (Seen::Dark(until), _) => {
                vec![piece(Look::Warn, format!("no power until {until}"))]
            }
            (_, Some(Answer::Failed(why))) => vec![piece(Look::Warn, why.as_str())],
            _ => vec![piece(Look::Dim, keys)],
        });
        if let Seen::Ready { foot: Some(foot), .. } = &self.seen {
            lines.push(vec![piece(Look::Dim, foot.as_str())]);
        }
        lines.truncate(self.lines);
        for line in &mut lines {
            cut(line, self.columns);
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ready() -> Seen {
        Seen::Ready { clock_set: true, waits: Vec::new(), foot: None }
    }

    fn keypad(digits: u8) -> Keypad {
        Keypad::new("lock".to_owned(), digits, ready())
    }

    fn text(keypad: &Keypad) -> String {
        let line =
            |line: Line| line.iter().map(|(_, text)| text.as_str()).collect::<String>() + "\n";
        keypad.view().into_iter().map(line).collect()
    }

    fn keys(keypad: &mut Keypad, typed: &str) {
        for c in typed.chars() {
            assert!(matches!(keypad.handle(Event::Key(Key::Char(c))), Wish::Nothing), "{c}");
        }
    }

    fn ticks(keypad: &mut Keypad, count: u32) {
        for _ in 0..count {
            keypad.handle(Event::Tick);
        }
    }

    #[test]
    fn digits_stand_as_in_the_message_and_go_with_enter() {
        for (digits, typed, shown) in [
            (8, "4829163", "│ 4829 163_ "),
            (9, "482916357", "│ 482 916 357_ "),
            (9, "4829163571", "│ 4829 1635 71_ "),
            (10, "4829163571", "│ 48291 63571_ "),
        ] {
            let mut keypad = keypad(digits);
            keys(&mut keypad, typed);
            assert!(text(&keypad).contains(shown), "{}", text(&keypad));
            let Wish::Press(pressed) = keypad.handle(Event::Key(Key::Enter)) else { panic!() };
            assert_eq!(pressed.as_str(), typed);
            assert!(text(&keypad).contains("│ _ "), "nothing is left of it");
            assert!(matches!(keypad.handle(Event::Key(Key::Enter)), Wish::Nothing));
        }
    }

    #[test]
    fn backspace_takes_one_back_c_all_and_other_keys_nothing() {
        let mut keypad = keypad(8);
        keys(&mut keypad, "12x3 ４");
        keypad.handle(Event::Key(Key::Backspace));
        assert!(text(&keypad).contains("│ 12_ "), "{}", text(&keypad));
        keys(&mut keypad, "c");
        assert!(text(&keypad).contains("│ _ "));
        keys(&mut keypad, &"7".repeat(30));
        let Wish::Press(pressed) = keypad.handle(Event::Key(Key::Enter)) else { panic!() };
        assert_eq!(pressed.len(), LONGEST);
        for key in [Key::Escape, Key::Char('q'), Key::Interrupt] {
            assert!(matches!(keypad.handle(Event::Key(key)), Wish::Quit));
        }
    }

    #[test]
    fn each_light_has_a_word_and_goes_out() {
        for (answer, line) in [
            (Answer::Shown(Shown::Opened), "● green  opened"),
            (Answer::Done, "● green  done"),
            (Answer::Shown(Shown::Refused), "● red    refused"),
            (Answer::Shown(Shown::AlreadyUsed), "● red    already used"),
            (Answer::Failed("the disk is full".to_owned()), "● red    out of order"),
        ] {
            let mut keypad = keypad(8);
            assert!(!text(&keypad).contains('●'));
            keypad.handle(Event::Answered(answer.clone()));
            assert!(text(&keypad).contains(line), "{}", text(&keypad));
            assert_eq!(text(&keypad).matches('●').count(), 1);
            ticks(&mut keypad, ANSWER - 1);
            assert!(text(&keypad).contains(line));
            ticks(&mut keypad, 1);
            assert!(!text(&keypad).contains('●'), "{}", text(&keypad));
            keypad.handle(Event::Answered(answer));
            keys(&mut keypad, "1");
            assert!(!text(&keypad).contains('●'), "the next key ends it");
        }
    }

    #[test]
    fn waits_count_down_and_an_unset_clock_shows_until_it_is_set() {
        let mut keypad = keypad(8);
        let seen = |clock_set, waits| Event::Seen(Seen::Ready { clock_set, waits, foot: None });
        keypad.handle(Event::Answered(Answer::Shown(Shown::Wait { seconds: Some(8640) })));
        for (seconds, said) in
            [(8640, "wait 2 h 24 min"), (719, "wait 11 min 59 s"), (1, "wait 1 s")]
        {
            keypad.handle(seen(true, vec![("PINs", seconds)]));
            ticks(&mut keypad, ANSWER);
            let line = format!("● amber  PINs: {said}\n");
            assert!(text(&keypad).contains(&line), "{}", text(&keypad));
        }
        keypad.handle(Event::Answered(Answer::Shown(Shown::Opened)));
        assert!(text(&keypad).contains("● green  opened"), "the long form");
        ticks(&mut keypad, ANSWER);
        assert!(text(&keypad).contains("● amber"));
        keypad.handle(seen(true, Vec::new()));
        assert!(!text(&keypad).contains('●'));
        keypad.handle(seen(false, Vec::new()));
        assert!(text(&keypad).contains("● amber  clock unset"));
    }

    #[test]
    fn without_power_no_key_works_and_no_digit_stays() {
        let mut keypad = keypad(8);
        keys(&mut keypad, "1234");
        keypad.handle(Event::Seen(Seen::Dark("04:00".to_owned())));
        let dark = text(&keypad);
        assert!(dark.contains("no power until 04:00") && !dark.contains("1234"), "{dark}");
        assert!(!dark.contains('●') && !dark.contains('_'), "{dark}");
        keys(&mut keypad, "5678");
        assert!(matches!(keypad.handle(Event::Key(Key::Enter)), Wish::Nothing));
        keypad.handle(Event::Seen(ready()));
        assert!(text(&keypad).contains("│ _ "));
        keypad.handle(Event::Seen(Seen::Dark("04:00".to_owned())));
        assert!(matches!(keypad.handle(Event::Key(Key::Escape)), Wish::Quit));
    }

    #[test]
    fn who_goes_away_leaves_no_digits() {
        let mut keypad = keypad(8);
        keys(&mut keypad, "1234");
        ticks(&mut keypad, FORGET - 1);
        assert!(text(&keypad).contains("│ 1234_ "));
        ticks(&mut keypad, 1);
        assert!(text(&keypad).contains("│ _ "));
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_terminal(
            columns in 1_usize..90, lines in 1_usize..30, typed in "[0-9cq ]{0,40}", dark in any::<bool>()
        ) {
            let mut keypad = keypad(9);
            keypad.handle(Event::Size(columns, lines));
            for c in typed.chars() {
                keypad.handle(Event::Key(Key::Char(c)));
            }
            if dark {
                keypad.handle(Event::Seen(Seen::Dark("tomorrow".to_owned())));
            }
            let view = keypad.view();
            prop_assert!(view.len() <= lines);
            for line in view {
                let width: usize = line.iter().map(|(_, text)| text.chars().count()).sum();
                prop_assert!(width <= columns);
            }
        }
    }
}
