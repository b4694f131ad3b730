//! Staff say that an epoch's code was typed; from then on PINs are of that epoch.

use super::{LockView, find};
use crate::context::Context;
use crate::epochs;
use crate::http::extract::ApiJson;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::issuing::Reissued;
use crate::store::locks::{How, Pending};
use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Which epoch's code was typed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfirmEpoch {
    epoch: u32,
}

/// The lock in its new epoch.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConfirmedEpoch {
    lock: LockView,
    /// Bookings that have other PINs now: their holders are to be told.
    bookings_changed: usize,
    /// PINs that could not be made anew, since all that were left equal others. Give their bookings another
    /// holder.
    pins_lost: usize,
}

/// Confirms that an epoch's code was typed. A journal that shows it does the same.
#[utoipa::path(post, path = "/v1/locks/{id}/epoch/confirm", tag = "locks",
    operation_id = "confirm_epoch_of_lock", security(("api_key" = [])), request_body = ConfirmEpoch,
    params(("id" = String, Path, description = "the lock's id")),
    responses((status = 200, description = "the lock in its epoch", body = ConfirmedEpoch), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<ConfirmEpoch>,
) -> Result<Json<ConfirmedEpoch>, Problem> {
    let now = context.now();
    let inner = Arc::clone(&context);
    let answer = context
        .store
        .write(move |connection| {
            let lock = find(connection, &id)?;
            let Reissued { bookings, lost } = match lock.pending {
                Some(pending) if pending.epoch == request.epoch => {
                    epochs::enter(connection, &inner.keys, &lock, pending, (now, now))?
                }
                // It is typed now at a lock at which it was not before.
                None if lock.epoch == request.epoch && lock.epoch_at.is_some() => {
                    let how = if lock.announced { How::Announce } else { How::End };
                    let typed = Pending { epoch: lock.epoch, how };
                    epochs::enter(connection, &inner.keys, &lock, typed, (now, now))?
                }
                None if lock.epoch == request.epoch => Reissued { bookings: 0, lost: 0 },
                _ => return Err(not_pending(request.epoch)),
            };
            let lock = LockView::new(connection, &find(connection, &id)?, now)?;
            Ok(ConfirmedEpoch { lock, bookings_changed: bookings, pins_lost: lost })
        })
        .await?;
    Ok(Json(answer))
}

fn not_pending(epoch: u32) -> Problem {
    Problem::new(Code::EpochPending, format!("no code that begins epoch {epoch} waits to be typed"))
        .hint("the lock's pending_epoch says which does; POST /v1/locks/{id}/epoch makes one")
}

#[cfg(test)]
mod tests {
    use crate::test_lock::{TestLock, pin, seconds};
    use crate::test_server::TestServer;
    use serde_json::{Value, json};

    async fn code(server: &TestServer, lock: &TestLock, how: &str) -> Value {
        server.answer(&format!("/v1/locks/{}/epoch", lock.id), json!({"how": how})).await
    }

    async fn confirm(server: &TestServer, lock: &TestLock, epoch: u32) -> (u16, Value) {
        let path = format!("/v1/locks/{}/epoch/confirm", lock.id);
        server.post(&path, json!({"epoch": epoch})).await
    }

