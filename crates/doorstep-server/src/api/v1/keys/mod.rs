//! API keys: how programs of the business prove who they are.

pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod revoke;
pub(crate) mod rotate;

use crate::http::problem::{Code, Problem};
use crate::scope::Scope;
use crate::store::api_keys::ApiKey;
use crate::utc::Utc;
use serde::Serialize;
use utoipa::ToSchema;

/// An API key, without the key itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyView {
    /// Its id.
    #[schema(example = "key_01kb3t5x9m2v7c4r8w6q1z0hnd")]
    id: String,
    /// What it is for.
    name: String,
    /// What it may do.
    scopes: Vec<Scope>,
    /// When it was made.
    created_at: Utc,
    /// From when on it is not taken any more.
    expires_at: Option<Utc>,
    /// When it was used last, to the minute.
    last_used_at: Option<Utc>,
    /// When it was revoked.
    revoked_at: Option<Utc>,
    /// After a rotation: until when the secret before it is still taken.
    previous_until: Option<Utc>,
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            name: key.name,
            scopes: key.scopes.iter().collect(),
            created_at: Utc(key.created_at),
            expires_at: key.expires_at.map(Utc),
            last_used_at: key.last_used_at.map(Utc),
            revoked_at: key.revoked_at.map(Utc),
            previous_until: key.previous_until.map(Utc),
        }
    }
}

fn not_found() -> Problem {
    Problem::new(Code::KeyNotFound, "no API key has this id").hint("GET /v1/keys lists them")
}
