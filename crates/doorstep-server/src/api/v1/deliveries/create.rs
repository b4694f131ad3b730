//! Takes in one delivery.

use super::DeliveryView;
use crate::context::Context;
use crate::http::extract::{ApiJson, Object};
use crate::http::problem::{Code, FieldError, Problem, ProblemBody};
use crate::ids::make_id;
use crate::messages::{Place, times};
use crate::phone::{PhoneNumber, Region, UnknownRegion};
use crate::store::StoreError;
use crate::store::deliveries::{self, Inserted, NewDelivery, Recipient};
use crate::text;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use doorstep::id::DeliveryId;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// A delivery to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateDelivery {
    /// The business's own name for it, 1 to 64 characters, used once.
    #[schema(example = "ORDER-1001", min_length = 1, max_length = 64)]
    pub(super) reference: String,
    /// Where it goes, 1 to 300 characters.
    #[schema(example = "12 Harbour Street, Flat 3", min_length = 1, max_length = 300)]
    address: String,
    /// Of which country phone numbers are that name none, in two letters of ISO 3166; the import's or
    /// the server's region when left out.
    #[serde(default)]
    #[schema(example = "GB")]
    region: Option<String>,
    /// What the driver should know, up to 300 characters; it may have several lines.
    #[serde(default)]
    #[schema(max_length = 300)]
    note: Option<String>,
    /// What the customers read, if it is not the language of the settings: `en`, `es`, `de`, or one of
    /// the server's own.
    #[serde(default)]
    #[schema(example = "es")]
    language: Option<String>,
    /// The zone that times in messages are told in, if it is not that of the settings.
    #[serde(default)]
    #[schema(example = "Europe/Madrid")]
    zone: Option<String>,
    /// Who may take it: one person or two.
    #[schema(value_type = Vec<CreateRecipient>, min_items = 1, max_items = 2)]
    recipients: Vec<Object<CreateRecipient>>,
}

/// Who may take it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateRecipient {
    /// 1 to 120 characters.
    #[schema(example = "Zoë Łukasz", min_length = 1, max_length = 120)]
    name: String,
    /// A phone number as people write it, with its country code unless it is of the region.
    #[schema(example = "+34 612 34 56 78", max_length = 40)]
    phone: String,
}

/// Takes in one delivery.
#[utoipa::path(post, path = "/v1/deliveries", tag = "deliveries", operation_id = "create_delivery",
    security(("api_key" = [])), request_body = CreateDelivery,
    responses((status = 201, description = "taken in", body = DeliveryView), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiJson(request): ApiJson<CreateDelivery>,
) -> Result<(StatusCode, Json<DeliveryView>), Problem> {
    let now = context.now();
    let delivery = check(&context, request, context.config.deliveries.default_region, None)
        .map_err(Problem::fields)?;
    let id = delivery.id;
    let stored = context
        .store
        .write(move |connection| {
            let inserted = deliveries::insert(connection, &delivery, now)?;
            Ok::<_, StoreError>((inserted, deliveries::find(connection, &id)?))
        })
        .await?;
    match stored {
        (Inserted::Yes, Some(delivery)) => Ok((StatusCode::CREATED, Json(delivery.into()))),
        (Inserted::Yes, None) => Err(StoreError::Corrupt { column: "deliveries.id" }.into()),
        (Inserted::DuplicateReference, _) => {
            Err(Problem::new(Code::DuplicateReference, "another delivery has this reference")
                .hint("GET /v1/deliveries?reference=... shows it"))
        }
    }
}

