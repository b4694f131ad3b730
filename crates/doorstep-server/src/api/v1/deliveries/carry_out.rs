//! Carries a plan out: orders its codes, makes them while others are served, and records them if
//! nothing came in between.

use super::plan::Plan;
use super::{closed, not_found};
use crate::config::deliveries::Check;
use crate::context::Context;
use crate::http::problem::{Code, Problem};
use crate::ids::make_id;
use crate::messages::Content;
use crate::seal::Place;
use crate::store::deliveries::{self, Delivery, State as DeliveryState};
use crate::store::generations::{
    self, CodeCheck, Generation, HeldCode, Mode, State as GenerationState,
};
use crate::store::messages::{self, NewMessage, State as MessageState};
use crate::store::{claims, devices, erasure, meta};
use doorstep::handover::check::Cost;
use doorstep::handover::issue::{self, Checked, Order, code_mac};
use doorstep::handover::stop::MAX_LABEL_LENGTH;
use doorstep::id::{DeliveryId, DeviceId};
use doorstep::ledger::Head;
use doorstep::time::Timestamp;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use rusqlite::Connection;
use zeroize::Zeroizing;

/// Codes that were made, and what for.
pub(crate) struct Codes {
    order: Order,
    made: issue::Generation,
}

/// The codes that a plan needs. Everything that can be refused is refused here.
pub(crate) fn order(
    context: &Context,
    connection: &Connection,
    delivery: &Delivery,
    plan: &Plan,
) -> Result<Order, Problem> {
    let is_closed = match delivery.state {
        DeliveryState::Reported | DeliveryState::Delivered | DeliveryState::Cancelled => true,
        // What an old device said about a stop that it had lost decides nothing, or it would keep
        // every later driver out.
        DeliveryState::Disputed => claims::any_of_weight(connection, &delivery.id)?,
        DeliveryState::Created
        | DeliveryState::Planned
        | DeliveryState::HandedOut
        | DeliveryState::Notified
        | DeliveryState::Failed
        | DeliveryState::Expired => false,
    };
    // Of one that was erased nobody knows whom to send the code to.
    if is_closed || erasure::erased_at(connection, &delivery.id)?.is_some() {
        return Err(closed(delivery, "planned"));
    }
    let (fingerprint, check) = match &plan.device {
        Some(device) => {
            let (fingerprint, managed) = key_of(connection, device)?;
            (fingerprint, check_on(plan.check, context.config.deliveries.check, managed)?)
        }
        // No device: the server checks, and its codes are bound to no key.
        None => ([0; 16], CodeCheck::Split),
    };
    let number = meta::next_number(connection, delivery.generation, delivery.created_at)?;
    // The recipients and the spare.
    let slots = u8::try_from(delivery.recipients.len().saturating_add(1)).unwrap_or(u8::MAX);
    Ok(Order {
        issuer: context.issuer(),
        delivery: delivery.id,
        generation: number,
        window: plan.window,
        check: match check {
            CodeCheck::Split => Checked::Split(context.config.deliveries.code),
            CodeCheck::Full => Checked::Full(Cost::STANDARD),
        },
        reference: delivery.reference.clone(),
        label: label(delivery),
        slots,
        device: fingerprint,
    })
}

/// Makes codes. Whole codes are hashed slowly, so nobody waits for it: not the writer, not who needs the
/// shared randomness.
pub(crate) async fn make(context: &Context, order: Order) -> Result<Codes, Problem> {
    let made = match order.check {
        Checked::Split(_) => context.with_rng(|rng| issue::make(&order, rng)),
        Checked::Full(_) => {
            let mut seed = Zeroizing::new([0; 32]);
            context.with_rng(|rng| rng.fill_bytes(&mut *seed));
            let order = order.clone();
            tokio::task::spawn_blocking(move || {
                issue::make(&order, &mut ChaCha20Rng::from_seed(*seed))
            })
            .await
            .map_err(|error| Problem::internal(&error))?
        }
    };
    Ok(Codes { order, made })
}

