//! Takes in many authenticators at once, with the secrets they have already: hardware tokens, or those
//! of another system. All of them or none.

use super::enrolment::{EnrolAuthenticator, Sealed};
use crate::context::Context;
use crate::http::extract::{ApiJson, parse_json};
use crate::http::problem::{Code, FieldError, Problem, ProblemBody};
use crate::ids::make_id;
use crate::keys::Keys;
use crate::store::StoreError;
use crate::store::accounts::{self, Named};
use crate::text;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use utoipa::ToSchema;

const MAX_ROWS: usize = 5000;

/// Authenticators to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportAccounts {
    /// 1 to 5,000 authenticators.
    // Kept raw at first, so that an error in one names its row.
    #[schema(value_type = Vec<ImportAccount>, min_items = 1, max_items = 5000)]
    rows: Vec<Box<RawValue>>,
}

/// One authenticator and the account it is for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportAccount {
    /// The account's name. It is made if it is not there; several rows may name one.
    #[schema(example = "ana@example.com")]
    account: String,
    /// The authenticator, which needs its secret. It is active unless that says otherwise.
    authenticator: EnrolAuthenticator,
}

/// What became of an import.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImportedAccounts {
    /// How many authenticators were taken in: all.
    imported: usize,
    /// How many accounts were made for them.
    accounts_made: usize,
    /// The authenticators' ids, in the order of the request.
    ids: Vec<String>,
    /// What is odd about some rows.
    warnings: Vec<RowWarning>,
}

/// Something odd that did not stop the import.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RowWarning {
    /// The 0-based index in the list.
    row: usize,
    /// `weak_secret` for a secret under 128 bits.
    #[schema(example = "weak_secret")]
    code: &'static str,
}

/// A row that was read, its secret sealed.
struct Row {
    /// Drawn for the case that the account is not there yet.
    id: String,
    name: (String, String),
    sealed: Sealed,
}

/// Takes in many authenticators, all or none. Errors name the row (from 0) and the field.
#[utoipa::path(post, path = "/v1/accounts/import", tag = "accounts",
    operation_id = "import_accounts", security(("api_key" = [])), request_body = ImportAccounts,
    responses((status = 201, description = "all were taken in", body = ImportedAccounts), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiJson(request): ApiJson<ImportAccounts>,
) -> Result<(StatusCode, Json<ImportedAccounts>), Problem> {
    let count = request.rows.len();
    if !(1..=MAX_ROWS).contains(&count) {
        let message = format!("has {count} entries, not 1 to {MAX_ROWS}");
        return Err(Problem::field("rows", message).hint("send more of them in several requests"));
    }
    let now = context.now();
    let (mut rows, mut warnings, mut errors) = (Vec::with_capacity(count), Vec::new(), Vec::new());
    for (index, raw) in request.rows.iter().enumerate() {
        match read(&context, index, raw.get(), now)? {
            Ok(row) => {
                let odd = row.sealed.enrolment().warnings.iter();
                warnings.extend(odd.map(|code| RowWarning { row: index, code }));
                rows.push(row);
            }
            Err(more) => errors.extend(more),
        }
    }
    if !errors.is_empty() {
        return Err(Problem::fields(errors));
    }
    let inner = Arc::clone(&context);
    let (ids, accounts_made) = context
        .store
        .write(move |connection| insert_all(&inner.keys, connection, &rows, now))
        .await?;
    let answer = ImportedAccounts { imported: ids.len(), accounts_made, ids, warnings };
    Ok((StatusCode::CREATED, Json(answer)))
}

