//! A gate in a directory that vanishes afterwards, and what people type at it.

use doorstep::otp::otpauth::{Entry, Kind};
use doorstep::otp::totp::Totp;
use doorstep::refusal::Refusal;
use doorstep::time::Timestamp;
use doorstep_gate::config::Config;
use doorstep_gate::gate::Gate;
use doorstep_gate::name::Name;
use doorstep_gate::verify::Granted;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use std::path::PathBuf;

pub(crate) const NOW: u64 = 1_772_452_800;

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub(crate) struct Host {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) rng: ChaCha20Rng,
}

impl Host {
    pub(crate) fn new() -> Self {
        let host = Self { dir: tempfile::tempdir().unwrap(), rng: ChaCha20Rng::seed_from_u64(7) };
        std::fs::write(host.path("gate.toml"), "verify = \"local\"\n").unwrap();
        Gate::create(&host.config(), true, at(NOW), &mut host.rng.clone()).unwrap();
        host
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    pub(crate) fn config(&self) -> Config {
        Config::read(&self.path("gate.toml")).unwrap()
    }

    pub(crate) fn open(&self) -> Gate {
        Gate::open(&self.config()).unwrap()
    }

    /// An account with an active authenticator, whose first code was the one of `NOW`.
    pub(crate) fn enrolled(&mut self, text: &str) -> Entry {
        let mut gate = self.open();
        let kind = Kind::Totp(Totp::default());
        let entry = gate.enrol(&name(text), kind, "tests", at(NOW), &mut self.rng).unwrap().entry;
        gate.activate(&name(text), &code(&entry, NOW), at(NOW)).unwrap().unwrap();
        entry
    }
}

pub(crate) fn code(entry: &Entry, now: u64) -> String {
    let Kind::Totp(totp) = entry.kind else { panic!("not by a clock") };
    let code = totp.code_at(&totp.keyed(&entry.secret), at(now)).unwrap();
    String::from_utf8(code.expose().to_vec()).unwrap()
}

/// A code that is not right within minutes of `now`.
pub(crate) fn wrong(entry: &Entry, now: u64) -> String {
    let right: Vec<_> = (0..20).map(|step| code(entry, now - 300 + step * 30)).collect();
    (0..).map(|number| format!("{number:06}")).find(|code| !right.contains(code)).unwrap()
}

pub(crate) fn present(
    gate: &mut Gate,
    who: &str,
    typed: &str,
    now: u64,
) -> Result<Granted, Refusal> {
    gate.verify(Some(&name(who)), typed, None, at(now)).unwrap()
}
