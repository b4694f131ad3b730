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
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use doorstep::otp::otpauth::{self, Entry};
use doorstep::otp::text::{write_base32, write_hex};
use doorstep_qr::{Qr, SCALE};
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
    /// The URI as a QR code: SVG.
    #[serde(skip_serializing_if = "Option::is_none")]
    qr_svg: Option<String>,
    /// The same as a PNG, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    qr_png: Option<String>,
}

impl Drop for Provisioning {
    fn drop(&mut self) {
        self.secret.zeroize();
        self.secret_hex.zeroize();
        self.uri.zeroize();
        self.qr_svg.zeroize();
        self.qr_png.zeroize();
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
    let account = id.clone();
    let name = context.store.read(move |connection| find(connection, &account)).await?.name;
    // Before anything is stored: what cannot be shown is not enrolled.
    let enrolment = sealed.enrolment();
    let warnings = enrolment.warnings.clone();
    let provisioning = if enrolment.active { None } else { Some(provisioning(&sealed, &name)?) };
    let inner = Arc::clone(&context);
    let stored = context
        .store
        .write(move |connection| {
            let account = find(connection, &id)?;
            sealed.store(&inner.keys, connection, account.seq, now)?
        })
        .await?;
    let authenticator = AuthenticatorView::from(&stored);
    let answer = EnrolledAuthenticator { authenticator, warnings, provisioning };
    Ok((StatusCode::CREATED, Json(answer)))
}

fn provisioning(sealed: &Sealed, account: &str) -> Result<Provisioning, Problem> {
    let kind = match sealed.enrolment().kind {
        Kind::Totp { totp, .. } => Some(otpauth::Kind::Totp(totp)),
        Kind::Hotp(hotp) => Some(otpauth::Kind::Hotp { hotp, counter: sealed.enrolment().counter }),
        Kind::Ocra { .. } => None,
    };
    let mut shown = Provisioning {
        secret: String::new(),
        secret_hex: String::new(),
        uri: None,
        qr_svg: None,
        qr_png: None,
    };
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
        let uri = otpauth::write(&entry).map_err(|_| unwritable())?;
        let qr = Qr::of_text(&uri).map_err(|_| unwritable())?;
        shown.uri = Some(uri.to_string());
        shown.qr_svg = Some(qr.svg().to_string());
        shown.qr_png = Some(STANDARD.encode(&*qr.png(SCALE)));
    }
    Ok(shown)
}