fn read(
    context: &Context,
    index: usize,
    raw: &str,
    now: Timestamp,
) -> Result<Result<Row, Vec<FieldError>>, Problem> {
    let parsed = match parse_json::<ImportAccount>(raw.as_bytes(), Some(index)) {
        Ok(parsed) => parsed,
        Err(problem) => return Ok(Err(problem.into_fields())),
    };
    let mut errors = Vec::new();
    let mut fault = |field: &str, message: String| {
        errors.push(FieldError { row: Some(index), field: field.to_owned(), message });
    };
    let name = text::account_name(&parsed.account)
        .map_err(|error| fault("account", error.to_string()))
        .ok();
    let enrolment = parsed.authenticator.read(true, Some(index), "authenticator.");
    if enrolment.as_ref().is_ok_and(|enrolment| enrolment.secret.is_none()) {
        fault("authenticator.secret", "is missing".to_owned());
    }
    let enrolment = enrolment.map_err(|more| errors.extend(more)).ok();
    match (name, enrolment) {
        (Some(name), Some(enrolment)) if errors.is_empty() => {
            let id = context.with_rng(|rng| make_id("acc", now, rng));
            Ok(Ok(Row { id, name, sealed: enrolment.seal(context, now)? }))
        }
        _ => Ok(Err(errors)),
    }
}

fn insert_all(
    keys: &Keys,
    connection: &Connection,
    rows: &[Row],
    now: Timestamp,
) -> Result<(Vec<String>, usize), Problem> {
    let (mut ids, mut accounts_made, mut errors) = (Vec::with_capacity(rows.len()), 0, Vec::new());
    for (index, row) in rows.iter().enumerate() {
        let found = accounts::find(connection, &Named::Key(row.name.1.clone()))?;
        let account = match found {
            Some(account) => account.seq,
            None => {
                accounts_made += 1;
                let made = super::insert(connection, &row.id, &row.name, now)?;
                made.ok_or(StoreError::Corrupt { column: "accounts.name_key" })?
            }
        };
        match row.sealed.store(keys, connection, account, now)? {
            Ok(authenticator) => ids.push(authenticator.id),
            Err(problem) => {
                let field = match problem.code() {
                    Code::DuplicateSecret => "authenticator.secret",
                    _ => "account",
                };
                errors.push(FieldError {
                    row: Some(index),
                    field: field.to_owned(),
                    message: problem.into_detail(),
                });
            }
        }
    }
    if !errors.is_empty() {
        // An error takes the whole job back, so no row stays behind.
        return Err(Problem::fields(errors));
    }
    Ok((ids, accounts_made))
}

#[cfg(test)]
mod tests {
    use crate::test_authenticator::hotp;
    use crate::test_server::TestServer;
    use serde_json::{Value, json};

    const HEX: &str = "3132333435363738393031323334353637383930";

    fn row(account: &str, label: &str) -> Value {
        json!({"account": account,
               "authenticator": {"kind": "hotp", "label": label, "secret": HEX, "encoding": "hex"}})
    }

    /// With a secret of its own.
    fn other(account: &str, n: u8) -> Value {
        let mut row = row(account, &n.to_string());
        row["authenticator"]["secret"] = json!(format!("{n:02x}").repeat(20));
        row
    }

    #[tokio::test]
    async fn tokens_are_taken_in_with_their_accounts_and_are_active() {
        let server = TestServer::new().await;
        server.account("Ana").await;
        let mut old = row("bo", "old app");
        old["authenticator"] = json!({"kind": "totp", "secret": "JBSWY3DPEHPK3PXP"});
        let rows = json!({"rows": [row("ana", "T-1"), other("ANA", 2), old]});
        let (status, made) = server.post("/v1/accounts/import", rows).await;
        assert_eq!(
            (status, &made["imported"], &made["accounts_made"]),
            (201, &json!(3), &json!(1))
        );
        assert_eq!(made["warnings"], json!([{"row": 2, "code": "weak_secret"}]), "{made}");
        assert_eq!(server.verify("ana", &hotp(HEX, 0)).await["outcome"], "granted");
        assert_eq!(server.query("SELECT count(*) FROM accounts"), 2);
    }

