//! The OpenAPI document, made from the endpoints themselves, served and checked in.

use super::access::{self, Effect};
use super::v1::{
    accounts, authenticators, bookings, challenges, claims, deliveries, devices, disputes, events,
    issuer, keys, locks, messages, pass_keys, passes, routes, wallet, webhooks,
};
use crate::http::idempotency;
use axum::http::{Method, header};
use axum::response::IntoResponse;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::Required;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "doorstep",
        description = "One-time codes that are verified where there is no network: deliveries, \
                       drivers' devices and what happened at the door; accounts and their \
                       authenticators; locks with the PINs and passes that open them. Errors are problem details \
                       (RFC 9457) with a stable `code`; bodies are limited to 256 KiB, lists to 4 MiB, \
                       imports of deliveries to 16 MiB.",
    ),
    paths(
        crate::health::handler,
        crate::health::ready,
        crate::http::metrics::handler,
        deliveries::cancel::handler,
        deliveries::create::handler,
        deliveries::import::handler,
        deliveries::list::handler,
        deliveries::plan::handler,
        deliveries::plan_many::handler,
        deliveries::reassign::handler,
        deliveries::send::handler,
        deliveries::show::handler,
        deliveries::verify::handler,
        messages::list::handler,
        messages::test::handler,
        messages::show::handler,
        messages::resend::handler,
        messages::status::handler,
        accounts::create::handler,
        accounts::list::handler,
        accounts::show::handler,
        accounts::enrol::handler,
        accounts::verify::handler,
        accounts::recovery_codes::handler,
        accounts::recover::handler,
        accounts::unlock::handler,
        accounts::disable::handler,
        accounts::enable::handler,
        accounts::import::handler,
        authenticators::activate::handler,
        authenticators::resync::handler,
        authenticators::challenge::handler,
        authenticators::disable::handler,
        challenges::verify::handler,
        claims::carry::handler,
        claims::upload::handler,
        devices::create::handler,
        devices::enrol::handler,
        devices::list::handler,
        devices::lose::handler,
        devices::show::handler,
        deliveries::receipt::handler,
        deliveries::evidence::handler,
        deliveries::erase::handler,
        devices::ranking::handler,
        disputes::list::handler,
        disputes::show::handler,
        disputes::resolve::handler,
        events::list::handler,
        issuer::show::handler,
        webhooks::create::handler,
        webhooks::list::handler,
        webhooks::show::handler,
        webhooks::change::handler,
        webhooks::remove::handler,
        webhooks::rotate::handler,
        webhooks::send_test::handler,
        webhooks::log::handler,
        webhooks::replay::handler,
        bookings::create::handler,
        bookings::list::handler,
        bookings::show::handler,
        bookings::change::handler,
        bookings::cancel::handler,
        bookings::add_holder::handler,
        bookings::renew::handler,
        locks::create::handler,
        locks::list::handler,
        locks::show::handler,
        locks::provision::handler,
        locks::code::handler,
        locks::set_time::handler,
        locks::epoch::handler,
        locks::confirm_epoch::handler,
        locks::journal::handler,
        locks::events::handler,
        locks::riders::handler,
        locks::time_token::handler,
        passes::create::handler,
        passes::list::handler,
        passes::show::handler,
        passes::revoke::handler,
        pass_keys::list::handler,
        pass_keys::create::handler,
        wallet::collect::handler,
        wallet::sync::handler,
        keys::create::handler,
        keys::list::handler,
        keys::rotate::handler,
        keys::revoke::handler,
        routes::fetch::handler,
        routes::take::handler,
        handler,
    ),
    modifiers(&ApiKeys, &Repetitions),
)]
struct Api;

struct ApiKeys;

impl Modify for ApiKeys {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("an API key, made with `doorstep key create`"))
            .build();
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("api_key", SecurityScheme::Http(scheme));
    }
}

/// Says which requests take an `Idempotency-Key`.
struct Repetitions;

impl Modify for Repetitions {
    fn modify(&self, document: &mut Document) {
        for (path, item) in &mut document.paths.paths {
            let route = access::find(&Method::POST, path);
            let creates = route.is_some_and(|route| route.effect == Effect::Creates);
            let Some(operation) = item.post.as_mut().filter(|_| creates) else { continue };
            let parameter = ParameterBuilder::new()
                .name(idempotency::HEADER.as_str())
                .parameter_in(ParameterIn::Header)
                .required(Required::False)
                .description(Some(
                    "1 to 255 visible characters: a repetition within 24 hours gets the first answer",
                ))
                .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
                .build();
            operation.parameters.get_or_insert_default().push(parameter.into());
        }
    }
}

/// The document as text, ending with a line break.
#[must_use]
pub fn openapi_json() -> String {
    let mut text = Api::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// The OpenAPI document of this API.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "service", operation_id = "openapi",
    responses((status = 200, description = "an OpenAPI document", content_type = "application/json")))]
pub(crate) async fn handler() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], openapi_json())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_server::TestServer;

    #[test]
    fn every_operation_has_a_name_an_answer_and_a_way_in() {
        let document = serde_json::to_value(Api::openapi()).unwrap();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                assert!(operation["operationId"].is_string(), "{method} {path}");
                let responses = operation["responses"].as_object().unwrap();
                assert!(!responses.is_empty());
                for response in responses.values() {
                    assert!(response["description"].is_string(), "{method} {path}");
                }
            }
        }
        assert!(document["components"]["securitySchemes"]["api_key"].is_object());
    }

    #[test]
    fn requests_that_make_something_take_an_idempotency_key() {
        let document = serde_json::to_value(Api::openapi()).unwrap();
        for route in access::ROUTES {
            let operation = &document["paths"][route.path][route.method.to_lowercase()];
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let takes = parameters.filter(|one| one["name"] == "idempotency-key").count() == 1;
            assert_eq!(takes, route.effect == Effect::Creates, "{}", route.path);
        }
    }

    #[tokio::test]
    async fn every_documented_path_exists() {
        let server = TestServer::new().await;
        let document = serde_json::to_value(Api::openapi()).unwrap();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for method in operations.as_object().unwrap().keys() {
                let path = path.replace("{id}", "x").replace("{delivery}", "x");
                let answer = server.request(&method.to_uppercase(), &path, &[], "").await;
                assert!(
                    !matches!(
                        answer.json["code"].as_str(),
                        Some("not_found" | "method_not_allowed")
                    ),
                    "{path}"
                );
            }
        }
        let answer = server.request("GET", "/v1/openapi.json", &[], "").await;
        assert_eq!(answer.json, document);
    }
}
