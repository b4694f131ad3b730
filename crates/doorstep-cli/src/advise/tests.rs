//! What must hold of the adviser: scenarios, no silent compromise, no number that is typed.

use super::answers::{Answers, command};
use super::needs::{
    Bound, CheckFor, Concession, Contact, Entry, Needs, Opened, Oscillator, Parties, Phone, Places,
    Revocation, Scan, Tries, Trust, Uses, Verifier,
};
use super::number::duration;
use super::tables::modest;
use super::{Advice, Aspect, Fit, Grade, Method, advise};
use clap::{Parser as _, ValueEnum};
use doorstep::keypad::odds::BEARABLE;
use doorstep::odds::{YEAR, guessed_within};
use doorstep::throttle::Pace;
use proptest::prelude::*;
use std::num::NonZeroU32;

fn scenario(name: &str) -> Advice {
    let file = format!("{}/../../examples/advise/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(file).unwrap();
    advise(Answers::parse(&text).unwrap().needs().unwrap())
}

fn order(advice: &Advice) -> Vec<Method> {
    advice.fits.iter().map(|fit| fit.method).collect()
}

fn number(fit: &Fit, name: &str) -> f64 {
    let found = fit.details.numbers.iter().find(|number| number.name == name);
    found.unwrap_or_else(|| panic!("no {name} for {:?}", fit.method)).to_json().as_f64().unwrap()
}

/// Whether nobody who may try has more than a chance that is bearable.
fn bearable(fit: &Fit, needs: &Needs) -> bool {
    let worst = if needs.tries == Tries::PasserBy { "guess_passer_by" } else { "guess_year" };
    let numbers = fit.details.numbers.iter();
    let mut worst = numbers.filter(|number| [worst, "guess_all_attempts"].contains(&number.name));
    worst.all(|number| number.to_json().as_f64().unwrap() < BEARABLE)
}

fn why(advice: &Advice, method: Method) -> String {
    let unfit = advice.unfit.iter().find(|unfit| unfit.method == method).unwrap();
    unfit.why[0].why().to_owned()
}

#[test]
fn each_scenario_has_its_method() {
    use Method::{FullCode, Hotp, Pin, SignedPass, SplitCode, Totp};
    for (name, first) in [
        ("court", SignedPass),
        ("court-without-phones", Pin),
        ("courier", SplitCode),
        ("courier-managed", FullCode),
        ("locker", Pin),
        ("internal-page", Totp),
        ("cave", Pin),
        ("lock-without-clock", SignedPass),
        ("keypad-without-clock", Hotp),
    ] {
        assert_eq!(order(&scenario(name)).first(), Some(&first), "{name}");
    }
    assert!(order(&scenario("wishes-that-clash")).is_empty());
}

#[test]
fn what_was_rejected_says_why() {
    let courier = scenario("courier");
    assert_eq!(order(&courier), [Method::SplitCode]);
    assert!(why(&courier, Method::FullCode).contains("would be searched"));
    assert!(why(&courier, Method::OnlineCode).contains("not online"));
    assert!(order(&scenario("courier-managed")).contains(&Method::SplitCode));
    let cave = scenario("cave");
    assert!(why(&cave, Method::TotpDoor).contains("no phone at the door"));
    let clockless = scenario("lock-without-clock");
    assert!(why(&clockless, Method::Pin).contains("clock"));
    assert!(why(&scenario("keypad-without-clock"), Method::SignedPass).contains("clock"));
    let locker = scenario("locker");
    let press = locker.fits[0].details.commands.join("\n");
    assert!(press.contains("--uses once") && press.contains("--oscillator compensated"));
}

#[test]
fn numbers_are_those_of_the_product() {
    use doorstep::keypad::odds::Odds;
    use doorstep::keypad::profile::Profile;
    let court = scenario("court-without-phones");
    let profile = Profile::courts().unwrap().with_holders(4, 2).unwrap();
    let Odds { guess, robot_year, .. } = Odds::new(&profile);
    assert!((number(&court.fits[0], "guess") - guess).abs() < 1e-15);
    assert!((number(&court.fits[0], "guess_year") - robot_year).abs() < 1e-15);
    // As SECURITY.md says them.
    let courier = scenario("courier");
    assert!((number(&courier.fits[0], "forged_claim") - 8.19e-5).abs() < 1e-7);
    assert!((number(&courier.fits[0], "guess_all_attempts") - 1.22e-3).abs() < 1e-5);
    let page = scenario("internal-page");
    let [guess, year, everybody] =
        ["guess", "guess_year", "guess_everywhere"].map(|name| number(&page.fits[0], name));
    let within_a_year = guessed_within(guess, Pace::AUTHENTICATOR.attempts_within(YEAR));
    assert!((year - within_a_year).abs() < 1e-15);
    assert!((everybody - guessed_within(year, 12)).abs() < 1e-15 && everybody < 0.01);
}

/// At a lock without a clock a code is compared with the next ones of everybody who has some.
#[test]
fn a_shared_lock_is_guessed_as_often_as_people_share_it() {
    let shed = scenario("keypad-without-clock").needs;
    let guess = |active| {
        let needs = Needs { active: NonZeroU32::new(active).unwrap(), digits: Some(8), ..shed };
        number(&advise(needs).fits[0], "guess")
    };
    assert!((guess(3) / guess(1) - 3.0).abs() < 1e-9);
}

/// What a block sets up is what was asked for: how often, for how long, how much the device checks.
#[test]
fn commands_ask_for_what_was_advised() {
    let said = |needs: Needs, method| {
        let advice = advise(needs);
        assert_eq!(order(&advice).first(), Some(&method), "{:?}", order(&advice));
        advice.fits[0].details.commands.join("\n")
    };
    let (lock, device) = (modest(Verifier::Lock), modest(Verifier::Device));
    let typed = Needs { entry: Entry::Typed, ..lock };
    let scanned = Needs { entry: Entry::Scanned, ..lock };
    for (needs, method, adds) in [
        (typed, Method::Pin, "booking add"),
        (scanned, Method::SignedPass, "pass issue"),
        (Needs { scan: Scan::Small, ..scanned }, Method::MacPass, "pass issue"),
    ] {
        for uses in [Uses::Once, Uses::Many] {
            let said = said(Needs { uses, ..needs }, method);
            let line = said.lines().find(|line| line.contains(adds)).unwrap();
            assert_eq!(line.contains(" --once"), uses == Uses::Once, "{line}");
        }
    }
    let offline = Needs { contact: Contact::Between, lifetime: 3_660, ..device };
    let full = said(offline, Method::FullCode);
    assert!(full.contains("--check full") && full.contains("--managed"), "{full}");
    let split = said(Needs { trust: Trust::Others, ..offline }, Method::SplitCode);
    assert!(split.contains("--variance 31m --lead 31m") && !split.contains("full"), "{split}");
    let login = modest(Verifier::Login);
    assert!(said(login, Method::Totp).contains("doorstep gate add"));
    let several = said(Needs { places: Places::Several, ..login }, Method::Totp);
    assert!(several.contains("doorstep account enrol") && !several.contains("gate"), "{several}");
}

/// Each limit is where the product has it.
#[test]
fn limits_are_met_exactly() {
    use doorstep::keypad::profile::Profile;
    let (courts, general) = (Profile::courts().unwrap(), Profile::general().unwrap());
    let typed = Needs { entry: Entry::Typed, ..modest(Verifier::Lock) };
    let pin = |needs| advise(needs).fits.into_iter().find(|fit| fit.method == Method::Pin);
    // As a booking that begins at any second.
    let [court, longest] = [courts, general].map(|profile| profile.longest_off_grid());
    assert_eq!((court, longest), (4 * 3_600 - 15 * 60, 27 * 86_400));
    let kind = |lifetime| {
        let fit = pin(Needs { lifetime, ..typed })?;
        let said = fit.details.commands.join("\n");
        Some(if said.contains("--profile courts") { "courts" } else { "general" })
    };
    assert_eq!(kind(court), Some("courts"));
    assert_eq!(kind(court + 1), Some("general"));
    assert_eq!(kind(longest), Some("general"));
    assert_eq!(kind(longest + 1), None);
    // Of two limits the lower one counts.
    let party = |active| Needs { active: NonZeroU32::new(active).unwrap(), ..typed };
    for uses in [Uses::Once, Uses::Many] {
        assert!(pin(Needs { uses, ..party(16) }).is_some());
        assert!(pin(Needs { uses, ..party(17) }).is_none());
    }
    // Only its lock knows what was used; and whoever shares a secret has it for ever.
    let once = Needs { places: Places::Several, entry: Entry::Scanned, ..typed };
    assert_eq!(order(&advise(once)).first(), Some(&Method::SignedPass));
    assert!(advise(Needs { uses: Uses::Once, ..once }).fits.is_empty());
    let shared = Needs { contact: Contact::Between, ..typed };
    assert!(order(&advise(shared)).contains(&Method::TotpDoor));
    let ends = Needs { revocation: Revocation::Later, ..shared };
    assert!(!order(&advise(ends)).contains(&Method::TotpDoor));
    // The last code that was given lives for as long as any that opens at one moment.
    let asked = advise(Needs { contact: Contact::Phones, ..typed });
    let door = asked.fits.iter().find(|fit| fit.method == Method::TotpDoor).unwrap();
    let lives = duration(number(door, "acceptable") * 30.0);
    let found = door.properties.iter().find(|one| one.aspect == Aspect::Revocation).unwrap();
    assert!(found.text.ends_with(&format!("over in {lives}")), "{}: {lives}", found.text);
}

/// Parties that overlap get windows that overlap; people of several parties are limited by what a lock
/// remembers alone.
#[test]
fn who_has_the_door_decides_the_windows_and_how_many_fit() {
    let typed = Needs { entry: Entry::Typed, ..modest(Verifier::Lock) };
    let several = Needs { parties: Parties::Several, ..typed };
    let many = |needs: Needs, active| Needs { active: NonZeroU32::new(active).unwrap(), ..needs };
    let first = |needs: Needs| {
        let advice = advise(needs);
        advice.fits.first().filter(|fit| fit.method == Method::Pin).cloned()
    };
    let said = |needs| first(needs).unwrap().details.commands.join("\n");
    assert!(said(typed).contains("--profile courts"));
    assert!(said(several).contains("--profile general"));
    // Two PINs one after the other for each; of a party they are shared out, so that all of it has one.
    let nine = |needs| said(many(needs, 9));
    assert!(nine(several).contains("--holders 8 --digits"), "{}", nine(several));
    assert!(nine(typed).contains("--holders 9 --generations 1"), "{}", nine(typed));
    let revocation = |needs: Needs| {
        let fit = first(needs).unwrap();
        let found = fit.properties.into_iter().find(|one| one.aspect == Aspect::Revocation);
        found.unwrap().text
    };
    assert!(revocation(typed).contains("the next party's first use"));
    assert!(revocation(several).contains("no other party's use ends it"));

    assert!(said(many(typed, 16)).contains("--holders 16 --generations 1"));
    assert!(first(many(typed, 17)).is_none() && first(many(several, 5_000)).is_some());
    let once = Needs { uses: Uses::Once, ..several };
    assert!(first(many(once, 24)).is_some() && first(many(once, 25)).is_none());
    assert!(why(&advise(many(once, 25)), Method::Pin).contains("at most 24 PINs of single use"));
}

/// What the service refuses is not advised, and a code that is to be short has no signature in it.
#[test]
fn passes_are_advised_as_they_are_issued() {
    let scanned = Needs { entry: Entry::Scanned, ..modest(Verifier::Lock) };
    let longer = Needs { lifetime: 401 * 86_400, ..scanned };
    assert!(advise(longer).fits.is_empty());
    assert_eq!(advise(longer).ways_out()[0].gives[0].0.option().1, "400d");
    let small = advise(Needs { scan: Scan::Small, ..scanned });
    assert_eq!(order(&small), [Method::MacPass]);
    assert_eq!(grade(&small.fits[0], Aspect::Uniqueness), Grade::Partly);
    assert!(number(&small.fits[0], "qr_modules") < 34.0);
    assert!(!small.fits[0].details.commands.join("\n").contains("--collect"));
    // 11 is the version of a code that shows a phone's proof.
    let plain = advise(scanned);
    assert!((number(&plain.fits[0], "qr_modules") - 61.0).abs() < 0.1);
    let private = advise(Needs { scan: Scan::Private, ..scanned });
    assert_eq!(order(&private), [Method::EncryptedPass]);
    // The order of Ed25519's group, a MAC of 8 bytes, a tag of 16.
    for (advice, bits) in [(&plain, 252), (&small, 64), (&private, 128)] {
        let [guess, year] = ["guess", "guess_year"].map(|name| number(&advice.fits[0], name));
        assert!((guess / 0.5_f64.powi(bits) - 1.0).abs() < 1e-9, "{bits}: {guess}");
        assert!(year > guess * 1e6, "{bits}: {year}");
    }
}

#[test]
fn a_keypad_without_a_clock_has_attempts_that_no_time_brings_back() {
    let shed = scenario("keypad-without-clock");
    let attempts = &shed.fits[0].details.parameters.iter().find(|(name, _)| *name == "attempts");
    assert!(attempts.unwrap().1.contains("no time brings them back"));
    let [guess, all] = ["guess", "guess_all_attempts"].map(|name| number(&shed.fits[0], name));
    assert!((all / guess - 10.0).abs() < 0.01);
    let names = shed.fits[0].details.numbers.iter().map(|number| number.name);
    assert!(names.clone().all(|name| name != "guess_everywhere" && name != "guess_year"));
}

#[test]
fn wishes_that_clash_are_told_what_has_to_give() {
    let ways = scenario("wishes-that-clash").ways_out();
    let gives: Vec<(&str, String)> =
        ways[0].gives.iter().map(|(gives, _)| gives.option()).collect();
    assert_eq!(ways[0].method, Method::SplitCode);
    let names =
        |gives: &[(&'static str, String)]| gives.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    assert_eq!(names(&gives), ["digits", "tries", "lifetime"]);
    assert_eq!(gives[2].1, "1d");

    // The same wishes at a lock: to scan instead of typing is all that it takes.
    let lock = Needs {
        lifetime: 365 * 86_400,
        tries: Tries::Unlimited,
        opened: Opened::Nothing,
        entry: Entry::Typed,
        digits: Some(6),
        ..modest(Verifier::Lock)
    };
    let ways = advise(lock).ways_out();
    assert_eq!((ways[0].gives.len(), ways[0].method), (1, Method::SignedPass));
    assert_eq!(ways[0].gives[0].0.option(), ("entry", "scanned".to_owned()));

    // A host that is asked alone can remove an account at once: that wish need not give as well.
    let hosts = Needs {
        contact: Contact::Between,
        phone: Phone::None,
        places: Places::Several,
        revocation: Revocation::AtOnce,
        ..modest(Verifier::Login)
    };
    let gives: Vec<_> = advise(hosts).ways_out()[0].gives.iter().map(|(gives, _)| *gives).collect();
    assert_eq!(gives, [Concession::Places(Places::One)]);

    // No wish helps where facts rule everything out.
    let deaf = Needs { contact: Contact::Never, ..modest(Verifier::Device) };
    assert!(advise(deaf).fits.is_empty() && advise(deaf).ways_out().is_empty());
}

#[test]
fn every_method_is_the_best_for_somebody_and_ruled_out_for_somebody() {
    let lock = modest(Verifier::Lock);
    let login = modest(Verifier::Login);
    let device = modest(Verifier::Device);
    for (method, needs) in [
        (Method::OnlineCode, Needs { entry: Entry::Typed, ..device }),
        (Method::FullCode, Needs { contact: Contact::Between, ..device }),
        (Method::SplitCode, Needs { contact: Contact::Between, trust: Trust::Others, ..device }),
        (Method::Pin, Needs { entry: Entry::Typed, ..lock }),
        (Method::SignedPass, lock),
        (Method::MacPass, Needs { entry: Entry::Scanned, scan: Scan::Small, ..lock }),
        (Method::EncryptedPass, Needs { entry: Entry::Scanned, scan: Scan::Private, ..lock }),
        (
            Method::TotpDoor,
            Needs {
                entry: Entry::Typed,
                revocation: Revocation::AtOnce,
                contact: Contact::Phones,
                ..lock
            },
        ),
        (Method::Totp, login),
        (Method::Hotp, Needs { phone: Phone::None, ..login }),
        (Method::Ocra, Needs { bound: Bound::Challenge, ..login }),
    ] {
        let advice = advise(needs);
        assert_eq!(order(&advice).first(), Some(&method));
        assert!(bearable(&advice.fits[0], &needs), "{method:?}");
        for command in &advice.fits[0].details.commands {
            assert!(is_a_command(command), "{method:?}: {command}");
        }
        let elsewhere =
            [device, lock, login].into_iter().filter(|other| other.verifier != needs.verifier);
        for other in elsewhere {
            assert!(!order(&advise(other)).contains(&method), "{method:?}");
        }
    }
}

fn one_of<T: ValueEnum + Clone + std::fmt::Debug + 'static>() -> impl Strategy<Value = T> {
    proptest::sample::select(T::value_variants().to_vec())
}

prop_compose! {
    fn facts()(
        verifier in one_of::<Verifier>(), contact in one_of::<Contact>(), trust in one_of::<Trust>(),
        check_for in one_of::<CheckFor>(), phone in one_of::<Phone>(), entry in one_of::<Entry>(),
        oscillator in one_of::<Oscillator>(),
    ) -> Needs {
        Needs { verifier, contact, trust, check_for, phone, entry, oscillator, ..modest(Verifier::Lock) }
    }
}

prop_compose! {
    fn needs()(
        facts in facts(), uses in one_of::<Uses>(), parties in one_of::<Parties>(), places in one_of::<Places>(),
        tries in one_of::<Tries>(), revocation in one_of::<Revocation>(), opened in one_of::<Opened>(),
        scan in one_of::<Scan>(), bound in one_of::<Bound>(),
        lifetime in proptest::sample::select(vec![900, 7_200, 86_400, 30 * 86_400, 365 * 86_400_u64]),
        active in proptest::sample::select(vec![1, 4, 9, 200_u32]),
        digits in proptest::option::of(4..12_u8),
    ) -> Needs {
        let active = NonZeroU32::new(active).unwrap();
        Needs { uses, parties, places, tries, revocation, opened, scan, bound, lifetime, active, digits, ..facts }
    }
}

/// What asks for more than `needs` in one wish.
fn stricter(needs: &Needs) -> Vec<Needs> {
    let needs = *needs;
    let mut more = vec![
        Needs { lifetime: needs.lifetime * 2, ..needs },
        Needs { active: needs.active.saturating_add(7), ..needs },
        Needs { digits: Some(needs.digits.map_or(10, |digits| digits - 1)), ..needs },
        Needs { places: Places::Several, ..needs },
        Needs { bound: Bound::Challenge, ..needs },
    ];
    more.extend(
        Tries::value_variants()
            .iter()
            .map(|tries| Needs { tries: needs.tries.max(*tries), ..needs }),
    );
    more.extend(
        Revocation::value_variants()
            .iter()
            .map(|more| Needs { revocation: needs.revocation.max(*more), ..needs }),
    );
    more.extend(
        Opened::value_variants()
            .iter()
            .map(|opened| Needs { opened: needs.opened.max(*opened), ..needs }),
    );
    more
}

fn grade(fit: &Fit, aspect: Aspect) -> Grade {
    fit.properties.iter().find(|property| property.aspect == aspect).unwrap().grade
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every method is judged, every loser has a reason, and what fits says all that it must.
    #[test]
    fn nothing_is_left_unsaid(needs in needs()) {
        let advice = advise(needs);
        prop_assert_eq!(advice.fits.len() + advice.unfit.len(), Method::ALL.len());
        for unfit in &advice.unfit {
            prop_assert!(!unfit.why.is_empty() && unfit.why.iter().all(|clash| !clash.why().is_empty()));
        }
        for fit in &advice.fits {
            prop_assert_eq!(fit.properties.len(), 8);
            prop_assert!(!fit.details.commands.is_empty() && !fit.details.numbers.is_empty());
            prop_assert!(!fit.details.not_protected.is_empty() && !fit.details.parameters.is_empty());
            prop_assert!(bearable(fit, &needs), "{:?}: {:?}", fit.method, needs);
        }
    }

    /// Who asks for more is offered a part of what was offered before, and in what he asked for never less.
    #[test]
    fn asking_for_more_never_yields_a_weaker_method(needs in needs()) {
        let before = advise(needs);
        for more in stricter(&needs) {
            let after = advise(more);
            let (offered, kept) = (order(&before), order(&after));
            prop_assert!(kept.iter().all(|method| offered.contains(method)), "{:?} to {:?}", needs, more);
            let (Some(weaker), Some(stronger)) = (before.fits.first(), after.fits.first()) else { continue };
            let aspects = [
                (more.opened > needs.opened, Aspect::Forgery),
                (more.revocation > needs.revocation, Aspect::Revocation),
            ];
            for (_, aspect) in aspects.into_iter().filter(|(asked, _)| *asked) {
                let expiry = more.revocation == Revocation::Expiry && aspect == Aspect::Revocation;
                prop_assert!(expiry || grade(stronger, aspect) >= grade(weaker, aspect), "{:?} to {:?}", needs, more);
            }
        }
    }

    /// Whatever has to give is enough: without those wishes the method fits, and with any one of them it does not.
    #[test]
    fn what_has_to_give_is_enough_and_no_more(needs in needs()) {
        for way in advise(needs).ways_out() {
            prop_assert!(order(&advise(way.needs)).contains(&way.method), "{:?} without {:?}", needs, way);
            for left in 0..way.gives.len() {
                let others = way.gives.iter().enumerate().filter(|(place, _)| *place != left);
                let nearly = others.fold(needs, |needs, (_, (gives, _))| gives.apply(needs));
                prop_assert!(!order(&advise(nearly)).contains(&way.method), "{:?} needs not {:?}", needs, way);
            }
        }
    }

    /// More digits, wherever people bear them, never raise what a guess gains with one method.
    #[test]
    fn more_digits_are_never_guessed_more_easily(needs in needs()) {
        let longer = Needs { digits: needs.digits.map(|digits| digits + 1), ..needs };
        let (short, long) = (advise(needs), advise(longer));
        for fit in &short.fits {
            let other = long.fits.iter().find(|other| other.method == fit.method).unwrap();
            let guess = |fit: &Fit| fit.details.numbers.iter().find(|number| number.name == "guess").cloned();
            if let (Some(short), Some(long)) = (guess(fit), guess(other)) {
                prop_assert!(long.to_json().as_f64() <= short.to_json().as_f64());
            }
        }
    }

    /// Every command is one that the program takes, and the answers given as one command are the same answers.
    #[test]
    fn commands_are_real(needs in needs()) {
        let advice = advise(needs);
        for fit in &advice.fits {
            for command in &fit.details.commands {
                prop_assert!(is_a_command(command), "{}", command);
            }
        }
        let words = words(&command(&needs));
        let cli = crate::Cli::try_parse_from(&words).unwrap();
        let crate::Command::Advise(args) = cli.command else { panic!("not advise") };
        let assumed = Answers::assumed(needs.verifier);
        let expected = Needs {
            // What does not matter to a verifier is not said again.
            oscillator: assumed.oscillator.unwrap_or(needs.oscillator),
            ..needs
        };
        prop_assert_eq!(args.said.needs().unwrap(), expected);
    }
}

/// A line as a shell takes it apart, as far as these lines go.
fn words(line: &str) -> Vec<String> {
    let line = line.trim_end_matches(" & sleep 1");
    let line = line.split(" > ").next().unwrap_or(line);
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            letter => words.last_mut().unwrap().push(letter),
        }
    }
    words
}

