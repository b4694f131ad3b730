//! OCRA between two sides: one-way, mutual and signed, each challenge answered once.

use crate::support::{PATIENT, at, secret, text};
use doorstep::ledger::{Head, Place, Receipt};
use doorstep::otp::Algorithm;
use doorstep::otp::ocra::suite::{Format, Suite};
use doorstep::otp::ocra::verify::{Answer, Answered, Asked, OcraAuthenticator};
use doorstep::otp::ocra::{BadInput, Challenge, Input, PinHash, Question, Response, respond};
use doorstep::otp::record::{Presenter, Record, State};
use doorstep::otp::verify::Enrolled;
use doorstep::refusal::Refusal;
use doorstep::throttle::Bucket;
use doorstep::time::{Timestamp, Window};
use doorstep::verifier::Matched;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

const NOON: u64 = 1_800_000_000;

struct Desk {
    authenticator: OcraAuthenticator,
    suite: Suite,
    state: State,
    bucket: Bucket,
    head: Head,
    answered: Option<Timestamp>,
}

impl Desk {
    fn new(suite: &str, pin: Option<PinHash>) -> Self {
        let suite = Suite::parse(suite).unwrap();
        let authenticator = OcraAuthenticator::new(&secret(), suite, pin).unwrap();
        let state = State::new(at(NOON));
        let bucket = Bucket::full(PATIENT, at(NOON));
        Self { authenticator, suite, state, bucket, head: Head::EMPTY, answered: None }
    }

    fn question(&self, text: &str) -> Question {
        Question::one_way(&Challenge::parse(&self.suite, text).unwrap())
    }

    fn append(&mut self, place: &Place, record: &Record) -> Receipt {
        assert_eq!(*place, Place::of(self.head, &record.to_bytes()));
        self.head = place.after;
        self.bucket = record.charge(self.bucket);
        self.state = self.state.then(record.at, &record.event);
        place.appended()
    }

    fn presenter(&self) -> Presenter {
        Presenter::anybody(self.bucket)
    }

    fn enrolled<'a>(
        &self,
        authenticator: &'a OcraAuthenticator,
    ) -> Enrolled<'a, OcraAuthenticator> {
        Enrolled { number: 1, authenticator, state: self.state }
    }

    /// Everything up to the comparison, which others may be at as well.
    fn compare<'a>(
        &mut self,
        authenticator: &'a OcraAuthenticator,
        asked: &Asked<'a>,
        typed: &str,
    ) -> Matched<Answer<'a>> {
        let begun = self.enrolled(authenticator).begin_answer(
            asked,
            &self.presenter(),
            typed,
            at(NOON),
            self.head,
        );
        let (attempt, tried) = begun.unwrap();
        let receipt = self.append(attempt.place(), &tried);
        attempt.counted(receipt).unwrap().compare().unwrap()
    }

    fn answer(
        &mut self,
        question: Question,
        session: Option<&[u8]>,
        typed: &str,
        now: u64,
    ) -> Result<Answered, Refusal> {
        let window = Window::new(at(NOON), at(NOON + 300)).unwrap();
        let now = at(now);
        let authenticator = self.authenticator.clone();
        let asked = Asked { question, session, window, answered: self.answered };
        let enrolled = self.enrolled(&authenticator);
        let (attempt, tried) =
            enrolled.begin_answer(&asked, &self.presenter(), typed, now, self.head)?;
        let receipt = self.append(attempt.place(), &tried);
        let matched = attempt.counted(receipt).unwrap().compare()?;
        let asked = Asked { answered: self.answered, ..asked };
        let enrolled = self.enrolled(&authenticator);
        let (spending, record) =
            enrolled.spend_answer(&matched, &asked, &self.presenter(), now, self.head)?;
        let receipt = self.append(spending.place(), &record);
        self.answered = Some(now);
        Ok(*spending.granted(receipt).unwrap().found())
    }
}

fn shown(suite: &Suite, input: &Input<'_>) -> String {
    match respond(suite, &secret(), input).unwrap() {
        Response::Code(code) => text(code.expose()),
        Response::Whole(_) => panic!("no digits"),
    }
}

