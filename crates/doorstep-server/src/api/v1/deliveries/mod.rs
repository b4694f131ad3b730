//! Deliveries: one parcel, one door, one handover each.

pub(crate) mod create;
pub(crate) mod import;
pub(crate) mod list;
pub(crate) mod show;

use crate::http::problem::{Code, Problem};
use crate::store::deliveries::Delivery;
use crate::utc::Utc;
use doorstep::id::DeliveryId;
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
    /// expired.
    #[schema(example = "created")]
    state: &'static str,
    /// Counts the times it was planned; codes of an earlier generation are void.
    generation: u32,
    created_at: Utc,
    updated_at: Utc,
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
                .map(|(slot, r)| RecipientView {
                    slot,
                    name: r.name,
                    phone: r.phone,
                })
                .collect(),
            state: delivery.state.as_str(),
            generation: delivery.generation,
            created_at: Utc(delivery.created_at),
            updated_at: Utc(delivery.updated_at),
        }
    }
}

/// Reads the id in a path; what cannot be one names nothing.
pub(crate) fn id_in_path(text: &str) -> Result<DeliveryId, Problem> {
    DeliveryId::parse(text).map_err(|_| not_found())
}

pub(crate) fn not_found() -> Problem {
    Problem::new(Code::DeliveryNotFound, "no delivery has this id")
        .hint("GET /v1/deliveries?reference=... finds one by the business's own name")
}
