//! A lock with a keypad: what may be typed now, what it means, and what must be durable before the
//! bolt moves.
//!
//! ```
//! # use doorstep::clock::{AfterPowerLoss, Belief, Clock, Oscillator};
//! # use doorstep::keypad::{issue::Pin, key::RootKey, lock::{Entry, Lock}, profile::Profile};
//! # use doorstep::keypad::{state::State, tuple::Form};
//! # use doorstep::{ledger::Head, secret::Secret, time::{Timestamp, Window}};
//! # let clock = Clock { oscillator: Oscillator::Crystal, after_power_loss: AfterPowerLoss::NeedTime };
//! # let (root, now) = (Secret::from_bytes([7; 32]), Timestamp::from_seconds(1_800_000_000));
//! # let wanted = Window::new(now, now.later(3600)).ok_or("window")?;
//! let lock = Lock::new(RootKey::from_secret(root.clone()), Profile::courts()?);
//! // The issuer, who knows the same root:
//! let tuple = lock.profile().fit(&wanted, false).ok_or("too long")?.tuple(0, 0);
//! let pin = Pin::derive(&RootKey::from_secret(root), 0, lock.profile(), &tuple).ok_or("holder")?;
//! let pin = pin.code(Form::Pin);
//! # let typed = core::str::from_utf8(pin.expose())?;
//!
//! // The lock, a minute later:
//! let mut state = State::<32>::new(Belief::new(clock, now));
//! # let refused = |refusal: doorstep::refusal::Refusal| refusal.code();
//! let Entry::Pin(pin) = lock.read(typed).map_err(refused)? else { return Err("a control code".into()) };
//! let (attempt, tried) = lock.begin(&state, 60, pin, Head::EMPTY).map_err(refused)?;
//! // ... append `tried.to_bytes()` at `attempt.place()`, durably ...
//! let (receipt, head) = (attempt.place().appended(), attempt.place().after);
//! state = lock.then(&state, &tried);
//! let matched = attempt.counted(receipt)?.compare().map_err(refused)?;
//! let (spending, opened) = lock.spend(&state, 0, &matched, head).map_err(refused)?;
//! // ... append `opened.to_bytes()` at `spending.place()`, durably ...
//! let receipt = spending.place().appended();
//! state = lock.then(&state, &opened);
//! assert_eq!(spending.granted(receipt)?.found().tuple, tuple);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::control::{Command, Order};
use super::key::RootKey;
use super::mark::{Mark, What, of_use};
use super::profile::Profile;
use super::record::{Event, Record, Source};
use super::scan::{Hits, Scan};
use super::state::State;
use super::tuple::{Form, Meeting, Tuple};
use crate::clock::{self, Belief, Interval};
use crate::code::Code;
use crate::ledger::Head;
use crate::refusal::Refusal;
use crate::time::Timestamp;
use crate::verifier::{Attempt, Compare, Ledgered, Matched, Means, Spending};

pub use super::scan::{Found, LOOK_AROUND};

/// What a lock is provisioned with.
#[derive(Clone, Debug)]
pub struct Lock {
    root: RootKey,
    profile: Profile,
}

/// Digits of the right shape, read from the keypad.
#[derive(Debug)]
pub enum Entry {
    /// A PIN or its long form.
    Pin(TypedPin),
    /// A control code.
    Control(TypedControl),
}

/// A PIN or a long form, as it was typed.
#[derive(Debug)]
pub struct TypedPin {
    code: Code,
    form: Form,
}

/// A control code, as it was typed.
#[derive(Debug)]
pub struct TypedControl(Order);

impl Lock {
    /// A lock with these keys, set up for this.
    #[must_use]
    pub const fn new(root: RootKey, profile: Profile) -> Self {
        Self { root, profile }
    }

    /// The root of its keys.
    #[cfg(feature = "otp")]
    pub(crate) const fn root(&self) -> &RootKey {
        &self.root
    }