#[test]
fn a_challenge_is_answered_once() {
    let mut desk = Desk::new("OCRA-1:HOTP-SHA1-6:QN08", None);
    let question = desk.question("12345678");
    let right = shown(&desk.suite, &Input::new(&question));
    let other = shown(&desk.suite, &Input::new(&desk.question("12345679")));
    assert!(matches!(desk.answer(question, None, &other, NOON), Err(Refusal::WrongCode { .. })));
    assert_eq!(desk.answer(question, None, "12345", NOON), Err(Refusal::Mistyped));
    let answered = Ok(Answered { authenticator: 1, counter: None, time_step: None });
    assert_eq!(desk.answer(question, None, &right, NOON + 299), answered);
    let again = desk.answer(question, None, &right, NOON + 299);
    assert_eq!(again, Err(Refusal::AlreadyUsed { at: at(NOON + 299) }));
}

/// Both were compared before either was spent; the challenge, and the counter, are read again.
#[test]
fn concurrent_answers_are_granted_once() {
    let window = Window::new(at(NOON), at(NOON + 300)).unwrap();
    let (now, later) = (at(NOON), at(NOON + 1));
    for suite in ["OCRA-1:HOTP-SHA1-6:QN08", "OCRA-1:HOTP-SHA1-6:C-QN08"] {
        let mut desk = Desk::new(suite, None);
        let authenticator = desk.authenticator.clone();
        let question = desk.question("12345678");
        let counter = desk.suite.has_counter().then_some(0);
        let right = shown(&desk.suite, &Input { counter, ..Input::new(&question) });
        let asked = Asked { question, session: None, window, answered: None };
        let first = desk.compare(&authenticator, &asked, &right);
        let second = desk.compare(&authenticator, &asked, &right);
        let spend = |desk: &Desk, matched, asked, now| {
            let enrolled = desk.enrolled(&authenticator);
            enrolled.spend_answer(matched, asked, &desk.presenter(), now, desk.head)
        };
        let (spending, record) = spend(&desk, &first, &asked, now).unwrap();
        desk.append(spending.place(), &record);
        let answered = Asked { answered: Some(now), ..asked };
        let again = spend(&desk, &second, &answered, later);
        assert_eq!(again.err(), Some(Refusal::AlreadyUsed { at: now }), "{suite}");
        // A counter is spent for every challenge, not only for the one it answered.
        let other = spend(&desk, &second, &asked, later);
        assert_eq!(other.is_err(), counter.is_some(), "{suite}");
        let over = spend(&desk, &second, &asked, at(NOON + 300));
        assert!(over.is_err(), "{suite}: the challenge's time is over");
    }
}

#[test]
fn among_counters_that_share_an_answer_the_earliest_is_taken() {
    let mut desk = Desk::new("OCRA-1:HOTP-SHA1-4:C-QN08", None);
    let question = desk.question("00000000");
    let answer = |counter| {
        let suite = Suite::parse("OCRA-1:HOTP-SHA1-4:C-QN08").unwrap();
        shown(&suite, &Input { counter: Some(counter), ..Input::new(&question) })
    };
    let twice = |first: &u64| (1..10).any(|more| answer(first + more) == answer(*first));
    let first = (1..).find(twice).unwrap();
    desk.state = State::counting_from(at(NOON), first);
    let answered = desk.answer(question, None, &answer(first), NOON).unwrap();
    assert_eq!(answered.counter, Some(first));
}

#[test]
fn a_challenge_has_its_time() {
    let mut desk = Desk::new("OCRA-1:HOTP-SHA1-6:QN08", None);
    let question = desk.question("12345678");
    let right = shown(&desk.suite, &Input::new(&question));
    let from = at(NOON);
    let early = desk.answer(question, None, &right, NOON - 1);
    assert_eq!(early, Err(Refusal::NotYetValid { from }));
    let late = desk.answer(question, None, &right, NOON + 300);
    assert_eq!(late, Err(Refusal::Expired { until: at(NOON + 300) }));
}

