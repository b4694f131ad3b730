//! Sends a message without a code, to see that messages arrive.

use crate::context::Context;
use crate::http::extract::ApiJson;
use crate::http::problem::{Problem, ProblemBody};
use crate::ids::make_id;
use crate::messages::{Outcome, Place, Says};
use crate::phone::PhoneNumber;
use crate::store::{StoreError, test_messages};
use axum::Json;
use axum::extract::State;
use doorstep::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Where to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestMessage {
    #[schema(example = "+34 612 34 56 78", max_length = 40)]
    phone: String,
    /// The language of the settings when left out.
    #[serde(default)]
    #[schema(example = "es")]
    language: Option<String>,
}

/// What the provider made of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TestResult {
    /// What the message was called.
    id: String,
    provider: &'static str,
    /// `taken`, `refused`, `failed`, or `unknown`: it may arrive.
    outcome: &'static str,
    /// The provider's own name for it.
    provider_id: Option<String>,
    /// What the provider said.
    error: Option<String>,
}

/// Sends a message without a code, now, and says what the provider made of it.
#[utoipa::path(post, path = "/v1/messages/test", tag = "messages", operation_id = "test_messages",
    security(("api_key" = [])), request_body = TestMessage,
    responses((status = 200, description = "what the provider made of it", body = TestResult), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiJson(request): ApiJson<TestMessage>,
) -> Result<Json<TestResult>, Problem> {
    let phone = PhoneNumber::parse(&request.phone, context.config.deliveries.default_region)
        .map_err(|error| Problem::field("phone", error))?
        .into_string();
    let messenger = &context.messenger;
    if request.language.as_ref().is_some_and(|language| !messenger.languages.has(language)) {
        let names: Vec<&str> = messenger.languages.names().collect();
        return Err(Problem::field("language", format!("is none of {}", names.join(", "))));
    }
    let now = context.now();
    let id = context.with_rng(|rng| make_id("msg", now, rng));
    let place = Place { language: request.language, zone: None };
    let message = messenger
        .word((&id, &phone), None, &place, &Says::Test, now)
        .ok_or_else(|| Problem::field("language", "has no words"))?;
    if let Some(why) = begin(&context, &id, phone, now).await? {
        let (provider, outcome) = (messenger.provider.name(), "refused");
        return Ok(Json(TestResult { id, provider, outcome, provider_id: None, error: Some(why) }));
    }
    let mut outcomes = messenger.provider.send(std::slice::from_ref(&message)).await;
    let said = |error: String| Some(message.without_secrets(&error));
    let (outcome, provider_id, error) = match outcomes.pop() {
        Some(Outcome::Taken(provider_id)) => ("taken", provider_id, None),
        Some(Outcome::Refused(error)) => ("refused", None, said(error)),
        Some(Outcome::Failed(error)) => ("failed", None, said(error)),
        Some(Outcome::Unknown(error)) => ("unknown", None, said(error)),
        None => ("unknown", None, None),
    };
    if matches!(outcome, "refused" | "failed") {
        let id = id.clone();
        context.store.write(move |connection| test_messages::take_back(connection, &id)).await?;
    }
    let provider = messenger.provider.name();
    Ok(Json(TestResult { id, provider, outcome, provider_id, error }))
}

/// Counts a message before it is sent, or says why that number gets none.
async fn begin(
    context: &Arc<Context>,
    id: &str,
    phone: String,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let (inner, id) = (Arc::clone(context), id.to_owned());
    let counting = context.store.write(move |connection| {
        let why = inner.messenger.had_enough(connection, &phone, now)?;
        if why.is_none() {
            test_messages::begin(connection, &id, &phone, now)?;
        }
        Ok(why)
    });
    counting.await
}
