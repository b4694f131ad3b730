//! One thing typed at the lock: counted, compared, spent, opened. All of it happens while no other process
//! can append.

use super::Awake;
use crate::error::CliError;
use doorstep::clock::{self, Belief};
use doorstep::door::record::Record;
use doorstep::door::{Typed, TypedStep};
use doorstep::keypad::Shown;
use doorstep::keypad::control::Command;
use doorstep::keypad::lock::{Found, TypedControl, TypedPin};
use doorstep::keypad::record::{Event, Record as KeypadRecord};
use doorstep::ledger::{Place, Receipt};
use doorstep::otp::verify::Accepted;
use doorstep::refusal::Refusal;

/// What became of something typed.
#[derive(Debug)]
pub(crate) enum Pressed {
    /// The bolt moves, for a PIN or a long form.
    Opened(Found),
    /// The bolt moves, for the code of a step.
    OpenedByStep(Accepted),
    /// A control code was carried out, or announced a time that is too far away for one.
    Obeyed(Command),
    /// No.
    Refused {
        refusal: Refusal,
        /// All that the keypad lets on.
        shown: Shown,
        /// The authentic PIN that it was, which opens nothing now.
        found: Option<Found>,
    },
}

impl Pressed {
    /// What the keypad shows.
    pub(crate) const fn shown(&self) -> Shown {
        match self {
            Self::Opened(_) | Self::OpenedByStep(_) | Self::Obeyed(_) => Shown::Opened,
            Self::Refused { shown, .. } => *shown,
        }
    }
}

