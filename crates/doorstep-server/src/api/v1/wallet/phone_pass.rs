//! A pass as it goes to the phone whose it is: when it is collected, and when it takes another's place.

use crate::api::v1::passes::view::UsesView;
use crate::hex;
use crate::http::base64url::write;
use crate::passes::Place;
use crate::store::locks::Lock;
use crate::store::passes::Pass;
use crate::utc::Utc;
use serde::Serialize;
use std::num::NonZeroU32;
use utoipa::ToSchema;

/// A pass as a phone keeps it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PhonePass {
    id: String,
    /// In base64url.
    document: String,
    kind: &'static str,
    /// Always false: the pass is worth nothing without the phone's key.
    bearer: bool,
    from: Utc,
    until: Utc,
    uses: UsesView,
    lasts_seconds: Option<u32>,
    /// The lock that it opens.
    lock: Option<PhoneLock>,
    /// The group whose locks it opens.
    group: Option<String>,
}

/// A lock as a phone finds it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PhoneLock {
    /// What it calls itself.
    name: String,
    /// What people call it.
    label: String,
}

impl From<&Lock> for PhoneLock {
    fn from(lock: &Lock) -> Self {
        Self { name: lock.pass_name.as_str().to_owned(), label: lock.name.clone() }
    }
}

impl PhonePass {
    /// A pass and its document of now.
    pub(super) fn of(pass: &Pass, place: &Place, document: &[u8]) -> Self {
        Self {
            id: hex::encode(pass.id.as_bytes()),
            document: write(document),
            kind: pass.kind.as_str(),
            bearer: pass.is_bearer(),
            from: Utc(pass.window.from()),
            until: Utc(pass.window.until()),
            uses: pass.scope.uses.into(),
            lasts_seconds: pass.lasts.map(NonZeroU32::get),
            lock: place.lock().map(PhoneLock::from),
            group: place.group.as_ref().map(|group| group.name.clone()),
        }
    }
}
