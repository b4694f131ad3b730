//! Judges claims: the issuer knows whole codes where the device could check only a few bits.
//!
//! One comparison counts per generation, and at most two generations of a delivery per driver, so
//! that uploads are no place to guess at.

use crate::context::Context;
use crate::http::problem::Problem;
use crate::store::claims::{self, Damaged, Open, Verdict};
use crate::store::deliveries::{self, State as DeliveryState};
use crate::store::generations::{self, Generation, HeldCode, State as GenerationState};
use crate::store::messages::{self, State as MessageState};
use crate::store::{StoreError, devices, meta};
use doorstep::code::Shape;
use doorstep::handover::Subject;
use doorstep::handover::claim::{Claim, Evidence, Outcome};
use doorstep::handover::judge::{self, Held, Span};
use doorstep::id::{DeliveryId, DeviceId};
use doorstep::time::Timestamp;
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::sync::Arc;

const BATCH: u32 = 500;
/// Generations of one delivery whose codes are compared for one driver.
const MAX_COMPARED: usize = 2;

/// Judges all claims that wait.
pub(crate) async fn run(context: &Arc<Context>) -> Result<(), Problem> {
    let (mut examined, mut last) = (Vec::new(), 0);
    loop {
        // While the writer concludes what was examined, what follows is examined.
        let (next, ()) =
            tokio::try_join!(examine_after(context, last), conclude_all(context, examined))?;
        let Some(newest) = next.last() else { return Ok(()) };
        last = match newest {
            Ok(examined) => examined.open.log_seq,
            Err(damaged) => damaged.log_seq,
        };
        examined = next;
    }
}

/// Looks at the next claims that wait, of those after one. Key agreements by the hundred keep a processor
/// busy: the writer is not the one to do them, and each processor has its share.
async fn examine_after(context: &Arc<Context>, last: u64) -> Result<Vec<Looked>, Problem> {
    let files = context.store.read(move |connection| open_files(connection, last)).await?;
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let share = files.len().div_ceil(processors);
    let mut files = files.into_iter().peekable();
    let mut shares = Vec::with_capacity(processors);
    while files.peek().is_some() {
        let (inner, files) = (Arc::clone(context), files.by_ref().take(share).collect::<Vec<_>>());
        shares.push(tokio::task::spawn_blocking(move || {
            files.into_iter().map(|file| examine(&inner, file)).collect::<Result<Vec<_>, _>>()
        }));
    }
    let mut examined = Vec::new();
    for share in shares {
        examined.extend(share.await.map_err(|error| Problem::internal(&error))??);
    }
    Ok(examined)
}

async fn conclude_all(context: &Arc<Context>, examined: Vec<Looked>) -> Result<(), Problem> {
    if examined.is_empty() {
        return Ok(());
    }
    let now = context.now();
    let concluding = context.store.write(move |connection| {
        let mut touched = BTreeSet::new();
        for claim in &examined {
            touched.extend(conclude(connection, claim)?);
        }
        touched.iter().try_for_each(|delivery| settle(connection, delivery, now))
    });
    Ok(concluding.await?)
}

/// A claim with what it is looked at with. None of it ever changes.
struct File {
    open: Open,
    /// The fingerprint of its device's key.
    device: [u8; 16],
    /// Of the generation that it names; `None` when that was never this device's.
    codes: Option<(Shape, Vec<HeldCode>)>,
}

fn open_files(
    connection: &Connection,
    last: u64,
) -> Result<Vec<Result<File, Damaged>>, StoreError> {
    let mut devices = BTreeMap::new();
    claims::open(connection, last, BATCH)?
        .into_iter()
        .map(|open| match open {
            Ok(open) => {
                let (log_seq, delivery) = (open.log_seq, open.delivery);
                match file(connection, &mut devices, open) {
                    Ok(file) => Ok(Ok(file)),
                    Err(error) => claims::damaged(log_seq, Some(delivery), error).map(Err),
                }
            }
            Err(damaged) => Ok(Err(damaged)),
        })
        .collect()
}

