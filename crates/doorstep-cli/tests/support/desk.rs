//! A desk for tests: somebody with an authenticator, a passphrase in a file and a clock of their own.

use super::{Reply, reply};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The secret of RFC 4226's appendix D.
pub(crate) const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/// The codes that RFC 4226 prints for its first counters.
pub(crate) const HOTP: [&str; 10] = [
    "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
    "520489",
];

pub(crate) struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    /// Nothing there yet but a clock, 59 seconds after the epoch, and a passphrase.
    pub(crate) fn new() -> Self {
        let desk = Self { dir: tempfile::tempdir().unwrap() };
        desk.write("passphrase", "correct horse battery\n");
        desk.set_clock(59);
        desk
    }

    /// With one authenticator of each kind, all of the RFC's secret.
    pub(crate) fn with_all_kinds() -> Self {
        let desk = Self::new();
        desk.write("secret", SECRET);
        desk.add_uri(&format!("otpauth://totp/GitHub:ana?secret={SECRET}"));
        desk.add_uri(&format!("otpauth://hotp/Bank:ana?secret={SECRET}&counter=0"));
        desk.must(&[
            "add",
            "--issuer",
            "VPN",
            "--account",
            "bo",
            "--secret-file",
            "secret",
            "--ocra",
            "OCRA-1:HOTP-SHA1-6:QN08",
        ]);
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn set_clock(&self, seconds: u64) {
        // As a whole, since a running screen may read it at any moment.
        self.write("clock.new", format!("{seconds}\n"));
        std::fs::rename(self.path("clock.new"), self.path("clock")).unwrap();
    }

    pub(crate) fn add_uri(&self, uri: &str) {
        self.write("uri", uri);
        self.must(&["add", "--uri-file", "uri"]);
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorstep"));
        command.args(["--json", "auth"]).args(arguments);
        self.surround(&mut command);
        command
    }

    /// Gives a command this desk's directory and environment.
    pub(crate) fn surround(&self, command: &mut Command) {
        command
            .current_dir(self.dir.path())
            .env("DOORSTEP_VAULT", "vault")
            .env("DOORSTEP_PASSPHRASE_FILE", "passphrase")
            .env("DOORSTEP_CLOCK", "clock")
            .stdin(Stdio::null());
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Reply {
        reply(&self.command(arguments).output().unwrap())
    }

    /// Runs a command that reads something.
    pub(crate) fn feed(&self, arguments: &[&str], input: &str) -> Reply {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that wants no input may be gone by now.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        reply(&child.wait_with_output().unwrap())
    }

    pub(crate) fn must(&self, arguments: &[&str]) -> Reply {
        let reply = self.run(arguments);
        assert_eq!(reply.status, 0, "{arguments:?}: {} {}", reply.json, reply.stderr);
        reply
    }

    /// The names in the vault, in their order.
    pub(crate) fn names(&self) -> Vec<String> {
        let listed = self.must(&["list"]).json;
        let all = listed["authenticators"].as_array().unwrap();
        let text = |one: &serde_json::Value, name: &str| one[name].as_str().unwrap().to_owned();
        all.iter().map(|one| format!("{}:{}", text(one, "issuer"), text(one, "account"))).collect()
    }

    /// The next counter of the authenticator at a place.
    pub(crate) fn counter(&self, place: usize) -> u64 {
        self.must(&["list"]).json["authenticators"][place]["counter"].as_u64().unwrap()
    }
}
