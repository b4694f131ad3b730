//! Lets in whoever presents a recovery code, once. It takes no attempt, so that a lockout never
//! keeps the holder of an account from it.

use super::named;
use super::outcome::Outcome;
use super::verify::make_token_for;
use crate::context::Context;
use crate::http::extract::{ApiJson, secret_text};
use crate::http::problem::{Problem, ProblemBody};
use crate::presentation::Presentation;
use crate::store::{StoreError, accounts, recovery_codes};
use axum::Json;
use axum::extract::State;
use doorstep::otp::recovery::{begin, spend};
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;
use zeroize::Zeroize as _;

/// A recovery code as it was typed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecoverAccount {
    /// The account's id, or its name.
    #[schema(example = "ana@example.com")]
    account: String,
    /// The code, in either case; spaces and hyphens in it do not matter.
    #[serde(deserialize_with = "secret_text")]
    #[schema(example = "7K2M-9QXD-0VTB")]
    code: String,
    /// Whether the device that is let in is given a token of its own.
    #[serde(default)]
    remember: bool,
}

impl Drop for RecoverAccount {
    fn drop(&mut self) {
        self.code.zeroize();
    }
}

/// Uses a recovery code.
#[utoipa::path(post, path = "/v1/accounts/recover", tag = "accounts",
    operation_id = "recover_account", security(("api_key" = [])), request_body = RecoverAccount,
    responses((status = 200, description = "granted or refused", body = Outcome), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiJson(request): ApiJson<RecoverAccount>,
) -> Result<Json<Outcome>, Problem> {
    let now = context.now();
    let inner = Arc::clone(&context);
    let outcome = context.store.write(move |db| present(&inner, db, &request, now)).await?;
    Ok(Json(outcome))
}

fn present(
    context: &Context,
    connection: &Connection,
    request: &RecoverAccount,
    now: Timestamp,
) -> Result<Outcome, Problem> {
    let account = named(&request.account).map(|named| accounts::find(connection, &named));
    let Some(account) = account.transpose()?.flatten() else {
        accounts::count_unknown(connection)?;
        return Ok(Outcome::unknown(now));
    };
    let (seq, id) = (account.seq, account.id.clone());
    let held = recovery_codes::of_account(connection, seq)?;
    let mut presentation = Presentation::begin(connection, account, None, now)?;
    let (presenter, head) = (presentation.presenter(), presentation.head());
    let pepper = context.keys.pepper();
    let begun = begin(&held, pepper, id.as_bytes(), &presenter, &request.code, now, head);
    let granted = presentation
        .run(begun, |matched, presenter, head| spend(matched, &held, presenter, now, head))?;
    let number = match granted {
        Ok(granted) => *granted.grant.found(),
        Err(refusal) => return Ok(Outcome::refused(&presentation, &refusal)),
    };
    // Read in this job as unused, so that it is still.
    if !recovery_codes::spend(connection, seq, number, now)? {
        return Err(StoreError::Corrupt { column: "recovery_codes.used_at" }.into());
    }
    let token = request.remember.then(|| make_token_for(context));
    presentation.welcome(token.as_deref())?;
    let left = held.iter().filter(|code| code.used.is_none() && code.number != number).count();
    Ok(Outcome::granted(&presentation).known_device(token).recovery_codes_left(left))
}