#[test]
fn a_counter_only_goes_forward() {
    let pin = PinHash::derive(Algorithm::Sha1, "1234");
    let mut desk = Desk::new("OCRA-1:HOTP-SHA256-8:C-QN08-PSHA1", Some(pin.clone()));
    let question = desk.question("00000000");
    let answer = |desk: &Desk, counter| {
        let input = Input { counter: Some(counter), pin: Some(&pin), ..Input::new(&question) };
        shown(&desk.suite, &input)
    };
    let typed = answer(&desk, 11);
    assert!(desk.answer(question, None, &typed, NOON).is_err(), "too far ahead");
    let typed = answer(&desk, 4);
    let answered = desk.answer(question, None, &typed, NOON).unwrap();
    assert_eq!(answered.counter, Some(4));
    // The same counter for the next challenge is a replay of nothing: it is simply spent.
    desk.answered = None;
    for spent in [0, 3, 4] {
        let typed = answer(&desk, spent);
        assert!(desk.answer(question, None, &typed, NOON).is_err(), "{spent}");
    }
    let typed = answer(&desk, 5);
    assert_eq!(desk.answer(question, None, &typed, NOON).unwrap().counter, Some(5));
    let other = PinHash::derive(Algorithm::Sha1, "1235");
    let input = Input { counter: Some(6), pin: Some(&other), ..Input::new(&question) };
    let typed = shown(&desk.suite, &input);
    desk.answered = None;
    assert!(desk.answer(question, None, &typed, NOON).is_err(), "another PIN");
}

#[test]
fn the_time_and_the_session_are_part_of_the_answer() {
    let mut desk = Desk::new("OCRA-1:HOTP-SHA1-6:QA08-S064-T1M", None);
    let question = desk.question("SESSION1");
    let answer = |desk: &Desk, session: &[u8], step| {
        let input =
            Input { session: Some(session), time_step: Some(step), ..Input::new(&question) };
        shown(&desk.suite, &input)
    };
    let minute = NOON / 60;
    for (session, step) in [(&b"a"[..], minute - 2), (b"a", minute + 2), (b"b", minute)] {
        let typed = answer(&desk, session, step);
        assert!(desk.answer(question, Some(b"a"), &typed, NOON).is_err(), "{session:?} {step}");
    }
    let typed = answer(&desk, b"a", minute + 1);
    let answered = desk.answer(question, Some(b"a"), &typed, NOON).unwrap();
    assert_eq!(answered.time_step, Some(minute + 1));
    desk.answered = None;
    let missing = desk.answer(question, None, &typed, NOON);
    assert_eq!(missing, Err(Refusal::Unknown), "the suite wants a session");
}

/// RFC 6287 section 7.3: each side shows the other that it has the secret.
#[test]
fn both_sides_know_each_other() {
    let suite = Suite::parse("OCRA-1:HOTP-SHA256-8:QA08").unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let client = Challenge::make(&suite, &mut rng);
    let server = Challenge::make(&suite, &mut rng);
    let mutual = |asked, own| Question::mutual(&suite, asked, own).unwrap();
    let by_server = shown(&suite, &Input::new(&mutual(&client, &server)));
    let by_client = shown(&suite, &Input::new(&mutual(&server, &client)));
    assert_ne!(by_server, by_client, "an answer cannot be sent back");
    let mut desk = Desk::new("OCRA-1:HOTP-SHA256-8:QA08", None);
    let question = mutual(&server, &client);
    assert!(desk.answer(question, None, &by_server, NOON).is_err());
    assert!(desk.answer(question, None, &by_client, NOON).is_ok());
}

/// Joined without their lengths, "1" and "2345678" would be one question with "12" and "345678".
#[test]
fn short_challenges_do_not_make_a_question_of_two() {
    let suite = Suite::parse("OCRA-1:HOTP-SHA1-6:QN08").unwrap();
    let challenge = |text| Challenge::parse(&suite, text).unwrap();
    for (asked, own) in [("1", "2345678"), ("12345678", "1"), ("1234567", "12345678")] {
        assert_eq!(Question::mutual(&suite, &challenge(asked), &challenge(own)), None);
    }
    assert!(Question::mutual(&suite, &challenge("12345678"), &challenge("87654321")).is_some());
    let letters = Suite::parse("OCRA-1:HOTP-SHA1-6:QA08").unwrap();
    assert_eq!(Question::mutual(&letters, &challenge("12345678"), &challenge("87654321")), None);
}

