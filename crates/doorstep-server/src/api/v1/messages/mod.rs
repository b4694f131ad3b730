//! Messages to customers: what became of each, without what it says.

pub(crate) mod list;
pub(crate) mod resend;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod test;

use crate::http::problem::{Code, Problem};
use crate::store::messages::{self, Message};
use crate::store::{StoreError, message_tries};
use crate::utc::Utc;
use rusqlite::Connection;
use serde::Serialize;
use utoipa::ToSchema;

/// A message, without what it says.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Message)]
pub(crate) struct MessageView {
    #[schema(example = "msg_01kb3t5x9m2v7c4r8w6q1z0hnd")]
    id: String,
    delivery: String,
    /// The business's own name for the delivery.
    reference: String,
    generation: u32,
    /// The recipient's slot; the last one is the spare.
    slot: u8,
    /// `code`, or `cancelled`: that no code is needed any more.
    kind: &'static str,
    /// Where it goes; null for the spare until somebody needs it.
    phone: Option<String>,
    /// `waiting`, `spare`, `sending`, `sent`, `delivered`, `undelivered`, `failed`, `superseded`,
    /// `closed`, `expired` or `cancelled`.
    #[schema(example = "waiting")]
    state: &'static str,
    /// Not before this; for offline codes also not before the driver's device has its route.
    send_at: Utc,
    /// When it is tried next; later than `send_at` after quiet hours and failed tries.
    next_at: Option<Utc>,
    sent_at: Option<Utc>,
    /// When the provider said whether it arrived.
    told_at: Option<Utc>,
    tries: u32,
}

impl From<Message> for MessageView {
    fn from(message: Message) -> Self {
        let waits = message.state == messages::State::Waiting;
        Self {
            id: message.id,
            delivery: message.delivery.to_string(),
            reference: message.reference,
            generation: message.generation,
            slot: message.slot,
            kind: message.kind.as_str(),
            phone: message.phone,
            state: message.state.as_str(),
            send_at: Utc(message.send_at),
            next_at: waits.then_some(Utc(message.next_at)),
            sent_at: message.sent_at.map(Utc),
            told_at: message.told_at.map(Utc),
            tries: message.tries,
        }
    }
}

/// A message with every try.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessageDetail {
    #[serde(flatten)]
    message: MessageView,
    /// A try came to nothing that is known, so the customer may have it more than once.
    maybe_sent: bool,
    /// In their order; each is noted before it is made.
    history: Vec<TryView>,
}

/// A try to hand a message to the provider.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TryView {
    number: u32,
    at: Utc,
    /// `log`, `http`, `twilio`, `smtp` or `exec`.
    provider: String,
    /// `taken`, `refused`, `failed`, or `unknown`: the provider may have it. Null while it is under way.
    outcome: Option<&'static str>,
    /// The provider's own name for the message.
    provider_id: Option<String>,
    /// What it said.
    error: Option<String>,
}

pub(super) fn detail(
    connection: &Connection,
    id: &str,
) -> Result<Option<MessageDetail>, StoreError> {
    let Some(message) = messages::find(connection, id)? else { return Ok(None) };
    let tries = message_tries::of_message(connection, id)?;
    let under_way = message.state == messages::State::Sending;
    let maybe_sent = tries.iter().any(|made| match made.outcome {
        Some(outcome) => outcome == message_tries::Outcome::Unknown,
        // Cut off, and its time over since.
        None => !under_way,
    });
    Ok(Some(MessageDetail {
        message: message.into(),
        maybe_sent,
        history: tries
            .into_iter()
            .map(|made| TryView {
                number: made.number,
                at: Utc(made.at),
                provider: made.provider,
                outcome: made.outcome.map(message_tries::Outcome::as_str),
                provider_id: made.provider_id,
                error: made.error,
            })
            .collect(),
    }))
}

pub(super) fn not_found() -> Problem {
    Problem::new(Code::MessageNotFound, "no message has this id")
        .hint("GET /v1/messages lists them")
}
