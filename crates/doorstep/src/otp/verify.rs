//! The verifier of an authenticator: which steps are looked at, which one a code may spend, and
//! how the authenticator's clock is followed without ever going back.
//!
//! It is the crate's one pipeline ([`crate::verifier`]); the two records of a verification come
//! from here, and [`State::then`] folds them:
//!
//! ```
//! # use doorstep::{ledger::Head, otp::{OtpSecret, record::State, totp::Totp, verify::Authenticator}};
//! # use doorstep::{throttle::Pace, time::Timestamp};
//! # let secret = OtpSecret::from_bytes(b"12345678901234567890").ok_or("secret")?;
//! # let (now, head) = (Timestamp::from_seconds(59), Head::EMPTY);
//! let authenticator = Authenticator::totp(&secret, Totp::default());
//! let state = State::new(Pace::AUTHENTICATOR, now);
//! let refused = |refusal: doorstep::refusal::Refusal| refusal.code();
//! let (attempt, tried) = authenticator.begin(&state, "287 082", now, head).map_err(refused)?;
//! // ... append `tried.to_bytes()` at `attempt.place()`, durably ...
//! let receipt = attempt.place().appended();
//! let (state, head) = (state.then(&tried), attempt.place().after);
//! let matched = attempt.counted(receipt)?.compare().map_err(refused)?;
//! let (spending, accepted) = authenticator.spend(&matched, &state, now, head).map_err(refused)?;
//! // ... append `accepted.to_bytes()` at `spending.place()`, durably ...
//! let receipt = spending.place().appended();
//! let state = state.then(&accepted);
//! let grant = spending.granted(receipt)?;
//! assert_eq!((grant.found().step, grant.found().shift, state.last_step()), (1, 0, Some(1)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::hotp::Hotp;
use super::keyed::Keyed;
use super::record::{Record, State};
use super::totp::Totp;
use super::window::Window;
use super::{Digits, OtpSecret};
use crate::code::Code;
use crate::ledger::Head;
use crate::refusal::Refusal;
use crate::time::Timestamp;
use crate::verifier::{Attempt, Compare, Matched, Means, Spending};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// The most counters that a verifier looks ahead.
pub const MAX_LOOK_AHEAD: u8 = 100;

/// The most steps or counters that a resync looks at, to either side.
pub const MAX_REACH: u16 = 1000;

/// How long the first code of a resync is remembered, in seconds; with periods over 30 seconds,
/// two of them, since the second code would else come too late.
pub const FIRST_CODE_LIFETIME: u64 = 60;

/// How far an authenticator's clock is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drift {
    /// How fast a clock may run wrong, in millionths: the remembered drift moves from where it was
    /// last established by at most this part of the time since.
    pub parts_per_million: u32,
    /// How many steps it may move without a resync, however long that takes.
    pub most: u16,
}

impl Drift {
    /// 100 millionths (a step of 30 s in 3.5 days) up to 20 steps: worse than any quartz.
    pub const QUARTZ: Self = Self { parts_per_million: 100, most: 20 };
    /// Nothing is remembered.
    pub const NONE: Self = Self { parts_per_million: 0, most: 0 };

    fn allowed(self, elapsed: u64, totp: &Totp) -> i64 {
        let moved = u128::from(elapsed).saturating_mul(u128::from(self.parts_per_million));
        let step = u128::from(totp.period.get()).saturating_mul(1_000_000);
        let steps = moved.checked_div(step).unwrap_or(0).min(u128::from(self.most));
        i64::try_from(steps).unwrap_or(0)
    }
}

/// How an authenticator moves on from code to code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// By a counter.
    Hotp {
        /// How its codes are made.
        hotp: Hotp,
        /// How many codes may have been made and not presented, at most [`MAX_LOOK_AHEAD`].
        look_ahead: u8,
    },
    /// By a clock.
    Totp {
        /// How its codes are made.
        totp: Totp,
        /// The steps around now.
        window: Window,
        /// How far its clock is followed.
        drift: Drift,
    },
}

/// Why a code was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It is the code of now, or of the expected counter.
    Current,
    /// It is another code of the window around now.
    Window,
    /// It lies in the window only because the authenticator's clock is known to run wrong.
    Drift,
    /// The authenticator made codes that were never presented.
    LookAhead,
    /// Two codes that follow each other were presented.
    Resync,
}