fn is_a_command(line: &str) -> bool {
    line == "export DOORSTEP_CLOCK=doorstep-data/clock"
        || line.starts_with("export DOORSTEP_DELIVERIES_ONLINE_LIFETIME=")
        || line == super::commands::LOCK_SECRET
        || crate::Cli::try_parse_from(words(line)).is_ok()
}

#[test]
fn a_command_that_the_program_lacks_is_found() {
    for wrong in ["doorstep lock new --site home --digit 9", "doorstep open", "export X=1"] {
        assert!(!is_a_command(wrong), "{wrong}");
    }
}

/// Sentences of the adviser have no digits but those of names: every figure is computed.
#[test]
fn no_number_is_typed_into_text() {
    for (file, source) in [
        ("ask", include_str!("ask.rs")),
        ("judge", include_str!("judge.rs")),
        ("method", include_str!("method.rs")),
        ("render", include_str!("render.rs")),
        ("tables", include_str!("tables.rs")),
        ("delivery", include_str!("methods/delivery.rs")),
        ("keypad", include_str!("methods/keypad.rs")),
        ("login", include_str!("methods/login.rs")),
        ("pass", include_str!("methods/pass.rs")),
        ("totp_door", include_str!("methods/totp_door.rs")),
    ] {
        let found = sentences(source);
        assert!(found.len() > 3, "{file}: the sentences were not found");
        for sentence in found {
            let mut plain = sentence.clone();
            for name in ["HO1", "KP1", "DP1", "Argon2id"] {
                plain = plain.replace(name, "");
            }
            assert!(!plain.contains(|letter: char| letter.is_ascii_digit()), "{file}: {sentence}");
        }
    }
    assert_eq!(sentences("x(\"a {b:<9} c\") // 1 \"d 2\""), ["a  c"]);
}

/// The literals of a source that are text, without what is put into them.
fn sentences(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]").next().unwrap();
    let mut found = Vec::new();
    for line in code.lines() {
        let line = line.trim_start();
        if line.starts_with("//") {
            continue;
        }
        let line = line.split(" // ").next().unwrap();
        let mut inside = false;
        for part in line.replace("\\\"", "'").split('"') {
            if inside && part.contains(' ') {
                let mut depth = 0_u8;
                let outside = part.chars().filter(|letter| {
                    depth += u8::from(*letter == '{');
                    let kept = depth == 0;
                    depth -= u8::from(*letter == '}');
                    kept
                });
                found.push(outside.collect());
            }
            inside = !inside;
        }
    }
    found
}
