//! Takes in a lock's journal. It is the lock's own word, and that of whoever opened the lock: it tells what
//! happened, confirms what the server made, and makes nothing valid.

use super::{ClockView, find};
use crate::context::Context;
use crate::epochs;
use crate::http::base64url::read;
use crate::http::extract::ApiJson;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::lock_journal::{Told, What};
use crate::lock_state::Known;
use crate::store::locks::{self, How, Lock, Pending};
use crate::store::{StoreError, lock_events, pins};
use crate::{lock_keys, lock_state, pass_revocation};
use axum::Json;
use axum::extract::{Path, State};
use doorstep::ledger::Head;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// A journal on its way in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TakeInJournal {
    /// The lock's journal, as it was exported or as a phone carries it, sealed, in base64url; at most 3 MiB of it.
    journal: String,
}

/// What a journal told.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TakenIn {
    /// Records in the journal.
    pub(crate) records: u64,
    /// How many of them were not known. A journal that ends before the last known one adds nothing.
    pub(crate) new_records: u64,
    /// Whether records are missing before the first new one.
    gap: bool,
    /// Whether it contradicts an earlier journal, as after the lock was set back to an old copy of its memory.
    /// Then nothing of it is taken in: provision the lock anew.
    pub(crate) forked: bool,
    /// How often the lock opened, in the new records.
    openings: u64,
    /// Attempts that were refused, in the new records.
    refused: u64,
    /// How often it lost its power, in the new records.
    power_losses: u64,
    /// In which epoch the lock is.
    epoch: u32,
    /// Whether the code of the epoch that was confirmed was never typed at this lock: it goes on opening for PINs
    /// of the epoch before, and for none of the new one. `POST /v1/locks/{id}/epoch` with `again` answers with the
    /// code once more.
    epoch_behind: bool,
    clock: ClockView,
}

/// Takes in a lock's journal. What is known already changes nothing.
#[utoipa::path(post, path = "/v1/locks/{id}/journal", tag = "locks", operation_id = "take_in_journal",
    security(("api_key" = [])), request_body = TakeInJournal,
    params(("id" = String, Path, description = "the lock's id")),
    responses((status = 200, description = "what it told", body = TakenIn), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    ApiJson(request): ApiJson<TakeInJournal>,
) -> Result<Json<TakenIn>, Problem> {
    let bytes = read("journal", &request.journal)?;
    drop(request);
    Ok(Json(take(&context, id, bytes).await?))
}

/// Takes in the journal of a lock, whoever carried it home.
pub(crate) async fn take(
    context: &Arc<Context>,
    id: String,
    mut bytes: Vec<u8>,
) -> Result<TakenIn, Problem> {
    let named = id.clone();
    let lock = context.store.read(move |connection| find(connection, &named)).await?;
    let generation = lock.generation;
    let door = lock_keys::door(&context.keys, context.mode(), &lock)?;
    // A hundred thousand records keep a processor busy; neither the writer nor other requests wait.
    let told = tokio::task::spawn_blocking(move || Told::read(&door, &mut bytes)).await;
    let told = match told {
        Ok(told) => told.map_err(|error| invalid(&error))?,
        Err(error) => return Err(Problem::internal(&error)),
    };
    let now = context.now();
    let inner = Arc::clone(context);
    context
        .store
        .write(move |connection| {
            let lock = find(connection, &id)?;
            if lock.generation != generation {
                return Err(invalid(&doorstep::door::journal::JournalError::Foreign));
            }
            take_in(connection, &inner, &lock, &told, now)
        })
        .await
}

fn invalid(error: &dyn std::error::Error) -> Problem {
    Problem::new(Code::JournalInvalid, error.to_string())
        .hint("export it again at this lock, which must have the bundle that was made last")
}

