//! Keys that passes and riders are signed with: how they are made, which one a document is signed with, and
//! what is stated of them under the root.
//!
//! Of the keys that sign now, a document gets the newest that all of its locks are known to have and that does
//! not end before the document does. A lock learns a key from its bundle, or from a statement that somebody's
//! phone brings; that it did is known from its journal. Where no such key is left the newest one signs, and a
//! warning says so.

use crate::context::Context;
use crate::http::problem::{Code, Problem};
use crate::ids::make_id;
use crate::keys::Keys;
use crate::lock_state;
use crate::seal::Place;
use crate::signed_time;
use crate::store::locks::Lock;
use crate::store::pass_keys::{self, Algorithm, PassKey};
use crate::store::{StoreError, meta, rotations};
use crate::{holder_key, pass_root};
use doorstep::cose::keys::{IssuerKey, Signer, SoftwareKey};
use doorstep::pass::claims::HolderKey;
use doorstep::pass::document::{Bytes, Content, Malformed};
use doorstep::pass::issue::Unsigned;
use doorstep::pass::key::TrustedKey;
use doorstep::pass::rider::{Rider, Rotation};
use doorstep::secret::Secret;
use doorstep::time::{Timestamp, Window};
use rand_core::CryptoRng;
use rusqlite::Connection;

/// How many keys may sign, now or to come. A lock has room for four, so that one that ended may be among them.
pub(crate) const MOST: usize = 3;

/// The private half of a key.
pub(crate) enum Private {
    Ed25519(IssuerKey),
    P256(SoftwareKey),
}

impl Private {
    pub(crate) const fn ed25519(key: IssuerKey) -> Self {
        Self::Ed25519(key)
    }

    fn from_secret(algorithm: Algorithm, secret: &Secret<32>) -> Option<Self> {
        Some(match algorithm {
            Algorithm::Ed25519 => Self::Ed25519(IssuerKey::from_seed(secret)),
            Algorithm::Esp256 => Self::P256(SoftwareKey::from_secret(secret).ok()?),
        })
    }

    pub(crate) fn public(&self) -> Signer {
        match self {
            Self::Ed25519(key) => Signer::Ed25519(key.public()),
            Self::P256(key) => Signer::P256(key.public()),
        }
    }

    /// Signs a document.
    pub(crate) fn sign(&self, content: &Content) -> Result<Bytes, Malformed> {
        let unsigned = Unsigned::new(content, &self.public())?;
        let message = unsigned.to_be_signed();
        Ok(unsigned.signed(&match self {
            Self::Ed25519(key) => key.sign(message),
            Self::P256(key) => key.sign(message),
        }))
    }
}

const fn place(id: &str) -> Place<'_> {
    Place { table: "pass_keys", column: "sealed_key", row: id }
}

