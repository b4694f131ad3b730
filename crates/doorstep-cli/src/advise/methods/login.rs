//! Authenticators: somebody is enrolled once and makes codes from then on, without any network.

use super::{GUESSABLE, guessed};
use crate::advise::judge::property;
use crate::advise::needs::{Contact, Needs, Oscillator, Phone, Places, Tries, Uses, Verifier};
use crate::advise::number::{Number, duration};
use crate::advise::{Aspect, Details, Grade, Property, Traits, commands};
use doorstep::keypad::odds::BEARABLE;
use doorstep::odds::{float, guessed_within};
use doorstep::otp::hotp::Hotp;
use doorstep::otp::ocra::suite::Suite;
use doorstep::otp::ocra::verify::codes_per_guess;
use doorstep::otp::totp::Totp;
use doorstep::otp::verify::{Authenticator, Drift, Method};
use doorstep::otp::window::Window;
use doorstep::otp::{Digits, OtpSecret, SOUND_SECRET_LENGTH};
use doorstep::throttle::Pace;

/// What every authenticator shows.
const DIGITS: [Digits; 2] = [Digits::SIX, Digits::EIGHT];

/// The attempts at an account.
const PACE: Pace = Pace::AUTHENTICATOR;

/// The attempts at a lock that counts no seconds: none comes back by itself, until staff fill them again.
const PACE_WITHOUT_TIME: Pace = Pace { refill: 0, ..PACE };

fn pace(needs: &Needs) -> Pace {
    if needs.verifier == Verifier::Lock { PACE_WITHOUT_TIME } else { PACE }
}

/// How an authenticator is judged when nothing else is said; its secret does not matter.
fn method(of: impl Fn(&OtpSecret) -> Authenticator) -> Option<Method> {
    let secret = OtpSecret::from_bytes(&[1; SOUND_SECRET_LENGTH])?;
    Some(*of(&secret).method())
}

fn totp_codes() -> u64 {
    method(|secret| Authenticator::totp(secret, Totp::default()))
        .map_or(1, |method| method.codes_per_guess())
}

/// At a lock a code is compared with everybody's next ones.
fn hotp_codes(needs: &Needs) -> u64 {
    let codes = method(|secret| Authenticator::hotp(secret, Hotp::default()))
        .map_or(1, |method| method.codes_per_guess());
    if needs.verifier == Verifier::Lock {
        codes.saturating_mul(u64::from(needs.active.get()))
    } else {
        codes
    }
}

fn ocra_codes() -> u64 {
    let suite = Suite::parse(commands::SUITE);
    suite.map_or(1, |suite| codes_per_guess(&suite, Window::CURRENT))
}

fn guess(codes: u64, digits: Digits) -> f64 {
    float(codes) / float(10_u64.saturating_pow(u32::from(digits.get())))
}

/// The fewest digits that are bearable against those who may try at one account, or at the lock.
fn digits(codes: u64, needs: &Needs) -> Option<Digits> {
    let guessed = |digits: &Digits| guessed(guess(codes, *digits), pace(needs), needs.tries);
    DIGITS.into_iter().find(|digits| guessed(digits) < BEARABLE)
}

/// What all authenticators have at a login.
fn traits(
    needs: &Needs,
    codes: u64,
    mut facts: Vec<&'static str>,
    properties: Vec<Property>,
) -> Traits {
    let fewest = digits(codes, needs).map(Digits::get);
    if fewest.is_none() {
        facts.push(GUESSABLE);
    }
    Traits {
        fewest,
        uses: Some(Uses::Many),
        // One service that all places ask remembers what was used at any of them.
        several: needs.verifier == Verifier::Login && needs.contact == Contact::Always,
        ..Traits::typed(facts, properties)
    }
}

fn login(needs: &Needs) -> Vec<&'static str> {
    let mut facts = Vec::new();
    if needs.verifier != Verifier::Login {
        facts.push("it is for logins: somebody is enrolled and comes again");
    }
    facts
}