impl Why {
    /// A stable name for interfaces: lower case, underscores.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Window => "window",
            Self::Drift => "drift",
            Self::LookAhead => "look_ahead",
            Self::Resync => "resync",
        }
    }
}

/// A code that was accepted: which one, how far from the expected one, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The step or the counter. It is what is spent, never the code.
    pub step: u64,
    /// Steps from the current one, or counters from the expected one.
    pub shift: i64,
    /// Why.
    pub why: Why,
}

/// The first code of a resync. It opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Half {
    /// The step or the counter.
    pub step: u64,
}

/// An enrolled secret, and how its codes are judged.
#[derive(Clone, Debug)]
pub struct Authenticator {
    keyed: Keyed,
    method: Method,
}

impl Authenticator {
    /// An authenticator that is judged as `method` says.
    #[must_use]
    pub fn new(secret: &OtpSecret, method: Method) -> Self {
        let keyed = match &method {
            Method::Hotp { hotp, .. } => hotp.keyed(secret),
            Method::Totp { totp, .. } => totp.keyed(secret),
        };
        Self { keyed, method }
    }

    /// An authenticator with a clock: one step to either side, its clock followed.
    #[must_use]
    pub fn totp(secret: &OtpSecret, totp: Totp) -> Self {
        Self::new(secret, Method::Totp { totp, window: Window::ONE_EACH, drift: Drift::QUARTZ })
    }

    /// An authenticator that counts: up to 10 codes may have been made and not presented.
    #[must_use]
    pub fn hotp(secret: &OtpSecret, hotp: Hotp) -> Self {
        Self::new(secret, Method::Hotp { hotp, look_ahead: 10 })
    }

    /// How it is judged.
    #[must_use]
    pub const fn method(&self) -> &Method {
        &self.method
    }

    const fn digits(&self) -> Digits {
        match &self.method {
            Method::Hotp { hotp, .. } => hotp.digits,
            Method::Totp { totp, .. } => totp.digits,
        }
    }

    /// Asks whether a typed code may be compared at all. The record must be appended first.
    ///
    /// # Errors
    /// The refusal: mistyped (not counted), throttled, or before T0.
    pub fn begin(
        &self,
        state: &State,
        typed: &str,
        now: Timestamp,
        head: Head,
    ) -> Result<(Attempt<Presented>, Record), Refusal> {
        let code = self.read(typed)?;
        let (ranges, expected) = match &self.method {
            Method::Hotp { look_ahead, .. } => {
                (self.ahead(state, u64::from((*look_ahead).min(MAX_LOOK_AHEAD))), next(state))
            }
            Method::Totp { totp, window, .. } => {
                let current = current(totp, now)?;
                let own = window.steps(totp, now, state.drift);
                (Ranges::union(window.steps(totp, now, 0), own), current)
            }
        };
        let presented = Presented { scan: self.scan(code, ranges, state), expected };
        self.attempt(presented, state, now, head)
    }

    /// Names the record that spends an accepted code, on the state read last.
    ///
    /// # Errors
    /// [`Refusal::AlreadyUsed`] when its step, or a later one, is spent.
    pub fn spend(
        &self,
        matched: &Matched<Presented>,
        state: &State,
        now: Timestamp,
        head: Head,
    ) -> Result<(Spending<Accepted>, Record), Refusal> {
        let Accepted { step, shift, .. } = *matched.found();
        let drift = match &self.method {
            Method::Hotp { .. } => 0,
            Method::Totp { totp, drift, .. } => {
                let allowed = drift.allowed(now.since(state.anchor.at), totp);
                let anchor = state.anchor.drift;
                shift.clamp(anchor.saturating_sub(allowed), anchor.saturating_add(allowed))
            }
        };
        let record = Record::Accepted { at: now, step, drift };
        Ok((matched.spend(state, now, head, &record.to_bytes())?, record))
    }