/// Checks every field and gives the delivery its id.
pub(super) fn check(
    context: &Context,
    request: CreateDelivery,
    region: Option<Region>,
    row: Option<usize>,
) -> Result<NewDelivery, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut wrong = |field: String, message: String| {
        errors.push(FieldError { row, field, message });
    };
    for (field, checked) in [
        ("reference", text::reference(&request.reference)),
        ("address", text::address(&request.address)),
        ("note", request.note.as_deref().map_or(Ok(()), text::note)),
    ] {
        if let Err(error) = checked {
            wrong(field.to_owned(), error.to_string());
        }
    }
    let region = match request.region.as_deref().map(str::parse).transpose() {
        Ok(own) => own.or(region),
        Err(error) => {
            wrong("region".to_owned(), UnknownRegion::to_string(&error));
            region
        }
    };
    let mut recipients = Vec::new();
    for (index, Object(recipient)) in request.recipients.into_iter().enumerate() {
        if let Err(error) = text::name(&recipient.name) {
            wrong(format!("recipients[{index}].name"), error.to_string());
        }
        match PhoneNumber::parse(&recipient.phone, region) {
            Ok(phone) => {
                recipients.push(Recipient { name: recipient.name, phone: phone.into_string() });
            }
            Err(error) => wrong(format!("recipients[{index}].phone"), error.to_string()),
        }
    }
    let known = |language: &String| context.messenger.languages.has(language);
    if request.language.as_ref().is_some_and(|language| !known(language)) {
        let names: Vec<&str> = context.messenger.languages.names().collect();
        let message = format!("is none of {}", names.join(", "));
        errors.push(FieldError { row, field: "language".to_owned(), message });
    }
    if request.zone.as_ref().is_some_and(|zone| times::zone(zone).is_none()) {
        let message = "is no zone, such as Europe/Madrid".to_owned();
        errors.push(FieldError { row, field: "zone".to_owned(), message });
    }
    if errors.is_empty() && !(1..=2).contains(&recipients.len()) {
        let message = format!("has {} entries, not 1 or 2", recipients.len());
        errors.push(FieldError { row, field: "recipients".to_owned(), message });
    }
    let id = context.with_rng(|rng| make_id("dlv", context.now(), rng));
    match DeliveryId::parse(&id) {
        Ok(id) if errors.is_empty() => Ok(NewDelivery {
            id,
            reference: request.reference,
            address: request.address,
            note: request.note,
            place: Place { language: request.language, zone: request.zone },
            recipients,
        }),
        _ => Err(errors),
    }
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::{Value, json};

    fn order() -> Value {
        json!({
            "reference": "ORDER-1", "address": "Große Straße 1", "note": "ring twice\nthen knock",
            "recipients": [{"name": "Zoë O’Neill", "phone": "+44 (0)20 7946 0000"}],
        })
    }

    fn with(change: impl FnOnce(&mut Value)) -> Value {
        let mut order = order();
        change(&mut order);
        order
    }

    #[tokio::test]
    async fn a_delivery_is_taken_in_as_it_was_written() {
        let server = TestServer::new().await;
        let (status, made) = server.post("/v1/deliveries", order()).await;
        assert_eq!(status, 201, "{made}");
        assert_eq!(made["address"], "Große Straße 1");
        assert_eq!(made["note"], "ring twice\nthen knock");
        assert_eq!(
            made["recipients"],
            json!([{"slot": 0, "name": "Zoë O’Neill", "phone": "+442079460000"}])
        );
        assert_eq!((&made["state"], &made["generation"]), (&json!("created"), &json!(0)));
        let (_, shown) =
            server.get(&format!("/v1/deliveries/{}", made["id"].as_str().unwrap())).await;
        for (name, value) in made.as_object().unwrap() {
            assert_eq!(&shown[name], value, "{name}");
        }
        assert_eq!((&shown["messages"], &shown["mode"]), (&json!([]), &json!(null)));
    }

    #[tokio::test]
    async fn a_number_without_a_country_is_of_the_deliverys_region_or_the_servers() {
        let server = TestServer::new().await;
        for (reference, region, number) in
            [("A", json!(null), "+34612345678"), ("B", json!("FR"), "+33612345678")]
        {
            let body = with(|o| {
                o["reference"] = json!(reference);
                o["region"] = region;
                o["recipients"][0]["phone"] = json!("612345678");
            });
            let (_, made) = server.post("/v1/deliveries", body).await;
            assert_eq!(made["recipients"][0]["phone"], number, "{made}");
        }
        let server = TestServer::with(|config| config.deliveries.default_region = None).await;
        let body = with(|o| o["recipients"][0]["phone"] = json!("612345678"));
        let (status, problem) = server.post("/v1/deliveries", body).await;
        assert_eq!(status, 422);
        assert!(problem["detail"].as_str().unwrap().contains("+34 612 34 56 78"), "{problem}");
    }

    #[tokio::test]
    async fn a_reference_is_used_once() {
        let server = TestServer::new().await;
        server.post("/v1/deliveries", order()).await;
        let (status, problem) = server.post("/v1/deliveries", order()).await;
        assert_eq!((status, &problem["code"]), (409, &json!("duplicate_reference")));
        assert_eq!(server.deliveries().await.len(), 1);
    }

    #[tokio::test]
    async fn fields_out_of_bounds_are_named() {
        let server = TestServer::new().await;
        let cases = [
            ("reference", with(|o| o["reference"] = json!(""))),
            ("reference", with(|o| o["reference"] = json!("a".repeat(65)))),
            ("reference", with(|o| o["reference"] = json!("a\u{0}b"))),
            ("reference", with(|o| o["reference"] = json!(17))),
            ("address", with(|o| o["address"] = json!("a".repeat(301)))),
            ("address", with(|o| o["address"] = json!(null))),
            ("address", with(|o| o["address"] = json!("a\u{1b}[2J"))),
            ("note", with(|o| o["note"] = json!("\u{202e}"))),
            ("note", with(|o| o["note"] = json!(["a"]))),
            ("recipients", with(|o| o["recipients"] = json!([]))),
            ("recipients", with(|o| o["recipients"] = json!({}))),
            ("recipients[0].name", with(|o| o["recipients"][0]["name"] = json!(" "))),
            ("recipients[0].phone", with(|o| o["recipients"][0]["phone"] = json!("call me"))),
            ("region", with(|o| o["region"] = json!("Spain"))),
            ("region", with(|o| o["region"] = json!(34))),
            ("recipients[0].phone", with(|o| o["recipients"][0]["phone"] = json!("12345"))),
            (
                "recipients[0].phone",
                with(|o| o["recipients"][0]["phone"] = json!(34_612_345_678_u64)),
            ),
            ("recipients[0].email", with(|o| o["recipients"][0]["email"] = json!("a@b"))),
            (".", json!(["ORDER-1", "Quay 1", null, [{"name": "Ana", "phone": "612345678"}]])),
            ("recipients[0]", with(|o| o["recipients"][0] = json!(["Ana", "612345678"]))),
            ("state", with(|o| o["state"] = json!("delivered"))),
            (
                "recipients",
                with(|o| {
                    let one = o["recipients"][0].clone();
                    o["recipients"] = json!([one, one, one]);
                }),
            ),
        ];
        for (field, body) in cases {
            let (status, problem) = server.post("/v1/deliveries", body.clone()).await;
            assert_eq!((status, &problem["code"]), (422, &json!("invalid_fields")), "{body}");
            assert_eq!(problem["errors"][0]["field"], field, "{problem}");
        }
        assert!(server.deliveries().await.is_empty(), "nothing was taken in");
    }

    #[tokio::test]
    async fn bodies_that_are_no_document_are_refused() {
        let server = TestServer::new().await;
        let json = ("content-type", "application/json");
        let huge = format!("{{\"reference\": \"{}\"}}", "a".repeat(10_000_000));
        let deep = "[".repeat(100_000);
        let twice = order().to_string().replacen('{', "{\"reference\": \"B\", ", 1);
        let trailing = format!("{} x", order());
        let whole = order().to_string();
        for (status, code, header, body) in [
            (400, "malformed_body", json, ""),
            (400, "malformed_body", json, "{\"reference\": \"A"),
            (400, "malformed_body", json, trailing.as_str()),
            (400, "malformed_body", json, "\u{feff}{}"),
            (400, "malformed_body", json, "reference=1"),
            (422, "invalid_fields", json, twice.as_str()),
            (422, "invalid_fields", json, deep.as_str()),
            (413, "body_too_large", json, huge.as_str()),
            (415, "unsupported_media_type", ("content-type", "text/plain"), whole.as_str()),
            (415, "unsupported_media_type", ("x-none", ""), whole.as_str()),
        ] {
            let answer =
                server.request("POST", "/v1/deliveries", &[server.bearer(), header], body).await;
            assert_eq!(
                (answer.status, &answer.json["code"]),
                (status, &json!(code)),
                "{}",
                answer.json
            );
            assert_eq!(answer.content_type, "application/problem+json");
        }
        assert!(server.deliveries().await.is_empty());
    }
}
