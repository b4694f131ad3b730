//! A shop to measure: the real server as a process of its own, with a data directory on a disk.

use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// When everything happens; the simulated clock does not tick.
const NOON: &str = "2026-03-02T12:00:00Z";
/// Planned in this way, a delivery's message is due at once.
pub(crate) const EXPECTED: &str = "2026-03-02T12:30:00Z";
/// Requests under way at once while a shop is prepared.
const PLANNERS: usize = 32;

/// A fresh directory below the target directory: the system's own is often only memory, where
/// nothing has to be durable.
pub(crate) fn scratch() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}

/// Copies a directory, and waits until the copy has reached the disk, so that nobody measures it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("a file");
            File::open(&target).and_then(|file| file.sync_all()).expect("a disk");
        }
    }
}

/// A running server.
pub(crate) struct Shop {
    server: Server,
    url: String,
    dir: TempDir,
}

/// Its process, which ends with this.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Shop {
    /// A new issuer with an API key.
    pub(crate) fn open() -> Self {
        let dir = scratch();
        must(command(dir.path(), &["init", "--test", "--at", NOON]));
        must(command(dir.path(), &["key", "create", "--name", "bench", "--out", "api.key"]));
        Self::start(dir)
    }

    /// A new issuer that goes by the real clock, with settings that may name the secret of its messages.
    pub(crate) fn open_now(settings: impl FnOnce(&Path) -> String) -> Self {
        let dir = scratch();
        must(command(dir.path(), &["init"]));
        must(command(dir.path(), &["key", "create", "--name", "bench", "--out", "api.key"]));
        must(command(dir.path(), &["message", "secret", "--out", "messages.secret"]));
        let settings = settings(&dir.path().join("messages.secret"));
        fs::write(dir.path().join("data/doorstep.toml"), settings).expect("a file");
        Self::start(dir)
    }

    /// The server of a closed shop.
    pub(crate) fn start_again(dir: TempDir) -> Self {
        Self::start(dir)
    }

    /// The server of a copy of a closed shop.
    pub(crate) fn reopen(template: &Path) -> Self {
        let dir = scratch();
        copy(template, dir.path());
        Self::start(dir)
    }

    fn start(dir: TempDir) -> Self {
        let mut server = command(dir.path(), &["serve", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let out = server.stdout.take().expect("its output is piped");
        BufReader::new(out).read_line(&mut line).expect("it says where it listens");
        let said: Value = serde_json::from_str(&line).expect("it starts");
        Self { server: Server(server), url: text(&said, "listening"), dir }
    }

    /// Stops the server and gives back its directory, whole.
    pub(crate) fn close(self) -> TempDir {
        let Self { mut server, dir, .. } = self;
        let pid = rustix::process::Pid::from_child(&server.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        server.0.wait().expect("it stops");
        dir
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A command with this shop's directory and server.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(self.dir.path(), arguments);
        command.env("DOORSTEP_SERVER", &self.url);
        command
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url, &self.key())
    }

    pub(crate) fn key(&self) -> String {
        let key = fs::read_to_string(self.dir.path().join("api.key")).expect("a key");
        key.trim().to_owned()
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Sets the simulated clock, in one step.
    pub(crate) fn set_clock(&self, now: u64) {
        let fresh = self.dir.path().join("data/clock.new");
        fs::write(&fresh, format!("{now}\n")).expect("a file");
        fs::rename(fresh, self.dir.path().join("data/clock")).expect("a file");
    }

    /// Takes in and plans `count` deliveries for each device, many at once.
    pub(crate) fn plan(&self, devices: &[(&str, usize)]) {
        let owners: Vec<&str> = devices
            .iter()
            .flat_map(|(device, count)| std::iter::repeat_n(*device, *count))
            .collect();
        let mut ids: Vec<String> = Vec::new();
        for chunk in owners.chunks(2500) {
            let first = ids.len();
            let numbers = first..first + chunk.len();
            let deliveries: Vec<Value> = numbers.map(delivery).collect();
            let answer =
                self.client().post("/v1/deliveries/import", &json!({ "deliveries": deliveries }));
            let made = answer["ids"].as_array().expect("ids");
            ids.extend(made.iter().filter_map(Value::as_str).map(str::to_owned));
        }
        let planned: Vec<(&str, &str)> =
            ids.iter().map(String::as_str).zip(owners.iter().copied()).collect();
        std::thread::scope(|scope| {
            for share in planned.chunks(planned.len().div_ceil(PLANNERS)) {
                scope.spawn(move || {
                    let client = self.client();
                    for (id, device) in share {
                        let plan = json!({ "device": device, "expected_at": EXPECTED });
                        client.post(&format!("/v1/deliveries/{id}/plan"), &plan);
                    }
                });
            }
        });
    }

    /// Waits until this many messages were sent, and gives back the deliveries with their codes.
    pub(crate) fn codes(&self, count: usize) -> Vec<(String, String)> {
        let file = self.dir.path().join("data/messages.jsonl");
        loop {
            let sent = fs::read_to_string(&file).unwrap_or_default();
            let whole = sent.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let codes: Vec<(String, String)> = whole.map(|message| code(&message)).collect();
            if codes.len() >= count {
                return codes;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}

fn delivery(number: usize) -> Value {
    json!({
        "reference": format!("ORDER-{number}"),
        "address": "12 Harbour Street, Flat 3",
        "recipients": [{ "name": "Zoë Łukasz", "phone": "+44 20 7946 0000" }],
    })
}

fn code(message: &Value) -> (String, String) {
    let said = text(message, "text");
    let (_, code) = said.split_once("code is ").expect("a code in the message");
    let (code, _) = code.split_once('.').expect("a code in the message");
    (text(message, "delivery"), code.to_owned())
}

fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorstep"));
    command
        .arg("--json")
        .args(arguments)
        .current_dir(dir)
        .env("DOORSTEP_DATA", "data")
        .env("DOORSTEP_KEY_FILE", "api.key")
        .stdin(Stdio::null());
    let clock: PathBuf = dir.join("data/clock");
    if clock.exists() {
        command.env("DOORSTEP_CLOCK", clock);
    }
    command
}

/// Runs a command that has to succeed.
pub(crate) fn must(mut command: Command) -> Value {
    let output = command.output().expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// A text of a JSON object.
pub(crate) fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

/// One connection to a server, kept open.
pub(crate) struct Client {
    agent: ureq::Agent,
    url: String,
    key: String,
}

impl Client {
    fn new(url: &str, key: &str) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        Self { agent: config.into(), url: url.to_owned(), key: key.to_owned() }
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let request = self.agent.get(format!("{}{path}", self.url));
        self.answer(request.header("authorization", format!("Bearer {}", self.key)).call())
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        self.post_text(path, &body.to_string())
    }

    pub(crate) fn post_text(&self, path: &str, body: &str) -> Value {
        let request = self.agent.post(format!("{}{path}", self.url));
        let request = request
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/json");
        self.answer(request.send(body))
    }

    fn answer(&self, result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Value {
        let mut response = result.expect("the server answers");
        let body = response.body_mut().read_to_string().expect("a whole answer");
        assert!(response.status().is_success(), "{}: {body}", response.status());
        serde_json::from_str(&body).expect("JSON")
    }
}
