//! A thief between a phone and a lock: he passes on what both say over NFC, and keeps it.

use crate::error::CliError;
use crate::lock::antenna::{Antenna, Carrier, Link, Packet};
use crate::wallet::line::{self, Line};
use doorstep::pass::exchange::answer::Answer;
use doorstep::pass::exchange::message::{Reply, Request};
use doorstep::pass::exchange::nfc;
use rustix::event::Timespec;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// The thief's reader, to which a phone is held that takes it for the lock.
pub(super) struct Relay {
    antenna: Antenna,
    lock: PathBuf,
}

/// What a phone said, command by command.
pub(super) struct Overheard(Vec<Vec<u8>>);

impl Relay {
    /// Puts a reader up in `dir`, in front of the lock in another directory.
    pub(super) fn put_up(dir: &Path, lock: &Path) -> Result<Self, CliError> {
        let cannot = |error| CliError::io("make", dir, &error);
        std::fs::create_dir_all(dir).map_err(cannot)?;
        std::fs::write(dir.join("lock.bundle"), b"").map_err(cannot)?;
        Ok(Self { antenna: Antenna::put_up(dir)?, lock: lock.to_owned() })
    }

    /// Waits for one phone, in the background, and passes on what it says until it goes away.
    pub(super) fn listen(self) -> JoinHandle<Result<Overheard, CliError>> {
        std::thread::spawn(move || self.pass_on())
    }

    fn pass_on(&self) -> Result<Overheard, CliError> {
        let nobody: [Link; 0] = [];
        let tick = Timespec { tv_sec: 1, tv_nsec: 0 };
        let phone = loop {
            self.antenna.wait(true, nobody.iter(), tick)?;
            if let Some(phone) = self.antenna.accept(Carrier::Nfc) {
                break phone;
            }
        };
        let line = Line::open(&self.lock, line::Carrier::Nfc, PATIENCE)?;
        let mut said = Vec::new();
        loop {
            self.antenna.wait(false, std::iter::once(&phone), tick)?;
            match phone.receive() {
                Packet::None => {}
                Packet::Gone => return Ok(Overheard(said)),
                Packet::Some(command) => {
                    phone.send(&line.pass_on(&command)?);
                    said.push(command);
                }
            }
        }
    }
}

impl Overheard {
    /// Says all of it again to a lock, which answers the pass in it.
    pub(super) fn replay(&self, lock: &Path) -> Result<Answer, CliError> {
        let line = Line::open(lock, line::Carrier::Nfc, PATIENCE)?;
        let is_pass = |command: &[u8]| {
            let present = nfc::command(&Request::Present(&[])).next();
            present.is_some_and(|present| present.as_ref().get(1) == command.get(1))
        };
        let mut last = None;
        for command in &self.0 {
            let reply = line.pass_on(command)?;
            if is_pass(command) {
                last = Reply::parse(&reply).ok().and_then(|reply| reply.as_answer().ok());
            }
        }
        let answer = last.map(|(answer, _)| answer);
        answer.ok_or_else(|| CliError::new("the lock answered nothing to what was overheard"))
    }
}
