//! TOTP at a lock: what most sites begin with. The codes come from the server at the door, or from an
//! authenticator that shares the lock's secret.

use super::{NO_CLOCK, belief, guessed};
use crate::advise::judge::property;
use crate::advise::needs::{Contact, Needs, Phone, Tries, Verifier};
use crate::advise::number::{Number, Value, duration};
use crate::advise::{Aspect, Details, Grade, Property, Traits, commands};
use doorstep::clock::totp::{lasts, plain_lasts};
use doorstep::door::Steps;
use doorstep::keypad::odds::{BEARABLE, Odds, PIN_PACE};
use doorstep::odds::float;
use doorstep::otp::Digits;
use doorstep::otp::totp::Totp;

/// What a lock can be set up for that authenticators show as well.
const DIGITS: [Digits; 2] = [Digits::SIX, Digits::EIGHT];

fn totp(digits: Digits) -> Totp {
    Totp { digits, ..Totp::default() }
}

/// The fewest digits that are bearable against those who may try.
fn digits(tries: Tries) -> Option<Digits> {
    DIGITS
        .into_iter()
        .find(|digits| guessed(Steps::odds(&totp(*digits)).guess, PIN_PACE, tries) < BEARABLE)
}

/// Whether those who come ask the server for a code at the door; else they have the secret.
fn asks(needs: &Needs) -> bool {
    matches!(needs.contact, Contact::Always | Contact::Phones)
}

/// For how long a code is taken at most, when the clock is as uncertain as it may be.
fn lives(totp: &Totp) -> u64 {
    Steps::odds(totp).acceptable.saturating_mul(totp.period.get())
}

pub(in crate::advise) fn traits(needs: &Needs) -> Traits {
    let mut facts = Vec::new();
    if needs.verifier != Verifier::Lock {
        facts.push("it is for locks with a keypad; a login has authenticators of its own");
    } else if needs.phone == Phone::None {
        facts.push("somebody needs a phone that shows the code of the moment");
    } else if needs.phone == Phone::Messages && !asks(needs) {
        facts.push("codes of the moment come from the server, and no phone at the door reaches it");
    }
    if needs.oscillator.class().is_none() {
        facts.push(NO_CLOCK);
    }
    if !facts.is_empty() {
        return Traits::typed(facts, Vec::new());
    }
    let digits = digits(needs.tries);
    let totp = totp(digits.unwrap_or(Digits::EIGHT));
    Traits { fewest: digits.map(Digits::get), ..Traits::typed(facts, properties(needs, &totp)) }
}

fn properties(needs: &Needs, totp: &Totp) -> Vec<Property> {
    use Aspect::{Access, Drift, Forgery, Lifetime, OneTime, Revocation, Typos, Uniqueness};
    use Grade::{Kept, Lost, Partly};
    let lives = duration(float(lives(totp)));
    let silent = belief(needs.oscillator).map_or(0, |belief| lasts(&belief, totp));
    let mut properties = if asks(needs) {
        vec![
            property(
                Uniqueness,
                Partly,
                "one code for all who come; only the server knows who asked",
            ),
            property(
                Lifetime,
                Partly,
                format!("a code is taken for {lives} at most; a visit needs a new one"),
            ),
            property(OneTime, Kept, "each step opens once; who comes next waits for the next step"),
            property(
                Revocation,
                Kept,
                format!("the server gives no more codes; the last is over in {lives}"),
            ),
        ]
    } else {
        vec![
            property(
                Uniqueness,
                Lost,
                "all share the lock's one secret, and nobody can tell who came",
            ),
            property(
                Lifetime,
                Lost,
                "whoever has the secret makes codes for as long as the lock keeps it",
            ),
            property(
                OneTime,
                Lost,
                "each code opens once, but whoever has the secret makes the next",
            ),
            property(Revocation, Lost, "only by a new secret, for the lock and for everybody"),
        ]
    };
    properties.extend([
        property(Forgery, Partly, "an opened lock gives away its own codes, no other lock's"),
        property(Typos, Kept, "a typo is a guess"),
        property(
            Drift,
            Kept,
            format!(
                "fails after {} without a visitor; each code sets the clock right",
                Value::lasting(silent)
            ),
        ),
        property(Access, Partly, "needs a phone that shows the code of the moment, and a keypad"),
    ]);
    properties
}

pub(in crate::advise) fn details(needs: &Needs) -> Details {
    let totp = totp(digits(needs.tries).unwrap_or(Digits::EIGHT));
    let Odds { acceptable, guess, robot_year } = Steps::odds(&totp);
    let mut numbers = vec![
        Number::count(
            "acceptable",
            "codes that would open at one moment, at most",
            float(acceptable),
        ),
        Number::chance("guess", "a guess", guess),
        Number::chance(
            "guess_passer_by",
            "somebody who uses the attempts of one visit",
            guessed(guess, PIN_PACE, Tries::PasserBy),
        ),
        Number::chance("guess_year", "a robot that never stops, within a year", robot_year),
    ];
    if let (Some(belief), Some(class)) = (belief(needs.oscillator), needs.oscillator.class()) {
        numbers.push(Number::silent(lasts(&belief, &totp)));
        let plain = float(plain_lasts(&totp, 1, class));
        numbers.push(Number::seconds(
            "plain",
            "a lock that does not follow the time, at the worst, for",
            plain,
        ));
    }
    let given =
        if asks(needs) { "by the server, at the door" } else { "by everybody's authenticator" };
    Details {
        parameters: vec![
            ("digits", totp.digits.get().to_string()),
            ("step", duration(float(totp.period.get()))),
            ("window", "as wide as the lock's clock is uncertain".to_owned()),
            (
                "attempts",
                format!(
                    "{}, and one back every {}",
                    PIN_PACE.burst,
                    duration(f64::from(PIN_PACE.refill))
                ),
            ),
            ("codes are made", given.to_owned()),
        ],
        numbers,
        not_protected: vec![
            "whoever has the secret can open for ever: give it to nobody who leaves".to_owned(),
            "two people in one step: the second one waits".to_owned(),
            "a power cut: nothing opens until staff type a set-time code".to_owned(),
        ],
        commands: commands::totp_door(needs, totp.digits),
    }
}
