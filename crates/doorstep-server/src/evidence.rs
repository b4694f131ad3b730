//! What the issuer hands to those who were not there: a receipt of a delivery that ended well, and a
//! bundle of everything that was claimed about one. Both are signed, and hold nothing of a code.

use crate::context::Context;
use crate::store::claims;
use crate::store::deliveries::{Delivery, State as DeliveryState};
use crate::store::disputes::{self, Outcome};
use crate::store::evidence::{self, Filed, Proof};
use crate::store::generations::{self, Generation, Mode};
use crate::store::{StoreError, devices, meta};
use doorstep::handover::bundle::{self, Bundle, CodeCheck, Making, Stretch, Word};
use doorstep::handover::receipt::{Basis, Claimed, DeliveryReceipt, Holder};
use doorstep::id::DeviceId;
use doorstep::time::Timestamp;
use minicbor::bytes::{ByteArray, ByteVec};
use rusqlite::Connection;

/// Claims of others that may stand between two of a bundle's, or after its last, before the part of
/// the log that is shown is cut.
const GAP: u64 = 1_000;

/// The receipt of a delivery; `None` when it was not delivered.
pub(crate) fn receipt(
    context: &Context,
    connection: &Connection,
    delivery: &Delivery,
) -> Result<Option<DeliveryReceipt>, StoreError> {
    if delivery.state != DeliveryState::Delivered {
        return Ok(None);
    }
    let (generation, at, basis) = match evidence::proof(connection, &delivery.id)? {
        Some(proof) => claimed(connection, delivery, proof)?,
        None => without_claim(connection, delivery)?,
    };
    Ok(Some(DeliveryReceipt {
        issuer: context.issuer(),
        delivery: delivery.id,
        reference: delivery.reference.clone(),
        generation,
        at,
        basis,
        issued: context.now(),
    }))
}

fn claimed(
    connection: &Connection,
    delivery: &Delivery,
    proof: Proof,
) -> Result<(u32, Timestamp, Basis), StoreError> {
    let generation = generations::find(connection, &delivery.id, proof.generation)?
        .ok_or(StoreError::Corrupt { column: "claims.generation" })?;
    let is_spare = proof.slot.checked_add(1) == Some(generation.slots);
    let claimed = Claimed {
        device: proof.device,
        holder: if is_spare { Holder::Spare } else { Holder::Recipient },
        means: proof.means,
        not_before: proof.signed_time,
        not_after: proof.received_at,
        epoch: meta::epoch(connection)?,
        log: proof.log,
    };
    Ok((proof.generation, proof.at, Basis::Claim(claimed)))
}

/// The issuer's own check, else an operator's word.
fn without_claim(
    connection: &Connection,
    delivery: &Delivery,
) -> Result<(u32, Timestamp, Basis), StoreError> {
    let generation = generations::find(connection, &delivery.id, delivery.generation)?;
    let spent = generation
        .filter(|generation| generation.mode == Mode::Online)
        .and_then(|generation| generation.spent_at);
    if let Some(at) = spent {
        return Ok((delivery.generation, at, Basis::Issuer));
    }
    disputes::of_delivery(connection, &delivery.id)?
        .into_iter()
        .filter_map(|dispute| dispute.resolution)
        .rfind(|resolution| resolution.outcome == Outcome::Delivered)
        .map(|resolution| (delivery.generation, resolution.at, Basis::Operator))
        .ok_or(StoreError::Corrupt { column: "deliveries.state" })
}

/// Everything that was claimed about a delivery.
pub(crate) fn bundle(
    context: &Context,
    connection: &Connection,
    delivery: &Delivery,
) -> Result<Bundle, StoreError> {
    let filed = evidence::of_delivery(connection, &delivery.id)?;
    let resolutions = disputes::of_delivery(connection, &delivery.id)?
        .into_iter()
        .filter_map(|dispute| dispute.resolution)
        .map(|resolution| Word {
            outcome: resolution.outcome.as_str().to_owned(),
            note: resolution.note,
            by: resolution.by,
            at: resolution.at,
        });
    let (generations, damaged) = makings(connection, delivery)?;
    Ok(Bundle {
        issuer: context.issuer(),
        epoch: meta::epoch(connection)?,
        issued: context.now(),
        delivery: delivery.id,
        reference: delivery.reference.clone(),
        state: delivery.state.as_str().to_owned(),
        generations,
        damaged,
        welcomes: welcomes(context, connection, &filed)?,
        log: stretches(connection, &filed)?,
        claims: filed.into_iter().map(as_filed).collect(),
        resolutions: resolutions.collect(),
    })
}

