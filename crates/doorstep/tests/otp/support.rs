//! A verifier with its ledger in memory, as a caller would keep it.

use doorstep::ledger::{Head, Place, Receipt};
use doorstep::otp::hotp::Hotp;
use doorstep::otp::record::{Event, Presenter, Record, State};
use doorstep::otp::totp::Totp;
use doorstep::otp::verify::{Accepted, Authenticator, Drift, Enrolled, Method, begin};
use doorstep::otp::window::Window;
use doorstep::otp::{Algorithm, Digits, OtpSecret};
use doorstep::refusal::Refusal;
use doorstep::throttle::{Bucket, Pace};
use doorstep::time::Timestamp;

/// The secret of the RFCs.
pub(crate) const RFC_SECRET: &[u8; 20] = b"12345678901234567890";

/// Enough attempts for tests that are not about the throttle.
pub(crate) const PATIENT: Pace = Pace { burst: 200, refill: 1 };

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

pub(crate) fn secret() -> OtpSecret {
    OtpSecret::from_bytes(RFC_SECRET).unwrap()
}

pub(crate) fn algorithm(name: &str) -> Algorithm {
    Algorithm::parse(name).unwrap()
}

pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// The code of a step or counter, as an authenticator would show it.
pub(crate) fn code(step: u64) -> String {
    let hotp = Hotp::default();
    text(hotp.code(&hotp.keyed(&secret()), step).expose())
}

pub(crate) fn text(code: &[u8]) -> String {
    String::from_utf8(code.to_vec()).unwrap()
}

/// A code that none of these steps has.
pub(crate) fn wrong(steps: std::ops::RangeInclusive<u64>) -> String {
    let used: Vec<String> = steps.map(code).collect();
    (0..).map(|number| format!("{number:06}")).find(|code| !used.contains(code)).unwrap()
}

/// An account of one authenticator and what its verifier wrote down. Appending checks the head, as
/// a ledger must.
#[derive(Clone)]
pub(crate) struct Verifier {
    pub(crate) authenticator: Authenticator,
    pub(crate) state: State,
    pub(crate) bucket: Bucket,
    pub(crate) head: Head,
}

impl Verifier {
    pub(crate) fn totp(window: Window, drift: Drift, enrolled: u64) -> Self {
        let method = Method::Totp { totp: Totp::default(), window, drift };
        Self::new(Authenticator::new(&secret(), method), State::new(at(enrolled)))
    }

    /// A window of one step to either side and no drift.
    pub(crate) fn plain(enrolled: u64) -> Self {
        Self::totp(Window::ONE_EACH, Drift::NONE, enrolled)
    }

    pub(crate) fn hotp(next: u64) -> Self {
        Self::new(
            Authenticator::hotp(&secret(), Hotp::default()),
            State::counting_from(at(0), next),
        )
    }

    pub(crate) fn new(authenticator: Authenticator, state: State) -> Self {
        Self { authenticator, state, bucket: Bucket::full(PATIENT, at(0)), head: Head::EMPTY }
    }

    pub(crate) fn enrolled(&self) -> Enrolled<'_> {
        Enrolled { number: 1, authenticator: &self.authenticator, state: self.state }
    }

    pub(crate) fn presenter(&self) -> Presenter {
        Presenter::anybody(self.bucket)
    }

    pub(crate) fn append(&mut self, place: &Place, record: &Record) -> Option<Receipt> {
        if place.before != self.head {
            return None;
        }
        assert_eq!(*place, Place::of(self.head, &record.to_bytes()));
        self.head = place.after;
        self.bucket = record.charge(self.bucket);
        if record.event != Event::Tried {
            self.state = self.state.then(record.at, &record.event);
        }
        Some(place.appended())
    }

    pub(crate) fn present(&mut self, typed: &str, now: u64) -> Result<Accepted, Refusal> {
        let (now, before) = (at(now), self.clone());
        let enrolled = [before.enrolled()];
        let (attempt, tried) = begin(&enrolled, &self.presenter(), typed, now, self.head)?;
        let receipt = self.append(attempt.place(), &tried).unwrap();
        let matched = attempt.counted(receipt).unwrap().compare()?;
        let (spending, accepted) =
            self.enrolled().spend(&matched, &self.presenter(), now, self.head)?;
        let receipt = self.append(spending.place(), &accepted).unwrap();
        Ok(*spending.granted(receipt).unwrap().found())
    }

    pub(crate) fn first(&mut self, typed: &str, reach: u16, now: u64) -> Result<u64, Refusal> {
        let (now, before) = (at(now), self.clone());
        let (attempt, tried) =
            before.enrolled().begin_first(&self.presenter(), typed, reach, now, self.head)?;
        let receipt = self.append(attempt.place(), &tried).unwrap();
        let matched = attempt.counted(receipt).unwrap().compare()?;
        let (spending, first) =
            self.enrolled().spend_first(&matched, &self.presenter(), now, self.head)?;
        let receipt = self.append(spending.place(), &first).unwrap();
        Ok(spending.granted(receipt).unwrap().found().step)
    }

    pub(crate) fn second(&mut self, typed: &str, now: u64) -> Result<Accepted, Refusal> {
        let (now, before) = (at(now), self.clone());
        let (attempt, tried) =
            before.enrolled().begin_second(&self.presenter(), typed, now, self.head)?;
        let receipt = self.append(attempt.place(), &tried).unwrap();
        let matched = attempt.counted(receipt).unwrap().compare()?;
        let (spending, second) =
            self.enrolled().spend_second(&matched, &self.presenter(), now, self.head)?;
        let receipt = self.append(spending.place(), &second).unwrap();
        Ok(*spending.granted(receipt).unwrap().found())
    }
}

pub(crate) fn wrong_code(refusal: Result<Accepted, Refusal>) -> bool {
    matches!(refusal, Err(Refusal::WrongCode { .. }))
}

pub(crate) fn already_used(refusal: Result<Accepted, Refusal>) -> bool {
    matches!(refusal, Err(Refusal::AlreadyUsed { .. }))
}

pub(crate) fn digits(count: u64) -> Digits {
    Digits::for_ocra(u8::try_from(count).unwrap()).unwrap()
}
