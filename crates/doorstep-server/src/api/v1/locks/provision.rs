//! Provisions a lock anew: with other keys, so that whoever had the old ones has nothing.

use super::{LockView, ProvisionedLock, find, passes};
use crate::bulletins;
use crate::context::Context;
use crate::hex;
use crate::http::problem::{Problem, ProblemBody};
use crate::issuing::{self, Reissued};
use crate::lock_keys;
use crate::store::pins::Because;
use crate::store::{locks, meta, set_times};
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// A lock with other keys.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReprovisionedLock {
    #[serde(flatten)]
    provisioned: ProvisionedLock,
    /// Bookings that have other PINs now: their holders are to be told. Until the lock has its new bundle it
    /// opens for the old PINs and not for the new.
    bookings_changed: usize,
    /// PINs that could not be made anew, since all that were left equal others. Give their bookings another
    /// holder.
    pins_lost: usize,
    /// The ids of passes that were used in part, by the journals that came home: the lock forgot that, and counts
    /// their uses, and their time from the first use, from the beginning. Revoke them, and hand out others.
    passes_begin_anew: Vec<String>,
}

/// Provisions a lock anew, as when it was opened, stolen, reset, or its bundle was lost. It gets other keys
/// and a new TOTP secret, and all of its PINs change; the epoch goes on.
#[utoipa::path(post, path = "/v1/locks/{id}/provision", tag = "locks", operation_id = "provision_lock",
    security(("api_key" = [])), params(("id" = String, Path, description = "the lock's id")),
    responses((status = 201, description = "the lock and its new bundle", body = ReprovisionedLock), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
) -> Result<(axum::http::StatusCode, Json<ReprovisionedLock>), Problem> {
    let now = context.now();
    let named = id.clone();
    let before = context.store.read(move |connection| find(connection, &named)).await?;
    let steps = before.steps.map(|steps| lock_keys::make_steps(&context, &id, steps.totp));
    let steps = steps.transpose()?;
    let inner = Arc::clone(&context);
    let answer = context
        .store
        .write(move |connection| {
            let before = find(connection, &id)?;
            let generation = meta::next_number(connection, before.generation, before.created_at)?;
            let to = (generation, before.epoch);
            let keys = &inner.keys;
            let Reissued { bookings, lost } =
                issuing::reissue(connection, keys, &before, to, Because::Provisioned, now)?;
            let sealed = steps.as_ref().map(|steps| steps.sealed.as_slice());
            let known = passes::provision(connection, (before.seq, before.takes), now)?;
            locks::provision(connection, &before, generation, sealed, known, now)?;
            set_times::tell(connection, now)?;
            let lock = find(connection, &id)?;
            let passes = lock_keys::passes(connection, &lock)?;
            let bundle = lock_keys::bundle(keys, inner.mode(), &lock, passes)?;
            let begin_anew = bulletins::forgotten(connection, &lock, now)?.into_iter();
            let begin_anew = begin_anew.map(|pass| hex::encode(pass.id.as_bytes())).collect();
            let provisioned = ProvisionedLock::new(LockView::new(connection, &lock, now)?, &bundle);
            Ok::<_, Problem>(ReprovisionedLock {
                provisioned,
                bookings_changed: bookings,
                pins_lost: lost,
                passes_begin_anew: begin_anew,
            })
        })
        .await?;
    Ok((axum::http::StatusCode::CREATED, Json(answer)))
}

#[cfg(test)]
mod tests {
    use crate::test_lock::{TestLock, pin, seconds};
    use crate::test_server::TestServer;
    use serde_json::{Value, json};

    async fn provision(server: &TestServer, id: &str) -> Value {
        let (status, made) = server.post(&format!("/v1/locks/{id}/provision"), json!({})).await;
        assert_eq!(status, 201, "{made}");
        made
    }

