//! A door with its journal in memory, as a caller would keep it.

use doorstep::clock::{self, AfterPowerLoss, Clock, Oscillator};
use doorstep::code::Code;
use doorstep::cose::keys::{IssuerKey, Signer};
use doorstep::door::bundle::Bundle;
use doorstep::door::record::Record;
use doorstep::door::state::State;
use doorstep::door::{Door, MARKS, Passes, Steps, Typed};
use doorstep::id::LockId;
use doorstep::keypad::issue::Pin;
use doorstep::keypad::key::RootKey;
use doorstep::keypad::profile::{Profile, Uses};
use doorstep::keypad::record::{Event, Record as KeypadRecord};
use doorstep::keypad::tuple::{Form, Tuple};
use doorstep::ledger::{Head, Place, Receipt};
use doorstep::otp::totp::Totp;
use doorstep::otp::{Digits, OtpSecret};
use doorstep::pass::claims::Audience;
use doorstep::pass::document::Content;
use doorstep::pass::key::TrustedKeys;
use doorstep::pass::presented::Presented;
use doorstep::pass::proof::Challenge;
use doorstep::pass::reader::Groups;
use doorstep::refusal::Refusal;
use doorstep::secret::Secret;
use doorstep::time::{Timestamp, Window};

pub(crate) const NOON: u64 = 1_800_057_600 + 43_200;
pub(crate) const DAY: u64 = 86_400;

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

pub(crate) fn bundle() -> Bundle {
    let totp = Totp { digits: Digits::EIGHT, ..Totp::default() };
    Bundle {
        lock: LockId::parse("court-3").unwrap(),
        generation: 2,
        epoch: 4,
        made_at: at(NOON),
        clock: Clock {
            oscillator: Oscillator::Crystal,
            after_power_loss: AfterPowerLoss::Trust90Min,
        },
        profile: Profile::courts().unwrap().with_uses(Uses::Both).unwrap(),
        root: RootKey::from_secret(Secret::from_bytes([7; 32])),
        steps: Some(Steps {
            secret: OtpSecret::from_bytes(b"12345678901234567890").unwrap(),
            totp,
        }),
        passes: Some(Passes {
            groups: Groups::of(&[Audience::parse("g-courts").unwrap()]).unwrap(),
            keys: TrustedKeys::provisioned(&[(issuer(1), Window::ALWAYS)]).unwrap(),
            root: Some(issuer(2)),
            rotation: 3,
            bulletin: 5,
        }),
        test: true,
    }
}

/// A key of the issuer.
pub(crate) fn issuer_key(seed: u8) -> IssuerKey {
    IssuerKey::from_seed(&Secret::from_bytes([seed; 32]))
}

pub(crate) fn issuer(seed: u8) -> Signer {
    Signer::Ed25519(issuer_key(seed).public())
}

pub(crate) fn written(bundle: &Bundle) -> String {
    let mut text = String::new();
    bundle.write(&mut text).unwrap();
    text
}

pub(crate) fn text(code: &Code) -> String {
    String::from_utf8(code.expose().to_vec()).unwrap()
}

pub(crate) struct Installed {
    pub(crate) bundle: Bundle,
    pub(crate) door: Door,
    pub(crate) state: State<MARKS>,
    pub(crate) head: Head,
    pub(crate) records: Vec<Vec<u8>>,
}

impl Installed {
    pub(crate) fn new(bundle: Bundle) -> Self {
        let door = Door::new(&bundle);
        let state = door.install(at(NOON));
        Self { bundle, door, state, head: Head::EMPTY, records: Vec::new() }
    }

    pub(crate) fn note(&mut self, record: &Record) {
        assert_eq!(Record::from_bytes(record.to_bytes().as_ref()), Some(*record));
        self.records.push(record.to_bytes().as_ref().to_vec());
        self.head = self.head.then(record.to_bytes().as_ref());
        self.state = self.door.then(&self.state, record);
    }

    fn append(&mut self, place: &Place, record: &Record) -> Receipt {
        assert_eq!(*place, Place::of(self.head, record.to_bytes().as_ref()));
        self.note(record);
        place.appended()
    }

    pub(crate) fn clock(&mut self, event: clock::Event) {
        self.note(&KeypadRecord { elapsed: 0, event: Event::Clock(event) }.into());
    }

    pub(crate) fn wait(&mut self, seconds: u64) {
        self.clock(clock::Event::Elapsed { seconds });
    }

