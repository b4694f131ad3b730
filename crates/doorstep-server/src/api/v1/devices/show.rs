//! Shows one driver's device.

use super::DeviceView;
use crate::context::Context;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::store::devices;
use axum::Json;
use axum::extract::{Path, State};
use doorstep::id::DeviceId;
use std::sync::Arc;

/// Shows one device.
#[utoipa::path(get, path = "/v1/devices/{id}", tag = "devices", operation_id = "show_device",
    security(("api_key" = [])), params(("id" = String, Path, description = "the device's id")),
    responses((status = 200, description = "the device", body = DeviceView), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<Json<DeviceView>, Problem> {
    let id = DeviceId::parse(&id).map_err(|_| not_found())?;
    let found = context.store.read(move |connection| devices::find(connection, &id)).await?;
    found.map(|device| Json(device.into())).ok_or_else(not_found)
}

pub(crate) fn not_found() -> Problem {
    Problem::new(Code::DeviceNotFound, "no device has this id").hint("GET /v1/devices lists them")
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::json;

    #[tokio::test]
    async fn ids_that_name_nothing_are_refused() {
        let server = TestServer::new().await;
        for id in ["dev_0", "Dev", "%00", &"d".repeat(41)] {
            let (status, problem) = server.get(&format!("/v1/devices/{id}")).await;
            assert_eq!((status, &problem["code"]), (404, &json!("device_not_found")), "{id}");
        }
    }
}
