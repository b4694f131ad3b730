//! What is known of a lock's own state: from its last journal, or from the day it was provisioned, aged to
//! now. The lock itself may know better.

use crate::store::StoreError;
use crate::store::locks::Lock;
use crate::store::pins::{self, Pin};
use doorstep::clock::{AfterPowerLoss, Belief, Clock, Event, MAX_UNCERTAINTY};
use doorstep::door::MARKS;
use doorstep::door::state::State;
use doorstep::keypad::mark::Marks;
use doorstep::pass::reader::GRACE;
use doorstep::time::Timestamp;
use rusqlite::Connection;

/// The state at the end of its last journal.
pub(crate) fn last(lock: &Lock) -> Result<Option<State<MARKS>>, StoreError> {
    let Some(bytes) = &lock.state else { return Ok(None) };
    let state = State::read(lock.clock, bytes);
    state.map(Some).ok_or(StoreError::Corrupt { column: "locks.state" })
}

/// What the lock believes by now, if its oscillator went on and it heard nothing since.
pub(crate) fn belief(lock: &Lock, now: Timestamp) -> Result<Belief, StoreError> {
    let belief = match last(lock)? {
        Some(state) => *state.keypad.belief(),
        None => Belief::new(lock.clock, lock.provisioned_at),
    };
    Ok(belief.then(&Event::Elapsed { seconds: now.since(belief.probable()) }))
}

/// What a lock has by now, as far as it is known, that speaks about its PINs.
pub(crate) struct Known {
    /// Its trusted floor.
    pub(crate) floor: Timestamp,
    pub(crate) marks: Marks<MARKS>,
    /// Whether it is in an epoch before the one that was confirmed.
    pub(crate) is_behind: bool,
    clock: Clock,
    now: Timestamp,
}

impl Known {
    pub(crate) fn new(lock: &Lock, now: Timestamp) -> Result<Self, StoreError> {
        let floor = belief(lock, now)?.floor();
        let (mut marks, mut is_behind) = (Marks::new(), false);
        if let Some(state) = last(lock)? {
            is_behind = self::is_behind(lock, &state);
            marks = *state.keypad.marks();
            // It forgets with the time; one that goes on after its power was off may be behind.
            let told = state.keypad.belief().floor();
            let certain = if goes_on(lock) { told } else { floor };
            let stays = lock.announced || is_behind;
            let epoch = if stays { state.keypad.epoch() } else { lock.epoch };
            marks.prune(certain, epoch, &lock.profile);
        }
        Ok(Self { floor, marks, is_behind, clock: lock.clock, now })
    }

    /// When its floor will have reached this time, if it goes on counting and hears nothing.
    pub(crate) fn reaches(&self, floor: Timestamp) -> Timestamp {
        let second = 1_000_000_u64;
        let counted = second.saturating_sub(u64::from(self.clock.oscillator.bound()));
        let wait = floor.since(self.floor).saturating_mul(second).checked_div(counted);
        self.now.later(wait.unwrap_or(0)).later(2)
    }
}

/// Whether a journal shows that the lock, after its epoch was confirmed, is still in an epoch before it: then
/// the code was never typed there.
pub(crate) fn is_behind(lock: &Lock, told: &State<MARKS>) -> bool {
    let keypad = &told.keypad;
    let was_told = lock.announced && keypad.is_announced();
    let later = lock.epoch_at.is_some_and(|at| at < keypad.belief().floor());
    keypad.epoch() < lock.epoch && !was_told && later
}

/// Whether it goes on opening after its power was off for nobody knows how long: then it may open later than
/// any elapsed time says.
pub(crate) fn goes_on(lock: &Lock) -> bool {
    lock.clock.after_power_loss != AfterPowerLoss::NeedTime
}

/// When the window of a PIN is over for every belief with which a lock grants anything; `None` for one that
/// goes on when its power was off.
pub(crate) fn over_at(lock: &Lock, until: Timestamp) -> Option<Timestamp> {
    granted_until(lock, until.later(u64::from(lock.profile.grace().late)))
}

