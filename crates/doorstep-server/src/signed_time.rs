//! The time that goes into what is signed for locks: they learn it from there, so that it is refused by a
//! server whose own clock went back.

use crate::http::problem::{Code, Problem};
use crate::store::set_times;
use crate::utc;
use doorstep::time::Timestamp;
use rusqlite::Connection;

/// By how many seconds the server's clock may be behind what it told a lock before.
pub(crate) const TOLERANCE: u64 = 60;

/// Notes that a lock will be told this time. Only where something is signed: a clock that was ahead for a moment
/// must not stop what comes after.
///
/// # Errors
/// [`Code::ClockDisagrees`] when a lock was told a later one.
pub(crate) fn tell(connection: &Connection, now: Timestamp) -> Result<(), Problem> {
    let told = set_times::latest_told(connection)?;
    if now.later(TOLERANCE) >= told {
        set_times::tell(connection, now)?;
        return Ok(());
    }
    let detail = format!(
        "the server's clock says {}, and it told a lock {} before",
        utc::write(now),
        utc::write(told)
    );
    Err(Problem::new(Code::ClockDisagrees, detail)
        .hint(
            "set the server's clock if it is behind; if it was ahead then, locks may have taken that time, and \
             nothing is signed before it",
        ))
}
