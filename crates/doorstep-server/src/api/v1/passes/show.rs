//! Shows one pass, with its document if that is asked for.

use super::find;
use super::view::PassView;
use crate::context::Context;
use crate::http::extract::ApiQuery;
use crate::http::problem::{Problem, ProblemBody};
use crate::passes::{self, Place};
use crate::store::passes as stored;
use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use std::sync::Arc;

/// What is to be shown of a pass.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ShowPass {
    /// Whether its document is shown as well: signed anew, with the time of now, under the same id.
    #[serde(default)]
    document: bool,
}

/// Shows a pass.
#[utoipa::path(get, path = "/v1/passes/{id}", tag = "passes", operation_id = "show_pass",
    security(("api_key" = [])), params(("id" = String, Path, description = "the pass's id"), ShowPass),
    responses((status = 200, description = "the pass", body = PassView), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json"), (status = 503, description = "the server's clock went back",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    ApiQuery(query): ApiQuery<ShowPass>,
) -> Result<Json<PassView>, Problem> {
    let now = context.now();
    if !query.document {
        let read = move |connection: &rusqlite::Connection| {
            Ok::<_, Problem>(PassView::new(connection, &find(connection, &id)?, now)?)
        };
        return Ok(Json(context.store.read(read).await?));
    }
    let inner = Arc::clone(&context);
    let view = context
        .store
        .write(move |connection| {
            let pass = find(connection, &id)?;
            let place = Place::of(connection, pass.place)?;
            let document = passes::document(connection, &inner, &pass, &place, now)?;
            let pass = stored::at(connection, pass.seq)?;
            PassView::at(connection, &pass, &place, now)?.with_document(&document, pass.is_bearer())
        })
        .await?;
    Ok(Json(view))
}

#[cfg(test)]
mod tests {
    use crate::test_lock::{at, seconds};
    use crate::test_pass::{bytes, content};
    use crate::test_server::TestServer;
    use doorstep::pass::claims::Pass;
    use doorstep::pass::document::Content;
    use serde_json::{Value, json};

    #[tokio::test]
    async fn a_document_is_made_anew_and_counts_under_the_same_id() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let pass = server.pass(&lock.id, "10:00", "11:00", json!({"uses": "once"})).await;
        server.clock.advance(3600);
        let path = format!("/v1/passes/{}", pass["id"].as_str().unwrap());
        let (_, again) = server.get(&format!("{path}?document=true")).await;
        assert_ne!(bytes(&again["document"]), bytes(&pass["document"]));
        let Content::Pass(said) = content(&again["document"]) else { panic!("a rider") };
        assert_eq!(said.issued_at.unwrap().seconds(), server.now(), "it carries the time of now");
        lock.tap(&again, seconds("10:00")).unwrap();
        assert_eq!(lock.refuses_pass(&pass, seconds("10:00")), Some("already_used"));
        server.clock.set(seconds("11:00"));
        let (status, problem) = server.get(&format!("{path}?document=true")).await;
        assert_eq!((status, &problem["code"]), (409, &json!("pass_over")));
        assert_eq!(server.get(&path).await.0, 200);
    }

    #[tokio::test]
    async fn what_is_nobodys_or_revoked_is_not_handed_out() {
        let server = TestServer::new().await;
        let lock = server.lock("1", json!({"kind": "courts"})).await;
        let waiting = server.pass(&lock.id, "10:00", "11:00", json!({"holder": "collect"})).await;
        assert!(waiting.get("document").is_none() && waiting["ticket"].is_string());
        let revoked = server.pass(&lock.id, "10:00", "11:00", json!({})).await;
        server.revoke_pass(&revoked).await;
        for (pass, code) in [(&waiting, "pass_waiting"), (&revoked, "pass_revoked")] {
            let path = format!("/v1/passes/{}?document=true", pass["id"].as_str().unwrap());
            let (status, problem) = server.get(&path).await;
            assert_eq!((status, &problem["code"]), (409, &json!(code)));
        }
        for id in ["0", "0011223344556677", "zz11223344556677", "001122334455667788"] {
            let (status, problem) = server.get(&format!("/v1/passes/{id}")).await;
            assert_eq!((status, &problem["code"]), (404, &json!("unknown_pass")));
        }
        let shown = server.shown_pass(&waiting).await;
        assert!(shown.get("ticket").is_none(), "it is shown once");
    }

    /// Whoever has the key that passes are signed with may take any id, for any lock.
    #[tokio::test]
    async fn openings_of_other_locks_under_its_id_are_no_uses_of_a_pass() {
        let server = TestServer::new().await;
        let body = |name| json!({"site": "s", "name": name, "profile": {"kind": "courts"}, "groups": ["all"]});
        let mut own = server.lock_with(body("1")).await;
        let mut other = server.lock_with(body("2")).await;
        let pass = server.pass(&own.id, "10:00", "11:00", json!({})).await;
        let group = json!({"group": "all", "from": at("10:00"), "until": at("11:00")});
        let (_, shared) = server.post("/v1/passes", group).await;
        let keys = server.context.store.read(crate::store::pass_keys::all).await.unwrap();
        let key = crate::pass_keys::open(&server.context.keys, &keys[0]).unwrap();
        let Content::Pass(said) = content(&pass["document"]) else { panic!("a rider") };
        let audience = Some(*other.door.reader().unwrap().name());
        let forged = key.sign(&Content::Pass(Pass { audience, ..said })).unwrap();
        let (ten, later) = (seconds("10:00"), seconds("10:10"));
        server.clock.set(later);
        other.present(forged.as_ref(), None, ten).unwrap();
        other.tap(&shared, later).unwrap();
        other.bring_home(&server).await;
        let shown = server.shown_pass(&pass).await;
        assert_eq!((&shown["uses_seen"], &shown["first_used_at"]), (&json!(0), &Value::Null));
        own.tap(&pass, later).unwrap();
        own.tap(&shared, later + 1).unwrap();
        server.clock.set(later + 1);
        own.bring_home(&server).await;
        let shown = server.shown_pass(&pass).await;
        assert_eq!(
            (&shown["uses_seen"], &shown["first_used_at"]),
            (&json!(1), &json!(at("10:10")))
        );
        assert_eq!(server.shown_pass(&shared).await["uses_seen"], 2, "both are of the group");
    }
}
