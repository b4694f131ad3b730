//! The REST API: its routes, gathered in one place so that none is without its limits and none
//! that needs a key is without its check.

pub(crate) mod openapi;
pub(crate) mod v1;

use crate::context::Context;
use crate::http::{auth, extract, request_id, timeout};
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Bytes of a body where nothing else is said.
const BODY_LIMIT: usize = 256 * 1024;
/// Bytes of a body that carries a list.
const LIST_BODY_LIMIT: usize = 4 * 1024 * 1024;

/// The service as one [`Router`].
pub(crate) fn router(context: &Arc<Context>) -> Router {
    use v1::{claims, deliveries, devices, keys, routes};

    let with_key = Router::new()
        .route("/v1/deliveries", post(deliveries::create::handler).get(deliveries::list::handler))
        .route(
            "/v1/deliveries/import",
            post(deliveries::import::handler).layer(DefaultBodyLimit::max(LIST_BODY_LIMIT)),
        )
        .route("/v1/deliveries/{id}", get(deliveries::show::handler))
        .route("/v1/deliveries/{id}/plan", post(deliveries::plan::handler))
        .route("/v1/deliveries/{id}/send", post(deliveries::send::handler))
        .route("/v1/deliveries/{id}/verify", post(deliveries::verify::handler))
        .route("/v1/devices", post(devices::create::handler).get(devices::list::handler))
        .route("/v1/devices/{id}", get(devices::show::handler))
        .route("/v1/keys", post(keys::create::handler).get(keys::list::handler))
        .route("/v1/keys/{id}/revoke", post(keys::revoke::handler))
        .route_layer(from_fn_with_state(Arc::clone(context), auth::require_key));
    let open = Router::new()
        .route("/healthz", get(healthz))
        // Devices sign what they send; enrolling, they show a ticket.
        .route("/v1/devices/enrol", post(devices::enrol::handler))
        .route(
            "/v1/claims",
            post(claims::upload::handler).layer(DefaultBodyLimit::max(LIST_BODY_LIMIT)),
        )
        .route("/v1/routes", post(routes::fetch::handler))
        .route("/v1/openapi.json", get(openapi::handler));
    with_key
        .merge(open)
        .fallback(extract::not_found)
        .method_not_allowed_fallback(extract::method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn_with_state(Arc::clone(context), timeout::limit))
        .layer(from_fn_with_state(Arc::clone(context), request_id::assign))
        .with_state(Arc::clone(context))
}

/// That the server is there.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    status: &'static str,
    /// `test` or `live`.
    mode: &'static str,
    /// The version of the server.
    version: &'static str,
}

/// Says that the server runs and that its database answers.
#[utoipa::path(get, path = "/healthz", tag = "service", operation_id = "health",
    responses((status = 200, body = Health), (status = 503, body = crate::http::problem::ProblemBody)))]
pub(crate) async fn healthz(
    axum::extract::State(context): axum::extract::State<Arc<Context>>,
) -> Result<Json<Health>, crate::http::problem::Problem> {
    // An empty job: it answers only if the writer still commits.
    context.store.write(|_| Ok::<_, crate::store::StoreError>(())).await?;
    Ok(Json(Health {
        status: "ok",
        mode: context.mode().as_str(),
        version: env!("CARGO_PKG_VERSION"),
    }))
}
