//! Answers as people give them, as options, in a file or in a dialogue; and as [`Needs`], once none is missing.

use super::needs::{
    Bound, CheckFor, Contact, Entry, Needs, Opened, Oscillator, Parties, Phone, Places, Revocation,
    Scan, Tries, Trust, Uses, Verifier, Word,
};
use super::number::span;
use crate::error::CliError;
use crate::text::parse_span;
use clap::ValueEnum;
use doorstep::odds::YEAR;
use serde::Deserialize;
use std::num::NonZeroU32;

/// One answer for each question; what is not asked of a verifier needs none.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Answers {
    /// Who checks codes
    #[arg(long, value_enum)]
    pub(crate) verifier: Option<Verifier>,
    /// Who has a network
    #[arg(long, value_enum)]
    pub(crate) contact: Option<Contact>,
    /// What counts a lock's seconds
    #[arg(long, value_enum)]
    pub(crate) oscillator: Option<Oscillator>,
    /// Who has the verifier in his hands [a lock, a login: own]
    #[arg(long, value_enum)]
    pub(crate) trust: Option<Trust>,
    /// Who wants to know [a lock, a login: verifier]
    #[arg(long, value_enum)]
    pub(crate) check_for: Option<CheckFor>,
    /// What the holder has
    #[arg(long, value_enum)]
    pub(crate) phone: Option<Phone>,
    /// How a code comes in [a login: typed]
    #[arg(long, value_enum)]
    pub(crate) entry: Option<Entry>,
    /// For how long what the holder gets has to work, as 2h or 365d [a login: 365d]
    #[arg(long, value_name = "SPAN")]
    pub(crate) lifetime: Option<String>,
    /// How often it works [a login: many]
    #[arg(long, value_enum)]
    pub(crate) uses: Option<Uses>,
    /// How many have a working code at a time: people for one door, stops of one driver, accounts
    #[arg(long, value_name = "N")]
    pub(crate) active: Option<NonZeroU32>,
    /// Who has the door at one time [several]
    #[arg(long, value_enum)]
    pub(crate) parties: Option<Parties>,
    /// Where it works [a device: one]
    #[arg(long, value_enum)]
    pub(crate) places: Option<Places>,
    /// Who may try codes
    #[arg(long, value_enum)]
    pub(crate) tries: Option<Tries>,
    /// What has to end a code before its time
    #[arg(long, value_enum)]
    pub(crate) revocation: Option<Revocation>,
    /// What somebody may gain who opens the verifier and reads it
    #[arg(long, value_enum)]
    pub(crate) opened: Option<Opened>,
    /// What is special about a code that is scanned [plain]
    #[arg(long, value_enum)]
    pub(crate) scan: Option<Scan>,
    /// What a code is bound to [nothing]
    #[arg(long, value_enum)]
    pub(crate) bound: Option<Bound>,
    /// The most digits or letters that people may be asked to type; 0: any [any]
    #[arg(long, value_name = "N")]
    pub(crate) digits: Option<u8>,
}

/// More symbols than anybody types.
const MOST_SYMBOLS: u8 = 32;

/// For how long it has to work, in seconds.
pub(super) fn lifetime(text: &str) -> Result<u64, CliError> {
    match parse_span(text)? {
        0 => Err(CliError::usage("a code that works for no time opens nothing")
            .hint("a lifetime is written as 15m, 2h or 365d")),
        seconds => Ok(seconds),
    }
}

/// The most symbols that people are asked to type; zero is any number of them.
pub(super) fn symbols(most: u8) -> Result<Option<u8>, CliError> {
    match most {
        0 => Ok(None),
        most if most <= MOST_SYMBOLS => Ok(Some(most)),
        most => Err(CliError::usage(format!("{most} digits are more than anybody types"))
            .hint(format!("digits are 1 to {MOST_SYMBOLS}, or 0 for any number of them"))),
    }
}

/// Two answers of which the first counts.
fn or<T>(first: Option<T>, second: Option<T>) -> Option<T> {
    first.or(second)
}

impl Answers {
    /// Reads a file of answers.
    pub(crate) fn parse(text: &str) -> Result<Self, CliError> {
        toml::from_str(text).map_err(|error| {
            CliError::usage(format!("the answers are not right: {}", error.to_string().trim_end()))
                .hint("doorstep advise --template shows every question with its answers")
        })
    }

    /// These, and others where these say nothing.
    pub(crate) fn over(self, others: Self) -> Self {
        Self {
            verifier: or(self.verifier, others.verifier),
            contact: or(self.contact, others.contact),
            oscillator: or(self.oscillator, others.oscillator),
            trust: or(self.trust, others.trust),
            check_for: or(self.check_for, others.check_for),
            phone: or(self.phone, others.phone),
            entry: or(self.entry, others.entry),
            lifetime: or(self.lifetime, others.lifetime),
            uses: or(self.uses, others.uses),
            active: or(self.active, others.active),
            parties: or(self.parties, others.parties),
            places: or(self.places, others.places),
            tries: or(self.tries, others.tries),
            revocation: or(self.revocation, others.revocation),
            opened: or(self.opened, others.opened),
            scan: or(self.scan, others.scan),
            bound: or(self.bound, others.bound),
            digits: or(self.digits, others.digits),
        }
    }

