//! Keys of sites and locks: sealed into the database, derived and opened when they are needed, and
//! written into the bundle of a lock that is provisioned.

use crate::context::Context;
use crate::http::problem::Problem;
use crate::init::Mode;
use crate::keys::Keys;
use crate::seal::{Place, SealError};
use crate::store::lock_groups::{self, Group};
use crate::store::locks::{Lock, SealedSteps, Takes};
use crate::store::{StoreError, pass_keys};
use doorstep::door::bundle::Bundle;
use doorstep::door::{Door, Passes, Steps};
use doorstep::keypad::key::RootKey;
use doorstep::otp::OtpSecret;
use doorstep::otp::totp::Totp;
use doorstep::pass::claims::Audience;
use doorstep::pass::key::TrustedKeys;
use doorstep::pass::reader::Groups;
use doorstep::secret::Secret;
use rusqlite::Connection;
use zeroize::Zeroizing;

const fn site(name: &str) -> Place<'_> {
    Place { table: "sites", column: "sealed_key", row: name }
}

const fn totp(id: &str) -> Place<'_> {
    Place { table: "locks", column: "sealed_totp", row: id }
}

/// Draws and seals the key of a site.
pub(crate) fn make_site_key(context: &Context, name: &str) -> Result<Vec<u8>, SealError> {
    context.with_rng(|rng| {
        let key = Secret::<32>::make(rng);
        context.keys.seal.seal(site(name), key.expose(), rng)
    })
}

/// Draws and seals the TOTP secret that a lock shares with the service.
pub(crate) fn make_steps(
    context: &Context,
    lock: &str,
    totp_of: Totp,
) -> Result<SealedSteps, SealError> {
    context.with_rng(|rng| {
        let secret = OtpSecret::make(rng);
        let sealed = context.keys.seal.seal(totp(lock), secret.expose(), rng)?;
        Ok(SealedSteps { totp: totp_of, sealed })
    })
}

/// The root of one of a lock's generations.
pub(crate) fn root(keys: &Keys, lock: &Lock, generation: u32) -> Result<RootKey, Problem> {
    let key = keys.seal.open(site(&lock.site), &lock.sealed_key)?;
    let key: Zeroizing<[u8; 32]> =
        Zeroizing::new(key.as_slice().try_into().map_err(|_| damaged("sites.sealed_key"))?);
    Ok(RootKey::derive(&Secret::from_bytes(*key), &lock.id, generation))
}

/// The TOTP secret, of a lock that has one.
pub(crate) fn steps(keys: &Keys, lock: &Lock) -> Result<Option<Steps>, Problem> {
    let Some(SealedSteps { totp: totp_of, sealed }) = &lock.steps else { return Ok(None) };
    let secret = keys.seal.open(totp(lock.id.as_str()), sealed)?;
    let secret = OtpSecret::from_bytes(&secret).ok_or_else(|| damaged("locks.sealed_totp"))?;
    Ok(Some(Steps { secret, totp: *totp_of }))
}

/// What the lock is provisioned with.
pub(crate) fn bundle(
    keys: &Keys,
    mode: Mode,
    lock: &Lock,
    passes: Option<Passes>,
) -> Result<Bundle, Problem> {
    Ok(Bundle {
        lock: lock.id,
        generation: lock.generation,
        epoch: lock.epoch,
        made_at: lock.provisioned_at,
        clock: lock.clock,
        profile: lock.profile,
        root: root(keys, lock, lock.generation)?,
        steps: steps(keys, lock)?,
        passes,
        test: mode == Mode::Test,
    })
}

/// What the bundle of a lock that was just provisioned says of passes.
pub(crate) fn passes(connection: &Connection, lock: &Lock) -> Result<Option<Passes>, StoreError> {
    let Lock { rotation, bulletin, .. } = *lock;
    let audience = |group: Group| {
        Audience::of_group(&group.name).ok_or(StoreError::Corrupt { column: "lock_groups.name" })
    };
    let groups = lock_groups::of_lock(connection, lock.seq)?.into_iter().map(audience);
    let groups = Groups::of(&groups.collect::<Result<Vec<_>, _>>()?);
    let keys = pass_keys::of_lock(connection, lock.seq)?;
    let keys: Vec<_> = keys.iter().map(|key| (key.public, key.window())).collect();
    let keys = TrustedKeys::provisioned(&keys);
    let (Some(groups), Some(keys)) = (groups, keys) else {
        return Err(StoreError::Corrupt { column: "lock_pass_keys.pass_key" });
    };
    let root = match lock.takes {
        Takes::None => return Ok(None),
        Takes::Mac => None,
        Takes::Signed => Some(crate::pass_keys::root(connection)?),
    };
    Ok(Some(Passes { groups, keys, root, rotation, bulletin }))
}

/// The lock as it was provisioned last, to read its journal, which says by itself what became of passes.
pub(crate) fn door(keys: &Keys, mode: Mode, lock: &Lock) -> Result<Door, Problem> {
    Ok(Door::new(&bundle(keys, mode, lock, None)?))
}

fn damaged(column: &'static str) -> Problem {
    StoreError::Corrupt { column }.into()
}
