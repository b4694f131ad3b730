//! Webhooks: programs of the business that are told of events as they happen.

pub(crate) mod change;
pub(crate) mod create;
pub(crate) mod list;
pub(crate) mod log;
pub(crate) mod remove;
pub(crate) mod replay;
pub(crate) mod rotate;
pub(crate) mod send_test;
pub(crate) mod show;

use crate::context::Context;
use crate::http::problem::{Code, Problem};
use crate::seal::Place;
use crate::standard_webhooks::WebhookSecret;
use crate::store::webhooks::{self, Webhook};
use crate::utc::Utc;
use rusqlite::Connection;
use serde::Serialize;
use utoipa::ToSchema;

/// The types of events that there are. A test event goes to whoever is tested.
const TYPES: &[&str] = &[
    "delivery.created",
    "delivery.planned",
    "delivery.handed_out",
    "delivery.notified",
    "delivery.reported",
    "delivery.delivered",
    "delivery.disputed",
    "delivery.failed",
    "delivery.expired",
    "delivery.cancelled",
    "delivery.resolved",
    "message.failed",
    "device.enrolled",
    "device.rolled_back",
    "device.forked",
    "device.lost",
];

/// A program that is told of events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookView {
    #[schema(example = "whk_01kb3t5x9m2v7c4r8w6q1z0hnd")]
    id: String,
    /// Where events are posted.
    url: String,
    /// The wanted types of events; null for all.
    types: Option<Vec<String>>,
    /// `active`; `paused`, while events wait; or `gone`, after it answered 410.
    #[schema(example = "active")]
    state: &'static str,
    /// Until when the secret before this one signs too.
    old_secret_until: Option<Utc>,
    created_at: Utc,
}

impl From<Webhook> for WebhookView {
    fn from(webhook: Webhook) -> Self {
        Self {
            id: webhook.id,
            url: webhook.url,
            types: webhook.types,
            state: webhook.state.as_str(),
            old_secret_until: webhook.old_secret.map(|(_, until)| Utc(until)),
            created_at: Utc(webhook.created_at),
        }
    }
}

/// A webhook with its secret, shown once.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookWithSecret {
    #[serde(flatten)]
    webhook: WebhookView,
    /// What its requests are signed with (Standard Webhooks). It is never shown again.
    #[schema(example = "whsec_...")]
    secret: String,
}

/// Reads where events are to be posted.
fn checked_url(context: &Context, url: String) -> Result<String, Problem> {
    // It is stored and shown as it is, and a query is where receivers put their tokens.
    if url.contains('?') {
        return Err(Problem::field(
            "url",
            "has a query, which everybody sees who may read webhooks",
        )
        .hint("leave it out: the receiver knows by the signature who sends"));
    }
    match context.telling.client.url(&url) {
        Ok(_) => Ok(url),
        Err(error) => Err(Problem::field("url", error)),
    }
}

/// Reads which types are wanted.
fn checked_types(types: Option<Vec<String>>) -> Result<Option<Vec<String>>, Problem> {
    let Some(types) = types else { return Ok(None) };
    if types.is_empty() {
        return Err(Problem::field("types", "is empty; leave it out to be told of all"));
    }
    match types.iter().position(|kind| !TYPES.contains(&kind.as_str())) {
        Some(index) => Err(Problem::field(
            format!("types[{index}]"),
            format!("is not a type of event; there are {}", TYPES.join(", ")),
        )),
        None => Ok(Some(types)),
    }
}

/// A new secret: as it is shown, and sealed as it is stored.
fn new_secret(context: &Context, id: &str) -> Result<(String, Vec<u8>), Problem> {
    let place = Place { table: "webhooks", column: "secret", row: id };
    let (secret, sealed) = context.with_rng(|rng| {
        let secret = WebhookSecret::make(rng).reveal();
        let sealed = context.keys.seal.seal(place, secret.as_bytes(), rng);
        (secret, sealed)
    });
    Ok((secret.as_str().to_owned(), sealed?))
}

fn find(connection: &Connection, id: &str) -> Result<Webhook, Problem> {
    webhooks::find(connection, id)?.ok_or_else(|| {
        Problem::new(Code::WebhookNotFound, "no webhook has this id")
            .hint("GET /v1/webhooks lists them")
    })
}
