//! Passes: issued for a lock, a group of locks or a booking, shown, and revoked with the truth about it.

pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod revoke;
pub(crate) mod show;
pub(crate) mod terms;
pub(crate) mod view;
mod warnings;

use crate::hex;
use crate::http::problem::{Code, Problem};
use crate::store::passes::{self, Pass};
use doorstep::pass::claims::PassId;
use rusqlite::Connection;

/// The pass that a path names.
pub(crate) fn find(connection: &Connection, id: &str) -> Result<Pass, Problem> {
    let id = hex::decode::<8>(id).and_then(|bytes| PassId::from_bytes(bytes.as_ref()));
    let pass = id.map(|id| passes::find(connection, &id)).transpose()?.flatten();
    pass.ok_or_else(|| {
        Problem::new(Code::UnknownPass, "no pass has this id")
            .hint("GET /v1/passes?booking=... lists those of a booking")
    })
}
