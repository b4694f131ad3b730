//! What happened, for programs that ask; webhooks tell the same to those that want to be told.

pub(crate) mod list;

use crate::store::events::Event;
use crate::utc::Utc;
use serde::Serialize;
use utoipa::ToSchema;

/// Something that happened. It holds ids and the business's own reference; whoever wants more asks for it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventView {
    /// Its id; the same each time that it is told.
    #[schema(example = "evt_0_42")]
    id: String,
    /// What happened, as in `delivery.delivered`.
    #[schema(example = "delivery.delivered")]
    r#type: String,
    /// When.
    timestamp: Utc,
    /// To what.
    data: EventData,
}

/// What an event is about.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventData {
    /// A delivery's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<String>,
    /// The business's own name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    /// How often it had been planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u32>,
    /// A device's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    /// A message's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        Self {
            id: event.id(),
            r#type: event.kind,
            timestamp: Utc(event.at),
            data: EventData {
                delivery: event.delivery,
                reference: event.reference,
                generation: event.generation,
                device: event.device,
                message: event.message,
            },
        }
    }
}
