//! Tables of `docs/choosing.md`, so that no figure in it is typed by hand.

use super::methods::pass::{Proof, size};
use super::needs::{
    Bound, CheckFor, Contact, Entry, Needs, Opened, Oscillator, Parties, Phone, Places, Revocation,
    Scan, Tries, Trust, Uses, Verifier,
};
use super::number::{Value, chance, count, duration};
use super::{Advice, Aspect, Grade, Method, methods};
use crate::commands::odds::OPEN_SLOTS;
use clap::ValueEnum;
use doorstep::clock::totp::{lasts, plain_lasts};
use doorstep::code::{Alphabet, Shape};
use doorstep::handover::LONGEST_WINDOW;
use doorstep::handover::check::Cost;
use doorstep::keypad::odds::PIN_PACE;
use doorstep::odds::{SplitOdds, YEAR, float, guessed_within, search_seconds, tag_bits};
use doorstep::otp::Digits;
use doorstep::otp::totp::Totp;
use doorstep::otp::window::Window;
use std::num::NonZeroU32;

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Table {
    /// What each method keeps, at its best
    Methods,
    /// What is advised for each file of answers
    Scenarios,
    /// What whole codes on a device are worth
    Search,
    /// For how long locks know the time
    Clocks,
    /// What passes weigh, beside codes
    Passes,
    /// What guesses have at a lock that takes TOTP without a throttle
    Plain,
}