    #[tokio::test]
    async fn everything_changes_and_what_was_given_opens_until_the_bundle_is_there() {
        let server = TestServer::new().await;
        let body = json!({"site": "demo", "name": "1", "profile": {"kind": "courts"}, "totp": {}});
        let mut old = server.lock_with(body).await;
        let over = server.book(&old.id, "08:00", "08:30").await;
        server.clock.set(seconds("09:00"));
        let (_, booking) = server.try_book(&old.id, "10:00", "11:00", json!({"holders": 2})).await;
        let cancelled = server.book(&old.id, "12:00", "13:00").await;
        server.to_booking(&cancelled, "cancel", json!({})).await;
        let code = server.answer(&format!("/v1/locks/{}/code", old.id), json!({})).await;

        let made = provision(&server, &old.id).await;
        assert_eq!(made["bookings_changed"], 1, "one is over and one was cancelled");
        assert_eq!((&made["pins_lost"], &made["lock"]["generation"]), (&json!(0), &json!(2)));
        let shown = server.booking(&booking).await;
        assert_eq!(shown["holders"].as_array().unwrap().len(), 2);
        assert_ne!(pin(&shown, 0), pin(&booking, 0));
        for said in shown["revocations"].as_array().unwrap() {
            assert_eq!(said["because"], "provisioned");
            assert_eq!(said["takes_effect"], "when_provisioned");
            assert_eq!((&said["done_at"], &said["cancel_code"]), (&Value::Null, &Value::Null));
        }
        let ten = seconds("10:00");
        assert_eq!(old.refuses(&pin(&booking, 0), ten), None, "as long as it has the old bundle");
        assert_eq!(old.refuses(&pin(&shown, 0), ten), Some("wrong_code"));
        let kept = server.booking(&over).await;
        assert_eq!(kept["holders"], over["holders"], "what is over stays as it was");

        let mut new = TestLock::install(&made, server.now());
        assert_eq!(new.refuses(&pin(&booking, 0), ten), Some("wrong_code"));
        let code = code["code"].as_str().unwrap();
        assert_eq!(new.refuses(code, server.now()), Some("wrong_code"));
        new.press(&pin(&shown, 0), ten).unwrap();
        old.press(&pin(&booking, 0), ten).unwrap();
        let told = new.bring_home(&server).await;
        assert_eq!((&told["forked"], &told["openings"]), (&json!(false), &json!(1)));
        for booking in [&booking, &cancelled] {
            for said in server.booking(booking).await["revocations"].as_array().unwrap() {
                assert_eq!(said["takes_effect"], "now", "the new bundle is there: {said}");
                assert!(said["done_at"].is_string());
            }
        }
        assert_eq!(server.booking(&booking).await["holders"][0]["uses"], 1);
    }

    #[tokio::test]
    async fn windows_begin_anew_and_the_epoch_goes_on() {
        let server = TestServer::new().await;
        let profile = json!({"kind": "general", "holders": 1, "generations": 1});
        let lock = server.lock("1", profile).await;
        let first = server.book(&lock.id, "10:00", "11:00").await;
        server.to_booking(&first, "cancel", json!({})).await;
        assert_eq!(server.try_book(&lock.id, "10:00", "11:00", json!({})).await.0, 409);
        let path = format!("/v1/locks/{}/epoch", lock.id);
        server.answer(&path, json!({"how": "end"})).await;
        server.answer(&format!("{path}/confirm"), json!({"epoch": 1})).await;
        let (status, _) = server.try_book(&lock.id, "10:00", "11:00", json!({})).await;
        assert_eq!(status, 409, "an epoch does not begin windows anew");
        let made = provision(&server, &lock.id).await;
        assert_eq!((&made["lock"]["epoch"], &made["bookings_changed"]), (&json!(1), &json!(0)));
        let new = TestLock::install(&made, server.now());
        let booking = server.book(&lock.id, "10:00", "11:00").await;
        assert_eq!(new.refuses(&pin(&booking, 0), seconds("10:00")), None);
        let made = provision(&server, &lock.id).await;
        assert_eq!(made["lock"]["generation"], 3);
        assert_eq!(server.post("/v1/locks/lck_0/provision", json!({})).await.0, 404);
    }
}
