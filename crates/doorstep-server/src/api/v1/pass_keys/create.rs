//! Makes a key for passes, ends the ones before it, and states both under the root.

use super::{PassKeyList, shown};
use crate::context::Context;
use crate::http::extract::ApiJson;
use crate::http::problem::{Problem, ProblemBody};
use crate::pass_keys;
use crate::store::pass_keys::Algorithm;
use crate::utc;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// A key to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreatePassKey {
    /// `ed25519` or `esp256`.
    #[schema(example = "ed25519")]
    algorithm: String,
    /// From when on it signs; now when left out or past.
    #[serde(default)]
    from: Option<String>,
    /// When the keys of its algorithm that sign before it end, which ends the passes that they signed as well; now
    /// if it is past. Without it they go on.
    #[serde(default)]
    ends_old: Option<String>,
}

/// Makes a key. Locks hear of it by riders; until they do, passes are signed with a key that they have, as long as
/// there is one.
#[utoipa::path(post, path = "/v1/pass_keys", tag = "passes", operation_id = "create_pass_key",
    security(("api_key" = [])), request_body = CreatePassKey,
    responses((status = 201, description = "all keys", body = PassKeyList), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json"), (status = 503, description = "the root is not on this machine, or the server's clock went back",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiJson(request): ApiJson<CreatePassKey>,
) -> Result<(StatusCode, Json<PassKeyList>), Problem> {
    let now = context.now();
    let algorithm = Algorithm::parse(&request.algorithm)
        .map_err(|()| Problem::field("algorithm", "is none of ed25519, esp256"))?;
    let read = |field: &str, text: Option<&str>| {
        let time = text.map(utc::read).transpose();
        time.map(|time| time.map(|time| time.max(now)))
            .map_err(|error| Problem::field(field, error))
    };
    let from = read("from", request.from.as_deref())?.filter(|from| *from > now);
    let ends_old = read("ends_old", request.ends_old.as_deref())?;
    if ends_old.zip(from).is_some_and(|(end, from)| end < from) {
        return Err(Problem::field("ends_old", "is before the new key begins"));
    }
    let key =
        context.with_rng(|rng| pass_keys::make(&context.keys, algorithm, (from, now), rng))?;
    let inner = Arc::clone(&context);
    let list = context
        .store
        .write(move |connection| {
            pass_keys::rotate(connection, &inner, &key, ends_old, now)?;
            shown(connection, &inner, now)
        })
        .await?;
    Ok((StatusCode::CREATED, Json(list)))
}

#[cfg(test)]
mod tests {
    use crate::test_lock::{at, seconds};
    use crate::test_pass::{bytes, content};
    use crate::test_server::TestServer;
    use doorstep::pass::document::Content;
    use doorstep::pass::rider::Rider;
    use doorstep::refusal::Refusal;
    use serde_json::{Value, json};

    async fn rotate(server: &TestServer, body: Value) -> Value {
        let (status, keys) = server.post("/v1/pass_keys", body).await;
        assert_eq!(status, 201, "{keys}");
        keys
    }

    fn warnings(pass: &Value) -> &Value {
        &pass["warnings"]
    }