impl Awake<'_> {
    /// Types a code and presses Enter.
    pub(crate) fn press(&mut self, typed: &str) -> Result<Pressed, CliError> {
        match self.door.read(typed) {
            Err(refusal) => Ok(self.refused(refusal, None)),
            Ok(Typed::Pin(pin)) => self.press_pin(pin),
            Ok(Typed::Control(order)) => self.press_control(order),
            Ok(Typed::Step(code)) => self.press_step(&code),
        }
    }

    fn press_pin(&mut self, pin: TypedPin) -> Result<Pressed, CliError> {
        let lock = self.door.lock();
        let wrong = lock.wrong(&pin);
        let begun = lock.begin(&self.known.state.keypad, self.elapsed(), pin, self.known.head);
        let (attempt, tried) = match begun {
            Ok(begun) => begun,
            Err(refusal) => return Ok(self.refused(refusal, None)),
        };
        let receipt = self.append_at(attempt.place(), tried.into())?;
        let matched = match attempt.counted(receipt).map_err(defect)?.compare() {
            Ok(matched) => matched,
            Err(refusal) => {
                self.append(wrong.into())?;
                return Ok(self.refused(refusal, None));
            }
        };
        let found = *matched.found();
        let elapsed = self.elapsed();
        match lock.spend(&self.known.state.keypad, elapsed, &matched, self.known.head) {
            Ok((spending, opened)) => {
                let receipt = self.append_at(spending.place(), opened.into())?;
                let grant = spending.granted(receipt).map_err(defect)?;
                Ok(Pressed::Opened(*grant.found()))
            }
            Err(refusal) => {
                if let Some(missed) = lock.missed(&self.known.state.keypad, elapsed, &matched) {
                    self.append(missed.into())?;
                }
                if is_dead(&refusal) {
                    // After what the clock learned, since that empties the memory of wrong codes.
                    self.append(wrong.into())?;
                }
                Ok(self.refused(refusal, Some(found)))
            }
        }
    }

    fn press_control(&mut self, order: TypedControl) -> Result<Pressed, CliError> {
        let lock = self.door.lock();
        let (elapsed, head) = (self.elapsed(), self.known.head);
        let (attempt, tried) =
            match lock.begin_control(&self.known.state.keypad, elapsed, order, head) {
                Ok(begun) => begun,
                Err(refusal) => return Ok(self.refused(refusal, None)),
            };
        let receipt = self.append_at(attempt.place(), tried.into())?;
        let matched = match attempt.counted(receipt).map_err(defect)?.compare() {
            Ok(matched) => matched,
            Err(refusal) => return Ok(self.refused(refusal, None)),
        };
        let (elapsed, head) = (self.elapsed(), self.known.head);
        match lock.spend_control(&self.known.state.keypad, elapsed, &matched, head) {
            Ok((spending, obeyed)) => {
                let receipt = self.append_at(spending.place(), obeyed.into())?;
                let grant = spending.granted(receipt).map_err(defect)?;
                Ok(Pressed::Obeyed(*grant.found()))
            }
            Err(refusal) => Ok(self.refused(refusal, None)),
        }
    }

    fn press_step(&mut self, code: &TypedStep) -> Result<Pressed, CliError> {
        // Records of steps count no seconds, so what was counted until now is recorded before; not for a
        // code that is not compared, or whoever types on would push older records out of the journal.
        let moment = match self.door.moment(&self.state()) {
            Ok(moment) => moment,
            Err(refusal) => return Ok(self.refused(refusal, None)),
        };
        if let Err(refusal) = moment.begin(&moment.enrolled(), code, self.known.head) {
            return Ok(self.refused_step(refusal));
        }
        self.note_elapsed(self.elapsed())?;
        let moment = match self.door.moment(&self.known.state) {
            Ok(moment) => moment,
            Err(refusal) => return Ok(self.refused(refusal, None)),
        };
        let enrolled = moment.enrolled();
        let (attempt, tried) = match moment.begin(&enrolled, code, self.known.head) {
            Ok(begun) => begun,
            Err(refusal) => return Ok(self.refused_step(refusal)),
        };
        let receipt = self.append_at(attempt.place(), tried)?;
        let matched = match attempt.counted(receipt).map_err(defect)?.compare() {
            Ok(matched) => matched,
            Err(refusal) => return Ok(self.refused_step(refusal)),
        };
        // The attempt is in the state now.
        let now = self.door.moment(&self.known.state);
        match now.and_then(|moment| moment.spend(&matched, self.known.head)) {
            Ok((spending, accepted)) => {
                let receipt = self.append_at(spending.place(), accepted)?;
                let grant = spending.granted(receipt).map_err(defect)?;
                Ok(Pressed::OpenedByStep(*grant.found()))
            }
            Err(refusal) => Ok(self.refused_step(refusal)),
        }
    }

    /// Attempts at the keypad come back by the trusted floor.
    fn refused(&self, refusal: Refusal, found: Option<Found>) -> Pressed {
        let shown = Shown::of(&refusal, self.state().keypad.belief().floor());
        Pressed::Refused { refusal, shown, found }
    }

    /// Attempts at steps come back by the estimate.
    fn refused_step(&self, refusal: Refusal) -> Pressed {
        let shown = Shown::of(&refusal, self.state().keypad.belief().probable());
        Pressed::Refused { refusal, shown, found: None }
    }

    /// Writes down that so many seconds were counted since the last record.
    pub(super) fn note_elapsed(&mut self, seconds: u32) -> Result<(), CliError> {
        if seconds == 0 {
            return Ok(());
        }
        self.append(clock_record(clock::Event::Elapsed { seconds: u64::from(seconds) }))
    }

    /// Appends the record that a step of the pipeline waits for.
    pub(super) fn append_at(&mut self, place: &Place, record: Record) -> Result<Receipt, CliError> {
        let before = self.known.head;
        self.append(record)?;
        if (place.before, place.after) != (before, self.known.head) {
            return Err(defect("a record has another place"));
        }
        Ok(place.appended())
    }

    /// What the lock believes about the time now.
    pub(crate) fn belief(&self) -> Belief {
        *self.state().keypad.belief()
    }
}

/// Whether a PIN that was refused so opens no more, so that typing it again tells nothing new.
const fn is_dead(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::AlreadyUsed { .. }
            | Refusal::Superseded
            | Refusal::Revoked
            | Refusal::Expired { .. }
    )
}

pub(super) fn clock_record(event: clock::Event) -> Record {
    KeypadRecord { elapsed: 0, event: Event::Clock(event) }.into()
}

pub(super) fn defect(error: impl std::fmt::Display) -> CliError {
    CliError::new(format!("a defect of doorstep itself: {error}")).hint("please report it")
}
