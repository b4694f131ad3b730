//! Enrols an authenticator: draws its secret, and shows it once, as text and as a QR code.

use super::enrolment::{EnrolAuthenticator, Sealed};
use super::find;
use crate::api::v1::authenticators::AuthenticatorView;
use crate::context::Context;
use crate::http::extract::ApiJson;
use crate::http::problem::{Problem, ProblemBody};
use crate::store::authenticators::Kind;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use doorstep::otp::otpauth::{self, Entry};
use doorstep::otp::text::{write_base32, write_hex};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use zeroize::Zeroize as _;

/// A new authenticator, and what whoever holds it needs.
#[derive(Serialize, ToSchema)]
pub(crate) struct EnrolledAuthenticator {
    #[serde(flatten)]
    authenticator: AuthenticatorView,
    /// What is odd about it: `weak_secret` for a secret under 128 bits.
    warnings: Vec<&'static str>,
    /// Shown once. Left out for a token that was taken in as active, and has its secret already.
    #[serde(skip_serializing_if = "Option::is_none")]
    provisioning: Option<Provisioning>,
}

/// The secret, in every form in which authenticators take it. It is never shown again.
#[derive(Serialize, ToSchema)]
pub(crate) struct Provisioning {
    /// The secret in base32, in groups of four for typing.
    #[schema(example = "ABCD EFGH ...")]
    secret: String,
    /// The same in hexadecimal.
    secret_hex: String,
    /// The `otpauth` URI. OCRA has none: enter the secret and the suite by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
}

impl Drop for Provisioning {
    fn drop(&mut self) {
        self.secret.zeroize();
        self.secret_hex.zeroize();
        self.uri.zeroize();
    }
}

/// Enrols an authenticator. It takes part once it was activated by a first code.
#[utoipa::path(post, path = "/v1/accounts/{id}/authenticators", tag = "accounts",
    operation_id = "enrol_authenticator", security(("api_key" = [])),
    request_body = EnrolAuthenticator,
    params(("id" = String, Path, description = "the account's id")),
    responses((status = 201, description = "the authenticator, its secret shown once", body = EnrolledAuthenticator), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<EnrolAuthenticator>,
) -> Result<(StatusCode, Json<EnrolledAuthenticator>), Problem> {
    let enrolment = request.read(false, None, "").map_err(Problem::fields)?;
    let now = context.now();
    let sealed = enrolment.seal(&context, now)?;
    let (sealed, name, stored) = context
        .store
        .write(move |connection| {
            let account = find(connection, &id)?;
            let stored = sealed.store(connection, account.seq, now)??;
            Ok::<_, Problem>((sealed, account.name, stored))
        })
        .await?;
    let enrolment = sealed.enrolment();
    let provisioning =
        if enrolment.active { None } else { Some(provisioning(&sealed, &name, stored.kind)?) };
    let answer = EnrolledAuthenticator {
        authenticator: AuthenticatorView::from(&stored),
        warnings: enrolment.warnings.clone(),
        provisioning,
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

fn provisioning(sealed: &Sealed, account: &str, kind: Kind) -> Result<Provisioning, Problem> {
    let kind = match kind {
        Kind::Totp { totp, .. } => Some(otpauth::Kind::Totp(totp)),
        Kind::Hotp(hotp) => Some(otpauth::Kind::Hotp { hotp, counter: sealed.enrolment().counter }),
        Kind::Ocra { .. } => None,
    };
    let mut shown = Provisioning { secret: String::new(), secret_hex: String::new(), uri: None };
    let mut secret = zeroize::Zeroizing::new(String::new());
    // Writing to a text never fails.
    let _ = write_base32(&sealed.secret, &mut *secret);
    let _ = write_hex(&sealed.secret, &mut shown.secret_hex);
    shown.secret = grouped(&secret);
    if let Some(kind) = kind {
        let entry = Entry {
            issuer: sealed.enrolment().issuer.clone(),
            account: account.to_owned(),
            secret: sealed.secret.clone(),
            kind,
        };
        let uri = otpauth::write(&entry)
            .map_err(|_| Problem::field("issuer", "cannot be written so that all programs read the same; leave it out, or leave out special characters"))?;
        shown.uri = Some(uri.to_string());
    }
    Ok(shown)
}

/// Groups of four, for eyes and fingers.
fn grouped(text: &str) -> String {
    let mut grouped = String::with_capacity(text.len().saturating_mul(2));
    for (index, symbol) in text.chars().enumerate() {
        if index > 0 && index % 4 == 0 {
            grouped.push(' ');
        }
        grouped.push(symbol);
    }
    grouped
}
