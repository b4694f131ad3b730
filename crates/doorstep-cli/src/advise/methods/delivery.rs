//! Delivery codes: one code for one handover, checked by the server or on the device of whoever comes.

use crate::advise::judge::property;
use crate::advise::needs::{Contact, Entry, Needs, Phone, Trust, Uses, Verifier};
use crate::advise::number::{Number, chance, count, duration};
use crate::advise::{Aspect, Details, Grade, Property, Traits, commands};
use crate::commands::odds::OPEN_SLOTS;
use doorstep::code::Shape;
use doorstep::handover::check::Cost;
use doorstep::handover::{BUDGET, LONGEST_WINDOW, ONLINE_LIFETIME};
use doorstep::odds::{SplitOdds, float, guessed_within, search_seconds, tag_bits};

/// What no check of a code can see.
const ASKED: &str = "a driver who has the code told by phone and keeps the parcel: say in the message when to tell it";

/// The default, and the least that the product makes.
const SHAPE: Shape = Shape::DIGITS_8;

/// The unit in which deliveries are planned, in seconds.
const MINUTE: u64 = 60;

fn split_odds() -> SplitOdds {
    SplitOdds::new(SHAPE, tag_bits(SHAPE))
}

/// A guess against a code that is compared whole, with every open slot.
fn whole_guess(shape: Shape) -> f64 {
    f64::from(OPEN_SLOTS) / float(shape.codes())
}

/// How long a search of a managed device takes.
fn full_search() -> f64 {
    search_seconds(Shape::CROCKFORD_10.codes(), Cost::STANDARD.moved())
}

/// What all delivery codes have.
fn traits(needs: &Needs, shape: Shape, properties: Vec<Property>) -> Traits {
    let mut facts = Vec::new();
    if needs.verifier != Verifier::Device {
        facts.push("it is for handing something over, to a person with a device at the door");
    } else if needs.phone == Phone::None {
        facts.push("the code goes out as a message, and there is no phone to take it");
    }
    Traits {
        entry: Entry::Either,
        fewest: Some(shape.length()),
        // Not always for the guesses, which whole codes of fewer would bear: the product makes none.
        shorter: "are fewer than we make such codes of",
        longest: Some(LONGEST_WINDOW),
        uses: Some(Uses::Once),
        ..Traits::typed(facts, properties)
    }
}

fn access(symbols: &str) -> Property {
    property(Aspect::Access, Grade::Partly, format!("needs a message; {symbols} to read out"))
}

pub(in crate::advise) fn online(needs: &Needs) -> Traits {
    use Aspect::{Drift, Forgery, Lifetime, OneTime, Revocation, Typos, Uniqueness};
    let kept = |aspect, text: &str| property(aspect, Grade::Kept, text);
    let properties = vec![
        kept(Uniqueness, "one code for one delivery and one recipient"),
        kept(Lifetime, "ends by the server's clock"),
        kept(OneTime, "spent in one transaction, before the answer"),
        kept(Forgery, "the device holds nothing"),
        kept(Typos, "the whole code is compared"),
        kept(Drift, "the server's clock is kept right"),
        kept(Revocation, "at once"),
        access("digits"),
    ];
    let mut traits = traits(needs, SHAPE, properties);
    traits.entry = Entry::Typed;
    if needs.contact != Contact::Always {
        traits.facts.push("the verifier is not online when it checks");
    }
    traits
}

pub(in crate::advise) fn full(needs: &Needs) -> Traits {
    let search = duration(full_search());
    let forgery = format!("a search for one code takes one graphics card {search}");
    let typos = property(Aspect::Typos, Grade::Kept, "the whole code is compared");
    let access = access("digits and letters");
    let mut traits = offline(needs, Shape::CROCKFORD_10, forgery, typos, access);
    if needs.trust == Trust::Others {
        traits
            .facts
            .push("whole codes go only to devices that you manage; others would be searched");
    }
    traits
}

pub(in crate::advise) fn split(needs: &Needs) -> Traits {
    let odds = split_odds();
    let forgery = format!(
        "a search leaves {} codes, a forged claim is right with a chance of {}, else exposed",
        count(odds.candidates),
        chance(odds.forgery)
    );
    let typo = format!(
        "one passes at the door with a chance of {}, and is seen at the sync",
        chance(odds.typo)
    );
    let typos = property(Aspect::Typos, Grade::Partly, typo);
    offline(needs, SHAPE, forgery, typos, access("digits"))
}

/// What codes have that a device checks by itself.
fn offline(
    needs: &Needs,
    shape: Shape,
    forgery: String,
    typos: Property,
    access: Property,
) -> Traits {
    use Aspect::{Drift, Forgery, Lifetime, OneTime, Revocation, Uniqueness};
    let kept = |aspect, text: &str| property(aspect, Grade::Kept, text);
    let partly = |aspect, text: &str| property(aspect, Grade::Partly, text);
    let properties = vec![
        kept(Uniqueness, "one code for one delivery, recipient and device"),
        partly(Lifetime, "ends by the device's clock; the server decides at the sync"),
        kept(OneTime, "spent on the device, durably, before it shows green"),
        property(Forgery, Grade::Kept, forgery),
        typos,
        kept(Drift, "the device hears the time with each sync"),
        partly(Revocation, "with the device's next sync; a claim made before it is void"),
        access,
    ];
    let mut traits = traits(needs, shape, properties);
    if !matches!(needs.contact, Contact::Always | Contact::Between) {
        traits.facts.push("the device has to fetch its codes' checks while it has a network");
    }
    traits
}