fn as_filed(filed: Filed) -> bundle::Filed {
    bundle::Filed {
        log: filed.log.seq,
        received: filed.received_at,
        verdict: filed.verdict.map(|verdict| verdict.as_str().to_owned()),
        late_possible: filed.late_possible,
        forked: filed.forked,
        document: filed.document,
    }
}

/// What was made, and the numbers of what cannot be read: that takes nothing from the rest.
fn makings(
    connection: &Connection,
    delivery: &Delivery,
) -> Result<(Vec<Making>, Vec<u32>), StoreError> {
    let making = |making: Generation| Making {
        generation: making.number,
        device: making.device,
        from: making.window.from(),
        until: making.window.until(),
        created: making.created_at,
        state: making.state.as_str().to_owned(),
        check: match making.check {
            generations::CodeCheck::Split => CodeCheck::Split,
            generations::CodeCheck::Full => CodeCheck::Full,
        },
        slots: making.slots,
    };
    let (mut makings, mut damaged) = (Vec::new(), Vec::new());
    for number in generations::numbers(connection, &delivery.id)? {
        match generations::find(connection, &delivery.id, number) {
            Ok(found) => makings.extend(found.map(making)),
            Err(error) if error.is_damage() => {
                tracing::error!(delivery = %delivery.id, number, %error, "a generation cannot be read");
                damaged.push(number);
            }
            Err(error) => return Err(error),
        }
    }
    Ok((makings, damaged))
}

/// The same document that each device was given when it enrolled: signatures of issuers do not vary.
fn welcomes(
    context: &Context,
    connection: &Connection,
    filed: &[Filed],
) -> Result<Vec<ByteVec>, StoreError> {
    let mut known: Vec<DeviceId> = Vec::new();
    let mut welcomes = Vec::new();
    for filed in filed {
        if known.contains(&filed.device) {
            continue;
        }
        known.push(filed.device);
        let device = devices::find(connection, &filed.device)?;
        let key = devices::key(connection, &filed.device)?;
        let corrupt = || StoreError::Corrupt { column: "claims.device" };
        let (device, key) = device.zip(key).ok_or_else(corrupt)?;
        let at = device.enrolled_at.ok_or_else(corrupt)?;
        let welcome = context.welcome(filed.device, &key, device.managed, at);
        welcomes.push(welcome.issue(&context.keys.signing).into());
    }
    Ok(welcomes)
}

/// The log from before each claim to a little after it; parts that lie close are one.
fn stretches(connection: &Connection, filed: &[Filed]) -> Result<Vec<Stretch>, StoreError> {
    let newest = claims::head(connection)?.seq;
    let mut spans: Vec<(u64, u64)> = Vec::new();
    for filed in filed {
        let seq = filed.log.seq;
        match spans.last_mut() {
            Some((_, end)) if seq.saturating_sub(*end) <= GAP => *end = seq,
            _ => spans.push((seq.saturating_sub(1), seq)),
        }
    }
    if let Some((_, end)) = spans.last_mut() {
        *end = newest.min(end.saturating_add(GAP));
    }
    let stretch = |(start, end): (u64, u64)| {
        let hashes = evidence::hashes_after(connection, start, end.saturating_sub(start))?;
        Ok(Stretch {
            before: evidence::head_at(connection, start)?,
            hashes: hashes.into_iter().map(ByteArray::from).collect(),
            after: evidence::head_at(connection, end)?,
        })
    };
    spans.into_iter().map(stretch).collect()
}
