//! A lock as it is installed: a keypad (KP1), a clock that drifts and, where the site wants them, a reader
//! for passes (DP1) and a TOTP secret that it shares with its issuer.
//!
//! [`bundle::Bundle`] is what it is provisioned with, [`Door`] decides, [`state::State`] is what it
//! remembers, and [`journal`] is how that goes home. PINs, long forms and control codes are judged by
//! [`keypad::lock`], the codes of a TOTP door by [`otp::verify`], passes by [`reader`];
//! all speak to one belief about the time.

pub mod bundle;
pub mod journal;
pub mod record;
#[cfg(feature = "encrypt")]
pub mod sealed;
pub mod state;

use crate::clock::{self, Clock, totp};
use crate::code::Code;
use crate::cose::keys::Signer;
use crate::id::LockId;
use crate::keypad;
use crate::keypad::lock::{Entry, Lock, TypedControl, TypedPin};
use crate::keypad::odds::Odds;
use crate::keypad::record::Event;
use crate::ledger::Head;
use crate::otp::record::Presenter;
use crate::otp::totp::Totp;
use crate::otp::verify::{self, Accepted, Authenticator, Enrolled, Presented};
use crate::otp::{self, OtpSecret};
use crate::pass::claims::Audience;
use crate::pass::key::TrustedKeys;
use crate::pass::reader::{self, Groups, Reader};
use crate::pass::state as passes;
use crate::refusal::Refusal;
use crate::time::Timestamp;
use crate::verifier::{Attempt, Matched, Spending};
use bundle::Bundle;
use record::Record;
use state::State;

/// How many marks a door remembers.
pub const MARKS: usize = 32;

/// A door has one authenticator.
const NUMBER: u16 = 1;

/// A TOTP secret that a door shares with its issuer, and how its codes are made.
#[derive(Clone, Debug)]
pub struct Steps {
    /// The secret.
    pub secret: OtpSecret,
    /// How codes are made.
    pub totp: Totp,
}

impl Steps {
    /// What a guesser gains, when the time is as uncertain as it may be.
    #[must_use]
    pub fn odds(totp: &Totp) -> Odds {
        let sides = totp::most_steps(totp);
        let codes = 10_u64.saturating_pow(u32::from(totp.digits.get()));
        Odds::of(u64::from(sides).saturating_mul(2).saturating_add(1), codes)
    }
}

/// What a door is provisioned with for passes. Without keys it takes those alone that were made with its own.
#[derive(Clone, Copy, Debug)]
pub struct Passes {
    /// The groups that it is in. Its own name follows from its id.
    pub groups: Groups,
    /// The keys of its issuer.
    pub keys: TrustedKeys,
    /// The issuer's root, under which keys are rotated.
    pub root: Option<Signer>,
    /// The number of the last rotation when it was provisioned. What was rotated away is not brought back.
    pub rotation: u32,
    /// The number of the last bulletin that it shall not take.
    pub bulletin: u32,
}

/// A lock as it is installed. It decides; it remembers nothing.
#[derive(Clone, Debug)]
pub struct Door {
    id: LockId,
    generation: u32,
    epoch: u32,
    clock: Clock,
    lock: Lock,
    steps: Option<Steps>,
    passes: Option<(Passes, Reader)>,
}

/// Digits of the right shape, read from the keypad.
#[derive(Debug)]
pub enum Typed {
    /// A PIN or its long form.
    Pin(TypedPin),
    /// A control code.
    Control(TypedControl),
    /// The code of a step.
    Step(TypedStep),
}

/// The code of a step, as it was typed.
#[derive(Debug)]
pub struct TypedStep(Code);

