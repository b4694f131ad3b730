//! A shop for tests: a real server process, real devices, a simulated clock, all in a directory
//! that vanishes afterwards.

#![expect(dead_code, reason = "each test file uses its own part of the shop")]
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

pub(crate) mod court;
pub(crate) mod desk;
pub(crate) mod guest;
pub(crate) mod issuer;
pub(crate) mod meeting;
pub(crate) mod pass;
pub(crate) mod screen;
pub(crate) mod site;

use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

pub(crate) const NOON: &str = "2026-03-02T12:00:00Z";

/// What a command answered: its JSON, and its exit status.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) json: Value,
    pub(crate) status: i32,
    pub(crate) stderr: String,
}

impl Reply {
    /// `granted`, the reason of a refusal, or the code of an error.
    pub(crate) fn outcome(&self) -> &str {
        let names = [&self.json["reason"], &self.json["outcome"], &self.json["error"]["code"]];
        names.into_iter().find_map(Value::as_str).unwrap_or("done")
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.json[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.json)).to_owned()
    }
}

pub(crate) struct Shop {
    dir: PathBuf,
    /// Removes the directory at the end; a shop that was opened again does not own its own.
    _owned: Option<tempfile::TempDir>,
    url: String,
    server: Option<Child>,
    /// Everything is drawn from seeds, so that no chance (a wrong code passes a device once in
    /// 8,192 times) turns a test red.
    seed: std::cell::Cell<u64>,
}

impl Shop {
    /// A test issuer at noon, with an API key and a running server.
    pub(crate) fn open() -> Self {
        let owned = tempfile::tempdir().unwrap();
        let dir = owned.path().to_owned();
        let seed = std::cell::Cell::new(1);
        let mut shop = Self { dir, _owned: Some(owned), url: String::new(), server: None, seed };
        shop.must(&["init", "--test", "--at", NOON, "--seed", &shop.next_seed()]);
        shop.must(&["key", "create", "--name", "tests", "--out", "api.key"]);
        shop.start();
        shop
    }

    /// A real issuer, on the system's clock and randomness.
    pub(crate) fn live(dir: &Path) -> Self {
        let seed = std::cell::Cell::new(0);
        let mut shop =
            Self { dir: dir.to_owned(), _owned: None, url: String::new(), server: None, seed };
        shop.must(&["init"]);
        shop.must(&["key", "create", "--name", "tests", "--out", "api.key"]);
        let mut command = shop.command(&["serve", "--listen", "127.0.0.1:0"]);
        shop.listen(&mut command);
        shop
    }

    /// Starts the server of a directory that somebody else made.
    pub(crate) fn reopen(dir: &Path) -> Self {
        let seed = std::cell::Cell::new(1_000_000);
        let mut shop =
            Self { dir: dir.to_owned(), _owned: None, url: String::new(), server: None, seed };
        shop.start();
        shop
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorstep"));
        command.arg("--json").args(arguments);
        self.surround(&mut command);
        command
    }

