//! One pass of a wallet: the document as the issuer made it, and what the phone reads in it. A phone cannot
//! judge a pass; locks do.

use super::key;
use super::stored::Bytes;
use crate::text::rfc3339;
use doorstep::pass::claims::{Audience, HolderKey, Pass, PassId, Scope, Uses};
use doorstep::pass::document::{Content, Document, Header};
use doorstep::pass::presented::Presented;
use doorstep::time::{Timestamp, Window};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use zeroize::Zeroizing;

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
    /// Only its lock can read it.
    Unknown,
}

impl Standing {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NotYet => "not_yet",
            Self::Open => "open",
            Self::Over => "over",
            Self::Unknown => "unknown",
        }
    }
}

/// Where a pass was collected, and what the service knows the phone by.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    /// The service's address.
    pub(crate) server: String,
    pub(crate) token: Zeroizing<String>,
}

/// A pass that the wallet keeps.
#[derive(Clone, Deserialize, Serialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub(crate) struct HeldPass {
    document: Zeroizing<Vec<u8>>,
    kind: Kind,
    /// What it says, or is said to say. Nothing is known of one that only its lock can read and that somebody
    /// handed over.
    pass: Option<Pass>,
    /// What the service said when it was collected.
    told: Option<Told>,
    /// What its owner, or the service, calls the door.
    pub(crate) label: Option<String>,
    source: Option<Source>,
    /// What the service said of it last: `issued`, `revoked` or `expired`.
    pub(crate) state: Option<String>,
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
}

