//! The world of one story: a directory, a simulated clock, a server process, and commands as processes.

use super::stage::{Leavings, Role, until};
use crate::clock;
use crate::error::CliError;
use crate::text::parse_span;
use doorstep::time::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// The link in the customers' messages begins with this.
pub(super) const LINK: &str = "https://parcels.example/door";

/// The demo's Monday begins here.
const DAWN: &str = "2026-03-02T12:00:00Z";

pub(super) struct World {
    exe: PathBuf,
    dir: PathBuf,
    url: String,
    leavings: Arc<Leavings>,
    /// Each server process has randomness of its own: a stream used twice would repeat itself.
    seed: u64,
}

/// What a command answered.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) command: String,
    pub(super) json: Value,
}

impl Reply {
    /// `granted`, the reason of a refusal, or the code of an error.
    pub(super) fn outcome(&self) -> String {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        if self.json["outcome"] == "refused" {
            return text(&self.json["reason"]).unwrap_or_default();
        }
        text(&self.json["outcome"])
            .or_else(|| text(&self.json["error"]["code"]))
            .unwrap_or_else(|| "done".to_owned())
    }

    pub(super) fn text(&self, name: &str) -> &str {
        self.json[name].as_str().unwrap_or_default()
    }
}

impl World {
    pub(super) fn new(dir: PathBuf, leavings: Arc<Leavings>) -> Result<Self, CliError> {
        let exe = std::env::current_exe()
            .map_err(|error| CliError::new(format!("cannot find this program: {error}")))?;
        Ok(Self { exe, dir, url: String::new(), leavings, seed: 1 })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(super) fn dawn() -> &'static str {
        DAWN
    }

    /// The simulated time.
    pub(super) fn now(&self) -> Result<Timestamp, CliError> {
        clock::read(&self.path("data/clock"))
    }

    /// Moves the simulated time of all processes on.
    pub(super) fn advance(&self, span: &str) -> Result<Timestamp, CliError> {
        let now = self.now()?.later(parse_span(span)?);
        clock::set(&self.path("data/clock"), now)?;
        Ok(now)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.exe);
        command
            .arg("--json")
            .args(arguments)
            .current_dir(&self.dir)
            .env("DOORSTEP_DATA", "data")
            .env("DOORSTEP_KEY_FILE", "api.key")
            .env("DOORSTEP_SERVER", &self.url)
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        // The clock is part of the data, so there is none before `init`.
        if self.path("data/clock").exists() {
            command.env("DOORSTEP_CLOCK", "data/clock");
        } else {
            command.env_remove("DOORSTEP_CLOCK");
        }
        command
    }

    /// Sets the simulated time of all processes.
    pub(super) fn set(&self, now: Timestamp) -> Result<(), CliError> {
        clock::set(&self.path("data/clock"), now)
    }

    /// Runs one command to its end and reads its answer, be it yes, no or an error.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<Reply, CliError> {
        self.run_with(&[], arguments)
    }

    /// The same with other settings in its environment.
    pub(super) fn run_with(
        &self,
        environment: &[(&str, &str)],
        arguments: &[&str],
    ) -> Result<Reply, CliError> {
        let line = typed(arguments);
        let output = self
            .command(arguments)
            .envs(environment.iter().copied())
            .output()
            .map_err(|error| CliError::new(format!("cannot run `{line}`: {error}")))?;
        let json = serde_json::from_slice(&output.stdout).map_err(|_| {
            let complaint = String::from_utf8_lossy(&output.stderr);
            CliError::new(format!("`{line}` answered nothing: {}", complaint.trim()))
        })?;
        Ok(Reply { command: line, json })
    }

    /// Runs one command that must work.
    pub(super) fn must(&self, arguments: &[&str]) -> Result<Reply, CliError> {
        let reply = self.run(arguments)?;
        match reply.json["error"]["message"].as_str() {
            None => Ok(reply),
            Some(message) => Err(CliError::new(format!("`{}` failed: {message}", reply.command))),
        }
    }

    pub(super) fn start_server(&mut self) -> Result<(), CliError> {
        let seed = self.seed.to_string();
        self.seed += 1;
        let listen = ["serve", "--listen", "127.0.0.1:0"];
        let more = ["--link-base", LINK, "--seed", &seed];
        let listening = self.start(Role::Server, &[listen.as_slice(), &more].concat())?;
        self.url = listening.as_str().unwrap_or_default().to_owned();
        Ok(())
    }

    /// Starts a process that goes on, in place of the one before, and says where it listens.
    pub(super) fn start(&self, role: Role, arguments: &[&str]) -> Result<Value, CliError> {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("server.log"))
            .map_err(|error| CliError::io("open", &self.path("server.log"), &error))?;
        let mut command = self.command(arguments);
        let stdout = {
            // Started and noted in one breath, so that no signal comes in between.
            let mut process = self.leavings.process(role);
            let child = command.stdout(Stdio::piped()).stderr(log).spawn();
            let child = child.map_err(|error| {
                CliError::new(format!("cannot start `{}`: {error}", typed(arguments)))
            })?;
            process.insert(child).stdout.take()
        };
        let mut line = String::new();
        if let Some(stdout) = stdout {
            // The line comes once connections are taken; if the process ends first, it is empty.
            let _ = BufReader::new(stdout).read_line(&mut line);
        }
        let mut answer: Value = serde_json::from_str(&line).unwrap_or_default();
        match answer["listening"].take() {
            Value::Null => Err(CliError::new(format!("`{}` did not start", typed(arguments)))
                .hint("run the demo with --keep DIR and read DIR/*/server.log")),
            listening => Ok(listening),
        }
    }

    /// Stops a process in order, as an operator would, and waits until it is gone.
    pub(super) fn stop(&self, role: Role) -> Result<(), CliError> {
        let Some(mut child) = self.leavings.process(role).take() else {
            return Ok(());
        };
        if kill_process(Pid::from_child(&child), Signal::TERM).is_ok() {
            let gone = until(|| Ok(child.try_wait().ok().flatten()));
            if matches!(gone, Ok(Some(_))) {
                return Ok(());
            }
        }
        let _ = child.kill();
        let _ = child.wait();
        Err(CliError::new("a process did not stop when it was told to"))
    }

    /// What customers were sent so far: their phones, as it were.
    pub(super) fn messages(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("data/messages.jsonl")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits until a delivery's slot has been sent a message for this generation.
    pub(super) fn message(
        &self,
        delivery: &str,
        generation: u64,
        slot: u64,
    ) -> Result<String, CliError> {
        until(|| {
            let sent = self.messages().into_iter().find(|message| {
                message["delivery"] == delivery
                    && message["generation"] == generation
                    && message["slot"] == slot
            });
            Ok(sent.and_then(|message| message["text"].as_str().map(str::to_owned)))
        })?
        .ok_or_else(|| CliError::new(format!("no message was sent for {delivery}")))
    }

    /// Waits until a delivery shows what `done` looks for.
    pub(super) fn delivery(
        &self,
        id: &str,
        done: impl Fn(&Value) -> bool,
    ) -> Result<Value, CliError> {
        let mut last = Value::Null;
        until(|| {
            last = self.must(&["delivery", "show", id])?.json;
            Ok(done(&last).then_some(()))
        })?;
        Ok(last)
    }
}

/// The command as a person types it.
fn typed(arguments: &[&str]) -> String {
    let mut line = "doorstep".to_owned();
    for argument in arguments {
        if argument.contains([' ', '#', '*', '"']) {
            line.push_str(&format!(" \"{argument}\""));
        } else {
            line.push_str(&format!(" {argument}"));
        }
    }
    line
}