fn unwritable() -> Problem {
    Problem::field(
        "issuer",
        "and the account's name together are too long for a QR code, or not read back by all programs",
    )
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

#[cfg(test)]
mod tests {
    use crate::test_authenticator::TestAuthenticator;
    use crate::test_server::TestServer;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use doorstep::otp::otpauth;
    use doorstep::otp::text::read_base32;
    use serde_json::{Value, json};

    #[tokio::test]
    async fn the_secret_is_shown_once_in_every_form_and_kept_sealed() {
        let server = TestServer::new().await;
        let account = server.account("Zoë@example.com").await;
        let body = json!({"kind": "totp", "label": "phone", "issuer": "Example: Ltd", "digits": 8,
                          "algorithm": "sha-256", "period": 60, "window": "current+previous"});
        let enrolled = server.enrol(&account, body).await;
        assert_eq!((&enrolled["state"], &enrolled["warnings"]), (&json!("pending"), &json!([])));
        assert_eq!(
            (&enrolled["algorithm"], &enrolled["window"]),
            (&json!("SHA256"), &json!("current+previous"))
        );
        let shown = &enrolled["provisioning"];
        let text = shown["secret"].as_str().unwrap();
        let secret = read_base32(text).unwrap().secret;
        assert_eq!((secret.expose().len(), text.len()), (20, 39), "160 bits, in groups of four");
        let (entry, warnings) = otpauth::parse(shown["uri"].as_str().unwrap()).unwrap();
        assert!(warnings.is_empty());
        assert_eq!(
            (entry.issuer.as_str(), entry.account.as_str()),
            ("Example: Ltd", "Zoë@example.com")
        );
        assert_eq!(entry.secret.expose(), secret.expose());
        let png = STANDARD.decode(shown["qr_png"].as_str().unwrap()).unwrap();
        let read = doorstep_qr::read(&png).unwrap();
        assert_eq!(read[0].as_slice(), shown["uri"].as_str().unwrap().as_bytes());
        assert!(shown["qr_svg"].as_str().unwrap().starts_with("<svg"));
        let hex = shown["secret_hex"].as_str().unwrap();
        let (_, again) = server.get(&format!("/v1/accounts/{account}")).await;
        for entry in std::fs::read_dir(server.dir.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            for secret in [secret.expose(), hex.as_bytes(), text.replace(' ', "").as_bytes()] {
                let found = bytes.windows(secret.len()).any(|window| window == secret);
                assert!(!found, "{}", path.display());
                assert!(!again.to_string().as_bytes().windows(secret.len()).any(|w| w == secret));
            }
        }
    }

    #[tokio::test]
    async fn ocra_has_no_uri_and_shows_its_suite() {
        let server = TestServer::new().await;
        let account = server.account("ana").await;
        let suite = "OCRA-1:HOTP-SHA256-8:C-QN08-PSHA1";
        let body = json!({"kind": "ocra", "suite": suite, "pin": "1234", "counter": 5});
        let enrolled = server.enrol(&account, body).await;
        assert_eq!((&enrolled["suite"], &enrolled["next_counter"]), (&json!(suite), &json!(5)));
        let shown = &enrolled["provisioning"];
        assert!(shown["secret"].is_string() && shown.get("uri").is_none());
    }

    #[tokio::test]
    async fn given_secrets_are_taken_down_to_eighty_bits_with_a_warning() {
        let server = TestServer::new().await;
        let account = server.account("ana").await;
        let path = format!("/v1/accounts/{account}/authenticators");
        let old = json!({"kind": "totp", "secret": "JBSW Y3DP EHPK 3PXP"});
        let enrolled = server.enrol(&account, old).await;
        assert_eq!(enrolled["warnings"], json!(["weak_secret"]));
        let hex = "3132333435363738393031323334353637383930";
        let token =
            json!({"kind": "hotp", "secret": hex, "encoding": "hex", "active": true, "counter": 3});
        let enrolled = server.enrol(&account, token).await;
        assert_eq!((&enrolled["state"], &enrolled["next_counter"]), (&json!("active"), &json!(3)));
        assert!(enrolled.get("provisioning").is_none(), "it has its secret already");
        assert_eq!(
            server.verify("ana", "969429").await["outcome"],
            "granted",
            "RFC 4226, counter 3"
        );
        for (secret, encoding) in [
            ("JBSWY3DPEHPK3PX", "base32"),
            ("JBSWY3DPEHPK3PX", "hex"),
            ("JBSWY3DP", "base32"),
            ("", "base32"),
            ("0189", "base32"),
            ("31", "hex"),
        ] {
            let body = json!({"kind": "totp", "secret": secret, "encoding": encoding});
            let (status, problem) = server.post(&path, body).await;
            assert_eq!(
                (status, &problem["errors"][0]["field"]),
                (422, &json!("secret")),
                "{secret}"
            );
            assert!(secret.is_empty() || !problem.to_string().contains(secret));
        }
    }

    #[tokio::test]
    async fn what_does_not_fit_the_kind_is_named_by_its_field() {
        let server = TestServer::new().await;
        let account = server.account("ana").await;
        let path = format!("/v1/accounts/{account}/authenticators");
        let ocra = |suite: &str| json!({"kind": "ocra", "suite": suite});
        for (body, field) in [
            (json!({"kind": "steam"}), "kind"),
            (json!({"label": "x"}), "kind"),
            (json!({"kind": "totp", "digits": 9}), "digits"),
            (json!({"kind": "totp", "digits": 5}), "digits"),
            (json!({"kind": "totp", "period": 0}), "period"),
            (json!({"kind": "totp", "period": 86_401}), "period"),
            (json!({"kind": "totp", "period": -30}), "period"),
            (json!({"kind": "totp", "algorithm": "md5"}), "algorithm"),
            (json!({"kind": "totp", "window": "+-11"}), "window"),
            (json!({"kind": "totp", "counter": 0}), "counter"),
            (json!({"kind": "totp", "suite": "OCRA-1:HOTP-SHA1-6:QN08"}), "suite"),
            (json!({"kind": "totp", "active": true}), "active"),
            (json!({"kind": "totp", "pin": "1"}), "pin"),
            (json!({"kind": "totp", "encoding": "hex"}), "encoding"),
            (json!({"kind": "totp", "label": "a\u{0}"}), "label"),
            (json!({"kind": "totp", "issuer": "a".repeat(65)}), "issuer"),
            (json!({"kind": "totp", "secret": 5}), "secret"),
            (json!({"kind": "hotp", "period": 30}), "period"),
            (json!({"kind": "hotp", "window": "+-1"}), "window"),
            (json!({"kind": "hotp", "counter": -1}), "counter"),
            (json!({"kind": "ocra"}), "suite"),
            (
                json!({"kind": "ocra", "suite": "OCRA-1:HOTP-SHA1-6:C-QN08-T30S", "window": "+-2"}),
                "window",
            ),
            (ocra("OCRA-2:HOTP-SHA1-6:QN08"), "suite"),
            (ocra("OCRA-1:HOTP-SHA1-0:QN08"), "suite"),
            (ocra("OCRA-1:HOTP-SHA1-4:QN08"), "suite"),
            (ocra("OCRA-1:HOTP-SHA1-6:QN08-PSHA1"), "pin"),
            (json!({"kind": "ocra", "suite": "OCRA-1:HOTP-SHA1-6:QN08", "counter": 1}), "counter"),
            (json!({"kind": "ocra", "suite": "OCRA-1:HOTP-SHA1-6:QN08", "digits": 6}), "digits"),
        ] {
            let (status, problem) = server.post(&path, body.clone()).await;
            assert_eq!((status, &problem["code"]), (422, &json!("invalid_fields")), "{body}");
            let fields: Vec<&Value> =
                problem["errors"].as_array().unwrap().iter().map(|error| &error["field"]).collect();
            assert!(fields.contains(&&json!(field)) || field == "kind", "{body} {problem}");
        }
        assert_eq!(server.query("SELECT count(*) FROM authenticators"), 0);
    }

    #[tokio::test]
    async fn what_cannot_be_shown_is_not_enrolled() {
        let server = TestServer::new().await;
        let account = server.account(&"山".repeat(120)).await;
        let path = format!("/v1/accounts/{account}/authenticators");
        let long = json!({"kind": "totp", "issuer": "山".repeat(64)});
        let (status, problem) = server.post(&path, long).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("issuer")), "{problem}");
        assert_eq!(server.query("SELECT count(*) FROM authenticators"), 0);
        let spaced = server.enrol(&account, json!({"kind": "totp", "issuer": " Example "})).await;
        let (entry, _) = otpauth::parse(spaced["provisioning"]["uri"].as_str().unwrap()).unwrap();
        assert_eq!(entry.issuer, "Example");
    }

    #[tokio::test]
    async fn an_account_has_eight_at_most_and_disabled_ones_are_not_counted() {
        let server = TestServer::new().await;
        let account = server.account("ana").await;
        let mut last = Value::Null;
        for _ in 0..8 {
            last = server.enrol(&account, json!({"kind": "totp"})).await;
        }
        let path = format!("/v1/accounts/{account}/authenticators");
        let (status, problem) = server.post(&path, json!({"kind": "totp"})).await;
        assert_eq!((status, &problem["code"]), (409, &json!("too_many_authenticators")));
        let id = TestAuthenticator::of(&last).id;
        server.answer(&format!("/v1/authenticators/{id}/disable"), json!(null)).await;
        server.enrol(&account, json!({"kind": "totp"})).await;
    }

    #[tokio::test]
    async fn one_that_nobody_activates_is_forgotten_after_a_day() {
        let server = TestServer::new().await;
        let (account, phone) = server.enrolled("ana").await;
        let pending = TestAuthenticator::of(&server.enrol(&account, json!({"kind": "totp"})).await);
        let ocra = json!({"kind": "ocra", "suite": "OCRA-1:HOTP-SHA1-6:QN08"});
        let id = server.enrol(&account, ocra).await["id"].as_str().unwrap().to_owned();
        server.post(&format!("/v1/authenticators/{id}/challenges"), json!({})).await;
        server.clock.advance(24 * 3600);
        server.run_jobs().await;
        assert_eq!(server.query("SELECT count(*) FROM authenticators"), 3);
        server.clock.advance(1);
        server.run_jobs().await;
        assert_eq!(server.query("SELECT count(*) FROM authenticators"), 1);
        assert_eq!(server.query("SELECT count(*) FROM challenges"), 0);
        let path = format!("/v1/authenticators/{}/activate", pending.id);
        let body = json!({"code": pending.code_at(server.now())});
        assert_eq!(server.post(&path, body).await.1["code"], "authenticator_not_found");
        assert_eq!(server.verify("ana", &phone.code_at(server.now())).await["outcome"], "granted");
    }
}