/// Draws a key that signs from `from` on, or from now on, also if the clock is set back a little.
pub(crate) fn make(
    keys: &Keys,
    algorithm: Algorithm,
    (from, now): (Option<Timestamp>, Timestamp),
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<PassKey, StoreError> {
    let secret = match algorithm {
        Algorithm::Ed25519 => Secret::make(rng),
        Algorithm::Esp256 => SoftwareKey::make(rng).secret(),
    };
    let id = make_id("pky", now, rng);
    let unmade = StoreError::Corrupt { column: "pass_keys.sealed_key" };
    let sealed = keys.seal.seal(place(&id), secret.expose(), rng).ok();
    let private = Private::from_secret(algorithm, &secret);
    let (Some(private), Some(sealed)) = (private, sealed) else { return Err(unmade) };
    let public = private.public();
    let from = from.unwrap_or_else(|| now.earlier(signed_time::TOLERANCE));
    Ok(PassKey { seq: 0, id, public, sealed, from, until: None, created_at: now })
}

/// Opens the private half of a key.
pub(crate) fn open(keys: &Keys, key: &PassKey) -> Result<Private, Problem> {
    let secret = keys.seal.open(place(&key.id), &key.sealed)?;
    let secret = secret.as_slice().try_into().map(Secret::from_bytes);
    let secret = secret.map_err(|_| damaged("pass_keys.sealed_key"))?;
    let private = Private::from_secret(Algorithm::of(&key.public), &secret);
    private.ok_or_else(|| damaged("pass_keys.sealed_key"))
}

fn damaged(column: &'static str) -> Problem {
    StoreError::Corrupt { column }.into()
}

/// The public half of the root.
pub(crate) fn root(connection: &Connection) -> Result<Signer, StoreError> {
    let text = meta::get(connection, pass_root::META)?;
    let key = text.and_then(|text| holder_key::read(&text)?.signer());
    key.ok_or(StoreError::Corrupt { column: "meta.pass_root" })
}

/// Stores the root's public half, and the first key.
pub(crate) fn begin(
    connection: &Connection,
    root: &IssuerKey,
    first: &PassKey,
) -> Result<(), StoreError> {
    let root = HolderKey::of(&Signer::Ed25519(root.public()));
    meta::put(connection, pass_root::META, &holder_key::write(&root))?;
    pass_keys::insert(connection, first)?;
    Ok(())
}

/// Which keys a lock is known to take documents under at `now`, by its last journal, or else by its bundle.
pub(crate) fn known_at(
    connection: &Connection,
    lock: &Lock,
    now: Timestamp,
) -> Result<Vec<Signer>, StoreError> {
    if let Some(state) = lock_state::last(lock)? {
        let good = |known: &&TrustedKey| known.window.from() <= now && now < known.window.until();
        return Ok(state.passes.keys().iter().filter(good).map(|known| known.key).collect());
    }
    let mut provisioned = pass_keys::of_lock(connection, lock.seq)?;
    provisioned.retain(|key| key.signs(now));
    Ok(provisioned.into_iter().map(|key| key.public).collect())
}

/// The key that a document is signed with.
pub(crate) struct Chosen {
    pub(crate) key: PassKey,
    /// Whether all locks are known to have it.
    pub(crate) is_known: bool,
    /// Whether it ends before the document does.
    pub(crate) ends_first: bool,
}

/// Chooses the key for a document that some locks are to take until `until`.
pub(crate) fn choose(
    connection: &Connection,
    locks: &[Lock],
    algorithm: Option<Algorithm>,
    (now, until): (Timestamp, Timestamp),
) -> Result<Chosen, Problem> {
    let mut known = Vec::new();
    for lock in locks {
        known.push(known_at(connection, lock, now)?);
    }
    let fits = |key: &PassKey| {
        key.signs(now) && algorithm.is_none_or(|wanted| wanted == Algorithm::of(&key.public))
    };
    let all = pass_keys::all(connection)?.into_iter().filter(fits);
    let rated = all.map(|key| {
        let is_known = known.iter().all(|known| known.contains(&key.public));
        Chosen { is_known, ends_first: key.is_over(until), key }
    });
    let rank = |chosen: &Chosen| {
        let plain = Algorithm::of(&chosen.key.public) == Algorithm::Ed25519;
        (!chosen.ends_first, chosen.is_known, algorithm.is_some() || plain, chosen.key.seq)
    };
    rated.max_by_key(rank).ok_or_else(|| {
        Problem::new(Code::NoSuchKey, "no key of this algorithm signs at the moment")
            .hint("make one: POST /v1/pass_keys")
    })
}

/// Makes a key, ends those of its algorithm that sign before it at `ends_old`, and states all of that under the
/// root, in an order in which no lock with room for four forgets one that signs.
pub(crate) fn rotate(
    connection: &Connection,
    context: &Context,
    new: &PassKey,
    ends_old: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), Problem> {
    let root = context.read_root(&root(connection)?)?;
    let root = Private::ed25519(root);
    signed_time::tell(connection, now)?;
    restate_what_was_lost(connection, &root, now)?;
    let is_old = |key: &PassKey| Algorithm::of(&key.public) == Algorithm::of(&new.public);
    let live = |connection: &Connection| {
        let mut all = pass_keys::all(connection)?;
        all.retain(|key| !key.is_over(now));
        Ok::<_, StoreError>(all)
    };
    for key in live(connection)?.iter().filter(|key| ends_old.is_some() && is_old(key)) {
        let until = ends_old.unwrap_or(now).max(key.from.later(1));
        if key.until.is_none_or(|known| until < known) {
            pass_keys::end(connection, key.seq, until)?;
            let ended = PassKey { until: Some(until), ..key.clone() };
            state(connection, &root, &ended, now)?;
        }
    }
    let left = live(connection)?;
    if left.len() >= MOST {
        return Err(Problem::new(
            Code::TooManyKeys,
            format!("{} keys sign or will; locks have room for {MOST}", left.len()),
        )
        .hint("end the old ones with ends_old, or wait until they ended"));
    }
    // A lock that has no place left gives up the key of the oldest statement.
    loop {
        let all = pass_keys::all(connection)?;
        let oldest = all.len().saturating_sub(MOST);
        let lost = all.iter().take(oldest).find(|key| !key.is_over(now));
        let Some(key) = lost else { break };
        state(connection, &root, key, now)?;
    }
    let seq = pass_keys::insert(connection, new)?;
    state(connection, &root, &PassKey { seq, ..new.clone() }, now)
}

/// Statements that may have been made between a backup and its restoring, at most.
const LOST: usize = 8;

/// A lock takes no statement but the next one, and may have some that a restored database does not know. What
/// follows must have numbers that no lock has: the newest key is stated anew until it does.
fn restate_what_was_lost(
    connection: &Connection,
    root: &Private,
    now: Timestamp,
) -> Result<(), Problem> {
    if meta::get(connection, meta::ROTATIONS_LOST)?.is_none() {
        return Ok(());
    }
    if let Some(newest) = pass_keys::all(connection)?.last() {
        for _ in 0..LOST {
            state(connection, root, newest, now)?;
        }
    }
    meta::remove(connection, meta::ROTATIONS_LOST)?;
    Ok(())
}

/// Signs and stores a statement about a key.
fn state(
    connection: &Connection,
    root: &Private,
    key: &PassKey,
    now: Timestamp,
) -> Result<(), Problem> {
    let sequence = rotations::latest(connection)?.saturating_add(1);
    // The latest time that a document holds stands for no end.
    let until = key.until.unwrap_or_else(|| Timestamp::from_seconds(u64::from(u32::MAX)));
    let window = Window::new(key.from, until).ok_or_else(|| damaged("pass_keys.until_at"))?;
    let rotation = Rotation { issued_at: now, sequence, key: key.public, window };
    let document = root.sign(&Content::Rider(Rider::Rotation(rotation)));
    let document = document.map_err(|error| Problem::internal(&error))?;
    rotations::insert(connection, sequence, key.seq, document.as_ref(), now)?;
    Ok(())
}

/// The keys of the day, for a lock that is provisioned: those that sign, or will.
pub(crate) fn of_the_day(
    connection: &Connection,
    now: Timestamp,
) -> Result<Vec<PassKey>, StoreError> {
    let mut all = pass_keys::all(connection)?;
    all.retain(|key| !key.is_over(now));
    Ok(all)
}