    /// What it is set up for.
    #[must_use]
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Reads what was typed. A control code begins with 0, a PIN never does.
    ///
    /// # Errors
    /// [`Refusal::Mistyped`]: not of the right shape, so it costs nothing.
    pub fn read(&self, typed: impl AsRef<[u8]>) -> Result<Entry, Refusal> {
        let code = Code::parse_keypad(typed.as_ref()).map_err(|_| Refusal::Mistyped)?;
        if code.expose().first() == Some(&b'0') {
            let order = Order::read(&code).ok_or(Refusal::Mistyped)?;
            return Ok(Entry::Control(TypedControl(order)));
        }
        let is = |form: &Form| self.profile.digits().shape(*form) == code.shape();
        let form = [Form::Pin, Form::Long].into_iter().find(is).ok_or(Refusal::Mistyped)?;
        Ok(Entry::Pin(TypedPin { code, form }))
    }

    /// Asks whether a PIN may be compared at all, `elapsed` counted seconds after the last record.
    /// The record must be appended first.
    ///
    /// # Errors
    /// The refusal: throttled, or the clock is unset. The time of [`Refusal::Throttled`] is one of the
    /// trusted floor: what is left to wait is its distance from there. A wrong code that is typed
    /// again within two minutes is wrong at no cost.
    pub fn begin<'a, const N: usize>(
        &'a self,
        state: &State<N>,
        elapsed: u32,
        pin: TypedPin,
        head: Head,
    ) -> Result<(Attempt<Presented<'a>>, Record), Refusal> {
        let belief = state.believed(elapsed);
        let source = Source::from(pin.form);
        if state.was_wrong(self.name(&pin.code), belief.floor()) {
            return Err(Refusal::WrongCode { left: Some(state.bucket(source).left()) });
        }
        let now = belief.now().ok_or(Refusal::ClockUnset)?;
        let presented =
            Presented { lock: self, epoch: state.epoch, next: state.announced, now, pin };
        let record = Record { elapsed, event: Event::Tried(source) };
        let standing = Standing { lock: self, state, belief: &belief, source };
        let at = belief.probable();
        let place = record.place(head);
        Ok((Attempt::begin(presented, Means::Typed, &standing, at, place)?, record))
    }

    /// The record that remembers a code as wrong, for when it turns out to be, or opens no more. It may
    /// be appended late, or never.
    #[must_use]
    pub fn wrong(&self, pin: &TypedPin) -> Record {
        Record { elapsed: 0, event: Event::Wrong { code: self.name(&pin.code) } }
    }

    /// Names the record that spends an accepted PIN, on the state read last. With it everything that
    /// the PIN's use revokes becomes durable.
    ///
    /// # Errors
    /// The refusal: too early or too late ([`Lock::missed`]), already used, revoked, superseded, no room
    /// to remember it, or the clock is unset by now.
    pub fn spend<const N: usize>(
        &self,
        state: &State<N>,
        elapsed: u32,
        matched: &Matched<Presented<'_>>,
        head: Head,
    ) -> Result<(Spending<Found>, Record), Refusal> {
        let belief = state.believed(elapsed);
        let Found { tuple, epoch, form } = *matched.found();
        let record = Record { elapsed, event: Event::Opened { tuple, epoch, form } };
        let standing = Standing { lock: self, state, belief: &belief, source: form.into() };
        let at = belief.probable();
        Ok((matched.spend(&standing, at, record.place(head))?, record))
    }

    /// The record by which the clock learns of an authentic PIN whose window was missed; `None` when
    /// it was not refused for that. A keypad shows such a PIN as refused, like any other.
    #[must_use]
    pub fn missed<const N: usize>(
        &self,
        state: &State<N>,
        elapsed: u32,
        matched: &Matched<Presented<'_>>,
    ) -> Option<Record> {
        let now = state.believed(elapsed).now()?;
        let Found { tuple, epoch, .. } = matched.found();
        state.marks.allow(tuple, *epoch).ok()?;
        let by = match tuple.meets(&now, self.profile.grace()) {
            Meeting::Early(by) | Meeting::Late(by) => u32::try_from(by).unwrap_or(u32::MAX),
            Meeting::Now => return None,
        };
        let missed = clock::Event::Missed { code: tuple.name(), by };
        Some(Record { elapsed, event: Event::Clock(missed) })
    }

    /// Asks whether a control code may be compared at all.
    ///
    /// # Errors
    /// [`Refusal::Throttled`].
    pub fn begin_control<'a, const N: usize>(
        &'a self,
        state: &State<N>,
        elapsed: u32,
        typed: TypedControl,
        head: Head,
    ) -> Result<(Attempt<Ordered<'a>>, Record), Refusal> {
        let belief = state.believed(elapsed);
        let ordered = Ordered {
            lock: self,
            epoch: state.epoch,
            next: state.announced,
            floor: belief.floor(),
            order: typed.0,
        };
        let record = Record { elapsed, event: Event::Tried(Source::Control) };
        let standing = Standing { lock: self, state, belief: &belief, source: Source::Control };
        let at = belief.probable();
        let place = record.place(head);
        Ok((Attempt::begin(ordered, Means::Typed, &standing, at, place)?, record))
    }

    /// Names the record that carries out a command, on the state read last.
    ///
    /// # Errors
    /// [`Refusal::LedgerFull`] when a cancellation cannot be remembered, [`Refusal::AlreadyUsed`] when a
    /// set-time or epoch code has nothing left to do.
    pub fn spend_control<const N: usize>(
        &self,
        state: &State<N>,
        elapsed: u32,
        matched: &Matched<Ordered<'_>>,
        head: Head,
    ) -> Result<(Spending<Command>, Record), Refusal> {
        let belief = state.believed(elapsed);
        let record = Record { elapsed, event: Event::Obeyed(*matched.found()) };
        let standing = Standing { lock: self, state, belief: &belief, source: Source::Control };
        let at = belief.probable();
        Ok((matched.spend(&standing, at, record.place(head))?, record))
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
        state.belief.learn(&clock::Event::Elapsed { seconds: u64::from(record.elapsed) });
        let floor = state.belief.floor();
        match &record.event {
            Event::Clock(event) => {
                let before = state.belief;
                state.belief.learn(event);
                let reset = matches!(event, clock::Event::Reset { .. });
                if reset && state.belief != before {
                    // What was valid at the earlier time must not come back with it.
                    state.end_epoch(state.epoch.saturating_add(1));
                    let floor = state.belief.floor();
                    state.buckets = state.buckets.map(|bucket| bucket.set_back(floor));
                }
                let passing = clock::Event::Elapsed { seconds: 0 };
                if core::mem::discriminant(event) != core::mem::discriminant(&passing) {
                    state.forget_wrong();
                }
            }
            Event::Tried(source) => state.set_bucket(*source, state.bucket(*source).taken(floor)),
            Event::Wrong { code } => state.note_wrong(*code),
            Event::Opened { tuple, epoch, form } => {
                let source = Source::from(*form);
                state.set_bucket(source, state.bucket(source).give_back());
                if *epoch > state.epoch {
                    state.end_epoch(*epoch);
                    // The marks of the epoch before give their room to those of this use.
                    state.marks.prune(floor, *epoch, &self.profile);
                }
                let at = state.belief.probable();
                for mark in of_use(tuple, *epoch, at, &self.profile).into_iter().flatten() {
                    state.marks.insert(mark);
                }
                state.belief.learn(&clock::Event::Heard(tuple.clue()));
            }
            Event::Obeyed(command) => {
                let source = Source::Control;
                state.set_bucket(source, state.bucket(source).give_back());
                state.forget_wrong();
                state.obey(command);
            }
        }
        state.marks.prune(state.belief.floor(), state.epoch, &self.profile);
    }

    /// Names a code without giving it away: 32 bits of an HMAC.
    fn name(&self, code: &Code) -> u32 {
        let mac = self.root.control(0).mac(code.expose());
        u32::try_from(mac >> 32_u8).unwrap_or(u32::MAX)
    }
}