fn file(
    connection: &Connection,
    known: &mut BTreeMap<DeviceId, [u8; 16]>,
    open: Open,
) -> Result<File, StoreError> {
    let device = match known.get(&open.device) {
        Some(fingerprint) => *fingerprint,
        // A device's claims come by the hundred, and reading a point is work.
        None => {
            let key = devices::key(connection, &open.device)?
                .ok_or(StoreError::Corrupt { column: "claims.device" })?;
            *known.entry(open.device).or_insert_with(|| key.fingerprint())
        }
    };
    let codes = match generation_of(connection, &open)? {
        Some(generation) => {
            let held = generations::held(connection, &open.delivery, open.generation)?;
            Some((generation.shape, held))
        }
        None => None,
    };
    Ok(File { open, device, codes })
}

fn generation_of(connection: &Connection, open: &Open) -> Result<Option<Generation>, StoreError> {
    let generation = generations::find(connection, &open.delivery, open.generation)?;
    Ok(generation.filter(|generation| generation.device.as_ref() == Some(&open.device)))
}

/// A claim that was looked at, and what it is worth if it is to be compared at all.
struct Examined {
    open: Open,
    comparison: Verdict,
}

type Looked = Result<Examined, Damaged>;

fn examine(context: &Context, file: Result<File, Damaged>) -> Result<Looked, StoreError> {
    let File { open, device, codes } = match file {
        Ok(file) => file,
        Err(damaged) => return Ok(Err(damaged)),
    };
    let comparison = match codes {
        // The signature was verified before the claim was stored. What changed since is found by its hash.
        Some((shape, held)) => match Claim::stored(&open.document, &open.hash) {
            Ok(claim) if stands_in(&open, &claim) => compare(context, &claim, device, shape, &held),
            _ => {
                let error = StoreError::Corrupt { column: "claims.document" };
                return claims::damaged(open.log_seq, Some(open.delivery), error).map(Err);
            }
        },
        None => Verdict::Void,
    };
    Ok(Ok(Examined { open, comparison }))
}

/// Whether the columns beside a claim are still those that were read from it.
fn stands_in(open: &Open, claim: &Claim) -> bool {
    (open.device, open.delivery, open.generation)
        == (claim.device, claim.delivery, claim.generation)
}

fn compare(
    context: &Context,
    claim: &Claim,
    device: [u8; 16],
    shape: Shape,
    held: &[HeldCode],
) -> Verdict {
    let Outcome::Granted { slot, .. } = claim.outcome else { return Verdict::Noted };
    if held.is_empty() {
        // Erased with an earlier claim: that says nothing against this one.
        return Verdict::Unchecked;
    }
    let Some(held) = held.iter().find(|held| held.slot == slot) else {
        return Verdict::Mismatch;
    };
    let Ok(presented) = Evidence::open(claim, &context.keys.agreement, shape) else {
        return Verdict::Mismatch;
    };
    let subject = Subject {
        issuer: context.issuer(),
        delivery: claim.delivery,
        generation: claim.generation,
        slot,
        device,
    };
    let held = Held { code_mac: held.code_mac, scan: held.scan_hash };
    match judge::judge(context.keys.pepper(), &subject, &held, &presented) {
        judge::Verdict::Match => Verdict::Match,
        judge::Verdict::MatchWithTypo => Verdict::MatchWithTypo,
        judge::Verdict::Mismatch => Verdict::Mismatch,
    }
}

