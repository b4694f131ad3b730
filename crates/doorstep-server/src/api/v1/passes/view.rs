//! A pass as it is shown: what it says, whether it opens, and its document where it is handed out.

use super::warnings::{self, Warning};
use crate::hex;
use crate::holder_key;
use crate::http::base64url;
use crate::http::problem::Problem;
use crate::pass_revocation::{self, Truth};
use crate::passes::{Issued, Place};
use crate::store::passes::{self, Pass};
use crate::store::{StoreError, bookings};
use crate::utc::Utc;
use doorstep::pass::claims::Uses;
use doorstep::pass::text;
use doorstep::time::Timestamp;
use doorstep_qr::Qr;
use rusqlite::Connection;
use serde::Serialize;
use utoipa::ToSchema;
use zeroize::{Zeroize as _, Zeroizing};

/// A pass. Whoever has the document of a bearer pass has the pass.
#[derive(Serialize, ToSchema)]
pub(crate) struct PassView {
    /// Its id, for ever.
    #[schema(example = "9f1c7a0b33d2e845")]
    id: String,
    /// `waiting` for a phone to collect it, `issued`, `revoked`, or `expired`.
    state: &'static str,
    /// `signed`, `mac` or `encrypted` under the lock's own keys.
    kind: &'static str,
    /// The booking that it is of.
    booking: Option<String>,
    /// The lock that it opens.
    lock: Option<String>,
    /// The group whose locks it opens.
    group: Option<String>,
    /// The public key of its holder; null for a bearer pass, and while it waits.
    #[schema(example = "p256:A6uTeq...")]
    holder: Option<String>,
    uses: UsesView,
    /// For how many seconds from its first use it opens; null for its whole window.
    lasts_seconds: Option<u32>,
    /// Whether the lock must know the time within a quarter of an hour.
    exact: bool,
    /// Whether the door may be held open.
    passage: bool,
    /// When it opens. A lock adds a quarter of an hour on either side.
    from: Utc,
    until: Utc,
    issued_at: Utc,
    /// The business's own name for it.
    reference: Option<String>,
    /// When it opened first, by the journals of its locks.
    first_used_at: Option<Utc>,
    /// How often it opened, by the journals of its locks.
    uses_seen: u64,
    /// What is true of a revoked pass.
    revocation: Option<PassRevocationView>,
    /// The id of the pass that took its place when its booking was moved.
    successor: Option<String>,
    /// Why it may not open. `clock_unset`, `after_fails_on`, `epoch_pending`, `epoch_behind`: as with bookings.
    /// `key_not_at_lock`: a lock is not known to have the key of this pass; a phone that brings it the riders opens
    /// with it. `key_ends_first`: the key ends before the pass. `hand_out_anew`: the document that was handed out
    /// was made under keys that are gone. `bundle_not_confirmed`: a lock was provisioned anew, and no journal shows
    /// that it has its new bundle.
    warnings: Vec<Warning>,
    /// The document, in base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<String>,
    /// The document as text.
    #[schema(example = "DP1:...")]
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    qr: Option<QrView>,
    /// Whether whoever has the document can open with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    bearer: Option<bool>,
    /// With what a phone collects it, once: shown when it is made, and never again.
    #[schema(example = "pas_live_...")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<String>,
}

impl Drop for PassView {
    fn drop(&mut self) {
        self.document.zeroize();
        self.text.zeroize();
        self.ticket.zeroize();
    }
}

/// `many`, `once`, or a number.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum UsesView {
    Name(&'static str),
    Times(u8),
}

impl From<Uses> for UsesView {
    fn from(uses: Uses) -> Self {
        match uses {
            Uses::Many => Self::Name("many"),
            Uses::Once => Self::Name("once"),
            Uses::Times(count) => Self::Times(count.get()),
        }
    }
}

/// The text as a QR code.
#[derive(Serialize, ToSchema)]
pub(crate) struct QrView {
    /// The size of the code, 1 to 40.
    version: u8,
    svg: String,
}

impl Drop for QrView {
    fn drop(&mut self) {
        self.svg.zeroize();
    }
}

