//! A lock with its state and journal in memory, as a caller would keep them.

use doorstep::clock::{self, AfterPowerLoss, Belief, Clock, Oscillator};
use doorstep::keypad::control::Command;
use doorstep::keypad::issue::{Pin, derive_control};
use doorstep::keypad::key::RootKey;
use doorstep::keypad::lock::{Entry, Found, Lock};
use doorstep::keypad::profile::Profile;
use doorstep::keypad::record::{Event, RECORD_LENGTH, Record};
use doorstep::keypad::state::State;
use doorstep::keypad::tuple::{Class, Form, Tuple};
use doorstep::ledger::{Head, Place, Receipt};
use doorstep::refusal::Refusal;
use doorstep::secret::Secret;
use doorstep::time::{Timestamp, Window};

/// A multiple of every grid.
pub(crate) const MIDNIGHT: u64 = 1_800_057_600;
pub(crate) const HOUR: u64 = 3600;
pub(crate) const DAY: u64 = 86_400;

pub(crate) const CLOCK: Clock =
    Clock { oscillator: Oscillator::Crystal, after_power_loss: AfterPowerLoss::NeedTime };

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

pub(crate) fn root() -> RootKey {
    RootKey::from_secret(Secret::from_bytes([7; 32]))
}

pub(crate) fn once(class: Class) -> Class {
    Class { one_time: true, ..class }
}

/// Courts whose windows may also open once.
pub(crate) fn lockers() -> Profile {
    let class = Class { duration: 60, quantum: 15, phase: 0, one_time: false };
    Profile::new(&[class, once(class), Class { duration: 240, ..class }], false).unwrap()
}

#[derive(Clone)]
pub(crate) struct Door<const N: usize = 32> {
    pub(crate) lock: Lock,
    pub(crate) state: State<N>,
    pub(crate) head: Head,
    pub(crate) journal: Vec<[u8; RECORD_LENGTH]>,
    /// Attempts that were counted.
    pub(crate) tried: u32,
    /// Seconds that typing takes.
    pub(crate) pause: u32,
}

impl<const N: usize> Door<N> {
    pub(crate) fn new(profile: Profile, now: u64) -> Self {
        Self {
            lock: Lock::new(root(), profile),
            state: State::new(Belief::new(CLOCK, at(now))),
            head: Head::EMPTY,
            journal: Vec::new(),
            tried: 0,
            pause: 1,
        }
    }

    pub(crate) fn append(&mut self, place: &Place, record: &Record) -> Option<Receipt> {
        if place.before != self.head {
            return None;
        }
        assert_eq!(*place, Place::of(self.head, &record.to_bytes()));
        self.note(record);
        Some(place.appended())
    }

    /// Appends what no step waits for.
    pub(crate) fn note(&mut self, record: &Record) {
        assert_eq!(Record::from_bytes(&record.to_bytes()), Some(*record));
        self.head = self.head.then(&record.to_bytes());
        self.journal.push(record.to_bytes());
        self.state = self.lock.then(&self.state, record);
    }

    pub(crate) fn clock(&mut self, event: clock::Event) {
        self.note(&Record { elapsed: 0, event: Event::Clock(event) });
    }

    pub(crate) fn wait(&mut self, seconds: u64) {
        self.clock(clock::Event::Elapsed { seconds });
    }

    /// Types a PIN or a long form.
    pub(crate) fn open(&mut self, typed: &str) -> Result<Found, Refusal> {
        let lock = self.lock.clone();
        let Entry::Pin(pin) = lock.read(typed)? else { panic!("{typed} is a control code") };
        let wrong = lock.wrong(&pin);
        let (attempt, tried) = lock.begin(&self.state, self.pause, pin, self.head)?;
        let receipt = self.append(attempt.place(), &tried).unwrap();
        self.tried += 1;
        let matched = attempt.counted(receipt).unwrap().compare();
        let matched = matched.inspect_err(|_| self.note(&wrong))?;
        let (spending, opened) = match lock.spend(&self.state, 0, &matched, self.head) {
            Ok(spending) => spending,
            Err(refusal) => {
                if let Some(missed) = lock.missed(&self.state, 0, &matched) {
                    self.note(&missed);
                }
                return Err(refusal);
            }
        };
        let receipt = self.append(spending.place(), &opened).unwrap();
        Ok(*spending.granted(receipt).unwrap().found())
    }

    /// Types a control code.
    pub(crate) fn order(&mut self, typed: &str) -> Result<Command, Refusal> {
        let lock = self.lock.clone();
        let Entry::Control(order) = lock.read(typed)? else { panic!("{typed} is a PIN") };
        let (attempt, tried) = lock.begin_control(&self.state, self.pause, order, self.head)?;
        let receipt = self.append(attempt.place(), &tried).unwrap();
        let matched = attempt.counted(receipt).unwrap().compare()?;
        let (spending, obeyed) = lock.spend_control(&self.state, 0, &matched, self.head)?;
        let receipt = self.append(spending.place(), &obeyed).unwrap();
        Ok(*spending.granted(receipt).unwrap().found())
    }

    pub(crate) fn pin(&self, tuple: &Tuple, epoch: u32) -> String {
        code(&self.lock, tuple, epoch, Form::Pin)
    }

    pub(crate) fn long(&self, tuple: &Tuple, epoch: u32) -> String {
        code(&self.lock, tuple, epoch, Form::Long)
    }

    pub(crate) fn control(&self, epoch: u32, command: &Command) -> String {
        text(derive_control(&root(), epoch, self.lock.profile(), command).unwrap().expose())
    }

    /// The tuple of a booking.
    pub(crate) fn booking(&self, from: u64, seconds: u64) -> Tuple {
        let window = Window::new(at(from), at(from + seconds)).unwrap();
        self.lock.profile().fit(&window, false).unwrap().tuple(0, 0)
    }

    /// PINs that are wrong now and for hours, all different.
    pub(crate) fn wrong_pins(&self) -> impl Iterator<Item = String> + use<N> {
        let digits = usize::from(self.lock.profile().digits().get());
        let mut probe: Self = self.clone();
        probe.journal.clear();
        (1_u64..).map(move |n| format!("{:0<digits$}", n * 7919)).filter(move |typed| {
            let mut fresh = Self { state: State::new(*probe.state.belief()), ..probe.clone() };
            fresh.open(typed).is_err_and(|refusal| matches!(refusal, Refusal::WrongCode { .. }))
        })
    }
}

pub(crate) fn code(lock: &Lock, tuple: &Tuple, epoch: u32, form: Form) -> String {
    text(Pin::derive(&root(), epoch, lock.profile(), tuple).unwrap().code(form).expose())
}

pub(crate) fn text(code: &[u8]) -> String {
    String::from_utf8(code.to_vec()).unwrap()
}

pub(crate) fn wrong_code<T>(answer: Result<T, Refusal>) -> bool {
    matches!(answer, Err(Refusal::WrongCode { .. }))
}
