//! Keypad PINs for a window: typed by whoever has no phone, at a lock that has no network.

use super::{GUESSABLE, NO_CLOCK, guessed, silent};
use crate::advise::judge::property;
use crate::advise::needs::{Needs, Tries, Uses, Verifier};
use crate::advise::number::{Number, chance, duration};
use crate::advise::{Aspect, Details, Grade, Property, Traits, commands};
use doorstep::clock::MAX_UNCERTAINTY;
use doorstep::keypad::odds::{BEARABLE, Odds, PIN_PACE, beyond};
use doorstep::keypad::profile::{MAX_LANES, Profile, Uses as Often};
use doorstep::keypad::tuple::PinDigits;
use doorstep::odds::float;
use std::num::NonZeroU32;

/// What a lock is set up for.
#[derive(Clone, Copy)]
pub(in crate::advise) struct SetUp {
    pub(in crate::advise) kind: &'static str,
    pub(in crate::advise) profile: Profile,
}

/// How many generations a holder has by default, which the lanes are shared with.
fn generations() -> u8 {
    Profile::courts().map_or(MAX_LANES, |profile| profile.generations())
}

fn most_holders() -> u8 {
    MAX_LANES.checked_div(generations()).unwrap_or(1)
}

/// The shortest kind of windows that is long enough, for so many holders.
pub(in crate::advise) fn set_up(needs: &Needs) -> Option<SetUp> {
    let (courts, general) = (Profile::courts().ok()?, Profile::general().ok()?);
    let (kind, profile) =
        if needs.lifetime <= courts.longest() { ("courts", courts) } else { ("general", general) };
    let often = if needs.uses == Uses::Once { Often::Once } else { Often::Many };
    let holders = u8::try_from(needs.active.get()).unwrap_or(u8::MAX).min(most_holders());
    let profile = profile.with_uses(often).ok()?;
    let profile = profile.with_holders(holders.max(profile.holders()), generations()).ok()?;
    // People are asked for no more than they bear, as long as it is not too few.
    let wished = needs.digits.and_then(PinDigits::new);
    let fewer = wished.filter(|most| most.get() < profile.digits().get());
    let profile = fewer.map_or(profile, |digits| profile.with_digits(digits));
    Some(SetUp { kind, profile })
}

/// The fewest digits that are bearable against those who may try.
fn fewest(profile: &Profile, tries: Tries) -> Option<u8> {
    let bearable = |digits: &PinDigits| {
        let odds = Odds::with_digits(profile, *digits);
        guessed(odds.guess, PIN_PACE, tries) < BEARABLE
    };
    PinDigits::ALL.into_iter().find(bearable).map(PinDigits::get)
}

pub(in crate::advise) fn traits(needs: &Needs) -> Traits {
    let mut facts = Vec::new();
    if needs.verifier != Verifier::Lock {
        facts.push("it is for locks with a keypad");
    }
    let silent = silent(needs.oscillator);
    if silent.is_none() {
        facts.push(NO_CLOCK);
    }
    let set_up = set_up(needs).and_then(|SetUp { profile, .. }| {
        fewest(&profile, needs.tries).map(|fewest| (profile, fewest))
    });
    let Some((profile, fewest)) = set_up else {
        facts.push(GUESSABLE);
        return Traits::typed(facts, Vec::new());
    };
    Traits {
        fewest: Some(fewest),
        longest: Profile::general().ok().map(|general| general.longest()),
        most_active: NonZeroU32::new(u32::from(most_holders())),
        ..Traits::typed(facts, properties(&profile, silent.unwrap_or(0)))
    }
}

fn properties(profile: &Profile, silent: u64) -> Vec<Property> {
    let kept = |aspect, text: String| property(aspect, Grade::Kept, text);
    let partly = |aspect, text: String| property(aspect, Grade::Partly, text);
    let late = duration(float(beyond(profile, MAX_UNCERTAINTY)));
    let guess = Odds::new(profile).guess;
    vec![
        kept(Aspect::Uniqueness, "a PIN for each holder, window and lock".to_owned()),
        partly(
            Aspect::Lifetime,
            format!("rounded outward to a grid; an uncertain clock adds {late} at most"),
        ),
        kept(Aspect::OneTime, "spent durably before the bolt moves".to_owned()),
        partly(
            Aspect::Forgery,
            "an opened lock gives away its own PINs, no other lock's".to_owned(),
        ),
        kept(Aspect::Typos, format!("a typo opens with a chance of {}", chance(guess))),
        kept(
            Aspect::Drift,
            format!(
                "fails after {} without a visitor; each PIN sets the clock right",
                duration(float(silent))
            ),
        ),
        partly(
            Aspect::Revocation,
            "by the next guest's first use, or a code that staff type".to_owned(),
        ),
        kept(Aspect::Access, "a keypad, and digits that can be said or written down".to_owned()),
    ]
}

pub(in crate::advise) fn details(needs: &Needs) -> Details {
    let Some(SetUp { kind, profile }) = set_up(needs) else { return Details::default() };
    let odds = Odds::new(&profile);
    let grace = profile.grace();
    let mut numbers = vec![
        Number::count("acceptable", "PINs that would open at one moment", float(odds.acceptable)),
        Number::chance("guess", "a guess", odds.guess),
        Number::chance(
            "guess_passer_by",
            "somebody who uses the attempts of one visit",
            guessed(odds.guess, PIN_PACE, Tries::PasserBy),
        ),
        Number::chance("guess_year", "a robot that never stops, within a year", odds.robot_year),
        Number::seconds(
            "beyond",
            "a PIN is taken beyond its window, before and after, at most",
            float(beyond(&profile, MAX_UNCERTAINTY)),
        ),
    ];
    if let Some(silent) = silent(needs.oscillator) {
        let silent = float(silent);
        numbers.push(Number::seconds("silent", "a new lock without a visitor opens for", silent));
    }
    let span = |seconds: u16| duration(f64::from(seconds));
    Details {
        parameters: vec![
            ("digits", profile.digits().get().to_string()),
            (
                "profile",
                match kind {
                    "general" => "general; stays, where one party has it by the night".to_owned(),
                    kind => kind.to_owned(),
                },
            ),
            ("holders, generations", format!("{}, {}", profile.holders(), profile.generations())),
            ("grace", format!("{} before, {} after", span(grace.early), span(grace.late))),
            (
                "attempts",
                format!(
                    "{}, and one back every {}",
                    PIN_PACE.burst,
                    duration(f64::from(PIN_PACE.refill))
                ),
            ),
            ("epochs", "a new one ends all PINs; announce it first".to_owned()),
        ],
        numbers,
        not_protected: vec![
            "a guest can tell others the PIN".to_owned(),
            "wrong codes stop PINs for a while: the message also has a long form, which goes on"
                .to_owned(),
            "a power cut: nothing opens until staff type a set-time code".to_owned(),
            "a cancelled PIN opens until something reaches the lock; the booking says what"
                .to_owned(),
        ],
        commands: commands::pin(needs, kind, &profile),
    }
}
