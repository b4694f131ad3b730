//! The rules by which a method meets needs or does not: the same for all methods, which only say what they have.

use super::needs::{
    Bound, Concession, Entry, Needs, Opened, Places, Revocation, Scan, Tries, Uses,
};
use super::number::duration;
use doorstep::odds::float;
use std::num::NonZeroU32;

/// What a method may keep or lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aspect {
    Uniqueness,
    Lifetime,
    OneTime,
    Forgery,
    Typos,
    Drift,
    Revocation,
    Access,
}

impl Aspect {
    /// Its name, for people and programs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Uniqueness => "uniqueness",
            Self::Lifetime => "lifetime",
            Self::OneTime => "one-time use",
            Self::Forgery => "opened verifier",
            Self::Typos => "typos",
            Self::Drift => "drift",
            Self::Revocation => "revocation",
            Self::Access => "accessibility",
        }
    }
}

/// How far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grade {
    Lost,
    Partly,
    Kept,
}

impl Grade {
    /// Its name, for people and programs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Partly => "partly",
            Self::Kept => "kept",
        }
    }
}

/// One aspect of a method under somebody's facts.
#[derive(Clone, Debug)]
pub(crate) struct Property {
    pub(crate) aspect: Aspect,
    pub(crate) grade: Grade,
    pub(crate) text: String,
}

/// A property, in the words of a method.
pub(super) fn property(aspect: Aspect, grade: Grade, text: impl Into<String>) -> Property {
    Property { aspect, grade, text: text.into() }
}

/// What a method has under somebody's facts.
#[derive(Clone, Debug)]
pub(crate) struct Traits {
    /// Why facts rule it out.
    pub(super) facts: Vec<&'static str>,
    pub(super) properties: Vec<Property>,
    /// How it is presented.
    pub(super) entry: Entry,
    /// The fewest symbols that people type, for those who may try.
    pub(super) fewest: Option<u8>,
    /// What is wrong with fewer.
    pub(super) shorter: &'static str,
    /// The longest life, in seconds.
    pub(super) longest: Option<u64>,
    /// How often, if that is no choice.
    pub(super) uses: Option<Uses>,
    /// The most people who have a code at a time, and what of it is so few.
    pub(super) most_active: Option<(NonZeroU32, &'static str)>,
    /// Whether one code works at several places.
    pub(super) several: bool,
    /// What scans it has.
    pub(super) scans: &'static [Scan],
    /// Whether it answers challenges.
    pub(super) answers: bool,
}

impl Traits {
    /// A method that is typed, and can nothing more.
    pub(super) const fn typed(facts: Vec<&'static str>, properties: Vec<Property>) -> Self {
        Self {
            facts,
            properties,
            entry: Entry::Typed,
            fewest: None,
            shorter: "are guessed too easily",
            longest: None,
            uses: None,
            most_active: None,
            several: false,
            scans: &[Scan::Plain],
            answers: false,
        }
    }

    /// What somebody gains at most who opens the verifier.
    fn opened(&self) -> Opened {
        match self.grade(Aspect::Forgery).0 {
            Grade::Kept => Opened::Nothing,
            Grade::Partly => Opened::Itself,
            Grade::Lost => Opened::Anything,
        }
    }

