//! How a pass opens and whose it is, as it is asked for: for a pass alone, or for those of a booking.

use crate::holder_key;
use crate::http::problem::{FieldError, Problem};
use crate::passes::{Holder, Terms};
use crate::store::pass_keys::Algorithm;
use crate::store::passes::Kind;
use doorstep::pass::claims::{Scope, Uses};
use doorstep::pass::issue::LONGEST_WINDOW;
use serde::Deserialize;
use std::num::NonZeroU32;
use utoipa::ToSchema;

/// How often a pass opens.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum AskedUses {
    /// So often, 1 to 255.
    Times(u8),
    /// `many` or `once`.
    Name(String),
}

/// How the passes of a booking open, and whose they are.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskedTerms {
    /// `signed` (when left out), `mac` under the lock's own key, or `encrypted` for the lock alone to read.
    #[serde(default)]
    pub(super) kind: Option<String>,
    /// Whose they are: `bearer` (when left out), `collect`, or a public key, as in `POST /v1/passes`.
    #[serde(default)]
    pub(super) holder: Option<String>,
    /// `many` (when left out), `once`, or a number.
    #[serde(default)]
    pub(super) uses: Option<AskedUses>,
    /// For how many minutes from its first use each opens; its whole window when left out.
    #[serde(default)]
    pub(super) lasts_minutes: Option<u32>,
    /// Whether the lock must know the time within a quarter of an hour.
    #[serde(default)]
    pub(super) exact: bool,
    #[serde(skip)]
    pub(super) passage: bool,
    #[serde(skip)]
    pub(super) algorithm: Option<String>,
}

impl AskedTerms {
    /// Reads the terms; `prefix` stands before the names of fields that are wrong.
    pub(crate) fn read(self, prefix: &str) -> Result<Terms, Problem> {
        let mut errors = Vec::new();
        let mut note = |field: &str, message: &str| {
            let field = format!("{prefix}{field}");
            errors.push(FieldError { row: None, field, message: message.to_owned() });
        };
        let kind = match self.kind.as_deref().map_or(Ok(Kind::Signed), Kind::parse) {
            Ok(kind) => kind,
            Err(()) => {
                note("kind", "is none of signed, mac, encrypted");
                Kind::Signed
            }
        };
        let holder = match self.holder.as_deref() {
            None | Some("bearer") => Holder::Bearer,
            Some("collect") => Holder::Collect,
            Some(key) => holder_key::read(key).map_or_else(
                || {
                    note(
                        "holder",
                        "is neither bearer, nor collect, nor a key as p256:... or ed25519:...",
                    );
                    Holder::Bearer
                },
                Holder::Key,
            ),
        };
        let uses = match self.uses {
            None => Some(Uses::Many),
            Some(AskedUses::Times(count)) => Uses::times(count),
            Some(AskedUses::Name(name)) => match name.as_str() {
                "many" => Some(Uses::Many),
                "once" => Some(Uses::Once),
                _ => None,
            },
        };
        let uses = uses.unwrap_or_else(|| {
            note("uses", "is none of many, once and a number from 1 to 255");
            Uses::Many
        });
        let lasts = self.lasts_minutes.map(|minutes| {
            let seconds = minutes.checked_mul(60).and_then(NonZeroU32::new);
            seconds.filter(|seconds| u64::from(seconds.get()) <= LONGEST_WINDOW)
        });
        if lasts == Some(None) {
            note("lasts_minutes", "is not between a minute and 400 days");
        }
        let algorithm = self.algorithm.as_deref().map(Algorithm::parse).transpose();
        let algorithm = algorithm.unwrap_or_else(|()| {
            note("algorithm", "is none of ed25519, esp256");
            None
        });
        if algorithm.is_some() && kind != Kind::Signed {
            note("algorithm", "is for signed passes alone");
        }
        let scope = Scope { uses, passage: self.passage, exact: self.exact };
        let terms = Terms { kind, holder, scope, lasts: lasts.flatten(), algorithm };
        if errors.is_empty() { Ok(terms) } else { Err(Problem::fields(errors)) }
    }
}
