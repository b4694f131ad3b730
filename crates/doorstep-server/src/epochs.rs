//! A lock's next epoch, once its code was typed: PINs are derived in it from then on, and what that ends
//! is written down.

use crate::http::problem::Problem;
use crate::issuing::{self, Reissued};
use crate::keys::Keys;
use crate::lock_state;
use crate::store::locks::{self, How, Lock, Pending};
use crate::store::pins::{self, Because};
use doorstep::time::Timestamp;
use rusqlite::Connection;

/// Goes over to an epoch whose code was typed at `at`. It never goes back.
pub(crate) fn enter(
    connection: &Connection,
    keys: &Keys,
    lock: &Lock,
    typed: Pending,
    (at, now): (Timestamp, Timestamp),
) -> Result<Reissued, Problem> {
    let Pending { epoch, how } = typed;
    let mut reissued = Reissued { bookings: 0, lost: 0 };
    if epoch > lock.epoch {
        let to = (lock.generation, epoch);
        reissued = issuing::reissue(connection, keys, lock, to, Because::Epoch, now)?;
    }
    let epoch = epoch.max(lock.epoch);
    locks::set_epoch(connection, lock.seq, epoch, how == How::Announce, at)?;
    let lock = locks::at(connection, lock.seq)?;
    let given_up = pins::undone_after(connection, &lock, lock_state::not_over(&lock, now))?;
    lock_state::settle(connection, &lock, &given_up, at)?;
    Ok(reissued)
}

/// A lock whose journal shows that the epoch's code was never typed there goes on opening for PINs of the
/// epochs before: what was said to be done by that alone is not.
pub(crate) fn reopen(
    connection: &Connection,
    lock: &Lock,
    told: u32,
    now: Timestamp,
) -> Result<(), Problem> {
    pins::not_done(connection, lock, (told, lock.epoch), lock_state::not_over(lock, now))?;
    Ok(())
}
