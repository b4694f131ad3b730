//! Takes in claims that a device cannot bring itself any more, because its key is gone: each is signed,
//! so whoever has them may carry them.

use super::upload::{invalid, received, take_in};
use crate::api::v1::devices::show::not_found;
use crate::context::Context;
use crate::http::base64url::read;
use crate::http::extract::ApiJson;
use crate::http::problem::{Problem, ProblemBody};
use crate::store::devices;
use axum::Json;
use axum::extract::{Path, State};
use doorstep::handover::claim::MAX_UPLOAD;
use doorstep::id::DeviceId;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Claims out of a device's journal.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CarryClaims {
    /// Signed claims (HO1) in base64url, oldest first, at most 500.
    claims: Vec<String>,
}

/// What is stored now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CarriedClaims {
    /// The number of the last claim of this device that is stored.
    received: u64,
}

/// Takes in a device's signed claims for it. They are judged like any others.
#[utoipa::path(post, path = "/v1/devices/{id}/claims", tag = "claims", operation_id = "carry_claims",
    security(("api_key" = [])), request_body = CarryClaims,
    params(("id" = String, Path, description = "the device's id")),
    responses((status = 200, description = "what is stored now", body = CarriedClaims), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<CarryClaims>,
) -> Result<Json<CarriedClaims>, Problem> {
    let device = DeviceId::parse(&id).map_err(|_| not_found())?;
    let key = context.store.read(move |connection| devices::key(connection, &device)).await?;
    let key = key.ok_or_else(not_found)?;
    if request.claims.len() > MAX_UPLOAD {
        return Err(Problem::field("claims", "are more than 500"));
    }
    let documents: Vec<Vec<u8>> =
        request.claims.iter().map(|claim| read("claims", claim)).collect::<Result<_, _>>()?;
    let verified = tokio::task::spawn_blocking(move || {
        documents
            .into_iter()
            .map(|document| received(document, &key))
            .collect::<Result<Vec<_>, _>>()
    });
    let claims = match verified.await {
        Ok(claims) => claims.map_err(|error| invalid(&error))?,
        Err(error) => return Err(Problem::internal(&error)),
    };
    let now = context.now();
    let received = context
        .store
        .write(move |connection| {
            // The device was not here: what its own next sync has to prove stays as it was.
            take_in(connection, &device, &claims, now)
        })
        .await?;
    Ok(Json(CarriedClaims { received }))
}

#[cfg(test)]
mod tests {
    use crate::http::base64url::write;
    use crate::test_server::{TestDevice, TestServer};
    use serde_json::{Value, json};

    async fn with_a_claim() -> (TestServer, TestDevice, String) {
        let server = TestServer::new().await;
        let mut device = server.device("Marta").await;
        let delivery = server.delivery("A").await;
        server.plan(&delivery, device.id()).await;
        device.sync(&server).await;
        server.clock.advance(2 * 3600);
        server.run_jobs().await;
        device.present(&delivery, &server.code(0), server.clock.now()).unwrap();
        (server, device, delivery)
    }

    fn documents(device: &TestDevice) -> Vec<String> {
        device.device.upload(500).claims.iter().map(|claim| write(claim)).collect()
    }

    async fn carry(server: &TestServer, device: &str, claims: &[String]) -> (u16, Value) {
        server.post(&format!("/v1/devices/{device}/claims"), json!({"claims": claims})).await
    }

    #[tokio::test]
    async fn claims_of_a_device_without_its_key_are_carried_and_judged() {
        let (server, device, delivery) = with_a_claim().await;
        let claims = documents(&device);
        for _ in 0..2 {
            let (status, answer) = carry(&server, device.id(), &claims).await;
            assert_eq!((status, &answer["received"]), (200, &json!(1)), "{answer}");
        }
        server.run_jobs().await;
        let shown = server.shown(&delivery).await;
        assert_eq!(shown["state"], "delivered");
        assert_eq!(shown["claims"].as_array().unwrap().len(), 1);
        // The device is not the worse for it.
        let mut device = device;
        assert!(device.sync(&server).await.is_empty());
        assert_eq!(device.device.received(), 1);
    }

    /// Its request for routes may be on its way meanwhile, and is repeated when the answer gets lost.
    #[tokio::test]
    async fn carrying_leaves_what_the_device_has_to_prove() {
        let (server, mut device, _) = with_a_claim().await;
        let claims = documents(&device);
        device.upload(&server).await;
        let seen = "SELECT last_sync_at FROM devices";
        let synced = server.query(seen);
        assert_eq!(device.fetch(&server).await.0, 200, "an answer that got lost");
        server.clock.advance(60);
        assert_eq!(carry(&server, device.id(), &claims).await.0, 200);
        let (status, answer) = device.fetch(&server).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(server.query(seen), synced, "it was not here");
        assert!(device.sync(&server).await.is_empty());
    }

    #[tokio::test]
    async fn what_the_device_did_not_sign_is_not_carried() {
        let (server, device, _) = with_a_claim().await;
        let other = server.device("Leo").await;
        let claims = documents(&device);
        for (id, claims, status) in [
            (other.id(), claims.clone(), 401),
            (device.id(), vec!["AAAA".to_owned()], 400),
            (device.id(), vec!["!".to_owned()], 422),
            (device.id(), vec![claims[0].clone(); 501], 422),
            ("dev_0", claims.clone(), 404),
        ] {
            assert_eq!(carry(&server, id, &claims).await.0, status, "{id}");
        }
        assert_eq!(server.query("SELECT count(*) FROM claims"), 0);
    }
}