    /// Begins a resync with the first of two codes that follow each other, looking at up to
    /// `reach` steps to either side, or counters ahead (at most [`MAX_REACH`]).
    ///
    /// # Errors
    /// As [`Authenticator::begin`].
    pub fn begin_first(
        &self,
        state: &State,
        typed: &str,
        reach: u16,
        now: Timestamp,
        head: Head,
    ) -> Result<(Attempt<First>, Record), Refusal> {
        let code = self.read(typed)?;
        let reach = u64::from(reach.min(MAX_REACH));
        let ranges = match &self.method {
            Method::Hotp { .. } => self.ahead(state, reach),
            Method::Totp { totp, .. } => {
                let current = current(totp, now)?;
                Ranges::one(current.saturating_sub(reach), current.saturating_add(reach))
            }
        };
        let first = First(self.scan(code, ranges, state));
        self.attempt(first, state, now, head)
    }

    /// Names the record that remembers the first code. Its grant opens nothing.
    ///
    /// # Errors
    /// [`Refusal::AlreadyUsed`] when its step, or a later one, is spent: a resync never goes back.
    pub fn spend_first(
        &self,
        matched: &Matched<First>,
        state: &State,
        now: Timestamp,
        head: Head,
    ) -> Result<(Spending<Half>, Record), Refusal> {
        let record = Record::First { at: now, step: matched.found().step };
        Ok((matched.spend(state, now, head, &record.to_bytes())?, record))
    }

    /// Takes the second code of a resync, which must be the very next one.
    ///
    /// # Errors
    /// As [`Authenticator::begin`], and [`Refusal::Unknown`] when there was no first code,
    /// [`Refusal::Expired`] when that was too long ago.
    pub fn begin_second(
        &self,
        state: &State,
        typed: &str,
        now: Timestamp,
        head: Head,
    ) -> Result<(Attempt<Second>, Record), Refusal> {
        let code = self.read(typed)?;
        let first = state.first.ok_or(Refusal::Unknown)?;
        let (lifetime, expected) = match &self.method {
            Method::Hotp { .. } => (FIRST_CODE_LIFETIME, next(state)),
            Method::Totp { totp, .. } => {
                let two = totp.period.get().saturating_mul(2);
                (two.max(FIRST_CODE_LIFETIME), current(totp, now)?)
            }
        };
        let until = first.at.later(lifetime);
        // A clock set back to before the first code does not keep it alive.
        if now > until || now < first.at {
            return Err(Refusal::Expired { until });
        }
        let second = first.step.checked_add(1).ok_or(Refusal::Unknown)?;
        let scan = self.scan(code, Ranges::one(second, second), state);
        self.attempt(Second(Presented { scan, expected }), state, now, head)
    }

    /// Names the record that ends a resync: the second code is spent, and the drift is where the
    /// two codes put it.
    ///
    /// # Errors
    /// [`Refusal::AlreadyUsed`] when its step, or a later one, is spent.
    pub fn spend_second(
        &self,
        matched: &Matched<Second>,
        state: &State,
        now: Timestamp,
        head: Head,
    ) -> Result<(Spending<Accepted>, Record), Refusal> {
        let Accepted { step, shift, .. } = *matched.found();
        let drift = if matches!(self.method, Method::Totp { .. }) { shift } else { 0 };
        let record = Record::Resynced { at: now, step, drift };
        Ok((matched.spend(state, now, head, &record.to_bytes())?, record))
    }

    fn read(&self, typed: &str) -> Result<Code, Refusal> {
        Code::parse(typed, self.digits().shape()).map_err(|_| Refusal::Mistyped)
    }

    fn attempt<M: Compare>(
        &self,
        method: M,
        state: &State,
        now: Timestamp,
        head: Head,
    ) -> Result<(Attempt<M>, Record), Refusal>
    where
        State: crate::verifier::Ledgered<M::Found>,
    {
        let record = Record::Tried { at: now };
        let bytes = record.to_bytes();
        Ok((Attempt::begin(method, Means::Typed, state, now, head, &bytes)?, record))
    }

    /// The counter accepted last, so that its code is known again, and those after it.
    fn ahead(&self, state: &State, count: u64) -> Ranges {
        match state.last_step() {
            None => Ranges::one(0, count),
            Some(last) => Ranges::one(last, last.saturating_add(count).saturating_add(1)),
        }
    }

    fn scan(&self, code: Code, ranges: Ranges, state: &State) -> Scan {
        Scan {
            keyed: self.keyed.clone(),
            digits: self.digits(),
            code,
            ranges,
            last: state.last_step(),
            newest: matches!(self.method, Method::Totp { .. }),
        }
    }
}

fn next(state: &State) -> u64 {
    state.last_step().map_or(0, |last| last.saturating_add(1))
}

