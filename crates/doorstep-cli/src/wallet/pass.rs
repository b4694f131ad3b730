//! One pass of a wallet: the document as the issuer made it, and what the phone reads in it. A phone cannot
//! judge a pass; locks do.

use super::key;
use crate::text::{base64url, from_base64url, rfc3339};
use doorstep::pass::claims::{Audience, HolderKey, Pass, PassId, Uses};
use doorstep::pass::document::{Content, Document, Header};
use doorstep::pass::presented::Presented;
use doorstep::time::{Timestamp, Window};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// Begins the audiences that are groups of locks; no lock is called so.
const GROUP: &str = "g-";

/// How a pass is proven to locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Signed by the issuer.
    Signed,
    /// Under the key of one lock.
    Mac,
    /// The same, for its eyes only.
    Encrypted,
}

impl Kind {
    /// As the service calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Mac => "mac",
            Self::Encrypted => "encrypted",
        }
    }
}

/// How a pass stands to a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    NotYet,
    Open,
    Over,
}

impl Standing {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NotYet => "not_yet",
            Self::Open => "open",
            Self::Over => "over",
        }
    }
}

/// A pass that the wallet keeps.
#[derive(Clone, Deserialize, Serialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub(crate) struct HeldPass {
    document: Zeroizing<Vec<u8>>,
    kind: Kind,
    pass: Pass,
    /// What its owner, or the service, calls the door.
    pub(crate) label: Option<String>,
}

/// Why a document is not kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadPass {
    /// It is none; the part that shows it.
    Malformed(&'static str),
    /// News for locks, not a pass.
    Rider,
    /// Somebody has proven it already, to one lock, for one moment.
    Proven,
    /// Only its lock can read it, and the wallet must know what it keeps.
    Encrypted,
}

impl HeldPass {
    /// Takes over a document.
    pub(crate) fn new(
        document: Zeroizing<Vec<u8>>,
        label: Option<String>,
    ) -> Result<Self, BadPass> {
        let read = match Document::parse(&document) {
            Ok(read) => read,
            Err(_) if Presented::parse(&document).is_ok() => return Err(BadPass::Proven),
            Err(bad) => return Err(BadPass::Malformed(bad.0)),
        };
        let pass = match read.content() {
            Some(Content::Pass(pass)) => *pass,
            Some(Content::Rider(_)) => return Err(BadPass::Rider),
            None => return Err(BadPass::Encrypted),
        };
        let kind = kind_of(read.header());
        Ok(Self { document, kind, pass, label })
    }

    /// The document as the issuer made it: the pass itself, for whoever has it, if it is a bearer pass.
    pub(crate) fn document(&self) -> &[u8] {
        &self.document
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) const fn id(&self) -> &PassId {
        &self.pass.id
    }

    /// The id as people write it.
    pub(crate) fn id_text(&self) -> String {
        format!("{:?}", self.pass.id)
    }

    /// Whose proof it needs.
    pub(crate) const fn holder(&self) -> Option<&HolderKey> {
        self.pass.holder.as_ref()
    }

    pub(crate) const fn is_bearer(&self) -> bool {
        self.pass.holder.is_none()
    }

    pub(crate) const fn window(&self) -> Window {
        self.pass.window
    }

    /// The one lock that it names.
    pub(crate) fn lock(&self) -> Option<&Audience> {
        self.pass.audience.as_ref().filter(|name| !name.as_str().starts_with(GROUP))
    }

    /// The group of locks that it names.
    pub(crate) fn group(&self) -> Option<&str> {
        self.pass.audience.as_ref()?.as_str().strip_prefix(GROUP)
    }

    /// How the pass is called: the door's name, or that of the lock or the group.
    pub(crate) fn name(&self) -> String {
        match (&self.label, self.lock(), self.group()) {
            (Some(label), _, _) => label.clone(),
            (None, Some(lock), _) => lock.as_str().to_owned(),
            (None, None, Some(group)) => format!("group {group}"),
            (None, None, None) => "(one lock)".to_owned(),
        }
    }

    /// How often it opens, for people.
    pub(crate) fn uses_text(&self) -> String {
        match self.pass.scope.uses {
            Uses::Many => "many times".to_owned(),
            Uses::Once => "once".to_owned(),
            Uses::Times(times) => format!("{times} times"),
        }
    }

    /// For how long from its first use it opens, if not for its whole window.
    pub(crate) fn lasts_seconds(&self) -> Option<u32> {
        self.pass.lasts.map(std::num::NonZero::get)
    }

    /// Whether the phone's clock is in its window. Locks judge by their own, with some grace.
    pub(crate) fn standing(&self, now: Timestamp) -> Standing {
        let window = self.pass.window;
        if now < window.from() {
            Standing::NotYet
        } else if now < window.until() {
            Standing::Open
        } else {
            Standing::Over
        }
    }

    /// Everything but the document, for machines.
    pub(crate) fn to_json(&self, now: Timestamp) -> Value {
        let (pass, window) = (&self.pass, self.pass.window);
        let uses = match pass.scope.uses {
            Uses::Many => json!("many"),
            Uses::Once => json!("once"),
            Uses::Times(times) => json!(times),
        };
        json!({
            "id": self.id_text(), "kind": self.kind.name(), "label": self.label,
            "lock": self.lock().map(Audience::as_str), "group": self.group(),
            "from": rfc3339(window.from()), "until": rfc3339(window.until()),
            "standing": self.standing(now).name(), "uses": uses,
            "lasts_seconds": self.lasts_seconds(), "exact": pass.scope.exact,
            "passage": pass.scope.passage, "bearer": self.is_bearer(),
            "holder": self.holder().map(key::text),
        })
    }
}

const fn kind_of(header: &Header) -> Kind {
    match header {
        Header::Ed25519(_) | Header::Esp256(_) => Kind::Signed,
        Header::Mac { .. } => Kind::Mac,
        Header::Encrypted { .. } => Kind::Encrypted,
    }
}

/// A pass as it is sealed.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    document: Zeroizing<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
}

impl From<HeldPass> for Stored {
    fn from(held: HeldPass) -> Self {
        Self { document: Zeroizing::new(base64url(&held.document)), label: held.label }
    }
}

impl TryFrom<Stored> for HeldPass {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let document = from_base64url(&stored.document).map_err(|_| "not a document")?;
        Self::new(Zeroizing::new(document), stored.label).map_err(|_| "not a pass")
    }
}
