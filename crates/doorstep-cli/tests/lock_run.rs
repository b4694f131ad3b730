//! The keypad of a virtual lock in a real pseudo-terminal.

mod support;

use support::court::{Court, HOUR, MIDNIGHT, bundle, wrong_pin};
use support::screen::Screen;
use support::wait;

fn run(court: &Court, options: &str) -> Screen {
    Screen::start("exec", &format!("lock run {options}"), |command| court.surround(command))
}

#[test]
fn a_guest_mistypes_corrects_and_gets_in() {
    let court = Court::new(bundle());
    let pin = court.pin_now(true);
    let mut keypad = run(&court, "--show-clock");
    keypad.shows("lck_01m7zpcgdg2c2rbw8qte4qcp8y generation 1 (test)");
    keypad.shows("probably 00:00:00");
    keypad.press(&wrong_pin(&pin, 3));
    keypad.press("\r");
    keypad.shows("● red    refused");
    // Backspace is DEL on most keyboards.
    keypad.press("1");
    keypad.press("\u{7f}");
    keypad.press(&pin[..4]);
    keypad.shows(&format!("{}_", &pin[..4]));
    keypad.press(&pin[4..]);
    keypad.press("\r");
    keypad.shows("● green  opened");
    keypad.press(&pin);
    keypad.press("\r");
    keypad.shows("● red    already used");
    assert_eq!(court.press(&pin).json["shown"], "refused", "other processes remember it as well");
    keypad.press("q");
    keypad.ends();
}

#[test]
fn it_shows_what_others_do_to_the_lock_and_writes_each_hour_down() {
    let court = Court::new(bundle());
    let mut keypad = run(&court, "--temperature -10.5");
    keypad.shows("1   2   3");
    assert_eq!(court.must(&["weather"]).json["temperature"], -10.5);
    let records = || court.status()["journal"]["records"].as_u64().unwrap();
    court.advance(HOUR + 1);
    // Nobody but the keypad writes it: this only reads.
    let journal = court.path("lock/journal");
    let before = std::fs::metadata(&journal).unwrap().len();
    court.advance(HOUR);
    wait("the hourly record", || std::fs::metadata(&journal).unwrap().len() > before);
    assert!(records() >= 1);

    let pin = court.pin_now(false);
    for nth in 0..10 {
        assert_eq!(court.press(&wrong_pin(&pin, nth)).outcome(), "wrong_code");
    }
    keypad.shows("● amber  PINs: wait 2 h 24 min");
    court.advance(1200);
    keypad.shows("● amber  PINs: wait 2 h 4 min");
    keypad.press(&pin);
    keypad.press("\r");
    keypad.shows("● amber  PINs: wait 2 h 4 min");

    court.must(&["pull-power", "--for", "3h"]);
    keypad.shows("no power until 05:20");
    keypad.press("123\r");
    court.set_clock(MIDNIGHT + 6 * HOUR);
    keypad.shows("● amber  clock unset");
    keypad.press(&court.set_time());
    keypad.press("\r");
    keypad.shows("● green  done");
    keypad.press(&court.pin_now(true));
    keypad.press("\r");
    // The fresh time brought attempts back.
    keypad.shows("● green  opened");
    keypad.press("\u{3}");
    keypad.ends();
}

#[test]
fn a_signal_or_a_closed_window_ends_it_and_the_terminal_is_as_it_was() {
    let court = Court::new(bundle());
    let mut keypad = run(&court, "");
    keypad.shows("7   8   9");
    keypad.signal("-TERM");
    keypad.ends();
    for by in ["exec", "exec setsid"] {
        let mut keypad = Screen::start(by, "lock run", |command| court.surround(command));
        keypad.shows("7   8   9");
        keypad.close_window();
        wait("its end", || !keypad.runs());
    }
    // A journal that is damaged while it runs leaves no garbled terminal behind.
    let keypad = run(&court, "");
    keypad.shows("7   8   9");
    court.write("lock/journal", "something else");
    wait("its end", || !keypad.runs());
    wait("the last line", || !keypad.word("after").is_empty());
    assert_eq!(
        (keypad.word("status").as_str(), keypad.word("before")),
        ("1", keypad.word("after"))
    );
    assert!(keypad.seen().contains("is damaged"), "{}", keypad.seen());
}

#[test]
fn without_a_terminal_nothing_is_drawn() {
    let court = Court::new(bundle());
    let refused = court.run(&["run"]);
    assert_eq!(refused.status, 2);
    assert!(refused.stderr.contains("lock press"), "{}", refused.stderr);
}