impl<const N: usize> State<N> {
    fn obey(&mut self, command: &Command) {
        match command {
            Command::SetTime { index } => {
                let time = Command::set_to(*index);
                self.belief.learn(&clock::Event::SetTime { time });
            }
            Command::Cancel { tuple, epoch } => {
                self.marks.insert(cancelled(tuple, *epoch, self.belief.probable()));
            }
            Command::Announce { epoch } => self.announced |= *epoch > self.epoch,
            Command::EndEpoch { epoch } => self.end_epoch(*epoch),
        }
    }

    const fn end_epoch(&mut self, epoch: u32) {
        if epoch > self.epoch {
            self.epoch = epoch;
            self.announced = false;
        }
    }
}

const fn cancelled(tuple: &Tuple, epoch: u32, at: Timestamp) -> Mark {
    Mark { what: What::Cancelled, tuple: *tuple, epoch, at }
}

/// What the state says of something typed, with what the clock counted since.
struct Standing<'a, const N: usize> {
    lock: &'a Lock,
    state: &'a State<N>,
    belief: &'a Belief,
    source: Source,
}

impl<const N: usize> Standing<'_, N> {
    /// The buckets fill by the trusted floor, which no guest moves.
    fn admit(&self, means: Means) -> Result<Option<u8>, Refusal> {
        match means {
            Means::Typed => {
                let bucket = self.state.bucket(self.source);
                Ok(Some(bucket.take(self.belief.floor())?.left()))
            }
            Means::Scanned => Ok(None),
        }
    }
}

