//! The verifier of authenticators: which steps are looked at, which one a code may spend, and how
//! an authenticator's clock is followed without ever going back.
//!
//! It is the crate's one pipeline ([`crate::verifier`]); the two records of a verification come
//! from here. [`State::then`] folds them into what is remembered of an authenticator,
//! [`Record::charge`] into the attempts of who presented:
//!
//! ```
//! # use doorstep::{ledger::Head, otp::{OtpSecret, record::{Presenter, State}, totp::Totp}};
//! # use doorstep::otp::verify::{Authenticator, Enrolled, begin};
//! # use doorstep::{throttle::{Bucket, Pace}, time::Timestamp};
//! # let secret = OtpSecret::from_bytes(b"12345678901234567890").ok_or("secret")?;
//! # let (now, head) = (Timestamp::from_seconds(59), Head::EMPTY);
//! let authenticator = Authenticator::totp(&secret, Totp::default());
//! let mine = Enrolled { number: 1, authenticator: &authenticator, state: State::new(now) };
//! let anybody = Presenter::anybody(Bucket::full(Pace::AUTHENTICATOR, now));
//! let refused = |refusal: doorstep::refusal::Refusal| refusal.code();
//! let all = [mine];
//! let (attempt, tried) = begin(&all, &anybody, "287 082", now, head).map_err(refused)?;
//! // ... append `tried.to_bytes()` at `attempt.place()`, durably ...
//! let receipt = attempt.place().appended();
//! let (bucket, head) = (tried.charge(anybody.bucket), attempt.place().after);
//! let matched = attempt.counted(receipt)?.compare().map_err(refused)?;
//! let (spending, accepted) = mine.spend(&matched, &anybody, now, head).map_err(refused)?;
//! // ... append `accepted.to_bytes()` at `spending.place()`, durably ...
//! let receipt = spending.place().appended();
//! let state = mine.state.then(now, &accepted.event);
//! let grant = spending.granted(receipt)?;
//! assert_eq!((grant.found().step, grant.found().shift, state.last_step()), (1, 0, Some(1)));
//! assert_eq!(accepted.charge(bucket), anybody.bucket);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::hotp::Hotp;
use super::keyed::Keyed;
use super::record::{Event, Presenter, Record, Standing, State};
use super::scan::{Ranges, Scan};
use super::totp::Totp;
use super::window::Window;
use super::{Digits, OtpSecret};
use crate::code::Code;
use crate::ledger::Head;
use crate::refusal::Refusal;
use crate::time::Timestamp;
use crate::verifier::{Attempt, Compare, Ledgered, Matched, Means, Spending};

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

impl Method {
    /// The most codes that one guess may hit: those of the window, twice where its drift moved it
    /// away from now, or those ahead.
    #[must_use]
    pub fn codes_per_guess(&self) -> u64 {
        match self {
            Self::Hotp { look_ahead, .. } => {
                u64::from((*look_ahead).min(MAX_LOOK_AHEAD)).saturating_add(1)
            }
            Self::Totp { window, drift: Drift::NONE, .. } => window.most_steps(),
            Self::Totp { window, .. } => window.most_steps().saturating_mul(2),
        }
    }
}

/// Whether a text has the shape of a code of any authenticator. One that has not can be refused before
/// an account is looked for, and so tells nothing of it.
#[must_use]
pub fn is_code(typed: &str) -> bool {
    let all = (6..=10).filter_map(Digits::new);
    all.map(Digits::shape).any(|shape| Code::parse(typed, shape).is_ok())
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
    /// Whose code it was: the authenticator's number in the account.
    pub authenticator: u16,
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
    /// Whose code it was.
    pub authenticator: u16,
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

    pub(crate) const fn keyed(&self) -> &Keyed {
        &self.keyed
    }

    pub(crate) const fn digits(&self) -> Digits {
        match &self.method {
            Method::Hotp { hotp, .. } => hotp.digits,
            Method::Totp { totp, .. } => totp.digits,
        }
    }

    const fn counts(&self) -> bool {
        matches!(self.method, Method::Hotp { .. })
    }
}