#[test]
fn inputs_are_exactly_those_of_the_suite() {
    let plain = Suite::parse("OCRA-1:HOTP-SHA1-6:QN08").unwrap();
    let all = Suite::parse("OCRA-1:HOTP-SHA1-6:C-QN08-PSHA1-S001-T1M").unwrap();
    let question = Question::one_way(&Challenge::parse(&plain, "1").unwrap());
    let pin = PinHash::derive(Algorithm::Sha1, "");
    let full = Input {
        counter: Some(0),
        question: &question,
        pin: Some(&pin),
        session: Some(b"s"),
        time_step: Some(0),
    };
    let refuses = |suite: &Suite, input: Input<'_>| respond(suite, &secret(), &input).err();
    assert_eq!(refuses(&all, full), None);
    let none = Input::new(&question);
    for (input, why) in [
        (Input { counter: Some(0), ..none }, BadInput::Counter),
        (Input { pin: Some(&pin), ..none }, BadInput::Pin),
        (Input { session: Some(b""), ..none }, BadInput::Session),
        (Input { time_step: Some(0), ..none }, BadInput::Time),
    ] {
        assert_eq!(refuses(&plain, input), Some(why));
    }
    let other = PinHash::derive(Algorithm::Sha256, "");
    for (input, why) in [
        (Input { counter: None, ..full }, BadInput::Counter),
        (Input { pin: None, ..full }, BadInput::Pin),
        (Input { pin: Some(&other), ..full }, BadInput::Pin),
        (Input { session: None, ..full }, BadInput::Session),
        (Input { session: Some(b"ss"), ..full }, BadInput::Session),
        (Input { time_step: None, ..full }, BadInput::Time),
    ] {
        assert_eq!(refuses(&all, input), Some(why));
    }
    assert!(PinHash::from_bytes(Algorithm::Sha1, &[0; 32]).is_none());
    assert!(PinHash::from_bytes(Algorithm::Sha1, &[0; 20]).is_some());
    let pinless = OcraAuthenticator::new(&secret(), all, None);
    assert!(pinless.is_none(), "an authenticator is made with what its suite wants");
}

#[test]
fn challenges_are_of_the_suites_symbols_and_length() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    for (name, format) in [
        ("OCRA-1:HOTP-SHA1-6:QN04", Format::Numeric),
        ("OCRA-1:HOTP-SHA1-6:QA64", Format::Alphanumeric),
        ("OCRA-1:HOTP-SHA1-6:QH33", Format::Hexadecimal),
    ] {
        let suite = Suite::parse(name).unwrap();
        assert_eq!(suite.format(), format);
        let challenge = Challenge::make(&suite, &mut rng);
        assert_eq!(challenge.as_str().len(), usize::from(suite.challenge_length()));
        assert_eq!(Challenge::parse(&suite, challenge.as_str()), Some(challenge));
        assert_ne!(Challenge::make(&suite, &mut rng), challenge);
        let long = format!("{}0", challenge.as_str());
        for bad in ["", " ", "12-4", "１２３４", "12\u{e9}", "G_", &long] {
            assert_eq!(Challenge::parse(&suite, bad), None, "{name} {bad}");
        }
    }
    let numeric = Suite::parse("OCRA-1:HOTP-SHA1-6:QN08").unwrap();
    assert_eq!(Challenge::parse(&numeric, "12AB"), None);
    let hex = Suite::parse("OCRA-1:HOTP-SHA1-6:QH08").unwrap();
    let question = |text| Question::one_way(&Challenge::parse(&hex, text).unwrap());
    assert_eq!(question("abcd"), question("ABCD"), "the case of hexadecimal digits is no matter");
    assert_ne!(question("ab"), question("0ab"));
}
