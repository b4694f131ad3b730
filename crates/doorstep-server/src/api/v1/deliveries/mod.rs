//! Deliveries: one parcel, one door, one handover each.

pub(crate) mod cancel;
pub(crate) mod carry_out;
pub(crate) mod create;
pub(crate) mod erase;
pub(crate) mod evidence;
pub(crate) mod import;
pub(crate) mod list;
pub(crate) mod plan;
pub(crate) mod plan_many;
pub(crate) mod reassign;
pub(crate) mod receipt;
pub(crate) mod send;
pub(crate) mod show;
pub(crate) mod verify;

use crate::http::problem::{Code, Problem};
use crate::store::deliveries::{self, Delivery, Failure};
use crate::store::{StoreError, claims, devices, erasure, generations, messages};
use crate::utc::Utc;
use doorstep::id::{DeliveryId, DeviceId};
use rusqlite::Connection;
use serde::Serialize;
use utoipa::ToSchema;

/// A delivery.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryView {
    /// Its id here.
    #[schema(example = "dlv_01kb3t5x9m2v7c4r8w6q1z0hnd")]
    id: String,
    /// The business's own name for it.
    reference: String,
    /// Where it goes.
    address: String,
    /// What the driver should know.
    note: Option<String>,
    /// Who may take it, each with a code of their own.
    recipients: Vec<RecipientView>,
    /// How far it has come: created, planned, handed_out, notified, reported, delivered, disputed,
    /// failed, expired, cancelled.
    #[schema(example = "created")]
    state: &'static str,
    /// Counts the times it was planned; codes of an earlier generation are void.
    generation: u32,
    /// The last attempt that failed, also after it was planned again.
    failure: Option<FailureView>,
    created_at: Utc,
    updated_at: Utc,
}

/// An attempt that failed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FailureView {
    /// `absent`, `refused_by_recipient`, `wrong_address`, `damaged`, `no_access`, `other`, or, after a
    /// dispute, `not_delivered`.
    #[schema(example = "absent")]
    reason: &'static str,
    /// In the driver's words, or the operator's.
    note: Option<String>,
    at: Utc,
    /// Whose device said so; null when an operator did.
    device: Option<String>,
}

impl From<Failure> for FailureView {
    fn from(failure: Failure) -> Self {
        Self {
            reason: failure.reason.as_str(),
            note: failure.note,
            at: Utc(failure.at),
            device: failure.device,
        }
    }
}

/// Who may take a delivery.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecipientView {
    /// The recipient's code is the one of this slot.
    slot: u8,
    name: String,
    /// The number as a provider takes it.
    #[schema(example = "+34612345678")]
    phone: String,
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.id.as_str().to_owned(),
            reference: delivery.reference,
            address: delivery.address,
            note: delivery.note,
            recipients: (0..)
                .zip(delivery.recipients)
                .map(|(slot, r)| RecipientView { slot, name: r.name, phone: r.phone })
                .collect(),
            state: delivery.state.as_str(),
            generation: delivery.generation,
            failure: delivery.failure.map(FailureView::from),
            created_at: Utc(delivery.created_at),
            updated_at: Utc(delivery.updated_at),
        }
    }
}

/// A delivery with its plan, its messages and what devices claim about it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryDetail {
    #[serde(flatten)]
    delivery: DeliveryView,
    #[serde(flatten)]
    plan: Option<PlanView>,
    /// One for each slot of the newest generation, without their texts.
    messages: Vec<MessageView>,
    /// In order of arrival.
    claims: Vec<ClaimView>,
    /// When name, phone number, address and notes were erased.
    erased_at: Option<Utc>,
}

/// The newest planning of a delivery.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlanView {
    /// Who checks the code: `offline`, the driver's device; `online`, this server.
    #[schema(example = "offline")]
    mode: &'static str,
    /// How much of the code the device checks: `split` or `full`.
    #[schema(example = "split")]
    check: &'static str,
    /// The driver's device.
    device: Option<String>,
    /// Who carries it.
    driver: Option<String>,
    /// When the driver should be there.
    expected_at: Utc,
    /// The first second in which it may be handed over.
    starts_at: Utc,
    /// The first second after.
    ends_at: Utc,
}

