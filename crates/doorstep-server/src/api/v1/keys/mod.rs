//! API keys: how programs of the business prove who they are.

pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod revoke;

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
    /// When it was made.
    created_at: Utc,
    /// When it was used last, to the minute.
    last_used_at: Option<Utc>,
    /// When it was revoked.
    revoked_at: Option<Utc>,
}

impl From<ApiKey> for KeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            name: key.name,
            created_at: Utc(key.created_at),
            last_used_at: key.last_used_at.map(Utc),
            revoked_at: key.revoked_at.map(Utc),
        }
    }
}
