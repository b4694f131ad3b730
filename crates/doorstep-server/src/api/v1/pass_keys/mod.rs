//! Keys that passes are signed with, and what is stated of them to locks.

pub(crate) mod create;
pub(crate) mod list;

use crate::http::problem::Problem;
use crate::pass_keys;
use crate::store::pass_keys::{Algorithm, PassKey};
use crate::store::{StoreError, locks, pass_keys as stored, rotations};
use crate::utc::Utc;
use crate::{hex, holder_key};
use doorstep::pass::claims::HolderKey;
use doorstep::pass::key::name_of;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::Serialize;
use utoipa::ToSchema;

/// A key that passes are signed with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PassKeyView {
    id: String,
    /// How passes name it.
    #[schema(example = "6f1c03aa")]
    name: String,
    /// `ed25519` or `esp256`.
    algorithm: &'static str,
    /// Its public half.
    #[schema(example = "ed25519:A6uTeq...")]
    public_key: String,
    /// `coming`, `signing`, or `ended`.
    state: &'static str,
    /// It signs from then on.
    from: Utc,
    /// And until then; null without an end. From then on a lock that heard of it takes nothing that it signed.
    until: Option<Utc>,
    /// How many locks that take signed passes are known to have it, by their journals or their bundles.
    at_locks: usize,
    created_at: Utc,
}

/// All keys, and the root under which they are stated.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PassKeyList {
    /// Oldest first.
    data: Vec<PassKeyView>,
    /// How many locks take signed passes.
    locks: usize,
    /// The last statement.
    rotation: u32,
    /// The public half of the root.
    root: String,
    /// Whether the private one is on this machine.
    root_is_here: bool,
}

impl PassKeyList {
    fn new(
        connection: &Connection,
        root_is_here: bool,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let locks = locks::taking_signed(connection)?;
        let mut known = Vec::new();
        for lock in &locks {
            known.push(pass_keys::known_at(connection, lock, now)?);
        }
        let mut keys = stored::all(connection)?;
        keys.sort_unstable_by_key(|key| key.seq);
        let view = |key: PassKey| PassKeyView {
            name: hex::encode(&name_of(&key.public)),
            algorithm: Algorithm::of(&key.public).as_str(),
            public_key: holder_key::write(&HolderKey::of(&key.public)),
            state: match (key.is_over(now), key.signs(now)) {
                (true, _) => "ended",
                (_, true) => "signing",
                (_, false) => "coming",
            },
            from: Utc(key.from),
            until: key.until.map(Utc),
            at_locks: known.iter().filter(|known| known.contains(&key.public)).count(),
            created_at: Utc(key.created_at),
            id: key.id,
        };
        Ok(Self {
            data: keys.into_iter().map(view).collect(),
            locks: locks.len(),
            rotation: rotations::latest(connection)?,
            root: holder_key::write(&HolderKey::of(&pass_keys::root(connection)?)),
            root_is_here,
        })
    }
}

/// Shows all keys.
fn shown(
    connection: &Connection,
    context: &crate::Context,
    now: Timestamp,
) -> Result<PassKeyList, Problem> {
    let root = pass_keys::root(connection)?;
    Ok(PassKeyList::new(connection, context.read_root(&root).is_ok(), now)?)
}