fn take_in(
    connection: &Connection,
    context: &Context,
    lock: &Lock,
    told: &Told,
    now: Timestamp,
) -> Result<TakenIn, Problem> {
    let forked = contradicts(connection, lock, told)?;
    if forked {
        locks::forked(connection, lock.seq, now)?;
        tracing::warn!(lock = %lock.id, "a journal contradicts an earlier one of the lock");
    }
    let known = lock.head.seq;
    let is_new = |head: &Head| !forked && head.seq > known;
    let new: Vec<_> = told.records.iter().filter(|(head, _, _)| is_new(head)).collect();
    let count = |what: fn(&What) -> bool| {
        u64::try_from(new.iter().filter(|(_, _, told)| what(told)).count()).unwrap_or(u64::MAX)
    };
    let openings = count(|what| matches!(what, What::Opened { .. } | What::OpenedByPass(_)));
    let obeyed = count(|what| {
        matches!(what, What::Obeyed(_) | What::ListTaken | What::KeyTaken | What::TokenTaken)
    });
    let tried = count(|what| matches!(what, What::Tried));
    let answer = TakenIn {
        records: u64::try_from(told.records.len()).unwrap_or(u64::MAX),
        new_records: u64::try_from(new.len()).unwrap_or(u64::MAX),
        gap: told.first.seq > known,
        forked,
        openings,
        refused: tried.saturating_sub(openings).saturating_sub(obeyed),
        power_losses: count(|what| matches!(what, What::PowerLost)),
        epoch: told.last.keypad.epoch(),
        epoch_behind: Known::new(lock, now)?.is_behind,
        clock: ClockView::new(lock, now)?,
    };
    let fresh = !forked && (told.end.seq > known || lock.state.is_none());
    if !fresh {
        return Ok(answer);
    }
    for (head, at, what) in new {
        let Some(event) = what.event(connection, lock, *at)? else { continue };
        lock_events::insert(connection, lock, *head, &event, now)?;
    }
    let state = told.snapshot()?;
    locks::heard(connection, lock.seq, told.end, &state, now)?;
    confirm(connection, context, lock, told, now)?;
    let lock = find(connection, lock.id.as_str())?;
    let epoch_behind = lock_state::is_behind(&lock, &told.last);
    if epoch_behind {
        epochs::reopen(connection, &lock, told.last.keypad.epoch(), now)?;
        tracing::warn!(lock = %lock.id, "the epoch that was confirmed never began at this lock");
    }
    let given_up = pins::undone_after(connection, &lock, lock_state::not_over(&lock, now))?;
    lock_state::settle(connection, &lock, &given_up, now)?;
    pass_revocation::settle(connection, &lock, &told.last, now)?;
    Ok(TakenIn { epoch_behind, clock: ClockView::new(&lock, now)?, ..answer })
}

/// Whether a record that is known had another content.
fn contradicts(connection: &Connection, lock: &Lock, told: &Told) -> Result<bool, StoreError> {
    let (first, last) = (told.first.seq, told.end.seq);
    let mut known = lock_events::heads(connection, lock, (first, last))?;
    known.extend([lock.head, Head::EMPTY]);
    Ok(known.iter().any(|head| told.head(head.seq).is_some_and(|told| told != *head)))
}