/// A message to a recipient, without its text.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessageView {
    #[schema(example = "msg_01kb3t5x9m2v7c4r8w6q1z0hnd")]
    id: String,
    /// The recipient's slot; the last one is the spare.
    slot: u8,
    /// `waiting`, `spare`, `sending`, `sent`, `failed`, `superseded`, `closed`, `expired` or
    /// `cancelled`.
    #[schema(example = "waiting")]
    state: &'static str,
    /// Not before this; for offline codes also not before the driver's device has its route.
    send_at: Utc,
    sent_at: Option<Utc>,
}

/// What a device says happened.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClaimView {
    device: String,
    driver: String,
    /// Counts the device's claims.
    number: u64,
    generation: u32,
    /// Whose code the device took it for; null of a failed attempt.
    slot: Option<u8>,
    /// `typed` or `scanned`; null of a failed attempt.
    means: Option<String>,
    /// Why the attempt failed: `absent`, `refused_by_recipient`, `wrong_address`, `damaged`,
    /// `no_access` or `other`; null when it was handed over.
    reason: Option<String>,
    /// What the driver added to the reason.
    note: Option<String>,
    /// When, by the device's clock.
    at: Utc,
    /// It was not before this: the last time of the server's that the device knew.
    signed_time: Utc,
    /// When it came in.
    received_at: Utc,
    /// Null until checked; `match`, `match_with_typo`, `mismatch`, `outside_window`, `repeated`,
    /// `unchecked`, `superseded`, `void`, or `noted` of a failed attempt.
    verdict: Option<&'static str>,
    /// It came in after the window, so only the device's clock says that it was in time.
    late_possible: bool,
    /// It does not continue the device's other claims: the device was copied or set back.
    forked: bool,
}

/// Gathers everything about a delivery; `None` when there is none.
pub(crate) fn detail(
    connection: &Connection,
    id: &DeliveryId,
) -> Result<Option<DeliveryDetail>, StoreError> {
    let Some(delivery) = deliveries::find(connection, id)? else { return Ok(None) };
    let plan = generations::find(connection, id, delivery.generation)?;
    let plan = plan.map(|plan| plan_view(connection, &plan)).transpose()?;
    let messages = messages::of_generation(connection, id, delivery.generation)?;
    let claims = claims::of_delivery(connection, id)?;
    Ok(Some(DeliveryDetail {
        erased_at: erasure::erased_at(connection, id)?.map(Utc),
        delivery: delivery.into(),
        plan,
        messages: messages
            .into_iter()
            .map(|message| MessageView {
                id: message.id,
                slot: message.slot,
                state: message.state.as_str(),
                send_at: Utc(message.send_at),
                sent_at: message.sent_at.map(Utc),
            })
            .collect(),
        claims: claims
            .into_iter()
            .map(|claim| ClaimView {
                device: claim.device,
                driver: claim.driver,
                number: claim.number,
                generation: claim.generation,
                slot: claim.slot,
                means: claim.means,
                reason: claim.reason,
                note: claim.note,
                at: Utc(claim.at),
                signed_time: Utc(claim.signed_time),
                received_at: Utc(claim.received_at),
                verdict: claim.verdict.map(claims::Verdict::as_str),
                late_possible: claim.late_possible,
                forked: claim.forked,
            })
            .collect(),
    }))
}

fn plan_view(
    connection: &Connection,
    plan: &generations::Generation,
) -> Result<PlanView, StoreError> {
    let device = match &plan.device {
        Some(id) => devices::find(connection, id)?,
        None => None,
    };
    Ok(PlanView {
        mode: plan.mode.as_str(),
        check: plan.check.as_str(),
        device: plan.device.as_ref().map(DeviceId::to_string),
        driver: device.map(|device| device.driver),
        expected_at: Utc(plan.expected_at),
        starts_at: Utc(plan.window.from()),
        ends_at: Utc(plan.window.until()),
    })
}

/// Reads the id in a path; what cannot be one names nothing.
pub(crate) fn id_in_path(text: &str) -> Result<DeliveryId, Problem> {
    DeliveryId::parse(text).map_err(|_| not_found())
}

pub(crate) fn not_found() -> Problem {
    Problem::new(Code::DeliveryNotFound, "no delivery has this id")
        .hint("GET /v1/deliveries?reference=... finds one by the business's own name")
}

/// The problem of a delivery that has an end already.
pub(crate) fn closed(delivery: &Delivery, not: &str) -> Problem {
    let detail = format!("the delivery is {}, so it cannot be {not}", delivery.state);
    Problem::new(Code::DeliveryClosed, detail)
        .hint("make a new delivery if something else has to be brought")
}