/// An authenticator as it is enrolled in an account, and what is remembered of it.
#[derive(Debug)]
pub struct Enrolled<'a, A = Authenticator> {
    /// Its number in the account.
    pub number: u16,
    /// The secret, and how its codes are judged.
    pub authenticator: &'a A,
    /// The state read last.
    pub state: State,
}

impl<A> Clone for Enrolled<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Enrolled<'_, A> {}

/// Asks whether a typed code may be compared at all with an account's authenticators. However many
/// there are, it is one attempt. The record must be appended first.
///
/// # Errors
/// The refusal: mistyped (not counted) when no authenticator shows codes of that length, throttled,
/// or before every T0; [`Refusal::Unknown`] when the account has no authenticator.
pub fn begin<'a>(
    enrolled: &'a [Enrolled<'a>],
    presenter: &Presenter,
    typed: &str,
    now: Timestamp,
    head: Head,
) -> Result<(Attempt<Presented<'a>>, Record), Refusal> {
    let lengths = enrolled.iter().map(|one| one.authenticator.digits());
    let codes = lengths.map(|digits| Code::parse(typed, digits.shape()));
    // A text has one length, so every shape that reads it reads the same code.
    let code = match codes.reduce(Result::or) {
        None => return Err(Refusal::Unknown),
        Some(code) => code.map_err(|_| Refusal::Mistyped)?,
    };
    let fitting = enrolled.iter().filter(|one| one.authenticator.digits().shape() == code.shape());
    let expected = fitting.map(|one| one.expected(now).map(drop));
    expected.reduce(Result::or).unwrap_or(Err(Refusal::Unknown))?;
    attempt(Presented { enrolled, code, now }, presenter, now, head)
}

impl<'a> Enrolled<'a> {
    /// Names the record that spends an accepted code, on the state read last.
    ///
    /// # Errors
    /// [`Refusal::AlreadyUsed`] when its step, or a later one, is spent; [`Refusal::Unknown`] when
    /// the code was another authenticator's.
    pub fn spend(
        &self,
        matched: &Matched<Presented<'_>>,
        presenter: &Presenter,
        now: Timestamp,
        head: Head,
    ) -> Result<(Spending<Accepted>, Record), Refusal> {
        let Accepted { authenticator, step, shift, .. } = *matched.found();
        let drift = match &self.authenticator.method {
            Method::Hotp { .. } => 0,
            Method::Totp { totp, drift, .. } => {
                let allowed = drift.allowed(now.since(self.state.anchor.at), totp);
                let anchor = self.state.anchor.drift;
                shift.clamp(anchor.saturating_sub(allowed), anchor.saturating_add(allowed))
            }
        };
        let event = Event::Accepted { authenticator, step, drift };
        self.spending(matched, authenticator, presenter.record(now, event), presenter, head)
    }

    /// Begins a resync with the first of two codes that follow each other, looking at up to
    /// `reach` steps to either side, or counters ahead (at most [`MAX_REACH`]).
    ///
    /// # Errors
    /// As [`begin`].
    pub fn begin_first(
        &self,
        presenter: &Presenter,
        typed: &str,
        reach: u16,
        now: Timestamp,
        head: Head,
    ) -> Result<(Attempt<First<'a>>, Record), Refusal> {
        let code = self.read(typed)?;
        let reach = u64::from(reach.min(MAX_REACH));
        let ranges = match &self.authenticator.method {
            Method::Hotp { .. } => Ranges::after(self.state.last_step(), reach),
            Method::Totp { .. } => {
                let current = self.expected(now)?;
                Ranges::one(current.saturating_sub(reach), current.saturating_add(reach))
            }
        };
        attempt(First { enrolled: *self, code, ranges }, presenter, now, head)
    }