pub(in crate::advise) fn online_details(needs: &Needs) -> Details {
    let guess = whole_guess(SHAPE);
    let mut parameters = vec![("digits", SHAPE.length().to_string())];
    let longer = (needs.lifetime > ONLINE_LIFETIME).then(|| needs.lifetime.div_ceil(MINUTE));
    let lives = longer.map_or(ONLINE_LIFETIME, |minutes| minutes.saturating_mul(MINUTE));
    let by = if longer.is_some() { ", by deliveries.online_lifetime" } else { "" };
    let lifetime = format!("{} from the message on{by}", duration(float(lives)));
    parameters.push(("lifetime", lifetime));
    parameters.push(("attempts", format!("{BUDGET} for a delivery")));
    Details {
        parameters,
        numbers: guesses(guess, needs),
        not_protected: vec![
            "no network at the door, no handover: plan a second delivery offline".to_owned(),
            "whoever reads the message can be the recipient".to_owned(),
            ASKED.to_owned(),
        ],
        commands: commands::online(longer),
    }
}

pub(in crate::advise) fn full_details(needs: &Needs) -> Details {
    let mut numbers = guesses(whole_guess(Shape::CROCKFORD_10), needs);
    numbers.push(Number::seconds(
        "search",
        "a search of an opened device for one code, by one graphics card",
        full_search(),
    ));
    Details {
        parameters: parameters(needs, Shape::CROCKFORD_10, "whole, by Argon2id"),
        numbers,
        not_protected: vec![
            "a device set back to an old copy grants again; its next sync shows it".to_owned(),
            "who gets the device's key out claims what he saw typed".to_owned(),
            "whoever reads the message can be the recipient".to_owned(),
            ASKED.to_owned(),
        ],
        commands: commands::full(around(needs)),
    }
}

pub(in crate::advise) fn split_details(needs: &Needs) -> Details {
    let odds = split_odds();
    let mut numbers = guesses(odds.guessed_within(1, OPEN_SLOTS), needs);
    let all_stops = u64::from(needs.active.get());
    let tries = u64::from(BUDGET).saturating_mul(u64::from(OPEN_SLOTS)).saturating_mul(all_stops);
    numbers.extend([
        Number::chance("typo", "a typo passes at the door, a slot", odds.typo),
        Number::chance("forged_claim", "a claim forged on an opened device is right", odds.forgery),
        Number::count("candidates", "codes that fit after a search of it", odds.candidates),
        Number::seconds(
            "search",
            "such a search, by one graphics card",
            search_seconds(SHAPE.codes(), 0),
        ),
        Number::chance(
            "guess_without_choosing",
            format!("one delivery's {BUDGET} attempts, were each tried at all open stops: choose the stop first"),
            guessed_within(odds.guess, tries),
        ),
    ]);
    Details {
        parameters: parameters(needs, SHAPE, &format!("{} bits of it", tag_bits(SHAPE))),
        numbers,
        not_protected: vec![
            "an opened device shows green without the customer: look at disputes after each sync"
                .to_owned(),
            "a device that was not told of a new driver may show green; its claim is void"
                .to_owned(),
            "whoever reads the message can be the recipient".to_owned(),
            ASKED.to_owned(),
        ],
        commands: commands::split(around(needs)),
    }
}

/// How far a code works before the expected time, and as far after it, so that it lives as long as it has to:
/// plans are made in whole minutes.
fn around(needs: &Needs) -> u64 {
    let minutes = needs.lifetime.min(LONGEST_WINDOW).div_ceil(MINUTE.saturating_mul(2));
    minutes.saturating_mul(MINUTE)
}

fn parameters(needs: &Needs, shape: Shape, checked: &str) -> Vec<(&'static str, String)> {
    let kind = match shape {
        Shape::CROCKFORD_10 => "digits and letters",
        _ => "digits",
    };
    let lives = duration(float(around(needs).saturating_mul(2)));
    vec![
        (kind, shape.length().to_string()),
        ("the device checks", checked.to_owned()),
        ("attempts", format!("{BUDGET} for a delivery, over all its codes")),
        ("lifetime", format!("{lives} from the message on")),
    ]
}

fn guesses(guess: f64, needs: &Needs) -> Vec<Number> {
    let delivery = guessed_within(guess, u64::from(BUDGET));
    let open = u64::from(needs.active.get());
    vec![
        Number::chance("guess", "a guess at the door, recipient and spare open", guess),
        Number::chance("guess_all_attempts", "all attempts of one delivery", delivery),
        Number::chance(
            "guess_everywhere",
            "a driver who uses up the attempts of all his open deliveries",
            guessed_within(delivery, open),
        ),
    ]
}