/// What the lock's own state says of the epochs that codes were made for. It raises nothing else: whoever
/// opened the lock could write any epoch, and end none that the server did not end.
fn confirm(
    connection: &Connection,
    context: &Context,
    lock: &Lock,
    told: &Told,
    now: Timestamp,
) -> Result<(), Problem> {
    let keypad = &told.last.keypad;
    let at = keypad.belief().probable().min(now);
    if let Some(pending) = lock.pending {
        let told_of = keypad.is_announced() && keypad.epoch().checked_add(1) == Some(pending.epoch);
        if keypad.epoch() >= pending.epoch {
            let typed = Pending { how: How::End, ..pending };
            epochs::enter(connection, &context.keys, lock, typed, (at, now))?;
        } else if told_of && pending.how == How::Announce {
            epochs::enter(connection, &context.keys, lock, pending, (at, now))?;
        }
    } else if lock.announced && keypad.epoch() >= lock.epoch {
        let typed = Pending { epoch: lock.epoch, how: How::End };
        epochs::enter(connection, &context.keys, lock, typed, (at, now))?;
    } else if keypad.epoch() > lock.epoch {
        tracing::warn!(
            lock = %lock.id, epoch = keypad.epoch(), known = lock.epoch,
            "a lock is in an epoch that no code was made for"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::http::base64url::write;
    use crate::test_lock::{TestLock, at, pin, seconds};
    use crate::test_server::TestServer;
    use doorstep::clock::Event as Clock;
    use serde_json::{Value, json};

    /// A lock at which a guest came twice and somebody typed nonsense, on the evening of the first day.
    async fn lived() -> (TestServer, TestLock, Value) {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let booking = server.book(&lock.id, "10:00", "11:00").await;
        lock.press(&pin(&booking, 0), seconds("10:01")).unwrap();
        lock.press("999999999", seconds("10:02")).unwrap_err();
        lock.press(booking["holders"][0]["long_form"].as_str().unwrap(), seconds("10:30")).unwrap();
        lock.wait_until(seconds("18:00"));
        server.clock.set(seconds("18:00"));
        (server, lock, booking)
    }

    #[tokio::test]
    async fn a_journal_tells_who_opened_and_what_time_it_is_there() {
        let (server, lock, booking) = lived().await;
        let told = lock.bring_home(&server).await;
        let records = u64::try_from(lock.count()).unwrap();
        assert_eq!((&told["records"], &told["new_records"]), (&json!(records), &json!(records)));
        assert_eq!((&told["gap"], &told["forked"]), (&json!(false), &json!(false)));
        assert_eq!((&told["openings"], &told["refused"]), (&json!(2), &json!(1)));
        assert_eq!((&told["power_losses"], &told["epoch"]), (&json!(0), &json!(0)));
        assert_eq!(told["clock"]["last_contact"], at("18:00"));
        assert_eq!(told["clock"]["health"], "good");
        let shown = server.booking(&booking).await;
        assert_eq!(shown["holders"][0]["uses"], 2);
        let first = shown["holders"][0]["first_used_at"].as_str().unwrap();
        let first = crate::utc::read(first).unwrap().seconds();
        assert!(first.abs_diff(seconds("10:01")) < 120, "{first}");
        let (_, events) = server.get(&format!("/v1/locks/{}/events", lock.id)).await;
        let events = events["data"].as_array().unwrap();
        assert_eq!(events.len(), 2);
        assert_eq!((&events[0]["form"], &events[1]["form"]), (&json!("pin"), &json!("long_form")));
        for event in events {
            assert_eq!((&event["kind"], &event["booking"]), (&json!("opened"), &booking["id"]));
            assert_eq!((&event["warning"], &event["holder"]), (&Value::Null, &json!(0)));
        }
    }

    #[tokio::test]
    async fn what_comes_twice_or_late_changes_nothing() {
        let (server, mut lock, booking) = lived().await;
        let early = lock.clone();
        lock.bring_home(&server).await;
        let before = server.booking(&booking).await;
        lock.tell(Clock::PowerLost);
        let all = lock.bring_home(&server).await;
        assert_eq!((&all["new_records"], &all["power_losses"]), (&json!(1), &json!(1)));
        assert_eq!(all["clock"]["health"], "unset");
        server.clock.advance(60);
        for old in [&lock, &early, &lock] {
            let told = old.bring_home(&server).await;
            assert_eq!((&told["new_records"], &told["forked"]), (&json!(0), &json!(false)));
            assert_eq!((&told["gap"], &told["openings"]), (&json!(false), &json!(0)));
            assert_eq!(told["clock"]["health"], "unset", "an old journal does not heal the clock");
            assert_eq!(told["clock"]["last_contact"], at("18:00"));
        }
        assert_eq!(server.booking(&booking).await, before);
        assert_eq!(server.query("SELECT count(*) FROM lock_events"), 3);
    }

    #[tokio::test]
    async fn a_gap_is_seen_and_what_follows_is_taken() {
        let (server, mut lock, booking) = lived().await;
        lock.bring(&server, &lock.journal_from(0)).await;
        let known = lock.count();
        lock.press(&pin(&booking, 0), seconds("18:00")).unwrap_err();
        lock.tell(Clock::PowerLost);
        let tail = lock.bring(&server, &lock.journal_from(known + 1)).await;
        assert_eq!((&tail["gap"], &tail["forked"]), (&json!(true), &json!(false)));
        assert_eq!(tail["power_losses"], 1);
        let tail = lock.bring(&server, &lock.journal_from(known)).await;
        assert_eq!((&tail["gap"], &tail["new_records"]), (&json!(false), &json!(0)));
    }

    #[tokio::test]
    async fn a_lock_that_was_set_back_is_seen() {
        let (server, lock, booking) = lived().await;
        let mut copy = lock.clone();
        lock.bring_home(&server).await;
        // As long as the known one, and then longer, and shorter.
        let mut known = lock.clone();
        known.tell(Clock::PowerLost);
        copy.wait_until(seconds("19:00"));
        known.bring_home(&server).await;
        for _ in 0..2 {
            let told = copy.bring_home(&server).await;
            assert_eq!((&told["forked"], &told["new_records"]), (&json!(true), &json!(0)));
            copy.wait_until(seconds("20:00"));
        }
        let (_, shown) = server.get(&format!("/v1/locks/{}", lock.id)).await;
        assert_eq!(shown["forked_at"], at("18:00"));
        assert_eq!(server.booking(&booking).await["holders"][0]["uses"], 2);
        // Shorter than what is known, and another at an opening.
        let shorter = server.lock("2", json!({"kind": "courts"})).await;
        let booking = server.book(&shorter.id, "18:00", "19:00").await;
        let (mut one, mut two) = (shorter.clone(), shorter);
        one.press(&pin(&booking, 0), seconds("18:01")).unwrap();
        one.wait_until(seconds("19:00"));
        one.bring_home(&server).await;
        two.press(&pin(&booking, 0), seconds("18:02")).unwrap();
        assert!(two.count() < one.count());
        assert_eq!(two.bring_home(&server).await["forked"], true);
    }

    #[tokio::test]
    async fn journals_of_others_changed_and_cut_ones_are_refused() {
        let (server, lock, _) = lived().await;
        let other = server.lock("2", json!({"kind": "courts"})).await;
        let good = lock.journal_from(0);
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 1;
        for (name, journal) in [
            ("another lock's", other.journal_from(0)),
            ("a bit changed", flipped),
            ("cut", good[..good.len() - 1].to_vec()),
            ("longer", [good.as_slice(), &[0]].concat()),
            ("empty", Vec::new()),
        ] {
            let path = format!("/v1/locks/{}/journal", lock.id);
            let (status, problem) = server.post(&path, json!({"journal": write(&journal)})).await;
            assert_eq!((status, &problem["code"]), (422, &json!("journal_invalid")), "{name}");
        }
        for body in [json!({"journal": "!"}), json!({"journal": true}), json!({})] {
            let path = format!("/v1/locks/{}/journal", lock.id);
            assert_eq!(server.post(&path, body).await.0, 422);
        }
        assert_eq!(server.query("SELECT count(*) FROM lock_events"), 0);
        let path = format!("/v1/locks/{}/provision", lock.id);
        server.post(&path, json!({})).await;
        let path = format!("/v1/locks/{}/journal", lock.id);
        let (status, _) = server.post(&path, json!({"journal": write(&good)})).await;
        assert_eq!(status, 422, "from before it was provisioned anew");
    }
}