    /// Types anything; says how far the clock's offset of an accepted step was.
    pub(crate) fn press(&mut self, typed: &str) -> Result<i64, Refusal> {
        let door = self.door.clone();
        match door.read(typed)? {
            Typed::Pin(pin) => {
                let (attempt, tried) = door.lock().begin(&self.state.keypad, 0, pin, self.head)?;
                let receipt = self.append(attempt.place(), &tried.into());
                let matched = attempt.counted(receipt).unwrap().compare()?;
                let (spending, opened) =
                    door.lock().spend(&self.state.keypad, 0, &matched, self.head)?;
                let receipt = self.append(spending.place(), &opened.into());
                spending.granted(receipt).unwrap();
                Ok(0)
            }
            Typed::Control(order) => {
                let (attempt, tried) =
                    door.lock().begin_control(&self.state.keypad, 0, order, self.head)?;
                let receipt = self.append(attempt.place(), &tried.into());
                let matched = attempt.counted(receipt).unwrap().compare()?;
                let (spending, obeyed) =
                    door.lock().spend_control(&self.state.keypad, 0, &matched, self.head)?;
                let receipt = self.append(spending.place(), &obeyed.into());
                spending.granted(receipt).unwrap();
                Ok(0)
            }
            Typed::Step(code) => {
                let moment = door.moment(&self.state)?;
                let enrolled = moment.enrolled();
                let (attempt, tried) = moment.begin(&enrolled, &code, self.head)?;
                let receipt = self.append(attempt.place(), &tried);
                let matched = attempt.counted(receipt).unwrap().compare()?;
                let (spending, accepted) = door.moment(&self.state)?.spend(&matched, self.head)?;
                let receipt = self.append(spending.place(), &accepted);
                Ok(spending.granted(receipt).unwrap().found().shift)
            }
        }
    }

    /// Holds something to the reader.
    pub(crate) fn tap(
        &mut self,
        bytes: &[u8],
        challenge: Option<Challenge>,
    ) -> Result<Content, Refusal> {
        let door = self.door.clone();
        let reader = door.reader().unwrap();
        let moment = |this: &Self| door.pass_moment(&this.state, 0);
        match Presented::parse(bytes)? {
            Presented::Pass(pass) => {
                let begun =
                    reader.begin(&moment(self), &self.state.passes, &pass, challenge, self.head);
                let (attempt, tried) = begun?;
                let receipt = self.append(attempt.place(), &tried.into());
                let matched = attempt.counted(receipt).unwrap().compare()?;
                let (learning, verified) = reader.verified(&moment(self), &matched, self.head);
                let receipt = self.append(learning.place(), &verified.into());
                let learned = learning.learned(receipt).unwrap();
                let spent = reader.spend(&moment(self), &self.state.passes, &learned, self.head);
                let (spending, opened) = spent?;
                let receipt = self.append(spending.place(), &opened.into());
                Ok(Content::Pass(*spending.granted(receipt).unwrap().found()))
            }
            Presented::Rider(rider) => {
                let state = &self.state.passes;
                let begun = reader.begin_rider(&moment(self), state, &rider, challenge, self.head);
                let (attempt, tried) = begun?;
                let receipt = self.append(attempt.place(), &tried.into());
                let matched = attempt.counted(receipt).unwrap().compare()?;
                let spent =
                    reader.spend_rider(&moment(self), &self.state.passes, &matched, self.head);
                let (spending, taken) = spent?;
                let receipt = self.append(spending.place(), &taken.into());
                Ok(Content::Rider(*spending.granted(receipt).unwrap().found()))
            }
        }
    }

    /// The code that the issuer shows at `now`.
    pub(crate) fn step(&self, now: u64) -> String {
        let Steps { secret, totp } = self.bundle.steps.as_ref().unwrap();
        text(&totp.code(&totp.keyed(secret), totp.step(at(now)).unwrap()))
    }

    pub(crate) fn booking(&self, from: u64, seconds: u64, once: bool) -> Tuple {
        let window = Window::new(at(from), at(from + seconds)).unwrap();
        self.bundle.profile.fit(&window, once).unwrap().tuple(0, 0)
    }

    pub(crate) fn pin(&self, tuple: &Tuple) -> String {
        let Bundle { root, profile, epoch, .. } = &self.bundle;
        text(&Pin::derive(root, *epoch, profile, tuple).unwrap().code(Form::Pin))
    }
}