    /// Names the record that remembers the first code. Its grant opens nothing.
    ///
    /// # Errors
    /// [`Refusal::AlreadyUsed`] when its step, or a later one, is spent: a resync never goes back.
    pub fn spend_first(
        &self,
        matched: &Matched<First<'_>>,
        presenter: &Presenter,
        now: Timestamp,
        head: Head,
    ) -> Result<(Spending<Half>, Record), Refusal> {
        let Half { authenticator, step } = *matched.found();
        let event = Event::First { authenticator, step };
        self.spending(matched, authenticator, presenter.record(now, event), presenter, head)
    }

    /// Takes the second code of a resync, which must be the very next one.
    ///
    /// # Errors
    /// As [`begin`], and [`Refusal::Unknown`] when there was no first code, [`Refusal::Expired`]
    /// when that was too long ago.
    pub fn begin_second(
        &self,
        presenter: &Presenter,
        typed: &str,
        now: Timestamp,
        head: Head,
    ) -> Result<(Attempt<Second<'a>>, Record), Refusal> {
        let code = self.read(typed)?;
        let first = self.state.first.ok_or(Refusal::Unknown)?;
        let lifetime = match &self.authenticator.method {
            Method::Hotp { .. } => FIRST_CODE_LIFETIME,
            Method::Totp { totp, .. } => {
                totp.period.get().saturating_mul(2).max(FIRST_CODE_LIFETIME)
            }
        };
        let until = first.at.later(lifetime);
        // A clock set back to before the first code does not keep it alive.
        if now > until || now < first.at {
            return Err(Refusal::Expired { until });
        }
        let step = first.step.checked_add(1).ok_or(Refusal::Unknown)?;
        let expected = self.expected(now)?;
        attempt(Second { enrolled: *self, code, step, expected }, presenter, now, head)
    }

    /// Names the record that ends a resync: the second code is spent, and the drift is where the
    /// two codes put it.
    ///
    /// # Errors
    /// [`Refusal::AlreadyUsed`] when its step, or a later one, is spent.
    pub fn spend_second(
        &self,
        matched: &Matched<Second<'_>>,
        presenter: &Presenter,
        now: Timestamp,
        head: Head,
    ) -> Result<(Spending<Accepted>, Record), Refusal> {
        let Accepted { authenticator, step, shift, .. } = *matched.found();
        let drift = if self.authenticator.counts() { 0 } else { shift };
        let event = Event::Resynced { authenticator, step, drift };
        self.spending(matched, authenticator, presenter.record(now, event), presenter, head)
    }

    fn spending<M: Compare>(
        &self,
        matched: &Matched<M>,
        authenticator: u16,
        record: Record,
        presenter: &Presenter,
        head: Head,
    ) -> Result<(Spending<M::Found>, Record), Refusal>
    where
        for<'s> Standing<'s>: Ledgered<M::Found>,
    {
        if authenticator != self.number {
            return Err(Refusal::Unknown);
        }
        let standing = Standing { presenter, state: &self.state };
        Ok((matched.spend(&standing, record.at, record.place(head))?, record))
    }

    fn read(&self, typed: &str) -> Result<Code, Refusal> {
        Code::parse(typed, self.authenticator.digits().shape()).map_err(|_| Refusal::Mistyped)
    }

    /// The step of now, or the next counter.
    fn expected(&self, now: Timestamp) -> Result<u64, Refusal> {
        match &self.authenticator.method {
            Method::Hotp { .. } => {
                Ok(self.state.last_step().map_or(0, |last| last.saturating_add(1)))
            }
            Method::Totp { totp, .. } => {
                totp.step(now).ok_or(Refusal::NotYetValid { from: totp.t0 })
            }
        }
    }

