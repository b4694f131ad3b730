//! Several authenticators in one account: one attempt for all, one grant for one code, and a
//! lockout that a stranger cannot use against the holder.

use crate::support::{RFC_SECRET, at, code, secret, text, wrong};
use doorstep::ledger::Head;
use doorstep::otp::hotp::Hotp;
use doorstep::otp::record::{Event, Presenter, State};
use doorstep::otp::totp::Totp;
use doorstep::otp::verify::{Accepted, Authenticator, Enrolled, begin};
use doorstep::otp::{Digits, OtpSecret};
use doorstep::refusal::Refusal;
use doorstep::throttle::{Bucket, Pace};
use doorstep::time::Timestamp;
use std::num::NonZeroU64;

const NOON: u64 = 1_800_000_000;
const STEP: u64 = NOON / 30;

struct Account {
    authenticators: Vec<(u16, Authenticator, State)>,
    /// The account's own, and that of a device it knows.
    buckets: [Bucket; 2],
    head: Head,
}

impl Account {
    fn new(authenticators: Vec<Authenticator>) -> Self {
        let numbered = (1..).zip(authenticators);
        let authenticators =
            numbered.map(|(number, one)| (number, one, State::new(at(NOON)))).collect();
        let bucket = Bucket::full(Pace { burst: 5, refill: 3600 }, at(NOON));
        Self { authenticators, buckets: [bucket; 2], head: Head::EMPTY }
    }

    fn present(&mut self, source: u16, typed: &str, now: u64) -> Result<Accepted, Refusal> {
        let now = at(now);
        let bucket = &mut self.buckets[usize::from(source)];
        let presenter = Presenter { source, bucket: *bucket };
        let enrolled: Vec<Enrolled<'_>> = self
            .authenticators
            .iter()
            .map(|(number, authenticator, state)| Enrolled {
                number: *number,
                authenticator,
                state: *state,
            })
            .collect();
        let (attempt, tried) = begin(&enrolled, &presenter, typed, now, self.head)?;
        assert_eq!((tried.source, tried.event), (source, Event::Tried), "one, for all of them");
        *bucket = tried.charge(*bucket);
        self.head = attempt.place().after;
        let receipt = attempt.place().appended();
        let matched = attempt.counted(receipt).unwrap().compare()?;
        let whose = matched.found().authenticator;
        for other in enrolled.iter().filter(|one| one.number != whose) {
            let spent = other.spend(&matched, &presenter, now, self.head);
            assert_eq!(spent.err(), Some(Refusal::Unknown), "no other is spent by it");
        }
        let mine = enrolled.iter().find(|one| one.number == whose).unwrap();
        let (spending, accepted) = mine.spend(&matched, &presenter, now, self.head)?;
        *bucket = accepted.charge(*bucket);
        self.head = spending.place().after;
        let receipt = spending.place().appended();
        let place = usize::from(whose) - 1;
        self.authenticators[place].2 = self.authenticators[place].2.then(now, &accepted.event);
        Ok(*spending.granted(receipt).unwrap().found())
    }
}

fn other_secret() -> OtpSecret {
    OtpSecret::from_bytes(&RFC_SECRET.map(|byte| byte ^ 1)).unwrap()
}

fn shown(totp: &Totp, secret: &OtpSecret, now: u64) -> String {
    text(totp.code_at(&totp.keyed(secret), Timestamp::from_seconds(now)).unwrap().expose())
}

#[test]
fn every_authenticator_of_an_account_is_taken_and_spent_alone() {
    let eight = Totp { digits: Digits::EIGHT, ..Totp::default() };
    let mut account = Account::new(vec![
        Authenticator::totp(&secret(), Totp::default()),
        Authenticator::totp(&other_secret(), Totp::default()),
        Authenticator::totp(&other_secret(), eight),
        Authenticator::hotp(&secret(), Hotp::default()),
    ]);
    let other = shown(&Totp::default(), &other_secret(), NOON);
    assert_eq!(account.present(0, &code(STEP), NOON).unwrap().authenticator, 1);
    assert_eq!(account.present(0, &other, NOON).unwrap().authenticator, 2);
    let of_eight = account.present(0, &shown(&eight, &other_secret(), NOON), NOON).unwrap();
    assert_eq!((of_eight.authenticator, of_eight.step), (3, STEP));
    assert_eq!(account.present(0, &code(0), NOON).unwrap().authenticator, 4);
    for spent in [code(STEP), other, code(0)] {
        let again = account.present(0, &spent, NOON);
        assert!(matches!(again, Err(Refusal::AlreadyUsed { .. })), "{again:?}");
    }
    assert_eq!(account.present(0, "1234567", NOON), Err(Refusal::Mistyped), "nobody shows seven");
    assert!(account.present(0, &code(STEP + 1), NOON).is_ok());
}

