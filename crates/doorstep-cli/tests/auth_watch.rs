//! The live screen in a real pseudo-terminal: it is drawn, obeys, locks, and leaves the terminal as
//! it found it.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod support;

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use support::desk::{Desk, HOTP};
use support::wait;

const ENTER_SCREEN: &str = "\u{1b}[?1049h";
const LEAVE_SCREEN: &str = "\u{1b}[?1049l";

/// `doorstep auth watch` in a pseudo-terminal that `script` makes, with the terminal's settings
/// written before and after.
struct Watch {
    child: Child,
    keys: ChildStdin,
    seen: Arc<Mutex<String>>,
}

impl Watch {
    fn start(desk: &Desk) -> Self {
        Self::start_by(desk, "exec")
    }

    fn start_by(desk: &Desk, command: &str) -> Self {
        let program = env!("CARGO_BIN_EXE_doorstep");
        let shell = format!(
            "stty cols 80 rows 24; echo before:$(stty -g); \
             sh -c 'echo pid:$$; {command} {program} auth watch'; \
             echo status:$?; echo after:$(stty -g)"
        );
        let mut command = Command::new("script");
        command.args(["-q", "-e", "-c", &shell, "/dev/null"]);
        desk.surround(&mut command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("script is needed: apt-get install bsdutils");
        let keys = child.stdin.take().unwrap();
        let mut screen = child.stdout.take().unwrap();
        let seen = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut buffer) {
                kept.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        });
        Self { child, keys, seen }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    fn seen(&self) -> String {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until the last frame shows something. Styles are left out.
    fn shows(&self, what: &str) {
        wait(what, || {
            let seen = self.seen();
            let frame = seen.rsplit("\u{1b}[1;1H").next().unwrap_or_default();
            plain(frame).contains(what)
        });
    }

    /// The word after `name:` in what was printed around the screen.
    fn word(&self, name: &str) -> String {
        let seen = self.seen();
        let after = seen.split(&format!("{name}:")).nth(1).unwrap_or_default();
        after.split_whitespace().next().unwrap_or_default().to_owned()
    }

    /// Whether the program is there.
    fn runs(&self) -> bool {
        let line = std::fs::read(format!("/proc/{}/cmdline", self.word("pid")));
        line.is_ok_and(|line| !line.is_empty())
    }

    /// Waits for the end: status 0, and the terminal as it was.
    fn ends(&mut self) {
        wait("the end", || self.child.try_wait().unwrap().is_some());
        wait("the last line", || !self.word("after").is_empty());
        assert_eq!(self.word("status"), "0", "{}", self.seen());
        assert_eq!(self.word("before"), self.word("after"));
        let seen = self.seen();
        assert_eq!(seen.matches(ENTER_SCREEN).count(), 1);
        assert_eq!(seen.matches(LEAVE_SCREEN).count(), 1);
        assert!(seen.rfind("\u{1b}[?25h") > seen.rfind("\u{1b}[?25l"), "the cursor is back");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // A test that failed leaves nothing behind.
        if self.runs() {
            let _ = Command::new("kill").args(["-KILL", &self.word("pid")]).status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn plain(frame: &str) -> String {
    let mut text = String::new();
    let mut rest = frame.chars();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            rest.by_ref().find(char::is_ascii_alphabetic);
        } else {
            text.push(c);
        }
    }
    text
}

#[test]
fn a_search_is_typed_a_code_changes_and_q_quits() {
    let desk = Desk::with_all_kinds();
    let mut watch = Watch::start(&desk);
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
        let mut watch = Watch::start_by(&desk, command);
        watch.shows("3 of 3");
        assert!(watch.runs(), "{}", watch.seen());
        watch.child.kill().unwrap();
        watch.child.wait().unwrap();
        wait("its end", || !watch.runs());
    }
}

/// Half of a key, as Alt and a bracket send it, keeps neither the lock nor a signal waiting.
#[test]
fn half_a_key_holds_nothing_up() {
    let desk = Desk::with_all_kinds();
    let mut watch = Watch::start(&desk);
    watch.shows("3 of 3");
    watch.press("\u{1b}[");
    desk.set_clock(600);
    watch.shows("locked");
    let told = Command::new("kill").args(["-HUP", &watch.word("pid")]).status().unwrap();
    assert!(told.success());
    watch.ends();
}

#[test]
fn a_counter_moves_on_the_disk_and_on_the_screen() {
    let desk = Desk::with_all_kinds();
    // All have the same secret: early in a step, no next code looks like that of the counter.
    desk.set_clock(30);
    let mut watch = Watch::start(&desk);
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
    let mut watch = Watch::start(&desk);
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
    let mut watch = Watch::start(&desk);
    watch.shows("3 of 3");
    let killed = Command::new("kill").args(["-TERM", &watch.word("pid")]).status().unwrap();
    assert!(killed.success());
    watch.ends();
}

#[test]
fn without_a_terminal_nothing_is_drawn() {
    let desk = Desk::with_all_kinds();
    let refused = desk.run(&["watch"]);
    assert_eq!(refused.status, 2);
    assert!(refused.stderr.contains("auth code"), "{}", refused.stderr);
}
