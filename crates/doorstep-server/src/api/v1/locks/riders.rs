//! What phones may bring to a lock: the newest list of its revoked passes, and the keys that it lacks.

use super::find;
use crate::context::Context;
use crate::http::base64url::write;
use crate::http::problem::{Problem, ProblemBody};
use crate::riders;
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// What is brought to a lock.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RidersView {
    /// In base64url, in the order in which the lock is to be shown them. They are no secrets.
    documents: Vec<String>,
    bulletin: BulletinView,
    /// The newest statement about keys.
    rotation: u32,
    /// What no list can do at the moment. `list_full`: more passes are revoked than the 48 that a list names; the
    /// others open until they are over, or the list has a place again. `journal_needed`: no newer list can be made
    /// before a journal says how far the lock is; one that says it is more than 1,000 lists ahead is to be
    /// provisioned anew. `bundle_not_confirmed`: the lock was provisioned anew, and no journal shows that it has its
    /// new bundle; one without takes nothing under the lock's own keys.
    warnings: Vec<&'static str>,
}

/// The newest list of revoked passes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulletinView {
    /// Its number; 0 before the first.
    sequence: u32,
    /// How many passes it names.
    revoked: usize,
    /// How many revoked passes that may still open it does not name.
    left_out: usize,
}

impl From<riders::Riders> for RidersView {
    fn from(riders: riders::Riders) -> Self {
        let all = [
            (riders.left_out > 0 && !riders.is_stuck, "list_full"),
            (riders.is_stuck, "journal_needed"),
            (riders.is_unconfirmed, "bundle_not_confirmed"),
        ];
        Self {
            documents: riders.documents.iter().map(|document| write(document)).collect(),
            bulletin: BulletinView {
                sequence: riders.sequence,
                revoked: riders.revoked,
                left_out: riders.left_out,
            },
            rotation: riders.rotation,
            warnings: all.into_iter().filter_map(|(is, warning)| is.then_some(warning)).collect(),
        }
    }
}

/// Shows what may be brought to a lock.
#[utoipa::path(get, path = "/v1/locks/{id}/riders", tag = "locks", operation_id = "riders_of_lock",
    security(("api_key" = [])), params(("id" = String, Path, description = "the lock's id")),
    responses((status = 200, description = "what may be brought to it", body = RidersView), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json"), (status = 503, description = "the server's clock went back",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<Json<RidersView>, Problem> {
    let now = context.now();
    let inner = Arc::clone(&context);
    let riders = context
        .store
        .write(move |connection| {
            let lock = find(connection, &id)?;
            riders::make(connection, &inner, &lock, now)
        })
        .await?;
    Ok(Json(riders.into()))
}

#[cfg(test)]
mod tests {
    use crate::test_lock::seconds;
    use crate::test_pass::content;
    use crate::test_server::TestServer;
    use doorstep::pass::document::Content;
    use doorstep::pass::rider::Rider;
    use serde_json::{Value, json};