/// A table in Markdown; the first row is its head.
fn markdown(rows: &[Vec<String>]) -> String {
    crate::output::markdown(rows)
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// Needs that ask for little, of a verifier: what is compared under the same facts.
pub(crate) const fn modest(verifier: Verifier) -> Needs {
    Needs {
        verifier,
        contact: Contact::Always,
        trust: Trust::Own,
        check_for: CheckFor::Verifier,
        phone: Phone::App,
        entry: Entry::Either,
        lifetime: 3600,
        uses: if matches!(verifier, Verifier::Device) { Uses::Once } else { Uses::Many },
        active: NonZeroU32::MIN,
        parties: Parties::One,
        places: Places::One,
        oscillator: Oscillator::Crystal,
        tries: Tries::Robot,
        revocation: Revocation::Never,
        opened: Opened::Anything,
        scan: Scan::Plain,
        bound: Bound::Nothing,
        digits: None,
    }
}

/// What each method keeps where it fits best.
pub(crate) fn of_methods() -> String {
    let aspects = [
        Aspect::Uniqueness,
        Aspect::Lifetime,
        Aspect::OneTime,
        Aspect::Forgery,
        Aspect::Typos,
        Aspect::Drift,
        Aspect::Revocation,
        Aspect::Access,
    ];
    let mut head = row(["method", "at a"]);
    head.extend(aspects.map(|aspect| aspect.name().to_owned()));
    let mut rows = vec![head];
    for (verifier, place) in
        [(Verifier::Device, "device"), (Verifier::Lock, "lock"), (Verifier::Login, "login")]
    {
        let mut fits = super::advise(modest(verifier)).fits;
        fits.sort_by_key(|fit| Method::ALL.iter().position(|method| *method == fit.method));
        for fit in fits {
            let mut cells = row([fit.method.name(), place]);
            cells.extend(aspects.map(|aspect| {
                let found = fit.properties.iter().find(|property| property.aspect == aspect);
                match found.map_or(Grade::Kept, |found| found.grade) {
                    Grade::Kept => "kept",
                    Grade::Partly => "in part",
                    Grade::Lost => "**lost**",
                }
                .to_owned()
            }));
            rows.push(cells);
        }
    }
    markdown(&rows)
}

/// What is advised, by the name of each file of answers.
pub(crate) fn of_scenarios(advices: &[(String, Advice)]) -> String {
    let mut rows = vec![row([
        "needs",
        "take",
        "set to",
        "a guess",
        "all attempts, of one delivery or of a year",
        "next best",
    ])];
    for (name, advice) in advices {
        let number = |names: &[&str]| {
            let numbers = advice.fits.first().map(|fit| fit.details.numbers.as_slice());
            let found = names.iter().find_map(|name| {
                numbers.unwrap_or_default().iter().find(|number| number.name == *name)
            });
            found.map_or_else(|| "-".to_owned(), |number| number.value.to_string())
        };
        let set = advice.fits.first().map_or_else(String::new, |fit| {
            let all = fit.details.parameters.iter().take(2);
            all.map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("; ")
        });
        let take = match advice.fits.first() {
            Some(fit) => fit.method.name().to_owned(),
            None => "nothing keeps all of that".to_owned(),
        };
        let next = advice.fits.get(1).map_or("-", |fit| fit.method.name());
        rows.push(vec![
            format!("[{name}](../examples/advise/{name}.toml)"),
            take,
            set,
            number(&["guess"]),
            number(&["guess_year", "guess_all_attempts"]),
            next.to_owned(),
        ]);
    }
    markdown(&rows)
}

/// What a search of a device gains that holds a hash of whole codes, or bits of one.
pub(crate) fn of_search() -> String {
    let mut rows = vec![row([
        "code",
        "whole code, fast hash: found in",
        "whole code, Argon2id as in HO1: found in",
        "cards for that while a code lives",
        "bits alone (HO1 split): a claim after the search is right",
        "and a guess passes the door",
    ])];
    let six = Shape::new(Alphabet::Digits, Digits::SIX.get());
    let shapes = [
        six,
        Some(Shape::DIGITS_8),
        Some(Shape::DIGITS_10),
        Some(Shape::CROCKFORD_8),
        Some(Shape::CROCKFORD_10),
    ];
    for shape in shapes.into_iter().flatten() {
        let odds = SplitOdds::new(shape, tag_bits(shape));
        let symbols = match shape.alphabet() {
            Alphabet::Digits => "digits",
            Alphabet::Crockford => "Crockford symbols",
        };
        let slow = search_seconds(shape.codes(), Cost::STANDARD.moved());
        rows.push(vec![
            format!("{} {symbols}", shape.length()),
            duration(search_seconds(shape.codes(), 0)),
            duration(slow),
            count((slow / float(LONGEST_WINDOW)).ceil()),
            chance(odds.forgery),
            chance(odds.guessed_within(1, OPEN_SLOTS)),
        ]);
    }
    markdown(&rows)
}

/// For how long locks know the time well enough, by what counts their seconds.
pub(crate) fn of_clocks() -> String {
    let [six, eight] = [Digits::SIX, Digits::EIGHT]
        .map(|digits| format!("a TOTP door of {} digits, if nobody comes", digits.get()));
    let mut rows = vec![row([
        "oscillator",
        "runs wrong by at most",
        "plain TOTP, one step either way, fails after",
        &six,
        &eight,
        "PINs and passes, if nobody comes",
    ])];
    let lasting = |seconds: u64| Value::lasting(seconds).to_string();
    for oscillator in [Oscillator::Crystal, Oscillator::Compensated, Oscillator::Calibrated] {
        let (Some(class), Some(belief)) = (oscillator.class(), methods::belief(oscillator)) else {
            continue;
        };
        let door = |digits: Digits| lasting(lasts(&belief, &Totp { digits, ..Totp::default() }));
        let day = float(u64::from(class.bound())) * 86_400.0 / 1e6;
        rows.push(vec![
            class.name().to_owned(),
            format!("{day:.1} s a day"),
            duration(float(plain_lasts(&Totp::default(), 1, class))),
            door(Digits::SIX),
            door(Digits::EIGHT),
            lasting(belief.lasts()),
        ]);
    }
    markdown(&rows)
}

/// What passes weigh, in bytes and in modules of a QR code.
pub(crate) fn of_passes() -> String {
    let mut rows = vec![row(["pass", "bytes", "QR code, modules a side"])];
    for (name, proof, bound) in [
        ("signed, for the key of one phone", Proof::Signed, true),
        ("signed, for whoever shows it", Proof::Signed, false),
        ("encrypted, for whoever shows it", Proof::Encrypted, false),
        ("under the lock's own key, for whoever shows it", Proof::Mac, false),
    ] {
        if let Some((bytes, modules)) = size(proof, bound) {
            rows.push(vec![name.to_owned(), bytes.to_string(), modules.to_string()]);
        }
    }
    markdown(&rows)
}

/// What a year of guesses gains at a lock, with and without a throttle, by the digits of its codes.
pub(crate) fn of_plain() -> String {
    let mut rows = vec![row([
        "TOTP, one step either way",
        "a guess",
        "one a second, for a day",
        "a year at the pace of our locks",
    ])];
    for digits in [Digits::SIX, Digits::EIGHT] {
        let codes = float(10_u64.saturating_pow(u32::from(digits.get())));
        let guess = float(Window::ONE_EACH.most_steps()) / codes;
        rows.push(vec![
            format!("{} digits", digits.get()),
            chance(guess),
            chance(guessed_within(guess, 86_400)),
            chance(guessed_within(guess, PIN_PACE.attempts_within(YEAR))),
        ]);
    }
    markdown(&rows)
}