impl Door {
    /// The door that a bundle describes.
    #[must_use]
    pub fn new(bundle: &Bundle) -> Self {
        let Bundle { lock: id, generation, epoch, clock, profile, .. } = *bundle;
        let lock = Lock::new(bundle.root.clone(), profile);
        let passes = bundle.passes.map(|passes| {
            let (name, root) = (Audience::of_lock(&id), bundle.root.clone());
            (passes, Reader::new(name, passes.groups, root, passes.root))
        });
        Self { id, generation, epoch, clock, lock, steps: bundle.steps.clone(), passes }
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &LockId {
        &self.id
    }

    /// Which provisioning of the lock it is.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// How it keeps time.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Its keypad.
    #[must_use]
    pub const fn lock(&self) -> &Lock {
        &self.lock
    }

    /// Whether codes of steps are taken, and how they are made.
    #[must_use]
    pub fn totp(&self) -> Option<&Totp> {
        self.steps.as_ref().map(|steps| &steps.totp)
    }

    /// Its reader, if it takes passes.
    #[must_use]
    pub fn reader(&self) -> Option<&Reader> {
        self.passes.as_ref().map(|(_, reader)| reader)
    }

    /// What its reader must know when something is presented, so many seconds after the last record.
    #[must_use]
    pub fn pass_moment<const N: usize>(&self, state: &State<N>, elapsed: u32) -> reader::Moment {
        let belief = state.keypad.believed(elapsed);
        reader::Moment { belief, epoch: state.keypad.epoch(), elapsed }
    }

    /// What it remembers when it is installed at `now`, which whoever installs it knows.
    #[must_use]
    pub fn install<const N: usize>(&self, now: Timestamp) -> State<N> {
        let (keys, rotation, bulletin) = match &self.passes {
            Some((passes, _)) => (passes.keys, passes.rotation, passes.bulletin),
            None => (TrustedKeys::NONE, 0, 0),
        };
        State::new(self.clock, self.epoch, passes::State::new(keys, rotation, bulletin, now), now)
    }

    /// Reads what was typed. All that a door takes differs in length or in its first digit.
    ///
    /// # Errors
    /// [`Refusal::Mistyped`]: not of the right shape, so it costs nothing.
    pub fn read(&self, typed: &str) -> Result<Typed, Refusal> {
        let shape = self.totp().map(|totp| totp.digits.shape());
        if let Some(Ok(code)) = shape.map(|shape| Code::parse(typed, shape)) {
            return Ok(Typed::Step(TypedStep(code)));
        }
        Ok(match self.lock.read(typed)? {
            Entry::Pin(pin) => Typed::Pin(pin),
            Entry::Control(order) => Typed::Control(order),
        })
    }

    /// The authenticator of this moment. The seconds until now must be recorded before, since the records
    /// of steps do not count any.
    ///
    /// # Errors
    /// [`Refusal::ClockUnset`], or [`Refusal::Mistyped`] at a door without a TOTP secret.
    pub fn moment<const N: usize>(&self, state: &State<N>) -> Result<Moment, Refusal> {
        let steps = self.steps.as_ref().ok_or(Refusal::Mistyped)?;
        let now = state.keypad.belief().now().ok_or(Refusal::ClockUnset)?;
        Ok(Moment {
            authenticator: totp::authenticator(&steps.secret, steps.totp, &now),
            state: state.steps,
            presenter: Presenter::anybody(state.attempts),
            now: now.probable,
        })
    }

    /// For how many counted seconds more everything that it takes opens if nothing is heard, as
    /// [`clock::Belief::lasts`]: at a door with steps only until the time is more uncertain than they reach.
    #[must_use]
    pub fn lasts<const N: usize>(&self, state: &State<N>) -> u64 {
        let belief = state.keypad.belief();
        self.totp().map_or_else(|| belief.lasts(), |steps| totp::lasts(belief, steps))
    }

    /// The state after a record.
    #[must_use]
    pub fn then<const N: usize>(&self, state: &State<N>, record: &Record) -> State<N> {
        let mut state = *state;
        self.fold(&mut state, record);
        state
    }

    /// Changes the state into the one after a record, where there is no memory for two.
    pub fn fold<const N: usize>(&self, state: &mut State<N>, record: &Record) {
        let hear = |state: &mut State<N>, elapsed, event| {
            let heard = keypad::record::Record { elapsed, event: Event::Clock(event) };
            self.lock.fold(&mut state.keypad, &heard);
        };
        match record {
            Record::Keypad(record) => {
                let epoch = state.keypad.epoch();
                self.lock.fold(&mut state.keypad, record);
                let reset = matches!(record.event, Event::Clock(clock::Event::Reset { .. }));
                if reset && state.keypad.epoch() != epoch {
                    self.follow_reset(state);
                }
            }
            Record::Step(record) => {
                let clue = |step| Some(totp::clue(self.totp()?, step));
                if let Some(clue) = record.event.accepted().and_then(clue) {
                    hear(state, 0, clock::Event::Heard(clue));
                }
                state.steps = state.steps.then(record.at, &record.event);
                state.attempts = record.charge(state.attempts);
            }
            Record::Pass(record) => {
                let nothing = clock::Event::Elapsed { seconds: 0 };
                hear(state, record.elapsed, record.event.clock().unwrap_or(nothing));
                state.passes.fold(state.keypad.belief(), record);
            }
        }
    }
}

impl Door {
    /// After a clock reset, attempts and steps wait for no time that was wrong. A step that cannot have been
    /// yet was spent at a wrong time; it may be taken once more at its own.
    fn follow_reset<const N: usize>(&self, state: &mut State<N>) {
        let belief = state.keypad.belief();
        state.attempts = state.attempts.set_back(belief.probable());
        state.passes.follow_reset(belief);
        let latest = belief.now().zip(self.totp()).and_then(|(now, totp)| totp.step(now.latest));
        if state.steps.last_step() > latest {
            state.steps = otp::record::State::new(belief.probable());
        }
    }
}

/// A door's authenticator at one moment. Its attempts are those of all who type codes of steps. They fill by
/// the estimate, which only those move who hold codes anyway.
#[derive(Debug)]
pub struct Moment {
    authenticator: Authenticator,
    state: otp::record::State,
    presenter: Presenter,
    now: Timestamp,
}

impl Moment {
    /// What a code is compared with.
    #[must_use]
    pub const fn enrolled(&self) -> [Enrolled<'_>; 1] {
        [Enrolled { number: NUMBER, authenticator: &self.authenticator, state: self.state }]
    }

    /// Asks whether a code may be compared at all. The record must be appended first.
    ///
    /// # Errors
    /// The refusal: throttled. Its time is one of the estimate.
    pub fn begin<'a>(
        &self,
        enrolled: &'a [Enrolled<'a>; 1],
        typed: &TypedStep,
        head: Head,
    ) -> Result<(Attempt<Presented<'a>>, Record), Refusal> {
        let typed = core::str::from_utf8(typed.0.expose()).unwrap_or_default();
        let (attempt, record) = verify::begin(enrolled, &self.presenter, typed, self.now, head)?;
        Ok((attempt, Record::Step(record)))
    }

    /// Names the record that spends an accepted step, at the moment of the state read last. With it the
    /// clock hears of the step.
    ///
    /// # Errors
    /// [`Refusal::AlreadyUsed`] when the step, or a later one, is spent.
    pub fn spend(
        &self,
        matched: &Matched<Presented<'_>>,
        head: Head,
    ) -> Result<(Spending<Accepted>, Record), Refusal> {
        let [enrolled] = self.enrolled();
        let (spending, record) = enrolled.spend(matched, &self.presenter, self.now, head)?;
        Ok((spending, Record::Step(record)))
    }
}
