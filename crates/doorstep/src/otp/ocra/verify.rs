//! The verifier of an OCRA authenticator: a challenge is answered once, by the one who has the
//! secret, over the crate's one pipeline.

use super::suite::Suite;
use super::{Input, PinHash, Question, bits, mac};
use crate::code::Code;
use crate::ledger::Head;
use crate::otp::keyed::reduce;
use crate::otp::record::{Event, Presenter, Record, State, unused};
use crate::otp::totp::Totp;
use crate::otp::verify::Enrolled;
use crate::otp::window::Window;
use crate::otp::{Digits, OtpSecret};
use crate::refusal::Refusal;
use crate::time::{self, Position, Timestamp};
use crate::verifier::{Attempt, Compare, Ledgered, Matched, Means, Spending};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// What whoever answers a challenge can do about a refusal.
#[must_use]
pub const fn hint(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::AlreadyUsed { .. } => "each challenge is answered once; make a new one",
        Refusal::Expired { .. } => "that took too long; make a new challenge",
        Refusal::NotYetValid { .. } => {
            "the clock of the verifier was set back; make a new challenge"
        }
        Refusal::WrongCode { .. } => {
            "check the challenge as it was entered, and the PIN and the clock if they go in"
        }
        other => crate::otp::hint(other),
    }
}

/// How many answers may have been computed and not presented.
const LOOK_AHEAD: u8 = 10;

/// The most answers that one guess may hit: every counter ahead with every step of the window, as far
/// as they go in.
#[must_use]
pub fn codes_per_guess(suite: &Suite, window: Window) -> u64 {
    let counters = if suite.has_counter() { u64::from(LOOK_AHEAD).saturating_add(1) } else { 1 };
    counters.saturating_mul(suite.period().map_or(1, |_| window.most_steps()))
}

/// What was asked, and whether it was answered.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The question.
    pub question: Question,
    /// The session, when the suite has one.
    pub session: Option<&'a [u8]>,
    /// When it may be answered.
    pub window: time::Window,
    /// When it was answered, if it was.
    pub answered: Option<Timestamp>,
}

/// An enrolled secret and the suite that it answers in.
#[derive(Clone, Debug)]
pub struct OcraAuthenticator {
    secret: OtpSecret,
    suite: Suite,
    digits: Digits,
    pin: Option<PinHash>,
    window: Window,
}

/// An answer that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Who answered: the authenticator's number in the account.
    pub authenticator: u16,
    /// The counter that went in.
    pub counter: Option<u64>,
    /// The time step that went in.
    pub time_step: Option<u64>,
}

impl OcraAuthenticator {
    /// An authenticator that answers in `suite`: up to 10 answers may have been computed and not
    /// presented, and times are taken one step to either side.
    ///
    /// `None` when the suite has no digits to type (compare with [`super::respond`]), or the PIN's
    /// hash does not fit.
    #[must_use]
    pub fn new(secret: &OtpSecret, suite: Suite, pin: Option<PinHash>) -> Option<Self> {
        (suite.pin() == pin.as_ref().map(|pin| pin.algorithm)).then_some(())?;
        let digits = suite.digits()?;
        let window = Window::ONE_EACH;
        Some(Self { secret: secret.clone(), suite, digits, pin, window })
    }

    /// The same with another window of time steps.
    #[must_use]
    pub fn with_window(self, window: Window) -> Self {
        Self { window, ..self }
    }
}

