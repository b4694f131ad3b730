//! Sends a code at once, or releases the spare one.

use super::{DeliveryDetail, detail, id_in_path, not_found};
use crate::context::Context;
use crate::http::extract::ApiJson;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::jobs::outbox;
use crate::phone::PhoneNumber;
use crate::store::deliveries;
use crate::store::generations::{self, Generation, Mode, State as GenerationState};
use crate::store::messages::{self, Message, State as MessageState};
use axum::Json;
use axum::extract::{Path, State};
use doorstep::id::DeliveryId;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::json;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};

/// Which code, and to whom.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendCode {
    /// A recipient's slot, or `"spare"`; every recipient when left out.
    #[serde(default)]
    #[schema(schema_with = slot_schema)]
    slot: Option<Slot>,
    /// Where to send it instead; needed for the spare.
    #[serde(default)]
    #[schema(example = "+34 612 00 00 00")]
    phone: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Recipient(u8),
    Spare,
}

impl<'de> Deserialize<'de> for Slot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) if text == "spare" => Ok(Self::Spare),
            serde_json::Value::Number(number) => number
                .as_u64()
                .and_then(|number| u8::try_from(number).ok())
                .map(Self::Recipient)
                .ok_or_else(|| D::Error::custom("a slot is 0 or 1")),
            _ => Err(D::Error::custom("a slot is 0, 1 or \"spare\"")),
        }
    }
}

/// A recipient's number or the word, as [`Slot`] reads them.
fn slot_schema() -> Schema {
    let recipient = ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some([0, 1]));
    let spare = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["spare"]));
    let description = "A recipient's slot, or `\"spare\"`; every recipient when left out.";
    OneOfBuilder::new()
        .item(recipient)
        .item(spare)
        .description(Some(description))
        .examples([json!(0), json!("spare")])
        .into()
}

/// Sends a code at once. For offline codes the driver's device must have its route first. A code
/// that was sent is kept nowhere and cannot be sent again.
#[utoipa::path(post, path = "/v1/deliveries/{id}/send", tag = "deliveries",
    operation_id = "send_code", security(("api_key" = [])), request_body = SendCode,
    params(("id" = String, Path, description = "the delivery's id")),
    responses((status = 200, description = "the delivery after its code was sent", body = DeliveryDetail), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<SendCode>,
) -> Result<Json<DeliveryDetail>, Problem> {
    let id = id_in_path(&id)?;
    let phone = match &request.phone {
        Some(text) => {
            let phone = PhoneNumber::parse(text, context.config.deliveries.default_region);
            Some(phone.map_err(|error| Problem::field("phone", error))?.into_string())
        }
        None => None,
    };
    match (request.slot, &phone) {
        (Some(Slot::Spare), None) => {
            return Err(Problem::field("phone", "is needed to send the spare code"));
        }
        (None, Some(_)) => {
            return Err(Problem::field("phone", "needs a slot: which code is to go there"));
        }
        _ => {}
    }
    let now = context.now();
    let released = context
        .store
        .write(move |connection| release(connection, &id, request.slot, phone.as_deref(), now))
        .await?;
    outbox::send_now(&context, released).await?;
    let found = context.store.read(move |connection| detail(connection, &id)).await?;
    found.map(Json).ok_or_else(not_found)
}

fn release(
    connection: &Connection,
    id: &DeliveryId,
    slot: Option<Slot>,
    phone: Option<&str>,
    now: Timestamp,
) -> Result<Vec<String>, Problem> {
    let delivery = deliveries::find(connection, id)?.ok_or_else(not_found)?;
    let generation = generations::find(connection, id, delivery.generation)?.ok_or_else(|| {
        Problem::new(Code::NotPlanned, "the delivery has no code yet").hint("plan it first")
    })?;
    refuse_unready(&generation, now)?;
    let all = messages::of_generation(connection, id, generation.number)?;
    let spare_slot = generation.slots.saturating_sub(1);
    let chosen: Vec<&Message> = all
        .iter()
        .filter(|message| match slot {
            None => message.slot != spare_slot,
            Some(Slot::Spare) => message.slot == spare_slot,
            Some(Slot::Recipient(wanted)) => message.slot == wanted && wanted != spare_slot,
        })
        .collect();
    if chosen.is_empty() {
        return Err(Problem::field("slot", "the delivery has no recipient of this number")
            .hint("GET the delivery to see its recipients; the spare code is \"spare\""));
    }
    if chosen.iter().all(|message| message.state == MessageState::Closed) {
        return Err(Problem::new(
            Code::DeliveryClosed,
            "a device says that it handed the delivery over, and the code was erased",
        )
        .hint("if it did not, the delivery is disputed soon: resolve that, and plan it again"));
    }
    let open: Vec<_> = chosen
        .into_iter()
        .filter(|message| {
            matches!(message.state, MessageState::Waiting | MessageState::Failed)
                || (slot == Some(Slot::Spare) && message.state == MessageState::Spare)
        })
        .collect();
    if open.is_empty() {
        return Err(Problem::new(
            Code::AlreadySent,
            "the code was sent before; once sent it is kept nowhere",
        )
        .hint("send the spare code, or plan the delivery again for a new one"));
    }
    for message in &open {
        messages::release(connection, &message.id, phone, now)?;
    }
    Ok(open.into_iter().map(|message| message.id.clone()).collect())
}