/// The same for a pass.
pub(crate) fn pass_over_at(lock: &Lock, until: Timestamp) -> Option<Timestamp> {
    granted_until(lock, until.later(GRACE))
}

/// When a lock lets nobody in who may come until `end` by its own clock.
fn granted_until(lock: &Lock, end: Timestamp) -> Option<Timestamp> {
    (!goes_on(lock)).then(|| end.later(MAX_UNCERTAINTY.saturating_mul(2)))
}

/// The earliest end of a pass that may not be over by now, by the time, by what the lock's journal told, or by
/// the bundle that it has or will have: no lock goes back behind the time of its bundle.
pub(crate) fn pass_not_over(lock: &Lock, now: Timestamp) -> Result<Timestamp, StoreError> {
    let zero = Timestamp::from_seconds(0);
    let by_time = pass_over_at(lock, zero).map_or(zero, |after| now.earlier(after.seconds()));
    let told = last(lock)?.map_or(zero, |state| state.keypad.belief().floor());
    let floor = told.max(lock.provisioned_at);
    Ok(by_time.max(floor.earlier(GRACE)))
}

/// Whether the lock may still have the bundle before its last one: no journal showed that it has this one.
pub(crate) const fn is_unconfirmed(lock: &Lock) -> bool {
    lock.generation > 1 && lock.state.is_none()
}

/// The epochs in which a lock may be, that of its last journal first.
pub(crate) fn epochs(lock: &Lock) -> Result<Vec<u32>, StoreError> {
    let state = last(lock)?;
    let told = state.filter(|state| lock.announced || is_behind(lock, state));
    let told = told.map(|state| state.keypad.epoch()).filter(|told| *told < lock.epoch);
    Ok(told.into_iter().chain([lock.epoch]).collect())
}

/// Whether a lock has certainly left an epoch, so that it takes nothing under the lock's keys of it.
pub(crate) fn gave_up(lock: &Lock, epoch: u32) -> Result<bool, StoreError> {
    let state = last(lock)?;
    let told = state.as_ref().is_some_and(|state| epoch < state.keypad.epoch());
    let behind = state.is_some_and(|state| is_behind(lock, &state));
    Ok(told || (epoch < lock.epoch && !lock.announced && !behind))
}

/// The earliest end of a window that may not be over by now.
pub(crate) fn not_over(lock: &Lock, now: Timestamp) -> Timestamp {
    let zero = Timestamp::from_seconds(0);
    over_at(lock, zero).map_or(zero, |after| now.earlier(after.seconds()))
}

/// Notes which of these PINs, which should open no more, open no more: by the epochs that were ended, and by
/// the marks and the floor that the lock's journal told.
pub(crate) fn settle(
    connection: &Connection,
    lock: &Lock,
    given_up: &[Pin],
    now: Timestamp,
) -> Result<(), StoreError> {
    let state = last(lock)?;
    for pin in given_up.iter().filter(|pin| pin.ended.is_some()) {
        if let Some(at) = closed_at(lock, state.as_ref(), pin, now) {
            pins::done(connection, pin.seq, at.min(now))?;
        }
    }
    Ok(())
}

/// When a PIN that should open no more opened no more; `None` while nothing says so.
fn closed_at(
    lock: &Lock,
    state: Option<&State<MARKS>>,
    pin: &Pin,
    now: Timestamp,
) -> Option<Timestamp> {
    let older = pin.lock_generation != lock.generation;
    let behind = state.is_some_and(|state| is_behind(lock, state));
    if !older && pin.epoch < lock.epoch && !lock.announced && !behind {
        return Some(now);
    }
    let keypad = &state?.keypad;
    let until = pin.opens.until().later(u64::from(lock.profile.grace().late));
    // What was told under the newest root shows that the old one is gone.
    if older || pin.epoch < keypad.epoch() || until <= keypad.belief().floor() {
        return Some(keypad.belief().probable());
    }
    keypad.marks().against(&pin.tuple, pin.epoch).map(|mark| mark.at)
}