impl<'e> Enrolled<'e, OcraAuthenticator> {
    /// Asks whether a typed answer may be compared at all. The record must be appended first.
    ///
    /// # Errors
    /// The refusal: mistyped (not counted), already used, outside the challenge's window, or
    /// throttled; [`Refusal::Unknown`] when the session does not fit the suite.
    pub fn begin_answer<'a>(
        &self,
        asked: &Asked<'a>,
        presenter: &Presenter,
        typed: &str,
        now: Timestamp,
        head: Head,
    ) -> Result<(Attempt<Answer<'a>>, Record), Refusal>
    where
        'e: 'a,
    {
        let authenticator = self.authenticator;
        let code = Code::parse(typed, authenticator.digits.shape());
        let code = code.map_err(|_| Refusal::Mistyped)?;
        let counters = authenticator.suite.has_counter().then(|| {
            let next = self.state.last_step().map_or(0, |last| last.saturating_add(1));
            (next, next.saturating_add(u64::from(LOOK_AHEAD)))
        });
        let steps = authenticator.suite.period().map(|period| {
            let totp = Totp { period, ..Totp::default() };
            authenticator.window.steps(&totp, now, 0)
        });
        let number = self.number;
        let answer = Answer { number, authenticator, asked: *asked, code, counters, steps };
        // Whether the inputs fit does not depend on the code, so it is known before the attempt.
        answer
            .value(counters.map(|range| range.0), steps.map(|range| range.0))
            .ok_or(Refusal::Unknown)?;
        let record = presenter.record(now, Event::Tried);
        let standing = Standing { presenter, state: &self.state, asked };
        let attempt = Attempt::begin(answer, Means::Typed, &standing, now, record.place(head))?;
        Ok((attempt, record))
    }

    /// Names the record that spends an answer, on the state and the challenge read last. The same
    /// append must mark the challenge as answered.
    ///
    /// # Errors
    /// [`Refusal::AlreadyUsed`] when the challenge was answered, or the counter is spent;
    /// [`Refusal::Unknown`] when the answer was another authenticator's.
    pub fn spend_answer(
        &self,
        matched: &Matched<Answer<'_>>,
        asked: &Asked<'_>,
        presenter: &Presenter,
        now: Timestamp,
        head: Head,
    ) -> Result<(Spending<Answered>, Record), Refusal> {
        let Answered { authenticator, counter, .. } = *matched.found();
        if authenticator != self.number {
            return Err(Refusal::Unknown);
        }
        let record = presenter.record(now, Event::Answered { authenticator, counter });
        let standing = Standing { presenter, state: &self.state, asked };
        Ok((matched.spend(&standing, now, record.place(head))?, record))
    }
}

struct Standing<'a> {
    presenter: &'a Presenter,
    state: &'a State,
    asked: &'a Asked<'a>,
}

impl Standing<'_> {
    fn open(&self, now: Timestamp) -> Result<(), Refusal> {
        if let Some(at) = self.asked.answered {
            return Err(Refusal::AlreadyUsed { at });
        }
        let window = &self.asked.window;
        match window.position(now) {
            Position::Before => Err(Refusal::NotYetValid { from: window.from() }),
            Position::Inside => Ok(()),
            Position::After => Err(Refusal::Expired { until: window.until() }),
        }
    }
}

impl Ledgered<Answered> for Standing<'_> {
    fn admit(&self, means: Means, now: Timestamp) -> Result<Option<u8>, Refusal> {
        self.open(now)?;
        self.presenter.admit(means, now)
    }

    fn still(&self, found: &Answered, now: Timestamp) -> Result<(), Refusal> {
        self.open(now)?;
        found.counter.map_or(Ok(()), |counter| unused(self.state, counter))
    }
}

/// An answer, and everything it is compared with.
#[derive(Clone, Debug)]
pub struct Answer<'a> {
    number: u16,
    authenticator: &'a OcraAuthenticator,
    asked: Asked<'a>,
    code: Code,
    counters: Option<(u64, u64)>,
    steps: Option<(u64, u64)>,
}

impl Answer<'_> {
    fn value(&self, counter: Option<u64>, time_step: Option<u64>) -> Option<u64> {
        let OcraAuthenticator { suite, secret, pin, digits, .. } = self.authenticator;
        let input = Input {
            counter,
            question: &self.asked.question,
            pin: pin.as_ref(),
            session: self.asked.session,
            time_step,
        };
        Some(reduce(bits(&mac(suite, secret, &input).ok()?), *digits))
    }
}

impl Compare for Answer<'_> {
    type Found = Answered;

    fn compare(&self) -> Option<Answered> {
        let typed = self.code.number();
        let (mut found, mut counter, mut step) = (Choice::from(0), 0, 0);
        let (counters, steps) = (self.counters.unwrap_or((0, 0)), self.steps.unwrap_or((0, 0)));
        for at_counter in counters.0..=counters.1 {
            for at_step in steps.0..=steps.1 {
                let value =
                    self.value(self.counters.and(Some(at_counter)), self.steps.and(Some(at_step)));
                // Whether there is a number at all was checked before the attempt.
                let same = value.map_or_else(|| Choice::from(0), |value| value.ct_eq(&typed));
                // The earliest counter, so that none is skipped.
                counter.conditional_assign(&at_counter, same & !found);
                step.conditional_assign(&at_step, same & !found);
                found |= same;
            }
        }
        bool::from(found).then(|| Answered {
            authenticator: self.number,
            counter: self.counters.and(Some(counter)),
            time_step: self.steps.and(Some(step)),
        })
    }
}