/// What is the same for all three.
fn shared(needs: &Needs) -> Vec<Property> {
    use Aspect::{Forgery, Revocation, Typos, Uniqueness};
    use Grade::{Kept, Partly};
    let at_hand = needs.contact == Contact::Always || needs.places == Places::One;
    let (ends, how) = if at_hand {
        (Kept, "by removing the account where it is checked")
    } else {
        (Partly, "by removing the account at each host by itself")
    };
    vec![
        property(Uniqueness, Kept, "a secret of his own for each holder"),
        property(
            Forgery,
            Partly,
            "an opened verifier gives away the accounts that it checks itself",
        ),
        property(Typos, Kept, "a typo is a guess"),
        property(Revocation, ends, how),
    ]
}

pub(in crate::advise) fn totp(needs: &Needs) -> Traits {
    use Aspect::{Access, Drift as Runs, Lifetime, OneTime};
    use Grade::{Kept, Partly};
    let mut facts = login(needs);
    if needs.phone != Phone::App {
        facts.push("nobody has a phone with an authenticator");
    }
    let (step, steps) = (Totp::default().period.get(), Window::ONE_EACH.most_steps());
    let lives = duration(float(step.saturating_mul(steps)));
    let mut properties = shared(needs);
    properties.extend([
        property(
            Lifetime,
            Partly,
            format!("a code is over in {lives}; the authenticator ends with your word"),
        ),
        property(OneTime, Kept, "a step is spent, durably, and so are all before it"),
        property(Runs, Kept, "the phone's clock is followed, and found again by two codes"),
        property(Access, Partly, "needs a phone with an authenticator; digits to type in time"),
    ]);
    traits(needs, totp_codes(), facts, properties)
}

pub(in crate::advise) fn hotp(needs: &Needs) -> Traits {
    use Aspect::{Access, Drift as Runs, Lifetime, OneTime, Revocation};
    use Grade::{Kept, Lost, Partly};
    let lock = needs.verifier == Verifier::Lock;
    let mut facts = if lock { Vec::new() } else { login(needs) };
    if lock && needs.oscillator != Oscillator::None {
        facts.push("the lock has a clock, so that its codes can end by themselves");
    }
    let mut properties = shared(needs);
    if lock {
        properties.retain(|property| property.aspect != Revocation);
        properties.push(property(
            Revocation,
            Partly,
            "by using a later code, which ends those before it",
        ));
    }
    properties.extend([
        property(Lifetime, Lost, "a code lives until it, or a later one, is used"),
        property(OneTime, Kept, "the counter moves on, durably, before anything opens"),
        property(Runs, Kept, "no clock on either side"),
        property(Access, Kept, "a token, or a printed list to cross off"),
    ]);
    let mut traits = traits(needs, hotp_codes(needs), facts, properties);
    if lock {
        traits.uses = None;
    }
    traits
}

pub(in crate::advise) fn ocra(needs: &Needs) -> Traits {
    use Aspect::{Access, Drift as Runs, Lifetime, OneTime};
    use Grade::{Kept, Lost};
    let mut facts = login(needs);
    if needs.phone != Phone::App {
        facts.push("nobody has a phone that answers challenges");
    }
    if needs.contact != Contact::Always {
        facts.push("the service makes the challenges and checks the answers");
    }
    let mut properties = shared(needs);
    properties.extend([
        property(Lifetime, Kept, "an answer is good for its challenge, for minutes"),
        property(OneTime, Kept, "a challenge is answered once"),
        property(Runs, Kept, "no clock on the holder's side"),
        property(Access, Lost, "a challenge to type into the phone, and an answer to type back"),
    ]);
    Traits { answers: true, ..traits(needs, ocra_codes(), facts, properties) }
}

fn numbers(needs: &Needs, codes: u64, digits: Digits) -> Vec<Number> {
    let guess = guess(codes, digits);
    let count = Number::count("acceptable", "codes that one guess may hit", float(codes));
    let once = guessed(guess, pace(needs), Tries::PasserBy);
    let mut numbers = vec![count, Number::chance("guess", "a guess", guess)];
    if needs.verifier == Verifier::Lock {
        let label = "all attempts, until staff fill them again";
        numbers.push(Number::chance("guess_all_attempts", label, once));
        return numbers;
    }
    let year = guessed(guess, PACE, Tries::Robot);
    let everybody = u64::from(needs.active.get());
    numbers.extend([
        Number::chance("guess_passer_by", "somebody who uses all attempts once", once),
        Number::chance(
            "guess_year",
            "a robot that never stops, within a year, at one account",
            year,
        ),
        Number::chance(
            "guess_everywhere",
            "the same at all accounts together",
            guessed_within(year, everybody),
        ),
    ]);
    numbers
}