/// Gives a claim its verdict, on what is known at this moment, and names the delivery that it bears on.
fn conclude(connection: &Connection, examined: &Looked) -> Result<Option<DeliveryId>, StoreError> {
    let examined = match examined {
        Ok(examined) => examined,
        Err(damaged) => {
            let is_new = claims::judge(connection, damaged.log_seq, Verdict::Unchecked, false)?;
            // Whatever it said about the delivery, somebody has to look at it.
            return Ok(damaged.delivery.filter(|_| is_new));
        }
    };
    let open = &examined.open;
    let (verdict, late_possible) = match generation_of(connection, open)? {
        None if was_lost(connection, open)? => (Verdict::Unchecked, false),
        None => (Verdict::Void, false),
        // What it says of the delivery was drawn from it when it came in.
        Some(_) if examined.comparison == Verdict::Noted => (Verdict::Noted, false),
        Some(generation) => (
            decide(connection, examined, &generation)?,
            open.received_at >= generation.window.until(),
        ),
    };
    // A claim is concluded once, even if an earlier run was given up while its write was on the way.
    if !claims::judge(connection, open.log_seq, verdict, late_possible)?
        || matches!(verdict, Verdict::Void | Verdict::Noted)
    {
        return Ok(None);
    }
    let (delivery, number) = (&open.delivery, open.generation);
    if verdict == Verdict::Match {
        generations::end(connection, delivery, number, GenerationState::Closed)?;
        messages::end(connection, delivery, number, MessageState::Closed)?;
    }
    Ok(Some(*delivery))
}

/// Whether a claim names a generation that was made between a backup and its restoring, for all that is known:
/// what it would be judged by is lost, and somebody has to look at it. Everything else about it has to be
/// from before the restoring, or any device could dispute any delivery by inventing a generation.
fn was_lost(connection: &Connection, open: &Open) -> Result<bool, StoreError> {
    let epoch = meta::epoch(connection)?;
    let before = |at: Timestamp| at.seconds() <= epoch;
    if open.forked || u64::from(open.generation) > epoch || !before(open.signed_time) {
        return Ok(false);
    }
    let delivery = deliveries::find(connection, &open.delivery)?;
    let enrolled_at =
        devices::find(connection, &open.device)?.and_then(|device| device.enrolled_at);
    if !delivery.is_some_and(|delivery| before(delivery.created_at))
        || !enrolled_at.is_some_and(before)
    {
        return Ok(false);
    }
    let known = generations::numbers(connection, &open.delivery)?;
    let newest = known.into_iter().filter(|number| u64::from(*number) <= epoch).max();
    Ok(open.generation > newest.unwrap_or(0))
}

/// Draws the delivery's state from everything that was claimed, so that the order in which claims
/// arrive decides nothing. Only the code itself makes a delivery: a typo may be a driver's luck.
fn settle(
    connection: &Connection,
    delivery: &DeliveryId,
    now: Timestamp,
) -> Result<(), StoreError> {
    if claims::any_match(connection, delivery)? {
        return deliveries::set_state(connection, delivery, DeliveryState::Delivered, now);
    }
    let open =
        DeliveryState::ALL.iter().copied().filter(|state| *state != DeliveryState::Delivered);
    let open: Vec<DeliveryState> = open.collect();
    deliveries::advance(connection, delivery, &open, DeliveryState::Disputed, now)
}

fn decide(
    connection: &Connection,
    examined: &Examined,
    generation: &Generation,
) -> Result<Verdict, StoreError> {
    let open = &examined.open;
    if matches!(generation.state, GenerationState::Superseded | GenerationState::Cancelled) {
        return Ok(Verdict::Superseded);
    }
    let span = judge::span(generation.window, open.signed_time, open.received_at);
    if span == Span::Impossible {
        // Nothing that rests on the device's times can be said, and nothing is compared.
        return Ok(Verdict::Unchecked);
    }
    let compared = claims::compared(connection, &open.delivery, &open.device)?;
    if compared.contains(&open.generation) {
        return Ok(Verdict::Repeated);
    }
    if compared.len() >= MAX_COMPARED {
        return Ok(Verdict::Unchecked);
    }
    Ok(if span == Span::Outside { Verdict::OutsideWindow } else { examined.comparison })
}

#[cfg(test)]
mod tests;
