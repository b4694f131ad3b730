//! Makes a new set of recovery codes, shown once; the old set is void.

use super::find;
use crate::context::Context;
use crate::http::problem::{Problem, ProblemBody};
use crate::store::recovery_codes;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use doorstep::code::Code;
use doorstep::otp::recovery::{SET, derive_mac, make};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use zeroize::Zeroize as _;

/// A new set of recovery codes.
#[derive(Serialize, ToSchema)]
pub(crate) struct RecoveryCodes {
    /// The codes, each good for once. They are stored nowhere and never shown again.
    #[schema(example = json!(["7K2M-9QXD-0VTB"]))]
    codes: Vec<String>,
}

impl Drop for RecoveryCodes {
    fn drop(&mut self) {
        self.codes.zeroize();
    }
}

/// Makes ten recovery codes. Those made before are void.
#[utoipa::path(post, path = "/v1/accounts/{id}/recovery-codes", tag = "accounts",
    operation_id = "make_recovery_codes", security(("api_key" = [])),
    params(("id" = String, Path, description = "the account's id")),
    responses((status = 201, description = "the codes, shown once", body = RecoveryCodes), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<RecoveryCodes>), Problem> {
    let codes: Vec<Code> = context.with_rng(|rng| (0..SET).map(|_| make(rng)).collect());
    let shown = RecoveryCodes { codes: codes.iter().map(grouped).collect() };
    let inner = Arc::clone(&context);
    context
        .store
        .write(move |connection| {
            let account = find(connection, &id)?;
            let pepper = inner.keys.pepper();
            let mac = |code| derive_mac(pepper, account.id.as_bytes(), code);
            let macs: Vec<[u8; 32]> = codes.iter().map(mac).collect();
            Ok::<_, Problem>(recovery_codes::replace(connection, account.seq, &macs)?)
        })
        .await?;
    Ok((StatusCode::CREATED, Json(shown)))
}

/// Three groups of four.
fn grouped(code: &Code) -> String {
    let groups = code.expose().chunks(4).map(|group| group.iter().copied().map(char::from));
    groups.map(|group| group.collect::<String>()).collect::<Vec<_>>().join("-")
}
