//! A court for tests: a virtual lock on a simulated clock, and an issuer who knows its root.

use super::{Reply, WRITES, copy, reply};
use doorstep::clock::{AfterPowerLoss, Clock, Event as ClockEvent, Oscillator};
use doorstep::cose::keys::{IssuerKey, Signer};
use doorstep::door::bundle::Bundle;
use doorstep::door::record::Record;
use doorstep::door::{Passes, Steps};
use doorstep::id::LockId;
use doorstep::keypad::control::Command as Order;
use doorstep::keypad::issue::{Pin, derive_control};
use doorstep::keypad::key::RootKey;
use doorstep::keypad::profile::{Profile, Uses};
use doorstep::keypad::record::{Event, Record as KeypadRecord};
use doorstep::keypad::tuple::{Form, Tuple};
use doorstep::otp::OtpSecret;
use doorstep::otp::totp::Totp;
use doorstep::pass::claims::Audience;
use doorstep::pass::key::TrustedKeys;
use doorstep::pass::reader::Groups;
use doorstep::secret::Secret;
use doorstep::time::{Timestamp, Window};
use doorstep_files::journal::{Folded, Journal as File};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A multiple of every grid.
pub(crate) const MIDNIGHT: u64 = 1_800_057_600;
pub(crate) const HOUR: u64 = 3600;
pub(crate) const DAY: u64 = 86_400;

pub(crate) struct Court {
    dir: tempfile::TempDir,
    pub(crate) bundle: Bundle,
}

/// Whose passes the locks of the tests take.
pub(crate) fn issuer() -> IssuerKey {
    IssuerKey::from_seed(&Secret::from_bytes([1; 32]))
}

/// Under which its keys are rotated.
pub(crate) fn issuer_root() -> IssuerKey {
    IssuerKey::from_seed(&Secret::from_bytes([2; 32]))
}

fn public(key: &IssuerKey) -> Signer {
    Signer::Ed25519(key.public())
}

/// A lock of 28 days and less, where PINs open once or many times.
pub(crate) fn bundle() -> Bundle {
    Bundle {
        lock: LockId::parse("lck_01m7zpcgdg2c2rbw8qte4qcp8y").unwrap(),
        generation: 1,
        epoch: 0,
        made_at: Timestamp::from_seconds(MIDNIGHT),
        clock: Clock {
            oscillator: Oscillator::Crystal,
            after_power_loss: AfterPowerLoss::NeedTime,
        },
        profile: Profile::general().unwrap().with_uses(Uses::Both).unwrap(),
        root: RootKey::from_secret(Secret::from_bytes([7; 32])),
        steps: None,
        passes: Some(Passes {
            groups: Groups::of(&[Audience::parse("g-courts").unwrap()]).unwrap(),
            keys: TrustedKeys::provisioned(&[(public(&issuer()), Window::ALWAYS)]).unwrap(),
            root: Some(public(&issuer_root())),
            rotation: 0,
            bulletin: 0,
        }),
        test: true,
    }
}

/// The same with a TOTP secret.
pub(crate) fn bundle_with_steps() -> Bundle {
    let secret = OtpSecret::from_bytes(&[9; 20]).unwrap();
    let totp = Totp { digits: doorstep::otp::Digits::new(8).unwrap(), ..Totp::default() };
    Bundle { steps: Some(Steps { secret, totp }), ..bundle() }
}

impl Court {
    /// A lock installed at midnight.
    pub(crate) fn new(bundle: Bundle) -> Self {
        let court = Self::without_lock(bundle);
        court.must(&["install", "bundle", "--dir", "lock"]);
        court
    }

    pub(crate) fn without_lock(bundle: Bundle) -> Self {
        let court = Self { dir: tempfile::tempdir().unwrap(), bundle };
        court.set_clock(MIDNIGHT);
        court.write("bundle", court.text());
        court
    }

    /// The bundle as the server hands it out.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        self.bundle.write(&mut text).unwrap();
        text
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// The true time.
    pub(crate) fn set_clock(&self, seconds: u64) {
        // As a whole, since a running keypad may read it at any moment.
        self.write("clock.new", format!("{seconds}\n"));
        std::fs::rename(self.path("clock.new"), self.path("clock")).unwrap();
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.set_clock(self.now() + seconds);
    }

    pub(crate) fn now(&self) -> u64 {
        std::fs::read_to_string(self.path("clock")).unwrap().trim().parse().unwrap()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorstep"));
        command.args(["--json", "lock"]).args(arguments);
        self.surround(&mut command);
        command
    }

