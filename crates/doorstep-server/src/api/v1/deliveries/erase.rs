//! Erases whom a delivery was for, before the time that the settings say.

use super::{DeliveryDetail, detail, id_in_path, not_found};
use crate::context::Context;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::store::deliveries::{self, State as DeliveryState};
use crate::store::{erasure, messages};
use axum::Json;
use axum::extract::{Path, State};
use std::sync::Arc;

/// Erases name, phone number, address and notes of a delivery that has ended, for ever. Its claims,
/// verdicts and events stay: they hold ids and hashes.
#[utoipa::path(post, path = "/v1/deliveries/{id}/erase", tag = "deliveries", operation_id = "erase_delivery",
    security(("api_key" = [])), params(("id" = String, Path, description = "the delivery's id")),
    responses((status = 200, description = "what is left", body = DeliveryDetail), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<Json<DeliveryDetail>, Problem> {
    let id = id_in_path(&id)?;
    let now = context.now();
    context
        .store
        .write(move |connection| {
            let delivery = deliveries::find(connection, &id)?.ok_or_else(not_found)?;
            match delivery.state {
                DeliveryState::Delivered
                | DeliveryState::Failed
                | DeliveryState::Expired
                | DeliveryState::Cancelled => {}
                DeliveryState::Created
                | DeliveryState::Planned
                | DeliveryState::HandedOut
                | DeliveryState::Notified
                | DeliveryState::Reported
                | DeliveryState::Disputed => {
                    let told =
                        format!("the delivery is {}, so somebody still needs it", delivery.state);
                    return Err(Problem::new(Code::DeliveryOpen, told)
                        .hint("cancel it first, or resolve its dispute"));
                }
            }
            if messages::any_cancelled_due(connection, &id)? {
                let told = "somebody who has a code is still to be told that it was cancelled";
                return Err(Problem::new(Code::DeliveryOpen, told)
                    .hint("erase it once that message was sent: doorstep message list shows it"));
            }
            erasure::erase_contacts(connection, &id, now)?;
            detail(connection, &id)?.map(Json).ok_or_else(not_found)
        })
        .await
}