    /// Gives a command this shop's directory and environment.
    pub(crate) fn surround(&self, command: &mut Command) {
        command
            .current_dir(&self.dir)
            .env("DOORSTEP_DATA", "data")
            .env("DOORSTEP_KEY_FILE", "api.key")
            .env("DOORSTEP_SERVER", &self.url)
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        if self.path("data/clock").exists() {
            command.env("DOORSTEP_CLOCK", "data/clock");
        }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Reply {
        reply(&self.command(arguments).output().unwrap())
    }

    pub(crate) fn must(&self, arguments: &[&str]) -> Reply {
        let reply = self.run(arguments);
        assert_eq!(reply.status, 0, "{arguments:?}: {} {}", reply.json, reply.stderr);
        reply
    }

    /// What a command that succeeds says to people.
    pub(crate) fn plain(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorstep"));
        command.args(arguments);
        self.surround(&mut command);
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn next_seed(&self) -> String {
        self.seed.set(self.seed.get() + 1);
        self.seed.get().to_string()
    }

    pub(crate) fn start(&mut self) {
        self.start_at("127.0.0.1:0");
    }

    /// Starts the server where it was before.
    pub(crate) fn start_at(&mut self, address: &str) {
        let link = "https://shop.example/d";
        let seed = self.next_seed();
        let serve = ["serve", "--listen", address, "--link-base", link, "--seed", &seed];
        let mut command = self.command(&serve);
        self.listen(&mut command);
    }

    fn listen(&mut self, command: &mut Command) {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let listening: Value = serde_json::from_str(&line).unwrap();
        self.url = listening["listening"].as_str().unwrap().to_owned();
        self.server = Some(child);
    }

    /// The network is gone.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.server.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn advance(&self, span: &str) {
        self.must(&["clock", "advance", span, "--clock", "data/clock"]);
    }

    pub(crate) fn set_clock(&self, time: &str) {
        self.must(&["clock", "advance", "0s", "--from", time, "--clock", "data/clock"]);
    }

    /// Takes in a delivery and gives back its id.
    pub(crate) fn delivery(&self, reference: &str) -> String {
        let arguments = [
            "delivery",
            "add",
            "--reference",
            reference,
            "--recipient",
            "Zoë Łukasz",
            "--phone",
            "+44 20 7946 0000",
            "--address",
            "12 Harbour Street",
        ];
        self.must(&arguments).text("id")
    }

    /// Enrols a driver's device in the directory `name` and gives back its id.
    pub(crate) fn driver(&self, name: &str) -> String {
        let invited = self.must(&["driver", "invite", name]);
        std::fs::write(self.path("ticket"), invited.text("ticket")).unwrap();
        let seed = self.next_seed();
        self.must(&["driver", "enrol", "--ticket", "ticket", "--dir", name, "--seed", &seed])
            .text("device")
    }

    /// Plans a delivery in half an hour, so that its message is due at once.
    pub(crate) fn plan(&self, delivery: &str, device: &str) {
        self.must(&["delivery", "plan", delivery, "--device", device, "--at", "+30m"]);
    }

    pub(crate) fn sync(&self, name: &str) -> Reply {
        self.run(&["driver", "sync", "--dir", name])
    }

    pub(crate) fn check(&self, name: &str, delivery: &str, code: &str) -> Reply {
        self.run(&["driver", "handover", delivery, code, "--dir", name])
    }

    pub(crate) fn status(&self, name: &str) -> Value {
        self.must(&["driver", "status", "--dir", name]).json
    }

    /// The first stop as the device lists it.
    pub(crate) fn stop_of(&self, name: &str) -> Value {
        self.must(&["driver", "list", "--dir", name]).json["stops"][0].clone()
    }

    /// A driver with one delivery handed out, and the code that the customer was sent.
    pub(crate) fn one_stop(&self, name: &str) -> (String, String) {
        let device = self.driver(name);
        let delivery = self.delivery(&format!("ORDER-{name}"));
        self.plan(&delivery, &device);
        self.sync(name);
        let code = code_in(&self.message(&delivery, 1, 0));
        (delivery, code)
    }

    pub(crate) fn messages(&self) -> Vec<Value> {
        Self::messages_in(&self.dir)
    }

    pub(crate) fn messages_in(dir: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(dir.join("data/messages.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The text of the message sent last for a delivery.
    pub(crate) fn last_message(&self, delivery: &str) -> String {
        let messages = self.messages();
        let last = messages.iter().rfind(|message| message["delivery"] == delivery).unwrap();
        last["text"].as_str().unwrap().to_owned()
    }

    /// Waits for a message and gives back its text.
    pub(crate) fn message(&self, delivery: &str, generation: u64, slot: u64) -> String {
        let mut text = String::new();
        wait(&format!("a message for {delivery}"), || {
            let sent = self.messages().into_iter().find(|message| {
                message["delivery"] == delivery
                    && message["generation"] == generation
                    && message["slot"] == slot
            });
            text = sent.map(|m| m["text"].as_str().unwrap().to_owned()).unwrap_or_default();
            !text.is_empty()
        });
        text
    }

    /// Waits until a delivery is in a state.
    pub(crate) fn wait_for(&self, delivery: &str, state: &str) -> Value {
        let mut shown = Value::Null;
        wait(&format!("{delivery} to be {state}"), || {
            shown = self.must(&["delivery", "show", delivery]).json;
            shown["state"] == state
        });
        shown
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Looks again until it is so; the bound only ends a test that has failed anyway.
pub(crate) fn wait(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("waited in vain for {what}");
}

/// Every call by which a program changes its files or makes the change durable.
pub(crate) const WRITES: [&str; 7] =
    ["write", "fdatasync", "ftruncate", "flock", "lseek", "fsync", "rename"];

/// Runs a command and kills it on entering its nth call of `syscall`; what it said by then, and
/// whether it was killed before it got to its end.
pub(crate) fn killed_at(
    surround: impl FnOnce(&mut Command),
    arguments: &[&str],
    syscall: &str,
    nth: u32,
) -> (Reply, bool) {
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq", "-o", "/dev/null", "-e"])
        .arg(format!("inject={syscall}:signal=KILL:when={nth}"))
        .arg(env!("CARGO_BIN_EXE_doorstep"))
        .arg("--json")
        .args(arguments);
    surround(&mut command);
    let output = command.output().expect("strace is needed: apt-get install strace");
    // strace dies of the signal that killed its child.
    let killed = output.status.code().is_none() || output.status.code() == Some(137);
    (reply(&output), killed)
}

/// Waits until `count` processes wait for the lock on a file.
pub(crate) fn wait_at_lock(file: &std::fs::File, count: usize) {
    use std::os::unix::fs::MetadataExt as _;
    let inode = format!(":{} ", file.metadata().unwrap().ino());
    wait("all processes to stand at the lock", || {
        let locks = std::fs::read_to_string("/proc/locks").unwrap();
        locks.lines().filter(|line| line.contains("->") && line.contains(&inode)).count() == count
    });
}

/// Runs a command in so many processes at once, all of which have read a journal before any of them can
/// append: they are held up at its lock until each has it open.
pub(crate) fn all_at_once(
    journal: &Path,
    count: usize,
    command: impl Fn() -> Command,
) -> Vec<Reply> {
    let held = std::fs::File::open(journal).unwrap();
    held.lock().unwrap();
    let spawn = || command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let children: Vec<_> = (0..count).map(|_| spawn()).collect();
    wait_to_open(journal, &children);
    held.unlock().unwrap();
    children.into_iter().map(|child| reply(&child.wait_with_output().unwrap())).collect()
}

/// Waits until each of these processes has a file open.
fn wait_to_open(file: &Path, children: &[Child]) {
    let has = |child: &Child| {
        let open = std::fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap();
        open.filter_map(|open| std::fs::read_link(open.ok()?.path()).ok()).any(|open| open == file)
    };
    wait("all processes to open the file", || children.iter().all(has));
}

pub(crate) fn reply(output: &Output) -> Reply {
    Reply {
        json: serde_json::from_slice(&output.stdout).unwrap_or_default(),
        status: output.status.code().unwrap_or(-1),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The two groups of digits in a message.
pub(crate) fn code_in(message: &str) -> String {
    let words: Vec<&str> =
        message.split_whitespace().map(|word| word.trim_matches(['.', ',', ':'])).collect();
    let digits = |word: &str| word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit());
    let pair = words.windows(2).find(|pair| pair.iter().all(|word| digits(word)));
    pair.unwrap_or_else(|| panic!("no code in {message}")).join(" ")
}

/// The link in a message.
pub(crate) fn link_in(message: &str) -> String {
    let link = message.split_whitespace().find(|word| word.contains("#HO1:"));
    link.unwrap_or_else(|| panic!("no link in {message}")).to_owned()
}

/// Another code.
pub(crate) fn wrong(code: &str, nth: u32) -> String {
    let number: u32 = code.replace(' ', "").parse().unwrap();
    let other = (number + 1 + nth) % 100_000_000;
    format!("{:04} {:04}", other / 10_000, other % 10_000)
}

/// Copies a directory of files.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A request on a connection of its own; none when the server is gone before it answered.
pub(crate) fn post(address: &str, key: &str, path: &str, body: &str) -> Option<Value> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}
