//! Shows what a webhook was told, and what came of it.

use super::find;
use crate::context::Context;
use crate::http::cursor;
use crate::http::extract::ApiQuery;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::store::webhooks::{self, Sending, SendingState};
use crate::utc::Utc;
use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Which lines of the log, and how many at a time.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListSendings {
    /// How many on a page, 1 to 200; 50 when left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only those that are `waiting`, `sent` or `failed`.
    #[param(example = "failed")]
    state: Option<String>,
}

/// An event on its way, or at its end.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SendingView {
    /// The event's id, which is also the request's `webhook-id`.
    #[schema(example = "evt_0_42")]
    event: String,
    #[schema(example = "delivery.delivered")]
    r#type: String,
    /// `waiting` for its next try, `sent`, or `failed`: given up.
    #[schema(example = "sent")]
    state: &'static str,
    tries: u32,
    /// When it is tried next; null unless it waits.
    next_at: Option<Utc>,
    last_at: Option<Utc>,
    /// The HTTP status of the last answer.
    last_status: Option<u16>,
    /// Why there was no answer.
    last_error: Option<String>,
}

impl From<Sending> for SendingView {
    fn from(sending: Sending) -> Self {
        let waits = sending.state == SendingState::Waiting;
        Self {
            event: sending.event,
            r#type: sending.kind,
            state: sending.state.as_str(),
            tries: sending.tries,
            next_at: waits.then_some(Utc(sending.next_at)),
            last_at: sending.last_at.map(Utc),
            last_status: sending.last_status,
            last_error: sending.last_error,
        }
    }
}

/// A page of a webhook's log, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SendingList {
    data: Vec<SendingView>,
    /// Where the next page starts; null on the last.
    next_cursor: Option<String>,
}

/// Shows what a webhook was told and is still to be told, newest first.
#[utoipa::path(get, path = "/v1/webhooks/{id}/log", tag = "webhooks", operation_id = "webhook_log",
    security(("api_key" = [])), params(("id" = String, Path, description = "the webhook's id"), ListSendings),
    responses((status = 200, description = "a page of its log", body = SendingList), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    ApiQuery(query): ApiQuery<ListSendings>,
) -> Result<Json<SendingList>, Problem> {
    let limit = cursor::limit(query.limit)?;
    let before = match cursor::read(query.cursor.as_deref())? {
        0 => i64::MAX,
        before => before,
    };
    let state = query.state.as_deref().map(SendingState::parse).transpose().map_err(|()| {
        Problem::new(Code::InvalidQuery, "state: not a state of a sending")
            .hint("one of waiting, sent, failed")
    })?;
    let page = context
        .store
        .read(move |connection| {
            find(connection, &id)?;
            Ok::<_, Problem>(webhooks::log(
                connection,
                &id,
                state,
                before,
                limit.saturating_add(1),
            )?)
        })
        .await?;
    let (page, next_cursor) = cursor::cut(page, limit, |sending| sending.seq);
    Ok(Json(SendingList { data: page.into_iter().map(SendingView::from).collect(), next_cursor }))
}