fn current(totp: &Totp, now: Timestamp) -> Result<u64, Refusal> {
    totp.step(now).ok_or(Refusal::NotYetValid { from: totp.t0 })
}

/// Up to two spans of steps, in order and apart.
#[derive(Clone, Copy, Debug)]
struct Ranges {
    first: (u64, u64),
    second: Option<(u64, u64)>,
    /// The span that is reached without any drift.
    plain: (u64, u64),
}

impl Ranges {
    const fn one(from: u64, to: u64) -> Self {
        Self { first: (from, to), second: None, plain: (from, to) }
    }

    fn union(plain: (u64, u64), own: (u64, u64)) -> Self {
        let (low, high) = if plain.0 <= own.0 { (plain, own) } else { (own, plain) };
        if high.0 <= low.1.saturating_add(1) {
            let first = (low.0, low.1.max(high.1));
            return Self { first, second: None, plain };
        }
        Self { first: low, second: Some(high), plain }
    }
}

/// A comparison of one code with every step of its ranges. All are computed and compared, whatever
/// matches; only which ranges there are, and what was used, decides how long it takes.
#[derive(Clone, Debug)]
struct Scan {
    keyed: Keyed,
    digits: Digits,
    code: Code,
    ranges: Ranges,
    last: Option<u64>,
    newest: bool,
}

impl Scan {
    /// The step to spend. Among steps that share a code: with a clock the newest unused one, so
    /// that the same code is not taken again one step later; with a counter the one accepted last,
    /// which is a replay, then the earliest unused one, so that no codes are skipped.
    fn find(&self) -> Option<u64> {
        let typed = self.code.number();
        let (mut fresh, mut used) = (Hit::default(), Hit::default());
        for (from, to) in core::iter::once(self.ranges.first).chain(self.ranges.second) {
            for step in from..=to {
                let same = self.keyed.number(step, self.digits).ct_eq(&typed);
                if self.last.is_some_and(|last| step <= last) {
                    used.take(step, same);
                } else if self.newest {
                    fresh.take(step, same);
                } else {
                    fresh.take(step, same & !fresh.found);
                }
            }
        }
        let (first, second) = if self.newest { (fresh, used) } else { (used, fresh) };
        first.step().or_else(|| second.step())
    }
}

#[derive(Clone, Copy)]
struct Hit {
    found: Choice,
    step: u64,
}

impl Default for Hit {
    fn default() -> Self {
        Self { found: Choice::from(0), step: 0 }
    }
}

impl Hit {
    fn take(&mut self, step: u64, same: Choice) {
        self.step.conditional_assign(&step, same);
        self.found |= same;
    }

    fn step(self) -> Option<u64> {
        bool::from(self.found).then_some(self.step)
    }
}

/// A code, and the steps it is compared with.
#[derive(Clone, Debug)]
pub struct Presented {
    scan: Scan,
    expected: u64,
}

impl Presented {
    fn accepted(&self, step: u64, why: Why) -> Accepted {
        let shift = i128::from(step).saturating_sub(i128::from(self.expected));
        let limit = |_| if shift < 0 { i64::MIN } else { i64::MAX };
        Accepted { step, shift: i64::try_from(shift).unwrap_or_else(limit), why }
    }
}

impl Compare for Presented {
    type Found = Accepted;

    fn compare(&self) -> Option<Accepted> {
        let step = self.scan.find()?;
        let (from, to) = self.scan.ranges.plain;
        let why = if step == self.expected {
            Why::Current
        } else if !self.scan.newest {
            Why::LookAhead
        } else if (from..=to).contains(&step) {
            Why::Window
        } else {
            Why::Drift
        };
        Some(self.accepted(step, why))
    }
}

/// The first code of a resync, and the steps it is compared with.
#[derive(Clone, Debug)]
pub struct First(Scan);

impl Compare for First {
    type Found = Half;

    fn compare(&self) -> Option<Half> {
        self.0.find().map(|step| Half { step })
    }
}

/// The second code of a resync.
#[derive(Clone, Debug)]
pub struct Second(Presented);

impl Compare for Second {
    type Found = Accepted;

    fn compare(&self) -> Option<Accepted> {
        let step = self.0.scan.find()?;
        Some(self.0.accepted(step, Why::Resync))
    }
}