    fn scan(&self, code: &Code, ranges: Ranges) -> Option<u64> {
        let newest = !self.authenticator.counts();
        Scan { code, ranges, last: self.state.last_step(), newest }.find(self.authenticator)
    }

    fn accepted(&self, step: u64, expected: u64, why: Why) -> Accepted {
        let shift = i128::from(step).saturating_sub(i128::from(expected));
        let limit = |_| if shift < 0 { i64::MIN } else { i64::MAX };
        let shift = i64::try_from(shift).unwrap_or_else(limit);
        Accepted { authenticator: self.number, step, shift, why }
    }

    fn compare(&self, code: &Code, now: Timestamp) -> Option<Accepted> {
        let expected = self.expected(now).ok()?;
        match &self.authenticator.method {
            Method::Hotp { look_ahead, .. } => {
                let ahead = u64::from((*look_ahead).min(MAX_LOOK_AHEAD));
                let step = self.scan(code, Ranges::after(self.state.last_step(), ahead))?;
                let why = if step == expected { Why::Current } else { Why::LookAhead };
                Some(self.accepted(step, expected, why))
            }
            Method::Totp { totp, window, .. } => {
                let (from, to) = window.steps(totp, now, 0);
                let own = window.steps(totp, now, self.state.drift);
                let step = self.scan(code, Ranges::union((from, to), own))?;
                let why = match step {
                    _ if step == expected => Why::Current,
                    _ if (from..=to).contains(&step) => Why::Window,
                    _ => Why::Drift,
                };
                Some(self.accepted(step, expected, why))
            }
        }
    }
}

fn attempt<M: Compare>(
    method: M,
    presenter: &Presenter,
    now: Timestamp,
    head: Head,
) -> Result<(Attempt<M>, Record), Refusal>
where
    for<'s> Standing<'s>: Ledgered<M::Found>,
{
    let record = presenter.record(now, Event::Tried);
    // Nothing of the state decides whether an attempt is made.
    let standing = Standing { presenter, state: &State::new(now) };
    let attempt = Attempt::begin(method, Means::Typed, &standing, now, record.place(head))?;
    Ok((attempt, record))
}

/// A code, and the authenticators it is compared with.
#[derive(Debug)]
pub struct Presented<'a> {
    enrolled: &'a [Enrolled<'a>],
    code: Code,
    now: Timestamp,
}

impl Compare for Presented<'_> {
    type Found = Accepted;

    /// All authenticators are compared, whatever matches. A step that is spent comes first: of
    /// one secret enrolled twice, which callers refuse, this takes most codes once, and not all.
    fn compare(&self) -> Option<Accepted> {
        let shape = self.code.shape();
        let (mut fresh, mut used) = (None, None);
        for one in self.enrolled.iter().filter(|one| one.authenticator.digits().shape() == shape) {
            let Some(accepted) = one.compare(&self.code, self.now) else { continue };
            let place = if one.state.is_used(accepted.step) { &mut used } else { &mut fresh };
            place.get_or_insert(accepted);
        }
        used.or(fresh)
    }
}

/// The first code of a resync, and the steps it is compared with.
#[derive(Debug)]
pub struct First<'a> {
    enrolled: Enrolled<'a>,
    code: Code,
    ranges: Ranges,
}

impl Compare for First<'_> {
    type Found = Half;

    fn compare(&self) -> Option<Half> {
        let step = self.enrolled.scan(&self.code, self.ranges)?;
        Some(Half { authenticator: self.enrolled.number, step })
    }
}

/// The second code of a resync.
#[derive(Debug)]
pub struct Second<'a> {
    enrolled: Enrolled<'a>,
    code: Code,
    step: u64,
    expected: u64,
}

impl Compare for Second<'_> {
    type Found = Accepted;

    fn compare(&self) -> Option<Accepted> {
        let step = self.enrolled.scan(&self.code, Ranges::one(self.step, self.step))?;
        Some(self.enrolled.accepted(step, self.expected, Why::Resync))
    }
}
