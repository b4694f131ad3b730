//! Sends a message at once that waits, or that was given up.

use super::{MessageDetail, detail, not_found};
use crate::api::v1::deliveries::send::refuse_unready;
use crate::context::Context;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::jobs::outbox;
use crate::messages::Kind;
use crate::store::generations;
use crate::store::messages::{self, State as MessageState};
use axum::Json;
use axum::extract::{Path, State};
use doorstep::time::Timestamp;
use rusqlite::Connection;
use std::sync::Arc;

/// Sends a message at once that waits or was given up. A code that was sent is kept nowhere: for a
/// customer who lost it release the spare code, or plan the delivery again.
#[utoipa::path(post, path = "/v1/messages/{id}/resend", tag = "messages",
    operation_id = "resend_message", security(("api_key" = [])),
    params(("id" = String, Path, description = "the message's id")),
    responses((status = 200, description = "the message after it was tried", body = MessageDetail), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<Json<MessageDetail>, Problem> {
    let now = context.now();
    let wanted = id.clone();
    context.store.write(move |connection| release(connection, &wanted, now)).await?;
    outbox::send_now(&context, vec![id.clone()]).await?;
    let found = context.store.read(move |connection| detail(connection, &id)).await?;
    found.map(Json).ok_or_else(not_found)
}

fn release(connection: &Connection, id: &str, now: Timestamp) -> Result<(), Problem> {
    let message = messages::find(connection, id)?.ok_or_else(not_found)?;
    match message.state {
        MessageState::Waiting | MessageState::Failed => {}
        MessageState::Spare => {
            return Err(Problem::new(Code::MessageOver, "the spare code is for nobody yet")
                .hint("POST /v1/deliveries/{id}/send with \"slot\": \"spare\" and a phone"));
        }
        MessageState::Sending
        | MessageState::Sent
        | MessageState::Delivered
        | MessageState::Undelivered => {
            return Err(Problem::new(
                Code::AlreadySent,
                "the message was sent before; a code that was sent is kept nowhere",
            )
            .hint("send the spare code, or plan the delivery again for a new one"));
        }
        MessageState::Superseded
        | MessageState::Closed
        | MessageState::Expired
        | MessageState::Cancelled => {
            return Err(Problem::new(
                Code::MessageOver,
                format!("the message is {}, and its code erased", message.state.as_str()),
            )
            .hint("plan the delivery again; a new code will be made"));
        }
    }
    if message.kind == Kind::Code {
        let generation = generations::find(connection, &message.delivery, message.generation)?;
        refuse_unready(&generation.ok_or_else(not_found)?, now)?;
    }
    Ok(messages::release(connection, id, None, now)?)
}
