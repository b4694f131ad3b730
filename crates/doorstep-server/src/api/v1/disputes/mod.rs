//! Disputes: deliveries that a device says it handed over, without the right code behind it.

pub(crate) mod list;
pub(crate) mod resolve;
pub(crate) mod show;

use super::deliveries::{self, DeliveryDetail};
use crate::http::problem::{Code, Problem};
use crate::store::StoreError;
use crate::store::disputes::{self, Dispute, Resolution};
use crate::utc::Utc;
use doorstep::id::DeliveryId;
use rusqlite::Connection;
use serde::Serialize;
use utoipa::ToSchema;

/// One time that a delivery was disputed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DisputeView {
    /// The delivery's id.
    delivery: String,
    /// The business's own name for it.
    reference: String,
    /// `open`; `resolved` by an operator; or `closed`, by a claim with the right code or a new plan.
    #[schema(example = "open")]
    state: &'static str,
    opened_at: Utc,
    ended_at: Option<Utc>,
    resolution: Option<ResolutionView>,
}

/// An operator's word, kept for ever.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResolutionView {
    /// `delivered` or `not_delivered`.
    #[schema(example = "delivered")]
    outcome: &'static str,
    note: String,
    /// The API key that it came with.
    by: String,
    at: Utc,
}

impl From<Dispute> for DisputeView {
    fn from(dispute: Dispute) -> Self {
        Self {
            delivery: dispute.delivery.to_string(),
            state: dispute.state().as_str(),
            reference: dispute.reference,
            opened_at: Utc(dispute.opened_at),
            ended_at: dispute.ended_at.map(Utc),
            resolution: dispute.resolution.map(ResolutionView::from),
        }
    }
}

impl From<Resolution> for ResolutionView {
    fn from(resolution: Resolution) -> Self {
        Self {
            outcome: resolution.outcome.as_str(),
            note: resolution.note,
            by: resolution.by,
            at: Utc(resolution.at),
        }
    }
}

/// A disputed delivery: each time that it was disputed, and everything about it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DisputeDetail {
    /// In order.
    disputes: Vec<DisputeView>,
    delivery: DeliveryDetail,
}

fn detail(connection: &Connection, id: &DeliveryId) -> Result<Option<DisputeDetail>, StoreError> {
    let disputes = disputes::of_delivery(connection, id)?;
    if disputes.is_empty() {
        return Ok(None);
    }
    let delivery = deliveries::detail(connection, id)?;
    let disputes = disputes.into_iter().map(DisputeView::from).collect();
    Ok(delivery.map(|delivery| DisputeDetail { disputes, delivery }))
}

fn never_disputed() -> Problem {
    Problem::new(Code::DisputeNotFound, "this delivery was never disputed")
        .hint("GET /v1/disputes lists those that were")
}
