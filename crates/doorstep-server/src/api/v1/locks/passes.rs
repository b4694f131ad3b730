//! What a lock takes of passes: as it is asked for, and as it is shown.

use crate::http::problem::{Code, FieldError, Problem};
use crate::store::locks::{Lock, Takes};
use crate::store::{StoreError, bulletins, lock_groups, pass_keys, rotations};
use crate::{pass_keys as keys, passes};
use doorstep::pass::claims::Audience;
use doorstep::pass::reader::MAX_GROUPS;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::Serialize;
use utoipa::ToSchema;

/// What a lock takes of passes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PassesView {
    /// What it is called in passes.
    #[schema(example = "8qte4qcp8y")]
    name: String,
    /// Whose passes open it as well.
    groups: Vec<String>,
    /// `signed`: passes of every kind. `mac`: those under the lock's own key. `none`.
    takes: &'static str,
    /// The last statement about keys.
    rotation: SequenceView,
    /// The last list of revoked passes.
    bulletin: SequenceView,
}

/// How far a lock is in a numbered series.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SequenceView {
    /// The number that the lock had by its last journal, or when it was provisioned.
    at_lock: u32,
    /// The newest one.
    latest: u32,
}

impl PassesView {
    pub(super) fn new(connection: &Connection, lock: &Lock) -> Result<Self, StoreError> {
        let groups = lock_groups::of_lock(connection, lock.seq)?;
        let (rotation, bulletin) = passes::at_lock(lock)?;
        Ok(Self {
            name: lock.pass_name.as_str().to_owned(),
            groups: groups.into_iter().map(|group| group.name).collect(),
            takes: lock.takes.as_str(),
            rotation: SequenceView { at_lock: rotation, latest: rotations::latest(connection)? },
            bulletin: SequenceView {
                at_lock: bulletin,
                latest: bulletins::newest(connection, lock.seq)?.sequence,
            },
        })
    }
}

/// What a lock is asked to take.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) takes: Takes,
    groups: Vec<String>,
}

impl Asked {
    pub(super) fn read(passes: Option<&str>, mut groups: Vec<String>) -> Result<Self, FieldError> {
        let wrong = |field: &str, message: &str| FieldError {
            row: None,
            field: field.to_owned(),
            message: message.to_owned(),
        };
        let takes = passes.map_or(Ok(Takes::Signed), Takes::parse);
        let takes = takes.map_err(|()| wrong("passes", "is none of signed, mac, none"))?;
        groups.sort_unstable();
        groups.dedup();
        if groups.iter().any(|name| Audience::of_group(name).is_none()) {
            return Err(wrong(
                "groups",
                "has a name that is not 1 to 14 characters of a-z 0-9 _ -",
            ));
        }
        if groups.len() > MAX_GROUPS {
            return Err(wrong("groups", "are more than 4"));
        }
        if takes != Takes::Signed && !groups.is_empty() {
            return Err(wrong("groups", "have signed passes alone, and this lock takes none"));
        }
        Ok(Self { takes, groups })
    }

    /// Takes the lock into its groups, which belong to its site.
    pub(super) fn join(
        &self,
        connection: &Connection,
        (site, lock): (i64, i64),
        now: Timestamp,
    ) -> Result<(), Problem> {
        for name in &self.groups {
            let group = match lock_groups::find(connection, name)? {
                None => lock_groups::insert(connection, name, site, now)?,
                Some(group) if group.site == site => group.seq,
                Some(_) => {
                    let taken = format!("locks of another site are in the group {name}");
                    return Err(Problem::new(Code::GroupTaken, taken)
                        .hint("a group is of one site; take another name"));
                }
            };
            lock_groups::join(connection, group, lock)?;
        }
        Ok(())
    }
}

/// Notes with which keys a lock is provisioned now, and gives back the sequences that it knows from then on.
/// The newest list of revoked passes is still to come to it: what it had heard is gone.
pub(super) fn provision(
    connection: &Connection,
    (lock, takes): (i64, Takes),
    now: Timestamp,
) -> Result<(u32, u32), StoreError> {
    let bulletin = bulletins::newest(connection, lock)?.sequence.saturating_sub(1);
    bulletins::none_done(connection, lock)?;
    let of_the_day = match takes {
        Takes::Signed => keys::of_the_day(connection, now)?,
        Takes::Mac | Takes::None => Vec::new(),
    };
    pass_keys::provision(connection, lock, &of_the_day)?;
    Ok((rotations::latest(connection)?, bulletin))
}
