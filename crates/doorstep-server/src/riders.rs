//! Riders: what anybody's phone may bring to a lock without a network. Which of its passes are revoked, which
//! keys its issuer has by now, and what time it is.

use crate::bulletins;
use crate::context::Context;
use crate::http::problem::{Code, Problem};
use crate::passes::Place;
use crate::store::StoreError;
use crate::store::bulletins as stored;
use crate::store::locks::{Lock, Takes};
use crate::store::rotations;
use crate::{lock_keys, lock_state, pass_keys, passes, signed_time};
use doorstep::pass::document::{Content, Malformed};
use doorstep::pass::issue::maced;
use doorstep::pass::rider::{Bulletin, Revoked, Rider, Token};
use doorstep::time::Timestamp;
use rusqlite::Connection;

/// What is brought to a lock, in the order in which it is to be shown.
pub(crate) struct Riders {
    pub(crate) documents: Vec<Vec<u8>>,
    /// The number of the newest list, 0 before the first, and how many passes it revokes.
    pub(crate) sequence: u32,
    pub(crate) revoked: usize,
    /// How many revoked passes that may still open are not on it.
    pub(crate) left_out: usize,
    /// Whether a journal must come before a newer list can be made.
    pub(crate) is_stuck: bool,
    /// Whether the lock may still have the bundle before its last one.
    pub(crate) is_unconfirmed: bool,
    /// The newest statement about keys.
    pub(crate) rotation: u32,
}

/// Makes what a lock lacks. A new list is stored before it is handed out.
pub(crate) fn make(
    connection: &Connection,
    context: &Context,
    lock: &Lock,
    now: Timestamp,
) -> Result<Riders, Problem> {
    require_taken(lock)?;
    let plan = bulletins::plan(connection, lock, now)?;
    if plan.is_new {
        stored::put(connection, lock.seq, &plan.list, now)?;
    }
    let mut documents = Vec::new();
    if lock.takes == Takes::Signed {
        let (rotation, _) = passes::at_lock(lock)?;
        documents = rotations::after(connection, rotation)?;
    }
    let sequence = plan.list.sequence;
    if sequence > 0 {
        signed_time::tell(connection, now)?;
        let revoked = Revoked::from_prefixes(&plan.list.revoked);
        let revoked = revoked.ok_or(StoreError::Corrupt { column: "bulletins.revoked" })?;
        let audience = lock.pass_name;
        let bulletin = Bulletin { audience, issued_at: now, sequence, revoked };
        documents.extend(signed(connection, context, lock, Rider::Bulletin(bulletin), now)?);
    }
    Ok(Riders {
        documents,
        sequence,
        revoked: plan.list.revoked.len(),
        left_out: plan.left_out,
        is_stuck: plan.is_stuck,
        is_unconfirmed: lock_state::is_unconfirmed(lock),
        rotation: rotations::latest(connection)?,
    })
}

/// The statements about keys that some lock of a place may lack, for a phone that has met none of them yet. They
/// are the issuer's, and the same for all.
pub(crate) fn keys(connection: &Connection, place: &Place) -> Result<Vec<Vec<u8>>, StoreError> {
    let signed = place.locks.iter().filter(|lock| lock.takes == Takes::Signed);
    let known = signed.map(|lock| passes::at_lock(lock).map(|(rotation, _)| rotation));
    let known: Vec<u32> = known.collect::<Result<_, _>>()?;
    match known.into_iter().min() {
        Some(least) => rotations::after(connection, least),
        None => Ok(Vec::new()),
    }
}

/// Answers a lock that asked what time it is.
pub(crate) fn token(
    connection: &Connection,
    context: &Context,
    lock: &Lock,
    nonce: [u8; 16],
    now: Timestamp,
) -> Result<Vec<u8>, Problem> {
    require_taken(lock)?;
    signed_time::tell(connection, now)?;
    let token = Rider::Token(Token { issued_at: now, nonce });
    let mut documents = signed(connection, context, lock, token, now)?;
    if documents.is_empty() {
        return Err(StoreError::Corrupt { column: "locks.epoch" }.into());
    }
    Ok(documents.swap_remove(0))
}

fn require_taken(lock: &Lock) -> Result<(), Problem> {
    if lock.takes != Takes::None {
        return Ok(());
    }
    Err(Problem::new(
        Code::NotTaken,
        "this lock was made without passes, and takes no riders either",
    )
    .hint("what a lock takes is said when it is made: POST /v1/locks with passes"))
}

/// The documents of a rider: one, or for a lock that takes its own key alone one for each epoch in which it may
/// be, that of its journal first.
fn signed(
    connection: &Connection,
    context: &Context,
    lock: &Lock,
    rider: Rider,
    now: Timestamp,
) -> Result<Vec<Vec<u8>>, Problem> {
    let content = Content::Rider(rider);
    let unwritten = |error: Malformed| Problem::internal(&error);
    if lock.takes == Takes::Signed {
        let locks = std::slice::from_ref(lock);
        let chosen = pass_keys::choose(connection, locks, None, (now, now))?;
        let key = pass_keys::open(&context.keys, &chosen.key)?;
        return Ok(vec![key.sign(&content).map_err(unwritten)?.as_ref().to_vec()]);
    }
    let root = lock_keys::root(&context.keys, lock, lock.generation)?;
    let documents = lock_state::epochs(lock)?.into_iter().map(|epoch| {
        let document = maced(&content, epoch, &root.passes(epoch)).map_err(unwritten)?;
        Ok(document.as_ref().to_vec())
    });
    documents.collect()
}
