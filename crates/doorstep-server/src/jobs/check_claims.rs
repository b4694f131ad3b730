//! Judges claims: the issuer knows whole codes where the device could check only a few bits.
//!
//! One claim is compared per generation, and at most two generations of a delivery per driver, so
//! that uploads are no place to guess at.

use crate::context::Context;
use crate::http::problem::Problem;
use crate::store::claims::{self, Open, Verdict};
use crate::store::deliveries::{self, State as DeliveryState};
use crate::store::generations::{self, Generation, State as GenerationState};
use crate::store::messages::{self, State as MessageState};
use crate::store::{StoreError, devices};
use doorstep::handover::Subject;
use doorstep::handover::claim::{Claim, Evidence};
use doorstep::handover::judge::{self, Held};
use doorstep::time::Timestamp;
use rusqlite::Connection;
use std::sync::Arc;

const BATCH: u32 = 100;
/// Generations of one delivery whose codes are compared for one driver.
const MAX_COMPARED: usize = 2;

/// Judges all claims that wait.
pub(crate) async fn run(context: &Arc<Context>) -> Result<(), Problem> {
    loop {
        let open = context.store.read(|connection| claims::open(connection, BATCH)).await?;
        if open.is_empty() {
            return Ok(());
        }
        for claim in open {
            let inner = Arc::clone(context);
            let now = context.now();
            context
                .store
                .write(move |connection| judge_one(&inner, connection, &claim, now))
                .await?;
        }
    }
}

fn judge_one(
    context: &Context,
    connection: &Connection,
    open: &Open,
    now: Timestamp,
) -> Result<(), StoreError> {
    let key = devices::key(connection, &open.device)?
        .ok_or(StoreError::Corrupt { column: "claims.device" })?;
    let claim = Claim::verify(&open.document, &key)
        .map_err(|_| StoreError::Corrupt { column: "claims.document" })?;
    let (delivery, number) = (&claim.delivery, claim.generation);
    let generation = generations::find(connection, delivery, number)?
        .filter(|generation| generation.device.as_ref() == Some(&open.device));
    let Some(generation) = generation else {
        // It was never this device's, so it says nothing about the delivery.
        return claims::judge(connection, open.log_seq, Verdict::Void, false);
    };
    let late_possible = open.received_at >= generation.window.until();
    let verdict = decide(context, connection, open, &claim, &generation)?;
    claims::judge(connection, open.log_seq, verdict, late_possible)?;
    match verdict {
        Verdict::Match | Verdict::MatchWithTypo => {
            generations::end(connection, delivery, number, GenerationState::Closed)?;
            messages::end(connection, delivery, number, MessageState::Closed)?;
            deliveries::advance(
                connection,
                delivery,
                &[DeliveryState::Reported],
                DeliveryState::Delivered,
                now,
            )
        }
        Verdict::Mismatch | Verdict::OutsideWindow | Verdict::Unchecked | Verdict::Void => {
            deliveries::set_state(connection, delivery, DeliveryState::Disputed, now)
        }
        Verdict::Repeated => Ok(()),
    }
}

fn decide(
    context: &Context,
    connection: &Connection,
    open: &Open,
    claim: &Claim,
    generation: &Generation,
) -> Result<Verdict, StoreError> {
    if generation.state == GenerationState::Superseded {
        return Ok(Verdict::Void);
    }
    let compared = claims::compared(connection, &claim.delivery, &open.device)?;
    if compared.contains(&claim.generation) {
        return Ok(Verdict::Repeated);
    }
    if compared.len() >= MAX_COMPARED {
        return Ok(Verdict::Unchecked);
    }
    let window = generation.window;
    // The device's own clock decides nothing here: it was not before the last signed time it had
    // seen, and not after it told us.
    if claim.signed_time >= window.until() || open.received_at < window.from() {
        return Ok(Verdict::OutsideWindow);
    }
    let held = generations::held(connection, &claim.delivery, claim.generation)?;
    let held = held.into_iter().find(|held| held.slot == claim.slot);
    let key = devices::key(connection, &open.device)?;
    let (Some(held), Some(key)) = (held, key) else { return Ok(Verdict::Mismatch) };
    let Ok(presented) = Evidence::open(claim, &context.keys.agreement, generation.shape) else {
        return Ok(Verdict::Mismatch);
    };
    let subject = Subject {
        issuer: context.issuer(),
        delivery: claim.delivery,
        generation: claim.generation,
        slot: claim.slot,
        device: key.fingerprint(),
    };
    let held = Held { code_mac: held.code_mac, scan: held.scan_hash };
    Ok(match judge::judge(context.keys.pepper(), &subject, &held, &presented) {
        judge::Verdict::Match => Verdict::Match,
        judge::Verdict::MatchWithTypo => Verdict::MatchWithTypo,
        judge::Verdict::Mismatch => Verdict::Mismatch,
    })
}