/// Records a plan with its codes, and gives back the generation; nothing is done and `None` given if
/// it would need other codes by now.
pub(crate) fn record(
    context: &Context,
    connection: &Connection,
    plan: &Plan,
    codes: Codes,
    now: Timestamp,
) -> Result<Option<u32>, Problem> {
    let Codes { order: made_for, made } = codes;
    let found = deliveries::find(connection, &made_for.delivery)?.ok_or_else(not_found)?;
    let delivery = &found;
    let order = order(context, connection, delivery, plan)?;
    if order != made_for {
        return Ok(None);
    }
    let number = order.generation;
    if delivery.generation > 0 {
        let earlier = delivery.generation;
        generations::end(connection, &delivery.id, earlier, GenerationState::Superseded)?;
        messages::end(connection, &delivery.id, earlier, MessageState::Superseded)?;
    }
    let codes: Vec<HeldCode> = made
        .holders
        .iter()
        .zip(made.stop.check.scans())
        .map(|(holder, (_, scan_hash))| HeldCode {
            slot: holder.slot,
            code_mac: code_mac(
                context.keys.pepper(),
                &delivery.id,
                number,
                holder.slot,
                &holder.code,
            ),
            scan_hash,
        })
        .collect();
    let generation = Generation {
        delivery: delivery.id,
        number,
        mode: if plan.device.is_some() { Mode::Offline } else { Mode::Online },
        device: plan.device,
        expected_at: plan.expected_at,
        window: plan.window,
        shape: order.check.shape(),
        slots: order.slots,
        check: match order.check {
            Checked::Split(_) => CodeCheck::Split,
            Checked::Full(_) => CodeCheck::Full,
        },
        created_at: now,
        state: GenerationState::Planned,
        attempts: 0,
        spent_at: None,
        head: Head::EMPTY,
    };
    let sealed_stop = match plan.device {
        Some(_) => Some(seal_stop(context, &made.stop)?),
        None => None,
    };
    generations::insert(connection, &generation, sealed_stop.as_deref(), &codes)?;
    for holder in made.holders {
        let id = context.with_rng(|rng| make_id("msg", now, rng));
        let content = Content::new(holder.scan, &holder.code).to_bytes();
        let place = Place { table: "messages", column: "sealed", row: &id };
        let sealed = context.with_rng(|rng| context.keys.seal.seal(place, &content, rng))?;
        let recipient = delivery.recipients.get(usize::from(holder.slot));
        let message = NewMessage {
            slot: holder.slot,
            phone: recipient.map(|recipient| recipient.phone.clone()),
            send_at: plan.send_at,
            sealed,
            id,
        };
        messages::insert(connection, &delivery.id, number, &message)?;
    }
    let planned = (number, plan.device.as_ref());
    deliveries::plan(connection, &delivery.id, planned, plan.expected_at, now)?;
    Ok(Some(number))
}

/// How much of a code a device is to check.
fn check_on(asked: Option<CodeCheck>, policy: Check, managed: bool) -> Result<CodeCheck, Problem> {
    match (asked, policy) {
        (Some(CodeCheck::Full), _) if !managed => {
            Err(Problem::new(Code::DeviceNotManaged, "this device may not check whole codes").hint(
                "leave out check, or invite the driver anew: doorstep driver invite --managed",
            ))
        }
        (Some(asked), _) => Ok(asked),
        (None, Check::Full) if managed => Ok(CodeCheck::Full),
        (None, Check::Full | Check::Split) => Ok(CodeCheck::Split),
    }
}

/// The fingerprint of a device's key, and whether it is managed.
fn key_of(connection: &Connection, device: &DeviceId) -> Result<([u8; 16], bool), Problem> {
    let found = devices::find(connection, device)?.ok_or_else(|| {
        Problem::new(Code::DeviceNotFound, "no device has this id")
            .hint("GET /v1/devices lists them")
    })?;
    let key = devices::key(connection, device)?;
    match key.filter(|_| found.state == devices::State::Enrolled) {
        Some(key) => Ok((key.fingerprint(), found.managed)),
        None => Err(Problem::new(
            Code::DeviceNotReady,
            format!("the device of {} is {}", found.driver, found.state.as_str()),
        )
        .hint("enrol a device with a new ticket, and plan the delivery for that one")),
    }
}

/// The place of a sealed stop.
pub(crate) fn stop_row(delivery: &DeliveryId, generation: u32) -> String {
    format!("{delivery}/{generation}")
}

fn seal_stop(context: &Context, stop: &doorstep::handover::stop::Stop) -> Result<Vec<u8>, Problem> {
    let content =
        Zeroizing::new(minicbor::to_vec(stop).map_err(|error| Problem::internal(&error))?);
    let row = stop_row(&stop.delivery, stop.generation);
    let place = Place { table: "generations", column: "sealed_stop", row: &row };
    Ok(context.with_rng(|rng| context.keys.seal.seal(place, &content, rng))?)
}

/// Where, to whom and how, as the driver sees it: what a stop cannot carry is cut off the end, so
/// the address is the last to go.
fn label(delivery: &Delivery) -> String {
    let names: Vec<&str> =
        delivery.recipients.iter().map(|recipient| recipient.name.as_str()).collect();
    let mut label = format!("{}, {}", delivery.address, names.join(" or "));
    if let Some(note) = &delivery.note {
        label.push(';');
        for word in note.split_whitespace() {
            label.push(' ');
            label.push_str(word);
        }
    }
    if label.len() > MAX_LABEL_LENGTH {
        cut(&mut label, MAX_LABEL_LENGTH);
    }
    label
}

/// A word longer than this in bytes is cut in two.
const LONGEST_WORD: usize = 24;

/// Shortens a text to `most` bytes, an ellipsis in it.
fn cut(text: &mut String, most: usize) {
    let ellipsis = '…';
    let mut end = most.saturating_sub(ellipsis.len_utf8());
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    // The space after a word that just fits is looked at too.
    let kept = text.get(..=end).or_else(|| text.get(..end)).unwrap_or_default();
    if let Some(space) = kept.rfind(' ').filter(|space| end.saturating_sub(*space) <= LONGEST_WORD)
    {
        end = space;
    }
    text.truncate(end);
    text.truncate(text.trim_end_matches([' ', ',', ';']).len());
    text.push(ellipsis);
}
