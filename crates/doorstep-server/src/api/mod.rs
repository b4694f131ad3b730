//! The REST API: its routes, gathered in one place so that none is without its limits. Who may call
//! them stands in `access`.

pub(crate) mod access;
pub(crate) mod openapi;
pub(crate) mod v1;

use crate::context::Context;
use crate::health;
use crate::http::{auth, extract, idempotency, limits, metrics, request_id, timeout};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use std::sync::Arc;

/// Bytes of a body where nothing else is said.
const BODY_LIMIT: usize = 256 * 1024;
/// Bytes of a body that carries a list.
pub(crate) const LIST_BODY_LIMIT: usize = 4 * 1024 * 1024;
/// Bytes of a body with a morning's deliveries.
const IMPORT_BODY_LIMIT: usize = 16 * 1024 * 1024;
/// Bytes of a body with a few short fields, from anybody.
const SMALL_BODY_LIMIT: usize = 4 * 1024;
/// Bytes of a body with the journal that a phone carries.
const JOURNAL_BODY_LIMIT: usize = 1024 * 1024;

/// The service as one [`Router`].
pub(crate) fn router(context: &Arc<Context>) -> Router {
    use v1::{
        accounts, authenticators, bookings, challenges, claims, deliveries, devices, disputes,
        events, issuer, keys, locks, messages, pass_keys, passes, routes, wallet, webhooks,
    };

    Router::new()
        .route("/v1/deliveries", post(deliveries::create::handler).get(deliveries::list::handler))
        .route(
            "/v1/deliveries/import",
            post(deliveries::import::handler).layer(DefaultBodyLimit::max(IMPORT_BODY_LIMIT)),
        )
        .route(
            "/v1/deliveries/plan_many",
            post(deliveries::plan_many::handler).layer(DefaultBodyLimit::max(LIST_BODY_LIMIT)),
        )
        .route("/v1/deliveries/reassign", post(deliveries::reassign::handler))
        .route("/v1/deliveries/{id}", get(deliveries::show::handler))
        .route("/v1/deliveries/{id}/plan", post(deliveries::plan::handler))
        .route("/v1/deliveries/{id}/cancel", post(deliveries::cancel::handler))
        .route("/v1/deliveries/{id}/send", post(deliveries::send::handler))
        .route("/v1/deliveries/{id}/verify", post(deliveries::verify::handler))
        .route("/v1/messages", get(messages::list::handler))
        .route("/v1/messages/test", post(messages::test::handler))
        .route("/v1/messages/{id}", get(messages::show::handler))
        .route("/v1/messages/{id}/resend", post(messages::resend::handler))
        .route("/v1/devices", post(devices::create::handler).get(devices::list::handler))
        .route("/v1/devices/{id}", get(devices::show::handler))
        .route("/v1/devices/{id}/lose", post(devices::lose::handler))
        .route(
            "/v1/devices/{id}/claims",
            post(claims::carry::handler).layer(DefaultBodyLimit::max(LIST_BODY_LIMIT)),
        )
        .route("/v1/deliveries/{id}/receipt", get(deliveries::receipt::handler))
        .route("/v1/deliveries/{id}/evidence", get(deliveries::evidence::handler))
        .route("/v1/deliveries/{id}/erase", post(deliveries::erase::handler))
        .route("/v1/devices/ranking", get(devices::ranking::handler))
        .route("/v1/disputes", get(disputes::list::handler))
        .route("/v1/disputes/{delivery}", get(disputes::show::handler))
        .route("/v1/disputes/{delivery}/resolve", post(disputes::resolve::handler))
        .route("/v1/events", get(events::list::handler))
        .route("/v1/webhooks", post(webhooks::create::handler).get(webhooks::list::handler))
        .route("/v1/webhooks/{id}", get(webhooks::show::handler))
        .route("/v1/webhooks/{id}/change", post(webhooks::change::handler))
        .route("/v1/webhooks/{id}/remove", post(webhooks::remove::handler))
        .route("/v1/webhooks/{id}/rotate", post(webhooks::rotate::handler))
        .route("/v1/webhooks/{id}/test", post(webhooks::send_test::handler))
        .route("/v1/webhooks/{id}/log", get(webhooks::log::handler))
        .route("/v1/webhooks/{id}/replay", post(webhooks::replay::handler))
        .route("/v1/issuer", get(issuer::show::handler))
        .route("/v1/accounts", post(accounts::create::handler).get(accounts::list::handler))
        .route(
            "/v1/accounts/import",
            post(accounts::import::handler).layer(DefaultBodyLimit::max(LIST_BODY_LIMIT)),
        )
        .route("/v1/accounts/verify", post(accounts::verify::handler))
        .route("/v1/accounts/recover", post(accounts::recover::handler))
        .route("/v1/accounts/{id}", get(accounts::show::handler))
        .route("/v1/accounts/{id}/authenticators", post(accounts::enrol::handler))
        .route("/v1/accounts/{id}/recovery-codes", post(accounts::recovery_codes::handler))
        .route("/v1/accounts/{id}/unlock", post(accounts::unlock::handler))
        .route("/v1/accounts/{id}/disable", post(accounts::disable::handler))
        .route("/v1/accounts/{id}/enable", post(accounts::enable::handler))
        .route("/v1/authenticators/{id}/activate", post(authenticators::activate::handler))
        .route("/v1/authenticators/{id}/resync", post(authenticators::resync::handler))
        .route("/v1/authenticators/{id}/challenges", post(authenticators::challenge::handler))
        .route("/v1/authenticators/{id}/disable", post(authenticators::disable::handler))
        .route("/v1/challenges/{id}/verify", post(challenges::verify::handler))
        .route("/v1/locks", post(locks::create::handler).get(locks::list::handler))
        .route("/v1/locks/{id}", get(locks::show::handler))
        .route("/v1/locks/{id}/provision", post(locks::provision::handler))
        .route("/v1/locks/{id}/code", post(locks::code::handler))
        .route("/v1/locks/{id}/set_time", post(locks::set_time::handler))
        .route("/v1/locks/{id}/epoch", post(locks::epoch::handler))
        .route("/v1/locks/{id}/epoch/confirm", post(locks::confirm_epoch::handler))
        .route(
            "/v1/locks/{id}/journal",
            post(locks::journal::handler).layer(DefaultBodyLimit::max(LIST_BODY_LIMIT)),
        )
        .route("/v1/locks/{id}/events", get(locks::events::handler))
        .route("/v1/locks/{id}/riders", get(locks::riders::handler))
        .route("/v1/locks/{id}/time_token", post(locks::time_token::handler))
        .route("/v1/passes", post(passes::create::handler).get(passes::list::handler))
        .route("/v1/passes/{id}", get(passes::show::handler))
        .route("/v1/passes/{id}/revoke", post(passes::revoke::handler))
        .route("/v1/pass_keys", post(pass_keys::create::handler).get(pass_keys::list::handler))
        .route("/v1/bookings", post(bookings::create::handler).get(bookings::list::handler))
        .route("/v1/bookings/{id}", get(bookings::show::handler))
        .route("/v1/bookings/{id}/change", post(bookings::change::handler))
        .route("/v1/bookings/{id}/cancel", post(bookings::cancel::handler))
        .route("/v1/bookings/{id}/holders", post(bookings::add_holder::handler))
        .route("/v1/bookings/{id}/holders/{holder}/renew", post(bookings::renew::handler))
        .route("/v1/keys", post(keys::create::handler).get(keys::list::handler))
        .route("/v1/keys/{id}/rotate", post(keys::rotate::handler))
        .route("/v1/keys/{id}/revoke", post(keys::revoke::handler))
        .route("/healthz", get(health::handler))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::handler))
        // Devices sign what they send; enrolling, they show a ticket.
        .route("/v1/devices/enrol", post(devices::enrol::handler))
        .route(
            "/v1/claims",
            post(claims::upload::handler).layer(DefaultBodyLimit::max(LIST_BODY_LIMIT)),
        )
        .route("/v1/routes", post(routes::fetch::handler))
        .route("/v1/routes/take", post(routes::take::handler))
        // Providers sign what they report.
        .route(
            "/v1/messages/status/{provider}",
            post(messages::status::handler).layer(DefaultBodyLimit::max(SMALL_BODY_LIMIT)),
        )
        // Phones show a ticket, and then a token.
        .route(
            "/v1/wallet/collect",
            post(wallet::collect::handler).layer(DefaultBodyLimit::max(SMALL_BODY_LIMIT)),
        )
        .route(
            "/v1/wallet/sync",
            post(wallet::sync::handler).layer(DefaultBodyLimit::max(JOURNAL_BODY_LIMIT)),
        )
        .route("/v1/openapi.json", get(openapi::handler))
        // From the inside out.
        .route_layer(from_fn_with_state(Arc::clone(context), idempotency::once))
        .route_layer(from_fn_with_state(Arc::clone(context), limits::by_key))
        .route_layer(from_fn_with_state(Arc::clone(context), auth::admit))
        .route_layer(from_fn_with_state(Arc::clone(context), limits::by_address))
        .route_layer(from_fn_with_state(Arc::clone(context), metrics::measure))
        .fallback(extract::not_found)
        .method_not_allowed_fallback(extract::method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn_with_state(Arc::clone(context), timeout::limit))
        .layer(from_fn_with_state(Arc::clone(context), request_id::assign))
        .with_state(Arc::clone(context))
}