    /// Gives a command this court's directory and environment.
    pub(crate) fn surround(&self, command: &mut Command) {
        command
            .current_dir(self.dir.path())
            .env("DOORSTEP_LOCK", "lock")
            .env("DOORSTEP_CLOCK", "clock")
            .env("TZ", "UTC")
            .stdin(Stdio::null());
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Reply {
        reply(&self.command(arguments).output().unwrap())
    }

    pub(crate) fn must(&self, arguments: &[&str]) -> Reply {
        let reply = self.run(arguments);
        assert_eq!(reply.status, 0, "{arguments:?}: {} {}", reply.json, reply.stderr);
        reply
    }

    pub(crate) fn press(&self, code: &str) -> Reply {
        self.run(&["press", code])
    }

    pub(crate) fn status(&self) -> serde_json::Value {
        self.must(&["status"]).json
    }

    /// A booking from `from` on, as the lock can take it.
    pub(crate) fn book(&self, from: u64, seconds: u64, once: bool) -> Tuple {
        let from = Timestamp::from_seconds(from);
        let window = Window::new(from, from.later(seconds)).unwrap();
        self.bundle.profile.fit(&window, once).unwrap().tuple(0, 0)
    }

    pub(crate) fn code(&self, tuple: &Tuple, epoch: u32, form: Form) -> String {
        let pin = Pin::derive(&self.bundle.root, epoch, &self.bundle.profile, tuple).unwrap();
        str::from_utf8(pin.code(form).expose()).unwrap().to_owned()
    }

    /// The PIN of an hour that begins now.
    pub(crate) fn pin_now(&self, once: bool) -> String {
        self.pin(&self.book(self.now(), HOUR, once))
    }

    pub(crate) fn pin(&self, tuple: &Tuple) -> String {
        self.code(tuple, 0, Form::Pin)
    }

    /// What staff type.
    pub(crate) fn order(&self, epoch: u32, order: &Order) -> String {
        let code = derive_control(&self.bundle.root, epoch, &self.bundle.profile, order).unwrap();
        str::from_utf8(code.expose()).unwrap().to_owned()
    }

    /// The code that the door's authenticator shows at a time.
    pub(crate) fn step(&self, seconds: u64) -> String {
        let Steps { secret, totp } = self.bundle.steps.as_ref().unwrap();
        let step = totp.step(Timestamp::from_seconds(seconds)).unwrap();
        let code = totp.code(&totp.keyed(secret), step);
        str::from_utf8(code.expose()).unwrap().to_owned()
    }

    /// Reads a time of an answer.
    pub(crate) fn seconds(&self, time: &str) -> u64 {
        let at: jiff::Timestamp = time.parse().unwrap();
        u64::try_from(at.as_second()).unwrap()
    }

    pub(crate) fn set_time(&self) -> String {
        self.order(0, &Order::set_time(Timestamp::from_seconds(self.now())))
    }
}

/// Another PIN.
pub(crate) fn wrong_pin(pin: &str, nth: u32) -> String {
    let number: u64 = pin.parse().unwrap();
    let least = 10_u64.pow(u32::try_from(pin.len() - 1).unwrap());
    let other = (number - least + 1 + u64::from(nth)) % (9 * least) + least;
    other.to_string()
}

/// Runs a command again and again, each time on the lock as it is now, and kills it at one write more;
/// `look` is shown what it said by then, if it was told to anybody, and has the lock that is left.
pub(crate) fn at_every_write(
    court: &Court,
    arguments: &[&str],
    look: impl Fn(&str, Option<&Reply>),
) {
    let words: Vec<&str> = ["lock"].iter().chain(arguments).copied().collect();
    copy(&court.path("lock"), &court.path("before"));
    let now = court.now();
    let mut kills = 0;
    for syscall in WRITES {
        for nth in 1.. {
            std::fs::remove_dir_all(court.path("lock")).unwrap();
            copy(&court.path("before"), &court.path("lock"));
            court.set_clock(now);
            let (said, killed) =
                super::killed_at(|command| court.surround(command), &words, syscall, nth);
            kills += u32::from(killed);
            let told = !killed || !said.json.is_null();
            look(&format!("{syscall} {nth}, told {told}"), told.then_some(&said));
            if !killed {
                break;
            }
        }
    }
    assert!(kills >= 10, "only {kills} kills: the trace missed the writes");
}

/// How often the journal says that something happened.
pub(crate) fn count(court: &Court, kind: &str) -> usize {
    let journal = court.must(&["journal"]).json;
    journal["records"].as_array().unwrap().iter().filter(|record| record["kind"] == kind).count()
}

/// The records of a lock's file, without their meaning.
struct Raw(Vec<Vec<u8>>);

impl Folded for Raw {
    const MAGIC: &'static [u8] = b"doorstep lock 1\n";

    fn replay(records: &[&[u8]]) -> Result<Self, String> {
        Ok(Self(records.iter().map(|record| record.to_vec()).collect()))
    }

    fn apply(&mut self, record: &[u8]) -> Result<(), String> {
        self.0.push(record.to_vec());
        Ok(())
    }
}

/// Lets a lock count a second more, so often, with a record for each.
pub(crate) fn count_seconds(court: &Court, count: u64) {
    court.advance(count);
    let event = Event::Clock(ClockEvent::Elapsed { seconds: 1 });
    let record = Record::from(KeypadRecord { elapsed: 0, event }).to_bytes();
    let mut file = File::<Raw>::open(&court.path("lock/journal")).unwrap();
    let session = file.session().unwrap();
    let mut records = session.state().0.clone();
    records.extend((0..count).map(|_| record.as_ref().to_vec()));
    session.replace(&records).unwrap();
}
