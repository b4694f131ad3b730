//! Keypad PINs for a window: typed by whoever has no phone, at a lock that has no network.

use super::{GUESSABLE, NO_CLOCK, guessed, silent};
use crate::advise::judge::property;
use crate::advise::needs::{Needs, Parties, Tries, Uses, Verifier};
use crate::advise::number::{Number, Value, chance, duration};
use crate::advise::{Aspect, Details, Grade, Property, Traits, commands};
use doorstep::clock::MAX_UNCERTAINTY;
use doorstep::door::MARKS;
use doorstep::keypad::mark::Marks;
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

/// How many holders one window has, and how many PINs each may get one after the other: they share the lanes.
/// A party is in one window together; of several parties some may be.
fn lanes(needs: &Needs, usual: u8) -> (u8, u8) {
    let most = match needs.parties {
        Parties::One => MAX_LANES,
        Parties::Several => MAX_LANES.checked_div(usual).unwrap_or(1),
    };
    let holders = u8::try_from(needs.active.get()).unwrap_or(u8::MAX).min(most);
    (holders, MAX_LANES.checked_div(holders).unwrap_or(1).min(usual))
}

/// How many people may have a PIN at a time, if anything limits that but their window.
fn most_active(needs: &Needs) -> Option<(NonZeroU32, &'static str)> {
    let once = u32::try_from(Marks::<MARKS>::new().room(true)).ok().and_then(NonZeroU32::new);
    let once = once.filter(|_| needs.uses == Uses::Once);
    let party = NonZeroU32::new(u32::from(MAX_LANES)).filter(|_| needs.parties == Parties::One);
    let once = once.map(|most| (most, "PINs of single use at a time: a lock remembers no more"));
    let party = party.map(|most| (most, "people of one party have PINs for their window"));
    [party, once].into_iter().flatten().min_by_key(|(most, _)| *most)
}

/// The shortest kind of windows that is long enough, for so many holders. Only one party at a time can have
/// an exclusive one.
pub(in crate::advise) fn set_up(needs: &Needs) -> Option<SetUp> {
    let (courts, general) = (Profile::courts().ok()?, Profile::general().ok()?);
    let exclusive = needs.parties == Parties::One && needs.lifetime <= courts.longest_off_grid();
    let (kind, profile) = if exclusive { ("courts", courts) } else { ("general", general) };
    let often = if needs.uses == Uses::Once { Often::Once } else { Often::Many };
    let (holders, generations) = lanes(needs, profile.generations());
    let profile = profile.with_uses(often).ok()?;
    let profile = profile.with_holders(holders.max(profile.holders()), generations).ok()?;
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
        longest: Profile::general().ok().map(|general| general.longest_off_grid()),
        most_active: most_active(needs),
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
                Value::lasting(silent)
            ),
        ),
        partly(
            Aspect::Revocation,
            if profile.is_exclusive() {
                "by the next party's first use, or a code that staff type"
            } else {
                "by a code that staff type; no other party's use ends it"
            }
            .to_owned(),
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
        numbers.push(Number::silent(silent));
    }
    let span = |seconds: u16| duration(f64::from(seconds));
    let mut not_protected = vec![
        "a guest can tell others the PIN".to_owned(),
        "wrong codes stop PINs for a while: the message also has a long form, which goes on"
            .to_owned(),
        "a power cut: nothing opens until staff type a set-time code".to_owned(),
        "a cancelled PIN opens until something reaches the lock; the booking says what".to_owned(),
    ];
    if needs.active.get() > u32::from(profile.holders()) {
        not_protected.push(format!(
            "more than {} in the same window: one more is refused, and has to begin at another time",
            profile.holders()
        ));
    }
    Details {
        parameters: vec![
            ("digits", profile.digits().get().to_string()),
            (
                "profile",
                match (kind, needs.parties) {
                    ("general", Parties::One) => {
                        "general, or stays, where one party has it by the night".to_owned()
                    }
                    ("general", Parties::Several) => "general, parties may overlap".to_owned(),
                    (kind, _) => format!("{kind}, one party at a time"),
                },
            ),
            (
                "of one window",
                format!("{} holders, {} generations", profile.holders(), profile.generations()),
            ),
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
        not_protected,
        commands: commands::pin(needs, kind, &profile),
    }
}
