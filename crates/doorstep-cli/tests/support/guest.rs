//! A guest for tests: somebody with a wallet, a passphrase in a file and a clock of their own.

use super::{Reply, reply};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorstep::pass::claims::HolderKey;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

pub(crate) struct Guest {
    dir: tempfile::TempDir,
    /// The phone's own, unless everybody has one.
    clock: PathBuf,
}

impl Guest {
    /// Nothing there yet but a clock and a passphrase.
    pub(crate) fn without_wallet() -> Self {
        let guest = Self { dir: tempfile::tempdir().unwrap(), clock: "clock".into() };
        guest.write("passphrase", "correct horse battery\n");
        guest.set_clock(super::issuer::NOW);
        guest
    }

    /// With an empty wallet.
    pub(crate) fn new() -> Self {
        let guest = Self::without_wallet();
        guest.must(&["init"]);
        guest
    }

    /// With an empty wallet, on a clock that others share.
    pub(crate) fn at_clock(clock: PathBuf) -> Self {
        let guest = Self { clock, ..Self::without_wallet() };
        guest.must(&["init"]);
        guest
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn set_clock(&self, seconds: u64) {
        self.write("clock", format!("{seconds}\n"));
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorstep"));
        command.args(["--json", "wallet"]).args(arguments);
        self.surround(&mut command);
        command
    }

    /// Gives a command this guest's directory and environment.
    pub(crate) fn surround(&self, command: &mut Command) {
        command
            .current_dir(self.dir.path())
            .env("DOORSTEP_WALLET", "wallet")
            .env("DOORSTEP_PASSPHRASE_FILE", "passphrase")
            .env("DOORSTEP_CLOCK", &self.clock)
            .env("TZ", "UTC")
            .stdin(Stdio::null());
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Reply {
        reply(&self.command(arguments).output().unwrap())
    }

    /// Runs a command that reads something.
    pub(crate) fn feed(&self, arguments: &[&str], input: &[u8]) -> Reply {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that wants no input may be gone by now.
        let _ = child.stdin.take().unwrap().write_all(input);
        reply(&child.wait_with_output().unwrap())
    }

    pub(crate) fn must(&self, arguments: &[&str]) -> Reply {
        let reply = self.run(arguments);
        assert_eq!(reply.status, 0, "{arguments:?}: {} {}", reply.json, reply.stderr);
        reply
    }

    /// Takes in the document of a pass.
    pub(crate) fn add(&self, document: &[u8]) -> Reply {
        self.write("pass.bin", document);
        self.run(&["add", "pass.bin"])
    }

    /// The wallet's public key, as it stands in passes.
    pub(crate) fn key(&self) -> HolderKey {
        let text = self.must(&["key"]).text("key");
        let (algorithm, key) = text.split_once(':').unwrap();
        let key = URL_SAFE_NO_PAD.decode(key).unwrap();
        match algorithm {
            "p256" => HolderKey::P256(key.try_into().unwrap()),
            "ed25519" => HolderKey::Ed25519(key.try_into().unwrap()),
            _ => panic!("{text}"),
        }
    }

    /// The ids of the passes, in their order.
    pub(crate) fn ids(&self) -> Vec<String> {
        let listed = self.must(&["list"]).json;
        let all = listed["passes"].as_array().unwrap();
        all.iter().map(|pass| pass["id"].as_str().unwrap().to_owned()).collect()
    }
}
