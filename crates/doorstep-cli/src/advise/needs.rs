//! What somebody needs of a code, in a closed set of words: facts that are as they are, and wishes that
//! may have to give.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

/// One of several words, as it stands in options and files.
pub(crate) trait Word: ValueEnum {
    fn word(&self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

impl<T: ValueEnum> Word for T {}

/// Who checks codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verifier {
    /// A person with a device, at somebody's door: a driver, a steward
    Device,
    /// A lock, or another thing that stands alone
    Lock,
    /// A login: a web page, a host
    Login,
}

/// Who has a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Contact {
    /// The verifier, whenever it checks a code
    Always,
    /// The verifier now and then, but not when it checks
    Between,
    /// Never the verifier, but the phones of those who come
    Phones,
    /// Nobody who is there
    Never,
}

/// Who has the verifier in his hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Trust {
    /// We ourselves
    Own,
    /// Others, on a device that we manage and they cannot open
    Managed,
    /// Others, on a device of their own
    Others,
}

/// Who wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CheckFor {
    /// Whoever stands at the door
    Verifier,
    /// We, later: the outcome has to convince us
    Issuer,
}

/// What the holder has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phone {
    /// Nothing: codes are said, or on paper
    None,
    /// A phone for messages and pictures
    Messages,
    /// A phone with an app: an authenticator, a wallet
    App,
}

/// How a code comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Entry {
    /// Typed
    Typed,
    /// Scanned or tapped
    Scanned,
    /// Either; both are there
    Either,
}

/// How often a code works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Uses {
    /// Once
    Once,
    /// As often as its holder comes
    Many,
}

/// Who has the door at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Parties {
    /// One party at a time; the next one's first use ends its codes
    One,
    /// Several, whose times may overlap
    Several,
}

/// Where a code works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Places {
    /// At one verifier
    One,
    /// At several
    Several,
}

/// What counts a lock's seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Oscillator {
    /// A watch crystal
    Crystal,
    /// A temperature-compensated crystal
    Compensated,
    /// A calibrated RC oscillator
    Calibrated,
    /// Nothing: it has no clock
    None,
}

impl Oscillator {
    /// The oscillator as the core knows it; `None` without a clock.
    pub(crate) const fn class(self) -> Option<doorstep::clock::Oscillator> {
        use doorstep::clock::Oscillator as Class;
        match self {
            Self::Crystal => Some(Class::Crystal),
            Self::Compensated => Some(Class::Compensated),
            Self::Calibrated => Some(Class::Calibrated),
            Self::None => None,
        }
    }
}

/// Who tries codes. Each asks more than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Tries {
    /// Somebody who passes by, once
    PasserBy,
    /// Somebody who never stops, a robot; he may be shut out for a while
    Robot,
    /// The same, and nobody may ever be shut out
    Unlimited,
}

/// What has to end a code. Each asks more than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Revocation {
    /// Nothing
    Never,
    /// Its time, or our word
    Expiry,
    /// Our word, once somebody brings it to the verifier
    Later,
    /// Our word, at once
    AtOnce,
}

/// What somebody may gain who opens the verifier and reads it. Each asks more than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Opened {
    /// Anything: nobody can open it
    Anything,
    /// What this one verifier takes
    Itself,
    /// Nothing that convinces anybody
    Nothing,
}

/// What is special about a code that is scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scan {
    /// Nothing
    Plain,
    /// It must be short: the lock verifies no signatures, or its camera is coarse
    Small,
    /// Whoever sees it must not learn when and where it opens
    Private,
}

/// What a code is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Bound {
    /// To its verifier and its time
    Nothing,
    /// To a challenge of the verifier: this session, this transfer
    Challenge,
}

/// Everything that was asked, answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) verifier: Verifier,
    pub(crate) contact: Contact,
    pub(crate) trust: Trust,
    pub(crate) check_for: CheckFor,
    pub(crate) phone: Phone,
    pub(crate) entry: Entry,
    /// For how long what the holder gets has to work, in seconds.
    pub(crate) lifetime: u64,
    pub(crate) uses: Uses,
    /// How many people have a working code for one door, or an account, at a time.
    pub(crate) active: NonZeroU32,
    pub(crate) parties: Parties,
    pub(crate) places: Places,
    pub(crate) oscillator: Oscillator,
    pub(crate) tries: Tries,
    pub(crate) revocation: Revocation,
    pub(crate) opened: Opened,
    pub(crate) scan: Scan,
    pub(crate) bound: Bound,
    /// The most symbols that people may be asked to type.
    pub(crate) digits: Option<u8>,
}

impl Needs {
    pub(crate) fn may_type(&self) -> bool {
        self.entry != Entry::Scanned
    }

    /// What was taken for granted because nobody asked, for it decides what a false outcome would be worth.
    pub(crate) fn assumption(&self) -> Option<&'static str> {
        let granted = self.verifier != Verifier::Device && self.trust == Trust::Own;
        (granted && self.check_for == CheckFor::Verifier).then_some(
            "the verifier is yours, and nobody has to be convinced later of what it saw; else say --trust, --check-for",
        )
    }

    /// Whether whoever has the verifier gains by a false outcome that we believe.
    pub(crate) fn verifier_gains(&self) -> bool {
        self.trust == Trust::Others && self.check_for == CheckFor::Issuer
    }
}

/// A wish as it would have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Concession {
    Digits(u8),
    Lifetime(u64),
    Tries(Tries),
    Uses(Uses),
    Revocation(Revocation),
    Opened(Opened),
    Entry(Entry),
    Active(NonZeroU32),
    Places(Places),
    Scan(Scan),
    Bound(Bound),
}

impl Concession {
    /// The option, and what it would be.
    pub(crate) fn option(&self) -> (&'static str, String) {
        match self {
            Self::Digits(digits) => ("digits", digits.to_string()),
            Self::Lifetime(seconds) => ("lifetime", super::number::span(*seconds)),
            Self::Tries(tries) => ("tries", tries.word()),
            Self::Uses(uses) => ("uses", uses.word()),
            Self::Revocation(revocation) => ("revocation", revocation.word()),
            Self::Opened(opened) => ("opened", opened.word()),
            Self::Entry(entry) => ("entry", entry.word()),
            Self::Active(active) => ("active", active.to_string()),
            Self::Places(places) => ("places", places.word()),
            Self::Scan(scan) => ("scan", scan.word()),
            Self::Bound(bound) => ("bound", bound.word()),
        }
    }

    /// The needs without that wish.
    pub(crate) const fn apply(self, needs: Needs) -> Needs {
        match self {
            Self::Digits(digits) => Needs { digits: Some(digits), ..needs },
            Self::Lifetime(lifetime) => Needs { lifetime, ..needs },
            Self::Tries(tries) => Needs { tries, ..needs },
            Self::Uses(uses) => Needs { uses, ..needs },
            Self::Revocation(revocation) => Needs { revocation, ..needs },
            Self::Opened(opened) => Needs { opened, ..needs },
            Self::Entry(entry) => Needs { entry, ..needs },
            Self::Active(active) => Needs { active, ..needs },
            Self::Places(places) => Needs { places, ..needs },
            Self::Scan(scan) => Needs { scan, ..needs },
            Self::Bound(bound) => Needs { bound, ..needs },
        }
    }
}