/// What happens at its locks to a pass that should open no more.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PassRevocationView {
    /// `now`: it opens no more, by all that is known. `when_list_delivered`: when somebody's phone brings the lock
    /// the riders of `GET /v1/locks/{id}/riders`. `when_provisioned`: when the lock is given its new bundle.
    /// `at_expiry`: when it is over; the list of its lock is full, or no newer one can be made yet.
    takes_effect: &'static str,
    /// Since when it opens no more, as far as it is known: from the journals of its locks, or because it is over.
    done_at: Option<Utc>,
}

impl From<Truth> for PassRevocationView {
    fn from(truth: Truth) -> Self {
        let Truth { takes_effect, done_at } = truth;
        Self { takes_effect: takes_effect.as_str(), done_at: done_at.map(Utc) }
    }
}

impl PassView {
    /// A pass without its document.
    pub(crate) fn new(
        connection: &Connection,
        pass: &Pass,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let place = Place::of(connection, pass.place)?;
        Self::at(connection, pass, &place, now)
    }

    /// The same, where the place is known.
    pub(crate) fn at(
        connection: &Connection,
        pass: &Pass,
        place: &Place,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let state = state(pass, now);
        let booking = match pass.booking {
            Some(booking) => Some(bookings::id_of(connection, booking)?),
            None => None,
        };
        let used = passes::used_at_its_place(connection, pass)?;
        let revocation = match pass.revoked_at {
            Some(at) => Some(pass_revocation::truth(connection, pass, at, place, now)?.into()),
            None => None,
        };
        let successor = pass.successor.map(|next| passes::at(connection, next)).transpose()?;
        let warnings = match state {
            "waiting" | "issued" => warnings::of(connection, pass, place, now)?,
            _ => Vec::new(),
        };
        Ok(Self {
            id: hex::encode(pass.id.as_bytes()),
            state,
            kind: pass.kind.as_str(),
            booking,
            lock: place.lock().map(|lock| lock.id.to_string()),
            group: place.group.as_ref().map(|group| group.name.clone()),
            holder: pass.holder.as_ref().map(holder_key::write),
            uses: pass.scope.uses.into(),
            lasts_seconds: pass.lasts.map(std::num::NonZeroU32::get),
            exact: pass.scope.exact,
            passage: pass.scope.passage,
            from: Utc(pass.window.from()),
            until: Utc(pass.window.until()),
            issued_at: Utc(pass.created_at),
            reference: pass.reference.clone(),
            first_used_at: used.first.map(Utc),
            uses_seen: used.times,
            revocation,
            successor: successor.map(|next| hex::encode(next.id.as_bytes())),
            warnings,
            document: None,
            text: None,
            qr: None,
            bearer: None,
            ticket: None,
        })
    }

    /// A pass that was just issued.
    pub(crate) fn issued(
        connection: &Connection,
        issued: &Issued,
        place: &Place,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let mut view = Self::at(connection, &issued.pass, place, now)?;
        view.ticket = issued.ticket.as_ref().map(|ticket| ticket.to_string());
        match &issued.document {
            Some(document) => view.with_document(document, issued.pass.is_bearer()),
            None => Ok(view),
        }
    }

    /// The same with its document.
    pub(crate) fn with_document(mut self, document: &[u8], bearer: bool) -> Result<Self, Problem> {
        let mut written = Zeroizing::new(String::new());
        let qr =
            text::write(document, &mut *written).ok().and_then(|()| Qr::of_text(&written).ok());
        let qr = qr.ok_or(StoreError::Corrupt { column: "passes.from_at" })?;
        self.document = Some(base64url::write(document));
        self.text = Some(written.to_string());
        self.qr = Some(QrView { version: qr.version(), svg: qr.svg().to_string() });
        self.bearer = Some(bearer);
        Ok(self)
    }
}

/// Whether a pass is to open.
pub(crate) fn state(pass: &Pass, now: Timestamp) -> &'static str {
    if pass.revoked_at.is_some() {
        "revoked"
    } else if pass.window.until() <= now {
        "expired"
    } else if pass.is_waiting() {
        "waiting"
    } else {
        "issued"
    }
}