fn attempts(needs: &Needs) -> (&'static str, String) {
    let Pace { burst, refill } = pace(needs);
    let back = if refill == 0 {
        format!("{burst} wrong codes, until staff fill them again: no time brings them back")
    } else {
        format!("{burst} an account, and one back every {}", duration(f64::from(refill)))
    };
    ("attempts", back)
}

fn not_protected(needs: &Needs, more: &[&str]) -> Vec<String> {
    let told = if needs.verifier == Verifier::Lock {
        "whoever is told a code, or reads it from the list, uses it"
    } else {
        "whoever is told a code in time uses it: a page that looks like yours is enough"
    };
    [told].iter().chain(more).map(|text| (*text).to_owned()).collect()
}

pub(in crate::advise) fn totp_details(needs: &Needs) -> Details {
    let codes = totp_codes();
    let digits = digits(codes, needs).unwrap_or(Digits::EIGHT);
    let step = duration(float(Totp::default().period.get()));
    let mut numbers = numbers(needs, codes, digits);
    let mut not_protected = not_protected(
        needs,
        &[
            "the code is the second factor: keep a password or a key as the first",
            "a lost phone: print recovery codes today",
        ],
    );
    if digits != Digits::SIX {
        let [few, many] = [Digits::SIX, digits].map(Digits::get);
        let year = guessed(guess(codes, Digits::SIX), PACE, Tries::Robot);
        let label = format!("the robot at one account, had its codes {few} digits");
        numbers.push(Number::chance("guess_year_six_digits", label, year));
        not_protected.push(format!(
            "not every authenticator shows {many} digits: look whether your people's does"
        ));
    }
    Details {
        parameters: vec![
            ("digits", digits.get().to_string()),
            ("step", step),
            ("window", Window::ONE_EACH.to_string()),
            ("drift", format!("followed, up to {} steps", Drift::QUARTZ.most)),
            attempts(needs),
        ],
        numbers,
        not_protected,
        commands: commands::totp(needs, digits),
    }
}

pub(in crate::advise) fn hotp_details(needs: &Needs) -> Details {
    let codes = hotp_codes(needs);
    let digits = digits(codes, needs).unwrap_or(Digits::EIGHT);
    let ahead = method(|secret| Authenticator::hotp(secret, Hotp::default()));
    let ahead = match ahead {
        Some(Method::Hotp { look_ahead, .. }) => look_ahead,
        _ => 0,
    };
    let mut more = vec!["a code that was seen and not used stays good until a later one is used"];
    if needs.verifier == Verifier::Lock {
        more.push("wrong codes shut it for everybody; whoever guesses has all attempts again once staff fill them");
        more.push("no virtual lock takes it: your firmware calls the core (doorstep::otp::verify)");
    } else {
        more.push("the code is the second factor: keep a password or a key as the first");
    }
    Details {
        parameters: vec![
            ("digits", digits.get().to_string()),
            ("codes looked ahead", ahead.to_string()),
            attempts(needs),
        ],
        numbers: numbers(needs, codes, digits),
        not_protected: not_protected(needs, &more),
        commands: commands::hotp(needs, digits),
    }
}

pub(in crate::advise) fn ocra_details(needs: &Needs) -> Details {
    let codes = ocra_codes();
    let digits = digits(codes, needs).unwrap_or(Digits::SIX);
    Details {
        parameters: vec![("suite", commands::SUITE.to_owned()), attempts(needs)],
        numbers: numbers(needs, codes, digits),
        not_protected: not_protected(
            needs,
            &["people answer what they are shown: show the amount, not a number alone"],
        ),
        commands: commands::ocra(),
    }
}