impl<const N: usize> Ledgered<Found> for Standing<'_, N> {
    fn admit(&self, means: Means, _: Timestamp) -> Result<Option<u8>, Refusal> {
        self.admit(means)
    }

    fn still(&self, found: &Found, at: Timestamp) -> Result<(), Refusal> {
        let Found { tuple, epoch, .. } = found;
        let (state, profile) = (self.state, &self.lock.profile);
        if *epoch < state.epoch {
            return Err(Refusal::Revoked);
        }
        let now = self.belief.now().ok_or(Refusal::ClockUnset)?;
        let grace = profile.grace();
        match tuple.meets(&now, grace) {
            Meeting::Early(_) => {
                Err(Refusal::NotYetValid { from: tuple.from().earlier(u64::from(grace.early)) })
            }
            Meeting::Late(_) => {
                Err(Refusal::Expired { until: tuple.until().later(u64::from(grace.late)) })
            }
            Meeting::Now => Ok(()),
        }?;
        state.marks.allow(tuple, *epoch)?;
        let marks = of_use(tuple, *epoch, at, profile);
        state.marks.has_room(&marks, *epoch).then_some(()).ok_or(Refusal::LedgerFull)
    }
}

impl<const N: usize> Ledgered<Command> for Standing<'_, N> {
    fn admit(&self, means: Means, _: Timestamp) -> Result<Option<u8>, Refusal> {
        self.admit(means)
    }

    fn still(&self, found: &Command, at: Timestamp) -> Result<(), Refusal> {
        let state = self.state;
        let done = match found {
            Command::SetTime { index } => Command::set_to(*index) <= self.belief.floor(),
            Command::Announce { epoch } | Command::EndEpoch { epoch } => *epoch <= state.epoch,
            Command::Cancel { tuple, epoch } => {
                let mark = [Some(cancelled(tuple, *epoch, at))];
                let room = state.marks.has_room(&mark, state.epoch);
                return room.then_some(()).ok_or(Refusal::LedgerFull);
            }
        };
        if done { Err(Refusal::AlreadyUsed { at }) } else { Ok(()) }
    }
}

/// A PIN, and the lock it is compared at.
#[derive(Debug)]
pub struct Presented<'a> {
    lock: &'a Lock,
    epoch: u32,
    next: bool,
    now: Interval,
    pin: TypedPin,
}

impl Compare for Presented<'_> {
    type Found = Found;

    fn compare(&self) -> Option<Found> {
        let TypedPin { code, form } = &self.pin;
        let number = code.number();
        let typed = match form {
            Form::Pin => (number, 0),
            Form::Long => (number / 100_000, number % 100_000),
        };
        let Lock { root, profile } = self.lock;
        let scan = Scan { profile, now: self.now, form: *form, typed };
        let mut hits = Hits::default();
        if self.next {
            let next = self.epoch.saturating_add(1);
            scan.find(next, &root.pins(next), &mut hits);
        }
        // The current one last: what it finds counts.
        scan.find(self.epoch, &root.pins(self.epoch), &mut hits);
        hits.found(profile, *form)
    }
}

/// A control code, and the lock it is compared at.
#[derive(Debug)]
pub struct Ordered<'a> {
    lock: &'a Lock,
    epoch: u32,
    next: bool,
    floor: Timestamp,
    order: Order,
}

impl Compare for Ordered<'_> {
    type Found = Command;

    fn compare(&self) -> Option<Command> {
        let Lock { root, profile } = self.lock;
        let key = |epoch| (epoch, root.control(epoch));
        let keys = [key(self.epoch), key(self.epoch.saturating_add(1))];
        let [_, (next, after)] = &keys;
        let taken = if self.next { &keys[..] } else { keys.get(..1)? };
        self.order.find(taken, (*next, after), profile, self.floor)
    }
}