    #[tokio::test]
    async fn one_secret_is_enrolled_once_in_an_account() {
        let server = TestServer::new().await;
        let twin = |row: usize| json!({"rows": [other("ana", 1), other("ana", 2), row_of(row)]});
        fn row_of(n: usize) -> Value {
            [row("ana", "T-1"), other("ANA", 1), other("bo", 1)][n].clone()
        }
        let (status, problem) = server.post("/v1/accounts/import", twin(1)).await;
        assert_eq!(status, 422, "{problem}");
        let error = &problem["errors"][0];
        assert_eq!(
            (&error["row"], &error["field"]),
            (&json!(2), &json!("authenticator.secret")),
            "{problem}"
        );
        assert_eq!(server.query("SELECT count(*) FROM accounts"), 0);
        assert_eq!(server.post("/v1/accounts/import", twin(2)).await.0, 201, "of two people");
        let (status, problem) = server.post("/v1/accounts/import", twin(0)).await;
        assert_eq!((status, &problem["errors"][0]["row"]), (422, &json!(0)), "imported again");
        assert!(problem["errors"][0]["message"].as_str().unwrap().contains("aut_"), "{problem}");
        let file = json!({"rows": [row("ana", "T-1")]});
        assert_eq!(server.post("/v1/accounts/import", file.clone()).await.0, 201);
        let (_, shown) = server.get("/v1/accounts?name=ana").await;
        let id = shown["data"][0]["id"].as_str().unwrap().to_owned();
        assert_eq!(server.verify("ana", &hotp(HEX, 0)).await["outcome"], "granted");
        // By every way in, in every spelling and in every state of the first.
        let path = format!("/v1/accounts/{id}/authenticators");
        let base32 = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        for kind in [
            json!({"kind": "hotp", "secret": base32}),
            json!({"kind": "hotp", "secret": base32, "active": true, "digits": 8}),
            json!({"kind": "totp", "secret": base32, "window": "+-10"}),
            json!({"kind": "ocra", "secret": base32, "suite": "OCRA-1:HOTP-SHA1-6:QN08"}),
        ] {
            let (status, problem) = server.post(&path, kind).await;
            assert_eq!((status, &problem["code"]), (409, &json!("duplicate_secret")));
            assert!(!problem.to_string().contains(base32));
        }
        server.execute("UPDATE authenticators SET state = 'disabled'");
        assert_eq!(server.post("/v1/accounts/import", file.clone()).await.0, 422, "disabled");
        server.execute("UPDATE authenticators SET state = 'pending'");
        assert_eq!(server.post("/v1/accounts/import", file).await.0, 422, "pending");
        assert_eq!(server.verify("ana", &hotp(HEX, 0)).await["outcome"], "refused");
    }

    #[tokio::test]
    async fn one_bad_row_keeps_all_out_and_is_named() {
        let server = TestServer::new().await;
        let mut short = row("c", "");
        short["authenticator"]["secret"] = json!("3132");
        let mut none = row("c", "");
        none["authenticator"].as_object_mut().unwrap().remove("secret");
        none["authenticator"].as_object_mut().unwrap().remove("encoding");
        let mut digits = row("c", "");
        digits["authenticator"]["digits"] = json!(9);
        let mut number = row("c", "");
        number["authenticator"]["secret"] = json!(5);
        for (bad, field) in [
            (short, "authenticator.secret"),
            (none, "authenticator.secret"),
            (number, "authenticator.secret"),
            (digits, "authenticator.digits"),
            (row("", ""), "account"),
            (row("acc_1", ""), "account"),
            (json!(7), "."),
        ] {
            let rows = json!({"rows": [row("a", "1"), row("b", "2"), bad]});
            let (status, problem) = server.post("/v1/accounts/import", rows).await;
            assert_eq!(status, 422, "{problem}");
            assert_eq!(
                (&problem["errors"][0]["row"], &problem["errors"][0]["field"]),
                (&json!(2), &json!(field))
            );
            assert!(!problem.to_string().contains(HEX));
        }
        let nine: Vec<Value> = (0..9).map(|n| other("a", n)).collect();
        let (status, problem) = server.post("/v1/accounts/import", json!({"rows": nine})).await;
        assert_eq!((status, &problem["errors"][0]["row"]), (422, &json!(8)), "{problem}");
        for rows in [json!({"rows": []}), json!({"rows": {}}), json!([])] {
            assert_eq!(server.post("/v1/accounts/import", rows).await.0, 422);
        }
        for count in [0, 5001] {
            let rows = json!({"rows": vec![0; count]});
            let (status, problem) = server.post("/v1/accounts/import", rows).await;
            assert_eq!((status, problem["hint"].is_string()), (422, true), "{problem}");
        }
        assert_eq!(server.query("SELECT count(*) FROM accounts"), 0);
    }
}