/// What is answered on the address of the metrics, to whoever reaches it.
pub(crate) fn monitoring(context: &Arc<Context>) -> Router {
    Router::new()
        .route("/healthz", get(health::handler))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::handler))
        .fallback(extract::not_found)
        .method_not_allowed_fallback(extract::method_not_allowed)
        .layer(DefaultBodyLimit::max(SMALL_BODY_LIMIT))
        .layer(from_fn_with_state(Arc::clone(context), timeout::limit))
        .layer(from_fn_with_state(Arc::clone(context), request_id::assign))
        .with_state(Arc::clone(context))
}

#[cfg(test)]
mod tests {
    use crate::store::StoreError;
    use crate::test_server::TestServer;
    use serde_json::json;
    use std::sync::Arc;
    use std::time::Duration;

    #[tokio::test]
    async fn unknown_paths_and_methods_are_problems_too() {
        let server = TestServer::new().await;
        for (method, path, status, code) in [
            ("GET", "/", 404, "not_found"),
            ("GET", "/v1/delivery", 404, "not_found"),
            ("GET", "/v1/deliveries/", 404, "not_found"),
            ("GET", "/v1/deliveries/../../keys", 404, "not_found"),
            ("DELETE", "/v1/keys", 405, "method_not_allowed"),
            ("GET", "/v1/claims", 405, "method_not_allowed"),
        ] {
            let answer = server.request(method, path, &[server.bearer()], "").await;
            assert_eq!((answer.status, &answer.json["code"]), (status, &json!(code)), "{path}");
            assert_eq!(answer.content_type, "application/problem+json");
            assert!(answer.json["hint"].is_string());
        }
    }

