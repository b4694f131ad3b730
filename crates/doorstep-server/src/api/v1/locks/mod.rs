//! Locks with a keypad: provisioning, codes for staff, and what their journals tell.

pub(crate) mod code;
pub(crate) mod confirm_epoch;
pub(crate) mod create;
pub(crate) mod epoch;
pub(crate) mod events;
pub(crate) mod journal;
pub(crate) mod list;
pub(crate) mod passes;
mod profile;
pub(crate) mod provision;
pub(crate) mod riders;
pub(crate) mod set_time;
pub(crate) mod show;
pub(crate) mod time_token;

use crate::http::problem::{Code, Problem};
use crate::lock_state;
use crate::store::StoreError;
use crate::store::locks::{self, Lock};
use crate::utc::Utc;
use doorstep::clock::totp;
use doorstep::door::bundle::Bundle;
use doorstep::time::Timestamp;
use passes::PassesView;
use profile::{OddsView, ProfileView};
use rusqlite::Connection;
use serde::Serialize;
use utoipa::ToSchema;

/// Seconds before the day on which codes begin to fail from which a lock wants attention.
const ATTEND: u64 = 30 * 86_400;

/// A lock. It never shows a key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LockView {
    /// Its id, for ever.
    #[schema(example = "lck_01m7zpcgdg2c2rbw8qte4qcp8y")]
    id: String,
    /// Where it is.
    site: String,
    /// What it is called there.
    #[schema(example = "Court 3")]
    name: String,
    /// How often it was provisioned. Each time it gets other keys, and every PIN changes.
    generation: u32,
    /// PINs are of this epoch.
    epoch: u32,
    /// In which epoch the lock was by its last journal; null without one.
    epoch_at_lock: Option<u32>,
    /// An epoch whose code was made, and nobody said yet that it was typed.
    pending_epoch: Option<PendingEpochView>,
    /// Whether PINs of the epoch before open as well: the lock was told of this one, and no PIN of it was seen
    /// used.
    previous_epoch_opens: bool,
    /// What can be booked.
    profile: ProfileView,
    /// How likely a guess opens.
    odds: OddsView,
    clock: ClockView,
    /// Its TOTP codes, if it has them.
    totp: Option<TotpView>,
    /// What it takes of passes.
    passes: PassesView,
    /// Since when a journal is known that contradicts an earlier one: the lock, or a copy of it, was set
    /// back. Provision it anew.
    forked_at: Option<Utc>,
    created_at: Utc,
    provisioned_at: Utc,
}

/// An epoch that is to come.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PendingEpochView {
    epoch: u32,
    /// `announce`: it ends the one before when its first PIN is used. `end`: when its code is typed.
    how: &'static str,
}

/// What a lock believes about the time, from its last journal or from the day of provisioning, aged to now
/// with nothing heard. The lock itself may know better.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClockView {
    /// What counts its seconds.
    oscillator: &'static str,
    /// What it does when its power was off.
    after_power_loss: &'static str,
    /// When its last journal was taken in that told something new.
    last_contact: Option<Utc>,
    /// When it believes it is; null when it does not know well enough to open for anybody.
    believes: Option<BeliefView>,
    /// How uncertain that is, either way.
    uncertainty_seconds: u64,
    /// When it begins to refuse everybody if it hears nothing until then; ten years ahead at most. Null when
    /// it does already.
    fails_on: Option<Utc>,
    /// `good`; `attend` within 30 days of `fails_on`; `unset`: it opens for nobody.
    health: &'static str,
}

/// When a lock believes it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BeliefView {
    earliest: Utc,
    probable: Utc,
    latest: Utc,
}

/// How the TOTP codes of a door are made: with SHA-1.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TotpView {
    digits: u8,
    /// Seconds that a code is current.
    period: u64,
}

impl LockView {
    pub(crate) fn new(
        connection: &Connection,
        lock: &Lock,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            id: lock.id.to_string(),
            site: lock.site.clone(),
            name: lock.name.clone(),
            generation: lock.generation,
            epoch: lock.epoch,
            epoch_at_lock: lock_state::last(lock)?.map(|state| state.keypad.epoch()),
            pending_epoch: lock.pending.map(|pending| PendingEpochView {
                epoch: pending.epoch,
                how: pending.how.as_str(),
            }),
            previous_epoch_opens: lock.announced,
            profile: lock.into(),
            odds: lock.into(),
            clock: ClockView::new(lock, now)?,
            totp: lock.steps.as_ref().map(|steps| TotpView {
                digits: steps.totp.digits.get(),
                period: steps.totp.period.get(),
            }),
            passes: PassesView::new(connection, lock)?,
            forked_at: lock.forked_at.map(Utc),
            created_at: Utc(lock.created_at),
            provisioned_at: Utc(lock.provisioned_at),
        })
    }
}

impl ClockView {
    fn new(lock: &Lock, now: Timestamp) -> Result<Self, StoreError> {
        let belief = lock_state::belief(lock, now)?;
        let believes = belief.now();
        let steps = lock.steps.as_ref().map(|steps| &steps.totp);
        let lasts = steps.map_or_else(|| belief.lasts(), |totp| totp::lasts(&belief, totp));
        let lasts = believes.map(|_| lasts);
        let health = match lasts {
            None => "unset",
            Some(lasts) if lasts <= ATTEND => "attend",
            Some(_) => "good",
        };
        Ok(Self {
            oscillator: lock.clock.oscillator.name(),
            after_power_loss: lock.clock.after_power_loss.name(),
            last_contact: lock.last_contact.map(Utc),
            believes: believes.map(|now| BeliefView {
                earliest: Utc(now.earliest),
                probable: Utc(now.probable),
                latest: Utc(now.latest),
            }),
            uncertainty_seconds: belief.uncertainty(),
            fails_on: lasts.map(|lasts| Utc(now.later(lasts))),
            health,
        })
    }
}

/// A lock, and what it is provisioned with. The bundle is shown once: whoever reads it can derive all of
/// this lock's codes.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProvisionedLock {
    lock: LockView,
    /// One line, for the lock and for nothing else. It is not kept; a lost one is made anew by provisioning.
    #[schema(example = "DSLOCK1:...")]
    bundle: String,
}

impl ProvisionedLock {
    fn new(lock: LockView, bundle: &Bundle) -> Self {
        let mut text = String::new();
        // Writing to a text never fails.
        let _ = bundle.write(&mut text);
        Self { lock, bundle: text }
    }
}

impl Drop for ProvisionedLock {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.bundle);
    }
}

/// A code for the keypad, and when it is to be typed.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeypadCode {
    #[schema(example = "4829 1635")]
    code: String,
    from: Utc,
    until: Utc,
}

impl Drop for KeypadCode {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.code);
    }
}

/// Digits as people read them aloud.
pub(crate) fn spaced(code: &doorstep::code::Code) -> String {
    let mut text = String::new();
    // Writing to a text never fails.
    let _ = code.write_grouped(&mut text);
    text
}

/// Digits alone.
pub(crate) fn digits(code: &doorstep::code::Code) -> String {
    code.expose().iter().map(|digit| char::from(*digit)).collect()
}

/// The lock that a path names.
pub(crate) fn find(connection: &Connection, id: &str) -> Result<Lock, Problem> {
    locks::find(connection, id)?.ok_or_else(unknown)
}

pub(crate) fn unknown() -> Problem {
    Problem::new(Code::UnknownLock, "no lock has this id")
        .hint("GET /v1/locks?site=... lists those of a site")
}
