//! The live screen in a real pseudo-terminal: it is drawn, obeys, locks, and leaves the terminal as
//! it found it.

mod support;

use support::desk::{Desk, HOTP};
use support::screen::Screen;
use support::wait;

/// `doorstep auth watch` in a pseudo-terminal.
fn watch(desk: &Desk) -> Screen {
    Screen::start("exec", "auth watch", |command| desk.surround(command))
}

#[test]
fn a_search_is_typed_a_code_changes_and_q_quits() {
    let desk = Desk::with_all_kinds();
    let mut watch = watch(&desk);
    watch.shows("3 of 3");
    watch.shows("287 082");
    watch.press("/git");
    watch.shows("1 of 3   /git_");
    desk.set_clock(60);
    watch.shows("359 152  ██████████ 30 s");
    watch.press("\r");
    watch.shows("q quit");
    watch.press("q");
    watch.ends();
}

/// A window that is closed takes its terminal along. Nothing may be left running then, not even what
/// no signal reaches.
#[test]
fn a_terminal_that_is_gone_ends_it() {
    for command in ["exec", "exec setsid"] {
        let desk = Desk::with_all_kinds();
        let mut watch = Screen::start(command, "auth watch", |command| desk.surround(command));
        watch.shows("3 of 3");
        assert!(watch.runs(), "{}", watch.seen());
        watch.close_window();
        wait("its end", || !watch.runs());
    }
}

/// Half of a key, as Alt and a bracket send it, keeps neither the lock nor a signal waiting.
#[test]
fn half_a_key_holds_nothing_up() {
    let desk = Desk::with_all_kinds();
    let mut watch = watch(&desk);
    watch.shows("3 of 3");
    watch.press("\u{1b}[");
    desk.set_clock(600);
    watch.shows("locked");
    watch.signal("-HUP");
    watch.ends();
}

#[test]
fn a_counter_moves_on_the_disk_and_on_the_screen() {
    let desk = Desk::with_all_kinds();
    // All have the same secret: early in a step, no next code looks like that of the counter.
    desk.set_clock(30);
    let mut watch = watch(&desk);
    watch.shows("press n");
    watch.press("jn");
    watch.shows("755 224");
    assert_eq!(desk.must(&["code", "bank"]).json["code"], HOTP[1], "another process goes on");
    watch.press("n");
    watch.shows("359 152");
    assert_eq!(desk.counter(1), 3);
    watch.press("\u{3}");
    watch.ends();
}

#[test]
fn it_locks_and_opens_again_by_the_passphrase() {
    let desk = Desk::with_all_kinds();
    let mut watch = watch(&desk);
    watch.shows("3 of 3");
    desk.set_clock(59 + 300);
    watch.shows("locked");
    watch.press("wrong\r");
    watch.shows("wrong passphrase");
    watch.press("correct horse battery\r");
    watch.shows("3 of 3");
    watch.press("q");
    watch.ends();
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    let desk = Desk::with_all_kinds();
    let mut watch = watch(&desk);
    watch.shows("3 of 3");
    watch.signal("-TERM");
    watch.ends();
}

#[test]
fn without_a_terminal_nothing_is_drawn() {
    let desk = Desk::with_all_kinds();
    let refused = desk.run(&["watch"]);
    assert_eq!(refused.status, 2);
    assert!(refused.stderr.contains("auth code"), "{}", refused.stderr);
}