    #[tokio::test]
    async fn every_answer_has_a_request_id_and_problems_repeat_it() {
        let server = TestServer::new().await;
        for given in ["", "a b", "\"", &"x".repeat(65)] {
            let answer = server.request("GET", "/nowhere", &[("x-request-id", given)], "").await;
            assert!(answer.request_id.starts_with("req_"), "{given}");
            assert_eq!(answer.json["request_id"], json!(answer.request_id));
        }
        let answer = server.request("GET", "/healthz", &[("x-request-id", "7b0c-A.1")], "").await;
        assert_eq!((answer.status, answer.request_id.as_str()), (200, "7b0c-A.1"));
    }

    #[tokio::test]
    async fn a_request_that_takes_too_long_is_given_up() {
        let server =
            TestServer::with(|config| config.server.request_timeout = Duration::from_millis(10))
                .await;
        // A disk that does not answer: the one thread that writes waits until the test lets go.
        let (let_go, held) = std::sync::mpsc::channel::<()>();
        let context = Arc::clone(&server.context);
        let disk = tokio::spawn(async move {
            context.store.write(move |_| Ok::<_, StoreError>(held.recv().is_err())).await
        });
        let (status, problem) = server.post("/v1/keys", json!({"name": "shop"})).await;
        assert_eq!((status, &problem["code"]), (503, &json!("timeout")));
        drop(let_go);
        assert!(disk.await.unwrap().unwrap());
    }

    #[tokio::test]
    async fn no_file_of_the_issuer_but_the_keys_and_messages_holds_a_secret() {
        let server = TestServer::new().await;
        let mut device = server.device("Marta").await;
        let delivery = server.delivery("A").await;
        server.plan(&delivery, device.id()).await;
        device.sync(&server).await;
        server.clock.advance(2 * 3600);
        server.run_jobs().await;
        let code = server.code(0).replace(' ', "");
        let (_, key) = server.bearer();
        let mut secrets =
            vec![code.clone().into_bytes(), key.as_bytes()["Bearer ".len()..].to_vec()];
        secrets.push(format!("{} {}", &code[..4], &code[4..]).into_bytes());
        for name in ["signing.key", "agreement.key", "master.key", "pass-root.key"] {
            let text = std::fs::read_to_string(server.dir.path().join("keys").join(name)).unwrap();
            let bytes = crate::hex::decode::<32>(text.trim()).unwrap();
            secrets.push(bytes.to_vec());
            secrets.push(text.trim().as_bytes().to_vec());
        }
        let mut scanned = 0;
        for entry in std::fs::read_dir(server.dir.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() || path.ends_with("messages.jsonl") {
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            scanned += bytes.len();
            for secret in &secrets {
                let found = bytes.windows(secret.len()).any(|window| window == secret);
                assert!(!found, "{}", path.display());
            }
        }
        assert!(scanned > 10_000, "the database and its log were looked at");
    }
}
