//! Live screens in a real pseudo-terminal: what they draw, and whether they leave the terminal as they
//! found it.

use super::wait;
use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

const ENTER_SCREEN: &str = "\u{1b}[?1049h";
const LEAVE_SCREEN: &str = "\u{1b}[?1049l";

/// A live command in a pseudo-terminal that `script` makes, with the terminal's settings written before
/// and after.
pub(crate) struct Screen {
    child: Child,
    keys: ChildStdin,
    seen: Arc<Mutex<String>>,
}

impl Screen {
    /// Starts a command of ours by a shell's word: `exec` for most.
    pub(crate) fn start(by: &str, arguments: &str, surround: impl FnOnce(&mut Command)) -> Self {
        let program = env!("CARGO_BIN_EXE_doorstep");
        let shell = format!(
            "stty cols 80 rows 24; echo before:$(stty -g); \
             sh -c 'echo pid:$$; {by} {program} {arguments}'; \
             echo status:$?; echo after:$(stty -g)"
        );
        let mut command = Command::new("script");
        command.args(["-q", "-e", "-c", &shell, "/dev/null"]);
        surround(&mut command);
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

    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    pub(crate) fn seen(&self) -> String {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until the last frame shows something. Styles are left out.
    pub(crate) fn shows(&self, what: &str) {
        wait(what, || {
            let seen = self.seen();
            let frame = seen.rsplit("\u{1b}[1;1H").next().unwrap_or_default();
            plain(frame).contains(what)
        });
    }

    /// The word after `name:` in what was printed around the screen.
    pub(crate) fn word(&self, name: &str) -> String {
        let seen = self.seen();
        let after = seen.split(&format!("{name}:")).nth(1).unwrap_or_default();
        after.split_whitespace().next().unwrap_or_default().to_owned()
    }

    /// Whether the program is there.
    pub(crate) fn runs(&self) -> bool {
        let line = std::fs::read(format!("/proc/{}/cmdline", self.word("pid")));
        line.is_ok_and(|line| !line.is_empty())
    }

    /// The window is closed, and takes its terminal along.
    pub(crate) fn close_window(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.word("pid")]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end: status 0, and the terminal as it was.
    pub(crate) fn ends(&mut self) {
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

impl Drop for Screen {
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
