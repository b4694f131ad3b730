//! Lists messages, page by page.

use super::MessageView;
use crate::context::Context;
use crate::http::cursor;
use crate::http::extract::ApiQuery;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::store::messages::{self, State as MessageState};
use axum::Json;
use axum::extract::State;
use doorstep::id::DeliveryId;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Which messages, and how many at a time.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListMessages {
    /// How many on a page, 1 to 200; 50 when left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only those in this state.
    #[param(example = "failed")]
    state: Option<String>,
    /// Only those of the delivery with this id.
    delivery: Option<String>,
}

/// A page of messages, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessageList {
    data: Vec<MessageView>,
    /// Where the next page starts; null on the last.
    next_cursor: Option<String>,
}

/// Lists messages, oldest first.
#[utoipa::path(get, path = "/v1/messages", tag = "messages", operation_id = "list_messages",
    security(("api_key" = [])), params(ListMessages),
    responses((status = 200, description = "a page of messages", body = MessageList), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiQuery(query): ApiQuery<ListMessages>,
) -> Result<Json<MessageList>, Problem> {
    let limit = cursor::limit(query.limit)?;
    let after = cursor::read(query.cursor.as_deref())?;
    let state = query.state.as_deref().map(MessageState::parse).transpose().map_err(|()| {
        let names: Vec<&str> = MessageState::ALL.iter().map(|state| state.as_str()).collect();
        Problem::new(Code::InvalidQuery, "state: not a state of messages")
            .hint(format!("one of {}", names.join(", ")))
    })?;
    let delivery = query.delivery.as_deref().map(DeliveryId::parse).transpose().map_err(|_| {
        Problem::new(Code::InvalidQuery, "delivery: not the id of a delivery")
            .hint("GET /v1/deliveries?reference=... finds it by the business's own name")
    })?;
    let page = context
        .store
        .read(move |connection| {
            messages::page(connection, state, delivery.as_ref(), after, limit.saturating_add(1))
        })
        .await?;
    let (page, next_cursor) = cursor::cut(page, limit, |message| message.seq);
    Ok(Json(MessageList { data: page.into_iter().map(MessageView::from).collect(), next_cursor }))
}
