//! What providers report of messages: whether they arrived.
//!
//! Anybody can call it, so that it answers the same whatever it is told, and changes something only
//! if the report is signed.

use crate::context::Context;
use crate::messages::Provider;
use crate::standard_webhooks::{ID, SIGNATURE, TIMESTAMP};
use crate::store::messages::{self, Told};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use std::sync::Arc;

/// Takes a provider's report on a message. It is believed if it is signed: by Twilio with the
/// account's token, by `http` with the shared secret (`{"id": "msg_...", "status": "delivered"}`, or
/// `undelivered`). The answer never says which.
#[utoipa::path(post, path = "/v1/messages/status/{provider}", tag = "messages",
    operation_id = "report_message_status",
    params(("provider" = String, Path, description = "`http` or `twilio`")),
    responses((status = 204, description = "heard")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(provider): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> StatusCode {
    if let (true, Ok(body)) = (provider == context.messenger.provider.name(), body) {
        let path = uri.path_and_query().map_or("", |path| path.as_str());
        match report(&context, path, &headers, &body) {
            Some((id, told)) => note(&context, id, told).await,
            None => {
                tracing::warn!(provider, "a report on a message is not signed, or says nothing")
            }
        }
    }
    StatusCode::NO_CONTENT
}

fn report(
    context: &Context,
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Option<(String, Told)> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match &context.messenger.provider {
        Provider::Http(http) => {
            let signed = (header(ID)?, header(TIMESTAMP)?, header(SIGNATURE)?);
            let report = http.report(signed, body, context.now())?;
            Some((report.id, told(&report.status)?))
        }
        Provider::Twilio(twilio) => {
            let status = twilio.report(path, header("x-twilio-signature")?, body)?;
            let (_, query) = path.split_once('?')?;
            let (_, id) =
                form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "message")?;
            Some((id.into_owned(), told(&status)?))
        }
        Provider::Log(_) | Provider::Smtp(_) | Provider::Exec(_) => None,
    }
}

/// Other words (`queued`, `sent`) say nothing that is not known.
fn told(status: &str) -> Option<Told> {
    match status {
        "delivered" | "read" => Some(Told::Delivered),
        "undelivered" | "failed" => Some(Told::Undelivered),
        _ => None,
    }
}

async fn note(context: &Context, id: String, told: Told) {
    let now = context.now();
    let noted = context.store.write(move |connection| messages::told(connection, &id, told, now));
    if let Err(error) = noted.await {
        tracing::error!(%error, "a report on a message could not be noted");
    }
}