    /// What is not asked of this verifier, as it goes without saying.
    pub(crate) fn assumed(verifier: Verifier) -> Self {
        let mut assumed = Self {
            parties: Some(Parties::Several),
            scan: Some(Scan::Plain),
            bound: Some(Bound::Nothing),
            ..Self::default()
        };
        if verifier != Verifier::Lock {
            assumed.oscillator = Some(Oscillator::Crystal);
        }
        if verifier == Verifier::Device {
            assumed.places = Some(Places::One);
        } else {
            assumed.trust = Some(Trust::Own);
            assumed.check_for = Some(CheckFor::Verifier);
        }
        if verifier == Verifier::Login {
            assumed.entry = Some(Entry::Typed);
            assumed.uses = Some(Uses::Many);
            assumed.lifetime = Some(span(YEAR));
        }
        assumed
    }

    /// The options that have no answer yet, in the order of the questions.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let Some(verifier) = self.verifier else { return vec!["verifier"] };
        let all = self.clone().over(Self::assumed(verifier));
        let answered = [
            ("contact", all.contact.is_some()),
            ("oscillator", all.oscillator.is_some()),
            ("trust", all.trust.is_some()),
            ("check-for", all.check_for.is_some()),
            ("phone", all.phone.is_some()),
            ("entry", all.entry.is_some()),
            ("lifetime", all.lifetime.is_some()),
            ("uses", all.uses.is_some()),
            ("active", all.active.is_some()),
            ("places", all.places.is_some()),
            ("tries", all.tries.is_some()),
            ("revocation", all.revocation.is_some()),
            ("opened", all.opened.is_some()),
        ];
        answered.into_iter().filter(|(_, there)| !there).map(|(name, _)| name).collect()
    }

    /// What they need, if nothing is missing.
    pub(crate) fn needs(&self) -> Result<Needs, CliError> {
        let verifier = self.verifier.ok_or_else(|| self.incomplete())?;
        let all = self.clone().over(Self::assumed(verifier));
        let lifetime = lifetime(all.lifetime.as_deref().ok_or_else(|| self.incomplete())?)?;
        let digits = all.digits.map_or(Ok(None), symbols)?;
        let needs = || {
            Some(Needs {
                verifier,
                contact: all.contact?,
                trust: all.trust?,
                check_for: all.check_for?,
                phone: all.phone?,
                entry: all.entry?,
                lifetime,
                uses: all.uses?,
                active: all.active?,
                parties: all.parties?,
                places: all.places?,
                oscillator: all.oscillator?,
                tries: all.tries?,
                revocation: all.revocation?,
                opened: all.opened?,
                scan: all.scan?,
                bound: all.bound?,
                digits,
            })
        };
        needs().ok_or_else(|| self.incomplete())
    }

    /// What is still to be said.
    pub(crate) fn incomplete(&self) -> CliError {
        let missing: Vec<String> =
            self.missing().into_iter().map(|name| format!("--{name}")).collect();
        let told = format!("not answered: {}", missing.join(" "));
        CliError::usage(told).hint(
            "answer in a terminal, by options, or in a file: doorstep advise --template > needs.toml, then doorstep advise --answers needs.toml",
        )
    }
}

/// The same needs as one command.
pub(crate) fn command(needs: &Needs) -> String {
    let said = Answers::assumed(needs.verifier);
    let mut words = vec!["doorstep advise".to_owned()];
    let mut say = |name: &str, word: String| words.push(format!("--{name} {word}"));
    say("verifier", needs.verifier.word());
    say("contact", needs.contact.word());
    if said.oscillator.is_none() {
        say("oscillator", needs.oscillator.word());
    }
    if said.trust != Some(needs.trust) {
        say("trust", needs.trust.word());
    }
    if said.check_for != Some(needs.check_for) {
        say("check-for", needs.check_for.word());
    }
    say("phone", needs.phone.word());
    if said.entry != Some(needs.entry) {
        say("entry", needs.entry.word());
    }
    if said.lifetime.as_deref() != Some(&span(needs.lifetime)) {
        say("lifetime", span(needs.lifetime));
    }
    if said.uses != Some(needs.uses) {
        say("uses", needs.uses.word());
    }
    say("active", needs.active.to_string());
    if said.parties != Some(needs.parties) {
        say("parties", needs.parties.word());
    }
    if said.places != Some(needs.places) {
        say("places", needs.places.word());
    }
    say("tries", needs.tries.word());
    say("revocation", needs.revocation.word());
    say("opened", needs.opened.word());
    if said.scan != Some(needs.scan) {
        say("scan", needs.scan.word());
    }
    if said.bound != Some(needs.bound) {
        say("bound", needs.bound.word());
    }
    if let Some(digits) = needs.digits {
        say("digits", digits.to_string());
    }
    words.join(" ")
}

/// The words of a choice with what they mean.
pub(super) fn choices<T: ValueEnum>() -> Vec<(String, String)> {
    let values = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    let meaning = |value: &clap::builder::PossibleValue| {
        value.get_help().map(ToString::to_string).unwrap_or_default()
    };
    values.map(|value| (value.get_name().to_owned(), meaning(&value))).collect()
}