    #[tokio::test]
    async fn an_ended_epoch_changes_every_pin_that_is_to_open() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "general"})).await;
        let one = server.book(&lock.id, "10:00", "11:00").await;
        let two = server.book(&lock.id, "10:00", "11:00").await;
        let gone = server.book(&lock.id, "12:00", "13:00").await;
        server.to_booking(&gone, "cancel", json!({})).await;
        let made = code(&server, &lock, "end").await;
        assert_eq!((&made["epoch"], &made["how"]), (&json!(1), &json!("end")));
        lock.press(made["code"].as_str().unwrap(), server.now()).unwrap();
        assert_eq!(pin(&server.booking(&one).await, 0), pin(&one, 0), "until it is confirmed");
        let (status, answer) = confirm(&server, &lock, 1).await;
        assert_eq!((status, &answer["bookings_changed"]), (200, &json!(2)), "{answer}");
        assert_eq!(answer["lock"]["epoch"], 1);
        assert_eq!(answer["lock"]["pending_epoch"], Value::Null);
        assert_eq!(answer["lock"]["previous_epoch_opens"], false);
        for old in [&one, &two] {
            let new = server.booking(old).await;
            let holder = &new["holders"][0];
            assert_eq!(holder["holder"], old["holders"][0]["holder"]);
            assert_eq!((&holder["epoch"], &holder["generation"]), (&json!(1), &json!(0)));
            assert_eq!(lock.refuses(&pin(old, 0), seconds("10:00")), Some("wrong_code"));
            assert_eq!(lock.refuses(&pin(&new, 0), seconds("10:00")), None);
            let said = &new["revocations"][0];
            assert_eq!((&said["because"], &said["takes_effect"]), (&json!("epoch"), &json!("now")));
        }
        assert_eq!(server.booking(&gone).await["revocations"][0]["takes_effect"], "now");
        let (status, again) = confirm(&server, &lock, 1).await;
        assert_eq!((status, &again["bookings_changed"]), (200, &json!(0)), "twice changes nothing");
    }

    #[tokio::test]
    async fn an_announced_epoch_ends_the_old_one_when_somebody_comes() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "general"})).await;
        let one = server.book(&lock.id, "10:00", "11:00").await;
        let two = server.book(&lock.id, "10:30", "11:30").await;
        let made = code(&server, &lock, "announce").await;
        lock.press(made["code"].as_str().unwrap(), server.now()).unwrap();
        let (_, answer) = confirm(&server, &lock, 1).await;
        assert_eq!(answer["lock"]["previous_epoch_opens"], true);
        let new = server.booking(&one).await;
        assert_eq!(new["revocations"][0]["takes_effect"], "when_successor_used");
        assert_eq!(lock.refuses(&pin(&one, 0), seconds("10:00")), None);
        let other = server.booking(&two).await;
        lock.press(&pin(&other, 0), seconds("10:25")).unwrap();
        assert_eq!(lock.refuses(&pin(&one, 0), seconds("10:26")), Some("wrong_code"));
        assert_eq!(lock.refuses(&pin(&new, 0), seconds("10:26")), None);
        lock.bring_home(&server).await;
        let new = server.booking(&one).await;
        assert_eq!(new["revocations"][0]["takes_effect"], "now");
        let (_, shown) = server.get(&format!("/v1/locks/{}", lock.id)).await;
        assert_eq!(shown["previous_epoch_opens"], false);
    }

    #[tokio::test]
    async fn a_journal_confirms_what_staff_forgot_to() {
        for how in ["announce", "end"] {
            let server = TestServer::new().await;
            let mut lock = server.lock("1", json!({"kind": "general"})).await;
            let booking = server.book(&lock.id, "10:00", "11:00").await;
            let made = code(&server, &lock, how).await;
            lock.bring_home(&server).await;
            let shown = server.booking(&booking).await;
            assert_eq!(shown["holders"], booking["holders"], "it was not typed yet");
            lock.press(made["code"].as_str().unwrap(), server.now()).unwrap();
            let told = lock.bring_home(&server).await;
            assert_eq!(told["epoch"], u32::from(how == "end"));
            let (_, shown) = server.get(&format!("/v1/locks/{}", lock.id)).await;
            assert_eq!((&shown["epoch"], &shown["pending_epoch"]), (&json!(1), &Value::Null));
            let new = server.booking(&booking).await;
            assert_eq!(lock.refuses(&pin(&new, 0), seconds("10:00")), None);
            assert_ne!(pin(&new, 0), pin(&booking, 0));
        }
    }

    #[tokio::test]
    async fn one_epoch_at_a_time_and_never_back() {
        let server = TestServer::new().await;
        let lock = server.lock("1", json!({"kind": "general"})).await;
        let path = format!("/v1/locks/{}/epoch", lock.id);
        assert_eq!(confirm(&server, &lock, 1).await.0, 409, "no code was made");
        let first = code(&server, &lock, "announce").await;
        assert_eq!(code(&server, &lock, "announce").await, first, "the same again");
        let (status, problem) = server.post(&path, json!({"how": "end"})).await;
        assert_eq!((status, &problem["code"]), (409, &json!("epoch_pending")));
        let (_, shown) = server.get(&format!("/v1/locks/{}", lock.id)).await;
        assert_eq!(shown["pending_epoch"], json!({"epoch": 1, "how": "announce"}));
        for epoch in [2, u32::MAX] {
            assert_eq!(confirm(&server, &lock, epoch).await.0, 409, "{epoch}");
        }
        assert_eq!(confirm(&server, &lock, 1).await.0, 200);
        // The lock may still be in epoch 0, where it would not know a code of epoch 2.
        let (status, _) = server.post(&path, json!({"how": "announce"})).await;
        assert_eq!(status, 409);
        let end = code(&server, &lock, "end").await;
        assert_eq!(end["epoch"], 1);
        assert_eq!(confirm(&server, &lock, 1).await.0, 200);
        assert_eq!(code(&server, &lock, "end").await["epoch"], 2);
        assert_eq!(confirm(&server, &lock, 0).await.0, 409);
        assert_eq!(confirm(&server, &lock, 1).await.0, 409);
        for body in [json!({"how": "now"}), json!({"how": ""}), json!({}), json!({"epoch": 7})] {
            assert_eq!(server.post(&path, body).await.0, 422);
        }
        for body in [json!({"epoch": -1}), json!({"epoch": "1"}), json!({})] {
            assert_eq!(server.post(&format!("{path}/confirm"), body).await.0, 422);
        }
    }

    /// Who opened the lock can write any epoch into its journal.
    #[tokio::test]
    async fn a_journal_raises_no_epoch_that_no_code_was_made_for() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "general"})).await;
        let booking = server.book(&lock.id, "10:00", "11:00").await;
        let time = doorstep::time::Timestamp::from_seconds(server.now());
        lock.tell(doorstep::clock::Event::Reset { time, age: 0 });
        let told = lock.bring_home(&server).await;
        assert_eq!(told["epoch"], 1);
        let (_, shown) = server.get(&format!("/v1/locks/{}", lock.id)).await;
        assert_eq!(shown["epoch"], 0);
        assert_eq!(server.booking(&booking).await["holders"], booking["holders"]);
        // Staff go on from there. The lock has the epoch already, so the next journal confirms it.
        code(&server, &lock, "end").await;
        lock.tell(doorstep::clock::Event::Elapsed { seconds: 1 });
        lock.bring_home(&server).await;
        let new = server.booking(&booking).await;
        assert_eq!(lock.refuses(&pin(&new, 0), seconds("10:00")), None);
    }

    #[tokio::test]
    async fn who_used_up_a_single_use_is_given_no_second() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "general", "uses": "once"})).await;
        let once = json!({"once": true, "holders": 2});
        let (_, booking) = server.try_book(&lock.id, "10:00", "11:00", once).await;
        server.clock.set(seconds("10:05"));
        lock.press(&pin(&booking, 0), server.now()).unwrap();
        lock.bring_home(&server).await;
        let made = code(&server, &lock, "end").await;
        lock.press(made["code"].as_str().unwrap(), server.now()).unwrap();
        confirm(&server, &lock, 1).await;
        let new = server.booking(&booking).await;
        assert_eq!(pin(&new, 0), pin(&booking, 0));
        assert_eq!(new["holders"][0]["uses"], 1);
        assert_eq!(new["holders"][1]["epoch"], 1);
        assert!(lock.refuses(&pin(&new, 0), server.now()).is_some());
        assert_eq!(lock.refuses(&pin(&new, 1), server.now()), None);
        let gone = server.to_booking(&booking, "cancel", json!({})).await;
        let of = |holder: u8, epoch: u32| {
            let mut all = gone["revocations"].as_array().unwrap().iter();
            let said = all.find(|said| said["holder"] == holder && said["epoch"] == epoch);
            said.unwrap()["takes_effect"].clone()
        };
        assert_eq!(
            (of(0, 0), of(1, 0), of(1, 1)),
            (json!("now"), json!("now"), json!("when_typed"))
        );
    }

    /// Staff said that the code was typed, and it was not, or at another lock.
    #[tokio::test]
    async fn a_lock_at_which_the_code_was_never_typed_is_seen_and_given_it_again() {
        for how in ["end", "announce"] {
            let server = TestServer::new().await;
            let mut lock = server.lock("1", json!({"kind": "general"})).await;
            let path = format!("/v1/locks/{}/epoch", lock.id);
            let again = json!({"how": how, "again": true});
            assert_eq!(server.post(&path, again.clone()).await.0, 409, "there was none");
            let booking = server.book(&lock.id, "10:00", "12:00").await;
            let gone = server.book(&lock.id, "10:00", "12:00").await;
            server.to_booking(&gone, "cancel", json!({})).await;
            let early = lock.clone();
            let made = code(&server, &lock, how).await;
            confirm(&server, &lock, 1).await;
            let (done, open) = ("now", if how == "end" { "now" } else { "when_successor_used" });
            let new = server.booking(&booking).await;
            assert_eq!(new["revocations"][0]["takes_effect"], open);
            // A journal from before says nothing against it.
            assert_eq!(early.bring_home(&server).await["epoch_behind"], false);
            assert_eq!(server.booking(&booking).await["revocations"][0]["takes_effect"], open);

            server.clock.set(seconds("10:01"));
            lock.wait_until(server.now());
            for _ in 0..2 {
                let told = lock.bring_home(&server).await;
                assert_eq!((&told["epoch_behind"], &told["epoch"]), (&json!(true), &json!(0)));
            }
            let (_, shown) = server.get(&format!("/v1/locks/{}", lock.id)).await;
            assert_eq!((&shown["epoch"], &shown["epoch_at_lock"]), (&json!(1), &json!(0)));
            let new = server.booking(&booking).await;
            assert_eq!(lock.refuses(&pin(&new, 0), server.now()), Some("wrong_code"));
            assert_eq!(new["warnings"], json!(["epoch_behind"]));
            for (old, pin) in [(&booking, pin(&booking, 0)), (&gone, pin(&gone, 0))] {
                let said = server.booking(old).await["revocations"][0].clone();
                assert_eq!(
                    (&said["takes_effect"], &said["done_at"]),
                    (&json!("when_typed"), &Value::Null)
                );
                assert_eq!(lock.refuses(&pin, server.now()), None, "so it is");
                let mut other = lock.clone();
                other.press(said["cancel_code"].as_str().unwrap(), server.now()).unwrap();
                assert_eq!(other.refuses(&pin, server.now()), Some("revoked"));
            }

            let other = if how == "end" { "announce" } else { "end" };
            let wrong = json!({"how": other, "again": true});
            assert_eq!(server.post(&path, wrong).await.0, 409);
            assert_eq!(server.answer(&path, again).await, made);
            let (_, after) = server.get(&format!("/v1/locks/{}", lock.id)).await;
            assert_eq!(after, shown, "nothing changed at the server");
            lock.press(made["code"].as_str().unwrap(), server.now()).unwrap();
            assert_eq!(lock.refuses(&pin(&new, 0), server.now()), None);
            let mut told = lock.clone();
            if how == "announce" {
                told.press(&pin(&new, 0), server.now()).unwrap();
            }
            if how == "end" {
                confirm(&server, &lock, 1).await;
                let said = server.booking(&booking).await["revocations"][0].clone();
                assert_eq!(said["takes_effect"], done, "staff said so");
            }
            assert_eq!(told.bring_home(&server).await["epoch_behind"], false);
            let new = server.booking(&booking).await;
            assert_eq!(new["revocations"][0]["takes_effect"], done);
            assert_eq!(new["warnings"], json!([]));
        }
    }
}