    #[tokio::test]
    async fn a_pass_is_signed_with_a_key_that_its_lock_has_until_there_is_none() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        server.clock.advance(60);
        let keys = rotate(&server, json!({"algorithm": "ed25519"})).await;
        assert_eq!((&keys["rotation"], &keys["locks"]), (&json!(1), &json!(1)));
        assert_eq!(keys["data"][0]["at_locks"], 1);
        assert_eq!(
            (&keys["data"][1]["at_locks"], &keys["data"][1]["state"]),
            (&json!(0), &json!("signing"))
        );
        // The lock has not heard of the new key: the old one signs, and the paper opens.
        let paper = server.pass(&lock.id, "10:00", "11:00", json!({})).await;
        assert_eq!(warnings(&paper), &json!([]));
        assert_eq!(lock.refuses_pass(&paper, seconds("10:00")), None);
        let end = at("12:00");
        rotate(&server, json!({"algorithm": "ed25519", "ends_old": end})).await;
        let before = server.pass(&lock.id, "10:00", "11:00", json!({})).await;
        assert_eq!(warnings(&before), &json!([]), "the old one still signs, and ends after it");
        let after = server.pass(&lock.id, "10:00", "11:46", json!({})).await;
        assert_eq!(warnings(&after), &json!(["key_not_at_lock"]));
        assert_eq!(lock.refuses_pass(&after, seconds("10:00")), Some("wrong_code"), "on paper");
        let riders = server.riders(&lock.id).await;
        assert_eq!(lock.bring_riders(&riders["documents"], server.now()), 4, "{riders}");
        assert_eq!(lock.refuses_pass(&after, seconds("10:00")), None, "a phone brought the key");
        assert_eq!(lock.refuses_pass(&paper, seconds("10:00")), None);
        lock.bring_home(&server).await;
        assert_eq!(warnings(&server.shown_pass(&after).await), &json!([]));
        let (_, shown) = server.get(&format!("/v1/locks/{}", lock.id)).await;
        assert_eq!(shown["passes"]["rotation"], json!({"at_lock": 4, "latest": 4}), "{shown}");
        assert_eq!(server.riders(&lock.id).await["documents"], json!([]), "it lacks nothing");
        server.clock.set(seconds("12:00"));
        let late = server.pass(&lock.id, "12:00", "13:00", json!({})).await;
        lock.tap(&late, seconds("12:00")).unwrap();
        let (_, keys) = server.get("/v1/pass_keys").await;
        let states: Vec<_> =
            keys["data"].as_array().unwrap().iter().map(|key| &key["state"]).collect();
        assert_eq!(states, ["ended", "ended", "signing"]);
    }

    /// Whoever holds the old bundle has neither the keys nor the root of the new one.
    #[tokio::test]
    async fn a_bundle_that_may_not_be_at_its_lock_is_told_of_until_a_journal_comes() {
        let server = TestServer::new().await;
        let old = server.lock("1", json!({"kind": "courts"})).await;
        let ten = seconds("10:00");
        rotate(&server, json!({"algorithm": "ed25519"})).await;
        let (_, made) = server.post(&format!("/v1/locks/{}/provision", old.id), json!({})).await;
        let new = crate::test_lock::TestLock::install(&made, server.now());
        let mut passes = Vec::new();
        for kind in ["signed", "mac", "encrypted"] {
            let pass = server.pass(&old.id, "10:00", "11:00", json!({"kind": kind})).await;
            assert_eq!(warnings(&pass), &json!(["bundle_not_confirmed"]), "{kind}");
            assert_eq!(old.refuses_pass(&pass, ten), Some("wrong_code"), "{kind}");
            assert_eq!(new.refuses_pass(&pass, ten), None, "{kind}");
            passes.push(pass);
        }
        let said = server.riders(&old.id).await;
        assert_eq!(said["warnings"], json!(["bundle_not_confirmed"]));
        new.bring_home(&server).await;
        for pass in &passes {
            assert_eq!(warnings(&server.shown_pass(pass).await), &json!([]));
        }
        assert_eq!(server.riders(&old.id).await["warnings"], json!([]));
    }

    #[tokio::test]
    async fn a_key_that_is_ended_now_ends_its_passes_where_it_is_heard() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let stolen = server.pass(&lock.id, "08:00", "18:00", json!({})).await;
        server.clock.advance(600);
        let body = json!({"algorithm": "ed25519", "ends_old": at("08:00")});
        rotate(&server, body).await;
        assert_eq!(
            warnings(&server.shown_pass(&stolen).await),
            &json!(["key_not_at_lock", "hand_out_anew"]).clone()
        );
        assert_eq!(lock.refuses_pass(&stolen, server.now()), None, "nothing reached the lock");
        let riders = server.riders(&lock.id).await;
        assert_eq!(lock.bring_riders(&riders["documents"], server.now()), 2);
        assert_eq!(lock.refuses_pass(&stolen, server.now() + 5), Some("wrong_code"));
        let path = format!("/v1/passes/{}?document=true", stolen["id"].as_str().unwrap());
        let (_, anew) = server.get(&path).await;
        lock.tap(&anew, server.now() + 5).unwrap();
        // A lock that is provisioned now begins with the new key alone.
        let (_, made) = server.post(&format!("/v1/locks/{}/provision", lock.id), json!({})).await;
        let mut fresh = crate::test_lock::TestLock::install(&made, server.now());
        assert_eq!(fresh.refuses_pass(&stolen, server.now()), Some("wrong_code"));
        assert_eq!(
            fresh.bring_riders(&riders["documents"], server.now() + 2),
            0,
            "nothing is replayed"
        );
        fresh.tap(&anew, server.now() + 9).unwrap();
    }

    #[tokio::test]
    async fn both_algorithms_sign_and_neither_ends_the_other() {
        let server = TestServer::new().await;
        let early = server.lock("1", json!({"kind": "courts"})).await;
        server.clock.advance(60);
        rotate(&server, json!({"algorithm": "esp256", "ends_old": at("09:00")})).await;
        let late = server.lock("2", json!({"kind": "courts"})).await;
        let more = json!({"algorithm": "esp256"});
        let unheard = server.pass(&early.id, "10:00", "11:00", more.clone()).await;
        assert_eq!(warnings(&unheard), &json!(["key_not_at_lock"]));
        let mut late = late;
        let pass = server.pass(&late.id, "10:00", "11:00", more).await;
        assert_eq!(warnings(&pass), &json!([]));
        late.tap(&pass, seconds("10:00")).unwrap();
        let plain = server.pass(&late.id, "10:00", "11:00", json!({})).await;
        assert_eq!(warnings(&plain), &json!([]), "it did not end");
        late.tap(&plain, seconds("10:00")).unwrap();
    }

    #[tokio::test]
    async fn a_key_to_come_signs_from_its_time_on() {
        let server = TestServer::new().await;
        let body = json!({"algorithm": "ed25519", "from": at("10:00"), "ends_old": at("11:00")});
        let keys = rotate(&server, body).await;
        assert_eq!((&keys["data"][1]["state"], &keys["rotation"]), (&json!("coming"), &json!(2)));
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let soon = server.pass(&lock.id, "08:00", "12:00", json!({})).await;
        assert_eq!(warnings(&soon), &json!(["key_ends_first"]));
        server.clock.set(seconds("10:00"));
        let pass = server.pass(&lock.id, "10:00", "12:00", json!({})).await;
        assert_eq!(warnings(&pass), &json!([]));
        lock.tap(&pass, seconds("11:30")).unwrap();
        assert_eq!(lock.refuses_pass(&soon, seconds("11:30")), Some("wrong_code"), "its key ended");
    }

    #[tokio::test]
    async fn keys_are_few_and_none_that_signs_is_forgotten() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        rotate(&server, json!({"algorithm": "esp256"})).await;
        rotate(&server, json!({"algorithm": "ed25519"})).await;
        let (status, problem) = server.post("/v1/pass_keys", json!({"algorithm": "ed25519"})).await;
        assert_eq!((status, &problem["code"]), (409, &json!("too_many_keys")));
        // Eight times over, and the P-256 key, which signs all the time, is still at the lock.
        for round in 1..9 {
            server.clock.advance(600);
            let now = crate::utc::write(doorstep::time::Timestamp::from_seconds(server.now()));
            rotate(&server, json!({"algorithm": "ed25519", "ends_old": now})).await;
            lock.wait_until(server.now());
            let riders = server.riders(&lock.id).await;
            let all = riders["documents"].as_array().unwrap();
            for (place, one) in all.iter().enumerate() {
                let at = server.now() + 2 * u64::try_from(place).unwrap();
                // What it has already it needs not; nobody told the server that it has.
                let brought = lock.present(&bytes(one), None, at);
                assert!(
                    matches!(brought, Ok(()) | Err(Refusal::AlreadyUsed { .. })),
                    "{brought:?}"
                );
            }
            server.clock.advance(60);
            for algorithm in ["ed25519", "esp256"] {
                let more = json!({"algorithm": algorithm});
                let pass = server.pass(&lock.id, "08:00", "20:00", more).await;
                assert_eq!(lock.refuses_pass(&pass, server.now()), None, "{round} {algorithm}");
            }
            if round % 3 == 0 {
                lock.bring_home(&server).await;
            }
        }
    }

    #[tokio::test]
    async fn without_the_root_nothing_is_stated_and_all_else_works() {
        let server = TestServer::new().await;
        let root = server.dir.path().join("keys/pass-root.key");
        let kept = std::fs::read(&root).unwrap();
        std::fs::remove_file(&root).unwrap();
        let server = server.restart();
        let (status, problem) = server.post("/v1/pass_keys", json!({"algorithm": "ed25519"})).await;
        assert_eq!((status, &problem["code"]), (503, &json!("root_missing")));
        let (_, keys) = server.get("/v1/pass_keys").await;
        assert_eq!((&keys["root_is_here"], &keys["rotation"]), (&json!(false), &json!(0)));
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let pass = server.pass(&lock.id, "10:00", "11:00", json!({})).await;
        lock.tap(&pass, seconds("10:00")).unwrap();
        assert!(!root.exists(), "none is made anew");
        std::fs::write(&root, kept).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        let keys = rotate(&server, json!({"algorithm": "ed25519"})).await;
        assert_eq!((&keys["root_is_here"], &keys["rotation"]), (&json!(true), &json!(1)));
        let riders = server.riders(&lock.id).await;
        let Content::Rider(Rider::Rotation(said)) = content(&riders["documents"][0]) else {
            panic!("no statement")
        };
        assert_eq!((said.sequence, said.issued_at.seconds()), (1, server.now()));
    }

    #[tokio::test]
    async fn what_is_no_key_is_refused() {
        let server = TestServer::new().await;
        for (body, field) in [
            (json!({"algorithm": "rsa"}), "algorithm"),
            (json!({"algorithm": "ed25519", "from": "soon"}), "from"),
            (json!({"algorithm": "ed25519", "ends_old": "2027"}), "ends_old"),
            (
                json!({"algorithm": "ed25519", "from": at("10:00"), "ends_old": at("09:59")}),
                "ends_old",
            ),
        ] {
            let (status, problem) = server.post("/v1/pass_keys", body).await;
            assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)));
        }
        server.lock("1", json!({"kind": "courts"})).await;
        server.clock.set(server.now() - 61);
        let (status, problem) = server.post("/v1/pass_keys", json!({"algorithm": "esp256"})).await;
        assert_eq!((status, &problem["code"]), (503, &json!("clock_disagrees")));
        assert_eq!(server.query("SELECT count(*) FROM pass_keys"), 1);
    }
}