pub(crate) fn refuse_unready(generation: &Generation, now: Timestamp) -> Result<(), Problem> {
    let state = match generation.state {
        // The job that notes it comes around a little later.
        GenerationState::Planned | GenerationState::HandedOut
            if generation.window.until() <= now =>
        {
            GenerationState::Expired
        }
        state => state,
    };
    match (state, generation.mode) {
        (GenerationState::Planned, Mode::Offline) => Err(Problem::new(
            Code::NotHandedOut,
            "the driver's device has not fetched this stop yet, so it could not check the code",
        )
        .hint("let the driver sync first; until then the code would be refused at the door")),
        (GenerationState::Planned, Mode::Online) | (GenerationState::HandedOut, _) => Ok(()),
        (GenerationState::Closed, _) => {
            Err(Problem::new(Code::DeliveryClosed, "the delivery was handed over already"))
        }
        (GenerationState::Cancelled, _) => Err(Problem::new(
            Code::DeliveryClosed,
            "the delivery was cancelled, and its code with it",
        )),
        (GenerationState::Expired | GenerationState::Superseded, _) => {
            Err(Problem::new(Code::NotPlanned, "the delivery's time passed, and its code with it")
                .hint("plan it again; a new code will be made"))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::{Value, json};

    #[tokio::test]
    async fn a_code_is_sent_once_and_then_kept_nowhere() {
        let server = TestServer::new().await;
        let mut device = server.device("Marta").await;
        let delivery = server.delivery("A").await;
        server.plan(&delivery, device.id()).await;
        let path = format!("/v1/deliveries/{delivery}/send");

        let (status, problem) = server.post(&path, json!({})).await;
        assert_eq!((status, &problem["code"]), (409, &json!("not_handed_out")));
        assert!(server.messages().is_empty());

        device.sync(&server).await;
        let (status, sent) = server.post(&path, json!({})).await;
        assert_eq!(status, 200, "{sent}");
        assert_eq!(
            (&sent["state"], &sent["messages"][0]["state"]),
            (&json!("notified"), &json!("sent"))
        );
        assert_eq!(server.messages().len(), 1);
        assert_eq!(
            server.query("SELECT count(*) FROM messages WHERE slot = 0 AND sealed IS NOT NULL"),
            0
        );

        let (status, problem) = server.post(&path, json!({"slot": 0})).await;
        assert_eq!((status, &problem["code"]), (409, &json!("already_sent")));
        assert_eq!(server.messages().len(), 1);
    }

    #[tokio::test]
    async fn the_spare_is_released_once_to_a_phone() {
        let server = TestServer::new().await;
        let mut device = server.device("Marta").await;
        let delivery = server.delivery("A").await;
        server.plan(&delivery, device.id()).await;
        device.sync(&server).await;
        let path = format!("/v1/deliveries/{delivery}/send");
        let (status, problem) = server.post(&path, json!({"slot": "spare"})).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("phone")));

        let spare = json!({"slot": "spare", "phone": "+34 600 00 00 00"});
        let (status, _) = server.post(&path, spare.clone()).await;
        assert_eq!(status, 200);
        assert_eq!(server.messages()[0]["to"], "+34600000000");
        let (status, problem) = server.post(&path, spare).await;
        assert_eq!((status, &problem["code"]), (409, &json!("already_sent")));
        assert_eq!(server.messages().len(), 1);
    }

    #[tokio::test]
    async fn requests_that_mean_nothing_are_refused() {
        let server = TestServer::new().await;
        let mut device = server.device("Marta").await;
        let delivery = server.delivery("A").await;
        let path = format!("/v1/deliveries/{delivery}/send");
        let (status, problem) = server.post(&path, json!({})).await;
        assert_eq!((status, &problem["code"]), (409, &json!("not_planned")));
        server.plan(&delivery, device.id()).await;
        device.sync(&server).await;
        for body in [
            json!({"slot": 1}),
            json!({"slot": 7}),
            json!({"slot": "0"}),
            json!({"slot": true}),
            json!({"slot": 256}),
            json!({"phone": "612345678"}),
            json!({"slot": 0, "phone": ""}),
            json!({"slot": 0, "phone": 612}),
            json!({"to": "612345678"}),
            json!([]),
        ] {
            let (status, problem) = server.post(&path, body.clone()).await;
            assert_eq!((status, &problem["code"]), (422, &json!("invalid_fields")), "{body}");
        }
        let (status, _) = server.post("/v1/deliveries/dlv_0/send", json!({})).await;
        assert_eq!(status, 404);
        assert!(server.messages().is_empty());
    }

    #[test]
    fn the_schema_of_a_slot_is_what_is_read() {
        let document: Value = serde_json::from_str(&crate::openapi_json()).unwrap();
        let send = &document["components"]["schemas"]["SendCode"];
        assert!(send["required"].is_null(), "{send}");
        let choices = send["properties"]["slot"]["oneOf"].as_array().unwrap();
        assert_eq!(choices.len(), 2);
        assert_eq!((&choices[0]["type"], &choices[0]["enum"]), (&json!("integer"), &json!([0, 1])));
        assert_eq!(
            (&choices[1]["type"], &choices[1]["enum"]),
            (&json!("string"), &json!(["spare"]))
        );
        for value in choices.iter().flat_map(|choice| choice["enum"].as_array().unwrap()) {
            serde_json::from_value::<super::SendCode>(json!({"slot": value})).unwrap();
        }
    }

    #[tokio::test]
    async fn an_expired_code_is_gone() {
        let server = TestServer::new().await;
        let mut device = server.device("Marta").await;
        let delivery = server.delivery("A").await;
        server.plan(&delivery, device.id()).await;
        device.sync(&server).await;
        server.clock.advance(24 * 3600);
        server.run_jobs().await;
        let (status, problem) =
            server.post(&format!("/v1/deliveries/{delivery}/send"), json!({})).await;
        assert_eq!((status, &problem["code"]), (409, &json!("not_planned")), "{problem}");
    }
}