    fn grade(&self, aspect: Aspect) -> (Grade, &str) {
        let found = self.properties.iter().find(|property| property.aspect == aspect);
        found.map_or((Grade::Kept, ""), |found| (found.grade, found.text.as_str()))
    }
}

/// Why a method does not fit.
#[derive(Clone, Debug)]
pub(crate) enum Clash {
    /// As things are.
    Fact(&'static str),
    /// As somebody wishes, what the wish would have to be, and why.
    Wish(Concession, String),
}

impl Clash {
    pub(crate) fn why(&self) -> &str {
        match self {
            Self::Fact(why) => why,
            Self::Wish(_, why) => why,
        }
    }
}

/// Everything that speaks against a method: facts, then wishes. None means that it fits.
pub(super) fn clashes(needs: &Needs, traits: &Traits) -> Vec<Clash> {
    let mut clashes: Vec<Clash> = traits.facts.iter().copied().map(Clash::Fact).collect();
    if needs.verifier_gains() && traits.opened() < Opened::Nothing {
        clashes.push(Clash::Fact(
            "whoever has the verifier gains by a false outcome, and can make one",
        ));
    }
    if !clashes.is_empty() {
        return clashes;
    }
    let mut wish = |concession, why: String| clashes.push(Clash::Wish(concession, why));
    if traits.entry != Entry::Either && needs.entry != Entry::Either && traits.entry != needs.entry
    {
        let why =
            if traits.entry == Entry::Scanned { "it is scanned or tapped" } else { "it is typed" };
        wish(Concession::Entry(traits.entry), why.to_owned());
    }
    if traits.entry == Entry::Typed || (traits.entry == Entry::Either && needs.may_type()) {
        if let (Some(most), Some(fewest)) = (needs.digits, traits.fewest)
            && most < fewest
        {
            let why = format!("{most} symbols {}; it takes {fewest}", traits.shorter);
            wish(Concession::Digits(fewest), why);
        }
        if needs.tries == Tries::Unlimited {
            let why = "what people can type is guessed by whoever may try without end".to_owned();
            wish(Concession::Tries(Tries::Robot), why);
        }
    }
    if let Some(longest) = traits.longest.filter(|longest| needs.lifetime > *longest) {
        let why = format!("it lives for {} at most", duration(float(longest)));
        wish(Concession::Lifetime(longest), why);
    }
    if let Some(uses) = traits.uses.filter(|uses| needs.uses != *uses) {
        wish(
            Concession::Uses(uses),
            match uses {
                Uses::Once => "each code works once".to_owned(),
                Uses::Many => "the holder makes codes for as long as he is enrolled".to_owned(),
            },
        );
    }
    let (once, text) = traits.grade(Aspect::OneTime);
    if needs.uses == Uses::Once && traits.uses.is_none() && once != Grade::Kept {
        wish(Concession::Uses(Uses::Many), text.to_owned());
    }
    if let Some((most, of)) = traits.most_active.filter(|(most, _)| needs.active > *most) {
        wish(Concession::Active(most), format!("at most {most} {of}"));
    }
    if needs.places == Places::Several && !traits.several {
        let why = "a code is good at one verifier, which alone knows what was used".to_owned();
        wish(Concession::Places(Places::One), why);
    }
    if !ends(needs.revocation, traits) {
        let reachable = [Revocation::Later, Revocation::Expiry, Revocation::Never];
        let less = reachable.into_iter().find(|less| ends(*less, traits));
        let (_, text) = traits.grade(Aspect::Revocation);
        wish(Concession::Revocation(less.unwrap_or(Revocation::Never)), text.to_owned());
    }
    if traits.opened() < needs.opened {
        let (_, text) = traits.grade(Aspect::Forgery);
        wish(Concession::Opened(traits.opened()), text.to_owned());
    }
    if traits.entry == Entry::Scanned && !traits.scans.contains(&needs.scan) {
        wish(
            Concession::Scan(Scan::Plain),
            match needs.scan {
                Scan::Small => "it is longer than the shortest".to_owned(),
                _ => "whoever reads it learns when and where it opens".to_owned(),
            },
        );
    }
    if needs.bound == Bound::Challenge && !traits.answers {
        wish(Concession::Bound(Bound::Nothing), "it answers no challenge".to_owned());
    }
    clashes
}

/// Whether a code ends as it has to.
fn ends(how: Revocation, traits: &Traits) -> bool {
    let (revocation, _) = traits.grade(Aspect::Revocation);
    let (lifetime, _) = traits.grade(Aspect::Lifetime);
    match how {
        Revocation::Never => true,
        Revocation::Expiry => revocation != Grade::Lost || lifetime != Grade::Lost,
        Revocation::Later => revocation != Grade::Lost,
        Revocation::AtOnce => revocation == Grade::Kept,
    }
}