    #[tokio::test]
    async fn a_list_is_numbered_when_it_changes_and_signed_with_the_time_of_now() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let none = server.riders(&lock.id).await;
        assert_eq!(none["documents"], json!([]), "nothing is revoked, no key is new");
        assert_eq!(none["bulletin"], json!({"sequence": 0, "revoked": 0, "left_out": 0}));
        let first = server.pass(&lock.id, "10:00", "11:00", json!({})).await;
        let second = server.pass(&lock.id, "10:00", "11:00", json!({})).await;
        server.revoke_pass(&first).await;
        let one = server.riders(&lock.id).await;
        assert_eq!(one["bulletin"], json!({"sequence": 1, "revoked": 1, "left_out": 0}));
        server.clock.advance(60);
        let again = server.riders(&lock.id).await;
        assert_eq!(again["bulletin"]["sequence"], 1, "the list did not change");
        let Content::Rider(Rider::Bulletin(said)) = content(&again["documents"][0]) else {
            panic!("no list")
        };
        assert_eq!((said.issued_at.seconds(), said.sequence), (server.now(), 1));
        assert_eq!(lock.bring_riders(&one["documents"], server.now()), 1);
        assert_eq!(lock.refuses_pass(&first, seconds("10:00")), Some("revoked"));
        assert_eq!(lock.refuses_pass(&second, seconds("10:00")), None);
        server.revoke_pass(&second).await;
        let two = server.riders(&lock.id).await;
        assert_eq!(two["bulletin"], json!({"sequence": 2, "revoked": 2, "left_out": 0}));
        lock.bring_riders(&two["documents"], server.now());
        assert_eq!(lock.refuses_pass(&second, seconds("10:00")), Some("revoked"));
        assert_eq!(lock.bring_riders(&one["documents"], server.now() + 60), 0, "not rolled back");
        assert_eq!(lock.refuses_pass(&second, seconds("10:00")), Some("revoked"));
        // What is over for every clock needs no place; the list rises once more, and is empty.
        server.clock.set(seconds("12:46"));
        let over = server.riders(&lock.id).await;
        assert_eq!(over["bulletin"], json!({"sequence": 3, "revoked": 0, "left_out": 0}));
        let (status, problem) = server.get("/v1/locks/lck_0/riders").await;
        assert_eq!((status, &problem["code"]), (404, &json!("unknown_lock")));
    }

    /// The list is full: the 49th pass opens until it is over, or until another one is, and says so.
    #[tokio::test]
    async fn the_forty_ninth_waits_for_a_place() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let early = server.pass(&lock.id, "08:00", "09:00", json!({})).await;
        let mut late = Vec::new();
        for _ in 0..48 {
            late.push(server.pass(&lock.id, "10:00", "20:00", json!({})).await);
        }
        server.revoke_pass(&early).await;
        for pass in &late[..47] {
            server.revoke_pass(pass).await;
        }
        let before = server.riders(&lock.id).await;
        assert_eq!(before["bulletin"], json!({"sequence": 1, "revoked": 48, "left_out": 0}));
        server.revoke_pass(&late[47]).await;
        let full = server.riders(&lock.id).await;
        assert_eq!(full["bulletin"], json!({"sequence": 1, "revoked": 48, "left_out": 1}));
        assert_eq!(full["warnings"], json!(["list_full"]));
        let last = server.shown_pass(&late[47]).await;
        assert_eq!(last["revocation"]["takes_effect"], "at_expiry");
        let listed = server.shown_pass(&late[46]).await;
        assert_eq!(listed["revocation"]["takes_effect"], "when_list_delivered");
        lock.bring_riders(&full["documents"], server.now());
        let ten = seconds("10:00");
        assert_eq!(lock.refuses_pass(&late[47], ten), None);
        for pass in &late[..47] {
            assert_eq!(lock.refuses_pass(pass, ten), Some("revoked"), "none gave up its place");
        }
        server.clock.set(seconds("10:46"));
        let next = server.riders(&lock.id).await;
        assert_eq!(next["bulletin"], json!({"sequence": 2, "revoked": 48, "left_out": 0}));
        assert_eq!(next["warnings"], json!([]));
        lock.bring_riders(&next["documents"], server.now());
        assert_eq!(lock.refuses_pass(&late[47], seconds("10:47")), Some("revoked"));
    }

    /// A sequence that the lock could not take is never given out.
    #[tokio::test]
    async fn no_list_runs_too_far_ahead_of_the_lock() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let first = server.pass(&lock.id, "10:00", "20:00", json!({})).await;
        server.revoke_pass(&first).await;
        server.riders(&lock.id).await;
        // As if a thousand lists had been handed out, and none had arrived.
        server.execute("UPDATE bulletins SET sequence = 1000");
        let second = server.pass(&lock.id, "10:00", "20:00", json!({})).await;
        let said = server.revoke_pass(&second).await;
        assert_eq!(said["revocation"]["takes_effect"], "at_expiry");
        let stuck = server.riders(&lock.id).await;
        assert_eq!(stuck["bulletin"], json!({"sequence": 1000, "revoked": 1, "left_out": 1}));
        assert_eq!(stuck["warnings"], json!(["journal_needed"]));
        assert_eq!(lock.bring_riders(&stuck["documents"], server.now()), 1, "the last it can take");
        assert_eq!(lock.refuses_pass(&first, seconds("10:00")), Some("revoked"));
        lock.bring_home(&server).await;
        let (_, shown) = server.get(&format!("/v1/locks/{}", lock.id)).await;
        assert_eq!(shown["passes"]["bulletin"], json!({"at_lock": 1000, "latest": 1000}));
        let on = server.riders(&lock.id).await;
        assert_eq!(on["bulletin"], json!({"sequence": 1001, "revoked": 2, "left_out": 0}));
        lock.bring_riders(&on["documents"], server.now());
        assert_eq!(lock.refuses_pass(&second, seconds("10:00")), Some("revoked"));
    }

    /// A clock that was ahead for a moment holds nothing up, unless something was signed then.
    #[tokio::test]
    async fn a_time_at_which_nothing_was_signed_is_no_lock_s() {
        let server = TestServer::new().await;
        let lock = server.lock("1", json!({"kind": "courts"})).await;
        let now = server.now();
        server.clock.set(now + 6 * 86_400);
        assert_eq!(server.riders(&lock.id).await["documents"], json!([]));
        server.clock.set(now);
        let pass = server.pass(&lock.id, "10:00", "11:00", json!({})).await;
        server.revoke_pass(&pass).await;
        server.riders(&lock.id).await;
        server.clock.set(now + 6 * 86_400);
        assert_eq!(server.riders(&lock.id).await["documents"].as_array().unwrap().len(), 1);
        server.clock.set(now);
        let (status, problem) = server.try_pass(&lock.id, "10:00", "11:00", json!({})).await;
        assert_eq!((status, &problem["code"]), (503, &json!("clock_disagrees")));
        let hint = problem["hint"].as_str().unwrap();
        assert!(hint.contains("ahead then"), "{hint}");
    }

    #[tokio::test]
    async fn locks_of_a_group_hear_of_its_passes_and_small_locks_by_their_own_key() {
        let server = TestServer::new().await;
        let make = |name: &str, more: Value| {
            let mut body = json!({"site": "s", "name": name, "profile": {"kind": "courts"}});
            for (field, value) in more.as_object().unwrap() {
                body[field] = value.clone();
            }
            body
        };
        let mut first = server.lock_with(make("1", json!({"groups": ["all"]}))).await;
        let mut second = server.lock_with(make("2", json!({"groups": ["all"]}))).await;
        let mut small = server.lock_with(make("3", json!({"passes": "mac"}))).await;
        let body = json!({"group": "all", "from": crate::test_lock::at("10:00"),
            "until": crate::test_lock::at("11:00")});
        let (_, both) = server.post("/v1/passes", body).await;
        server.revoke_pass(&both).await;
        for lock in [&mut first, &mut second] {
            let riders = server.riders(&lock.id).await;
            assert_eq!(lock.bring_riders(&riders["documents"], server.now()), 1);
            assert_eq!(lock.refuses_pass(&both, seconds("10:00")), Some("revoked"));
        }
        first.bring_home(&server).await;
        let said = server.shown_pass(&both).await["revocation"].clone();
        assert_eq!(said["takes_effect"], "when_list_delivered", "the second did not say so");
        assert_eq!(said["done_at"], Value::Null);
        second.bring_home(&server).await;
        let said = server.shown_pass(&both).await["revocation"].clone();
        assert_eq!((&said["takes_effect"], said["done_at"].is_string()), (&json!("now"), true));
        let mac = server.pass(&small.id, "10:00", "11:00", json!({"kind": "mac"})).await;
        server.revoke_pass(&mac).await;
        let riders = server.riders(&small.id).await;
        assert_eq!(first.bring_riders(&riders["documents"], server.now()), 0);
        assert_eq!(small.bring_riders(&riders["documents"], server.now()), 1);
        assert_eq!(small.refuses_pass(&mac, seconds("10:00")), Some("revoked"));
        let none = server.lock_with(make("4", json!({"passes": "none"}))).await;
        let (status, problem) = server.get(&format!("/v1/locks/{}/riders", none.id)).await;
        assert_eq!((status, &problem["code"]), (422, &json!("not_taken")));
    }
}
