//! A delivery's receipt, signed by the issuer.

use super::{id_in_path, not_found};
use crate::context::Context;
use crate::evidence;
use crate::http::base64url::write;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::store::deliveries;
use crate::utc::Utc;
use axum::Json;
use axum::extract::{Path, State};
use doorstep::handover::receipt::{Basis, DeliveryReceipt, Holder};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// A receipt: the signed document, and what it says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReceiptView {
    /// The signed receipt (HO1), in base64url.
    receipt: String,
    delivery: String,
    reference: String,
    generation: u32,
    /// When it was handed over: by the device's clock; by the issuer's, for `issuer` and `operator`.
    at: Utc,
    /// What it rests on: `claim`, a device's, with the right code in it; `issuer`, which checked the
    /// code itself; or `operator`, who ended a dispute.
    #[schema(example = "claim")]
    basis: &'static str,
    /// For `claim`: what is known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    claim: Option<ReceiptClaim>,
}

/// The claim that a receipt rests on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReceiptClaim {
    device: String,
    /// Whose code it was: `recipient` or `spare`.
    #[schema(example = "recipient")]
    holder: &'static str,
    /// `typed` or `scanned`.
    means: &'static str,
    /// It was not before this: the last time of the server's that the device knew.
    not_before: Utc,
    /// It was not after this: the claim was here.
    not_after: Utc,
    /// Of the server's database, raised when it was set back: in this one the log is as it says.
    epoch: u64,
    /// The claim's number in the issuer's log.
    log: u64,
}

impl ReceiptView {
    fn new(receipt: DeliveryReceipt, document: &[u8]) -> Self {
        let (basis, claim) = match receipt.basis {
            Basis::Claim(claim) => ("claim", Some(claim)),
            Basis::Issuer => ("issuer", None),
            Basis::Operator => ("operator", None),
        };
        Self {
            receipt: write(document),
            delivery: receipt.delivery.to_string(),
            reference: receipt.reference,
            generation: receipt.generation,
            at: Utc(receipt.at),
            basis,
            claim: claim.map(|claim| ReceiptClaim {
                device: claim.device.to_string(),
                holder: match claim.holder {
                    Holder::Recipient => "recipient",
                    Holder::Spare => "spare",
                },
                means: claim.means.as_str(),
                not_before: Utc(claim.not_before),
                not_after: Utc(claim.not_after),
                epoch: claim.epoch,
                log: claim.log.seq,
            }),
        }
    }
}

/// Writes the receipt of a delivery that was delivered. Whoever has the issuer's public key can verify
/// it without this server.
#[utoipa::path(get, path = "/v1/deliveries/{id}/receipt", tag = "deliveries", operation_id = "delivery_receipt",
    security(("api_key" = [])), params(("id" = String, Path, description = "the delivery's id")),
    responses((status = 200, description = "the receipt", body = ReceiptView), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<Json<ReceiptView>, Problem> {
    let id = id_in_path(&id)?;
    let inner = Arc::clone(&context);
    let receipt = context
        .store
        .read(move |connection| {
            let delivery = deliveries::find(connection, &id)?.ok_or_else(not_found)?;
            let state = delivery.state;
            evidence::receipt(&inner, connection, &delivery)?.ok_or_else(|| {
                Problem::new(
                    Code::NotDelivered,
                    format!("the delivery is {state}, so there is no receipt"),
                )
                .hint("what devices claimed about it is in its evidence: GET /v1/deliveries/{id}/evidence")
            })
        })
        .await?;
    let document = receipt.issue(&context.keys.signing);
    Ok(Json(ReceiptView::new(receipt, &document)))
}

#[cfg(test)]
mod tests {
    use crate::http::base64url::read;
    use crate::test_server::TestServer;
    use doorstep::handover::receipt::DeliveryReceipt;
    use serde_json::{Value, json};

    /// What the receipt says, and that its signature fits.
    async fn receipt(server: &TestServer, delivery: &str) -> Value {
        let (status, shown) = server.get(&format!("/v1/deliveries/{delivery}/receipt")).await;
        assert_eq!(status, 200, "{shown}");
        let document = read("receipt", shown["receipt"].as_str().unwrap()).unwrap();
        let key = server.context.keys.signing.public();
        let read = DeliveryReceipt::verify(&document, server.context.issuer(), key).unwrap();
        assert_eq!(read.delivery.as_str(), delivery);
        shown
    }

    #[tokio::test]
    async fn a_claim_with_the_right_code_gives_a_receipt_with_its_bracket() {
        let server = TestServer::new().await;
        let mut device = server.device("Marta").await;
        let delivery = server.delivery("A").await;
        server.plan(&delivery, device.id()).await;
        let path = format!("/v1/deliveries/{delivery}/receipt");
        device.sync(&server).await;
        server.clock.advance(2 * 3600);
        server.run_jobs().await;
        let (status, problem) = server.get(&path).await;
        assert_eq!((status, &problem["code"]), (409, &json!("not_delivered")));
        let now = server.clock.now();
        device.present(&delivery, &server.code(0), now).unwrap();
        server.clock.advance(600);
        device.sync(&server).await;
        let (status, problem) = server.get(&path).await;
        assert_eq!((status, &problem["code"]), (409, &json!("not_delivered")), "not judged yet");
        server.run_jobs().await;
        let shown = receipt(&server, &delivery).await;
        assert_eq!(
            (&shown["basis"], &shown["at"]),
            (&json!("claim"), &json!("2027-01-15T10:00:00Z"))
        );
        assert_eq!(
            shown["claim"],
            json!({"device": device.id(), "holder": "recipient", "means": "typed", "epoch": 0, "log": 1,
                   "not_before": "2027-01-15T08:00:00Z", "not_after": "2027-01-15T10:10:00Z"})
        );
        assert!(!shown.to_string().contains("Ana"), "no name");
    }

    #[tokio::test]
    async fn the_issuer_s_own_check_and_an_operator_s_word_give_one_too() {
        let server = TestServer::new().await;
        let delivery = server.delivery("B").await;
        let body = json!({"mode": "online", "expected_at": "2027-01-15T08:05:00Z"});
        server.post(&format!("/v1/deliveries/{delivery}/plan"), body).await;
        server.run_jobs().await;
        let verify = format!("/v1/deliveries/{delivery}/verify");
        server.post(&verify, json!({"code": server.code(0)})).await;
        assert_eq!(receipt(&server, &delivery).await["basis"], "issuer");

        let server = TestServer::new().await;
        let (_, _, delivery) = server.disputed().await;
        let path = format!("/v1/deliveries/{delivery}/receipt");
        let (status, problem) = server.get(&path).await;
        assert_eq!((status, &problem["code"]), (409, &json!("not_delivered")), "disputed");
        let word = json!({"outcome": "delivered", "note": "seen on the doorstep"});
        server.post(&format!("/v1/disputes/{delivery}/resolve"), word).await;
        assert_eq!(receipt(&server, &delivery).await["basis"], "operator");
    }
}