impl HeldPass {
    /// Takes over a document that somebody handed over.
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
            Some(Content::Pass(pass)) => Some(*pass),
            Some(Content::Rider(_)) => return Err(BadPass::Rider),
            None => None,
        };
        let kind = kind_of(read.header());
        Ok(Self { document, kind, pass, told: None, label, source: None, state: None })
    }

    /// Takes over a document that a service gave, and what it said of it: not every kind can be read.
    pub(crate) fn collected(
        document: Zeroizing<Vec<u8>>,
        label: Option<String>,
        source: Source,
        told: Told,
    ) -> Result<Self, BadPass> {
        let held = Self::new(document, label)?;
        Ok(Self { source: Some(source), ..held.with(told)? })
    }

    /// Takes the same pass as it was made anew; anything else is left.
    pub(crate) fn renew(&mut self, document: Zeroizing<Vec<u8>>) {
        let Ok(new) = Self::new(document, None) else { return };
        // One under a lock's key may name no lock, or be for its lock's eyes only.
        let pass = match (new.pass, self.pass) {
            (Some(new), Some(old)) => Some(Pass { audience: new.audience.or(old.audience), ..new }),
            (None, old) => old,
            (Some(_), None) => return,
        };
        let fits = |new: &Pass, old: &Pass| Pass { issued_at: old.issued_at, ..*new } == *old;
        let is_same = pass.iter().zip(&self.pass).all(|(new, old)| fits(new, old));
        if is_same && new.kind == self.kind {
            (self.document, self.pass) = (new.document, pass);
        }
    }

    fn with(self, told: Told) -> Result<Self, BadPass> {
        let said = told.to_pass().ok_or(BadPass::Malformed("description"))?;
        let read = self.pass.unwrap_or(said);
        let pass = Pass { audience: read.audience.or(said.audience), ..read };
        Ok(Self { pass: Some(pass), told: Some(told), ..self })
    }

    /// Where news of it can be had.
    pub(crate) const fn source(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    /// The document as the issuer made it: the pass itself, for whoever has it, if it is a bearer pass.
    pub(crate) fn document(&self) -> &[u8] {
        &self.document
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    /// The id as people write it; of a pass that the phone cannot read, how its document ends.
    pub(crate) fn id_text(&self) -> String {
        match &self.pass {
            Some(pass) => format!("{:?}", pass.id),
            None => {
                let tail = self.document.last_chunk::<8>().copied().unwrap_or_default();
                format!("{:016x}", u64::from_be_bytes(tail))
            }
        }
    }

    /// Whose proof it needs, as far as the phone knows.
    pub(crate) fn holder(&self) -> Option<&HolderKey> {
        self.pass.as_ref()?.holder.as_ref()
    }

    /// Whether whoever has it can surely open. One that the phone cannot read is shown with a proof all the same.
    pub(crate) const fn is_bearer(&self) -> bool {
        matches!(&self.pass, Some(pass) if pass.holder.is_none())
    }

    pub(crate) fn window(&self) -> Option<Window> {
        self.pass.map(|pass| pass.window)
    }

    fn audience(&self) -> Option<&Audience> {
        self.pass.as_ref()?.audience.as_ref()
    }

    /// The one lock that it names.
    pub(crate) fn lock(&self) -> Option<&Audience> {
        self.audience().filter(|name| name.group().is_none())
    }

    /// The group of locks that it names.
    pub(crate) fn group(&self) -> Option<&str> {
        self.audience()?.group()
    }

    /// What the lock or the group is called in passes: all that news of it can be for.
    pub(crate) fn names(&self) -> Option<&str> {
        self.audience().map(Audience::as_str)
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
        match self.pass.map(|pass| pass.scope.uses) {
            None => "only its lock knows".to_owned(),
            Some(Uses::Many) => "many times".to_owned(),
            Some(Uses::Once) => "once".to_owned(),
            Some(Uses::Times(times)) => format!("{times} times"),
        }
    }

    /// For how long from its first use it opens, if not for its whole window.
    pub(crate) fn lasts_seconds(&self) -> Option<u32> {
        self.pass?.lasts.map(NonZeroU32::get)
    }

    /// Whether the phone's clock is in its window. Locks judge by their own, with some grace.
    pub(crate) fn standing(&self, now: Timestamp) -> Standing {
        match self.window() {
            None => Standing::Unknown,
            Some(window) if now < window.from() => Standing::NotYet,
            Some(window) if now < window.until() => Standing::Open,
            Some(_) => Standing::Over,
        }
    }

    /// Everything but the document, for machines.
    pub(crate) fn to_json(&self, now: Timestamp) -> Value {
        let scope = self.pass.map(|pass| pass.scope);
        let uses = scope.map(|scope| match scope.uses {
            Uses::Many => json!("many"),
            Uses::Once => json!("once"),
            Uses::Times(times) => json!(times),
        });
        json!({
            "id": self.id_text(), "kind": self.kind.name(), "label": self.label,
            "lock": self.lock().map(Audience::as_str), "group": self.group(),
            "from": self.window().map(|window| rfc3339(window.from())),
            "until": self.window().map(|window| rfc3339(window.until())),
            "standing": self.standing(now).name(), "uses": uses,
            "lasts_seconds": self.lasts_seconds(), "exact": scope.map(|scope| scope.exact),
            "passage": scope.map(|scope| scope.passage),
            "bearer": self.pass.map(|pass| pass.holder.is_none()),
            "holder": self.holder().map(key::text), "state": self.state,
            "server": self.source.as_ref().map(|source| &source.server),
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

/// What a service says of a pass.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) lock: Option<String>,
    pub(crate) from: u64,
    pub(crate) until: u64,
    /// 0 without a limit.
    pub(crate) uses: u8,
    pub(crate) lasts_seconds: Option<u32>,
    pub(crate) holder: Option<String>,
}

impl Told {
    fn to_pass(&self) -> Option<Pass> {
        let digits = |at: usize| u8::from_str_radix(self.id.get(at..at + 2)?, 16).ok();
        let id: Option<Vec<u8>> = (0..self.id.len()).step_by(2).map(digits).collect();
        let at = Timestamp::from_seconds;
        Some(Pass {
            audience: self.lock.as_deref().map(Audience::parse).unwrap_or_default(),
            window: Window::new(at(self.from), at(self.until))?,
            issued_at: None,
            id: PassId::from_bytes(&id?)?,
            holder: match &self.holder {
                None => None,
                Some(text) => Some(key::parse(text)?),
            },
            scope: Scope { uses: Uses::times(self.uses).unwrap_or_default(), ..Scope::default() },
            lasts: self.lasts_seconds.and_then(NonZeroU32::new),
        })
    }
}

/// A pass as it is sealed.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    document: Bytes,
    told: Option<Told>,
    label: Option<String>,
    source: Option<Source>,
    state: Option<String>,
}

impl From<HeldPass> for Stored {
    fn from(held: HeldPass) -> Self {
        let HeldPass { document, told, label, source, state, .. } = held;
        Self { document: Bytes(document), told, label, source, state }
    }
}

impl TryFrom<Stored> for HeldPass {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let held = Self::new(stored.document.0, stored.label).map_err(|_| "not a pass")?;
        let held = match stored.told {
            None => held,
            Some(told) => held.with(told).map_err(|_| "not a description")?,
        };
        Ok(Self { source: stored.source, state: stored.state, ..held })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use doorstep::cose::keys::{IssuerKey, Signer};
    use doorstep::pass::issue::Unsigned;
    use doorstep::secret::Secret;

    pub(crate) const FROM: u64 = 1_800_000_000;

    pub(crate) fn key(seed: u8) -> IssuerKey {
        IssuerKey::from_seed(&Secret::from_bytes([seed; 32]))
    }

    pub(crate) fn holder(seed: u8) -> HolderKey {
        HolderKey::of(&Signer::Ed25519(key(seed).public()))
    }

    /// The pass of this number for an hour, for a holder or for anybody, as it was signed at a time.
    pub(crate) fn signed(number: u8, holder: Option<HolderKey>, at: u64) -> Zeroizing<Vec<u8>> {
        let at = Timestamp::from_seconds(at);
        let from = Timestamp::from_seconds(FROM);
        let content = Content::Pass(Pass {
            audience: Audience::parse("court-3"),
            window: Window::new(from, from.later(3_600)).unwrap(),
            issued_at: Some(at),
            id: PassId::from_bytes(&[number; 8]).unwrap(),
            holder,
            scope: Scope::default(),
            lasts: None,
        });
        let unsigned = Unsigned::new(&content, &Signer::Ed25519(key(9).public())).unwrap();
        let document = unsigned.signed(&key(9).sign(unsigned.to_be_signed()));
        Zeroizing::new(document.as_ref().to_vec())
    }

    #[test]
    fn only_the_same_pass_is_taken_anew() {
        let held = HeldPass::new(signed(1, Some(holder(1)), FROM), None).unwrap();
        for (name, other) in [
            ("another pass", signed(2, Some(holder(1)), FROM)),
            ("another holder", signed(1, Some(holder(2)), FROM)),
            ("for anybody", signed(1, None, FROM)),
            ("nothing", Zeroizing::new(Vec::new())),
        ] {
            let mut kept = held.clone();
            kept.renew(other);
            assert_eq!(kept.document(), held.document(), "{name}");
        }
        let mut renewed = held.clone();
        let anew = signed(1, Some(holder(1)), FROM + 60);
        renewed.renew(anew.clone());
        assert_eq!(renewed.document(), anew.as_slice());
    }
}