/// Callers keep a secret from being enrolled twice; this is no more than what is left without that.
#[test]
fn a_code_is_taken_once_by_two_that_are_judged_alike() {
    let twin = || Authenticator::totp(&secret(), Totp::default());
    let mut account = Account::new(vec![twin(), twin()]);
    assert_eq!(account.present(0, &code(STEP), NOON).unwrap().authenticator, 1);
    for now in [NOON, NOON + 30] {
        let again = account.present(0, &code(STEP), now);
        assert!(matches!(again, Err(Refusal::AlreadyUsed { .. })), "{again:?}");
    }
}

#[test]
fn more_authenticators_give_no_more_attempts() {
    let twin = || Authenticator::totp(&secret(), Totp::default());
    let mut account = Account::new(vec![twin(), twin(), twin()]);
    let bad = wrong(STEP - 2..=STEP + 2);
    for left in (0..5).rev() {
        let answer = account.present(0, &bad, NOON);
        assert_eq!(answer, Err(Refusal::WrongCode { left: Some(left) }));
    }
    let until = Some(at(NOON + 3600));
    assert_eq!(account.present(0, &code(STEP), NOON), Err(Refusal::Throttled { until }));
}

#[test]
fn strangers_use_up_their_own_attempts_and_not_those_of_a_known_device() {
    let mut account = Account::new(vec![Authenticator::totp(&secret(), Totp::default())]);
    let bad = wrong(STEP - 2..=STEP + 2);
    while account.present(0, &bad, NOON) != Err(Refusal::Throttled { until: Some(at(NOON + 3600)) })
    {
    }
    assert!(account.present(1, &code(STEP), NOON).is_ok(), "the holder is let in");
    let again = account.present(0, &code(STEP + 1), NOON + 30);
    assert!(matches!(again, Err(Refusal::Throttled { .. })), "a success elsewhere frees nobody");
    for _ in 0..5 {
        assert!(matches!(account.present(1, &bad, NOON), Err(Refusal::WrongCode { .. })));
    }
    let stolen = account.present(1, &code(STEP + 1), NOON + 30);
    assert!(
        matches!(stolen, Err(Refusal::Throttled { .. })),
        "a known device may not guess either"
    );
}

/// What an activation does that does not know the period: the code says it.
#[test]
fn the_period_is_told_by_the_first_code() {
    let sixty = Totp { period: NonZeroU64::new(60).unwrap(), ..Totp::default() };
    for (period, number) in [(Totp::default(), 1), (sixty, 2)] {
        let mut account = Account::new(vec![
            Authenticator::totp(&secret(), Totp::default()),
            Authenticator::totp(&secret(), sixty),
        ]);
        let first = account.present(0, &shown(&period, &secret(), NOON), NOON).unwrap();
        assert_eq!(first.authenticator, number);
    }
}

#[test]
fn an_account_without_authenticators_takes_nothing() {
    let mut account = Account::new(Vec::new());
    for typed in ["", "000000", "123456"] {
        assert_eq!(account.present(0, typed, NOON), Err(Refusal::Unknown), "{typed:?}");
    }
}

#[test]
fn before_t0_is_said_only_when_every_authenticator_is_before_it() {
    let late = Totp { t0: at(NOON + 300), ..Totp::default() };
    let early = Err(Refusal::NotYetValid { from: at(NOON + 300) });
    let mut account = Account::new(vec![Authenticator::totp(&secret(), late)]);
    assert_eq!(account.present(0, &code(STEP), NOON), early);
    let mut account = Account::new(vec![
        Authenticator::totp(&secret(), late),
        Authenticator::totp(&secret(), Totp::default()),
    ]);
    assert_eq!(account.present(0, &code(STEP), NOON).unwrap().authenticator, 2);
}
