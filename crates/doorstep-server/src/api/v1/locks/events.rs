//! Lists what a lock's journals told, page by page.

use super::find;
use crate::context::Context;
use crate::hex;
use crate::http::cursor;
use crate::http::extract::ApiQuery;
use crate::http::problem::{Problem, ProblemBody};
use crate::store::lock_events::{self, Form, Kind, Listed};
use crate::utc::Utc;
use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// How many at a time.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListEvents {
    /// How many on a page, 1 to 200; 50 when left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of events, in the order in which they came home.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventList {
    data: Vec<EventView>,
    /// Where the next page starts; null on the last.
    next_cursor: Option<String>,
}

/// Something that happened at a lock.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventView {
    /// `opened`, `pin_cancelled`, `epoch_announced`, `epoch_ended`, `time_set`, `time_signed`, `clock_reset`,
    /// `list_taken` (of revoked passes), `key_taken` (of the issuer) or `power_lost`.
    kind: &'static str,
    /// When, by the lock's own estimate; of a power loss, when it was found.
    at: Utc,
    /// What opened: `pin`, `long_form`, `totp` or `pass`.
    form: Option<&'static str>,
    /// The epoch of the PIN, or the one that began.
    epoch: Option<u32>,
    /// The pass that opened.
    #[schema(example = "9f1c7a0b33d2e845")]
    pass: Option<String>,
    /// Whose PIN or pass it was.
    booking: Option<String>,
    reference: Option<String>,
    holder: Option<u8>,
    generation: Option<u8>,
    /// What is odd: `pin_ended`, it should have opened no more; `pin_never_given`, nobody was given this PIN, so
    /// somebody has the lock's key: provision it anew; `pass_revoked`, it opened after it was revoked;
    /// `pass_never_issued`, somebody has the lock's key, or one that passes are signed with; `pass_not_for_this`,
    /// the same: a pass with this id was issued for another lock, another time, or fewer uses.
    warning: Option<&'static str>,
    /// Which provisioning of the lock told it, and the number of its record.
    lock_generation: u32,
    record: u64,
    /// When its journal came home.
    received_at: Utc,
}

impl From<Listed> for EventView {
    fn from(listed: Listed) -> Self {
        let event = listed.event;
        let of_pin = matches!(event.kind, Kind::Opened | Kind::PinCancelled)
            && !matches!(event.form, Some(Form::Totp | Form::Pass));
        let warning = match event.pin {
            _ if event.pass.is_some() && !listed.pass_is_known => Some("pass_never_issued"),
            _ if event.pass.is_some() && !listed.pass_fits => Some("pass_not_for_this"),
            _ if event.pass.is_some() && listed.was_ended => Some("pass_revoked"),
            Some(_) if listed.was_ended && event.kind == Kind::Opened => Some("pin_ended"),
            None if of_pin => Some("pin_never_given"),
            _ => None,
        };
        let (booking, reference) = listed.booking.unzip();
        let (holder, generation) = listed.holder.unzip();
        Self {
            kind: event.kind.as_str(),
            at: Utc(event.at),
            form: event.form.map(Form::as_str),
            epoch: event.epoch,
            pass: event.pass.map(|id| hex::encode(id.as_bytes())),
            booking,
            reference: reference.flatten(),
            holder,
            generation,
            warning,
            lock_generation: listed.lock_generation,
            record: listed.record,
            received_at: Utc(listed.received_at),
        }
    }
}

/// Lists what a lock's journals told.
#[utoipa::path(get, path = "/v1/locks/{id}/events", tag = "locks", operation_id = "list_events_of_lock",
    security(("api_key" = [])), params(("id" = String, Path, description = "the lock's id"), ListEvents),
    responses((status = 200, description = "a page of events", body = EventList), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    ApiQuery(query): ApiQuery<ListEvents>,
) -> Result<Json<EventList>, Problem> {
    let limit = cursor::limit(query.limit)?;
    let after = cursor::read(query.cursor.as_deref())?;
    let page = context
        .store
        .read(move |connection| {
            let lock = find(connection, &id)?;
            let page = lock_events::page(connection, lock.seq, after, limit.saturating_add(1))?;
            Ok::<_, Problem>(page)
        })
        .await?;
    let (page, next_cursor) = cursor::cut(page, limit, |listed| listed.seq);
    Ok(Json(EventList { data: page.into_iter().map(EventView::from).collect(), next_cursor }))
}

#[cfg(test)]
mod tests {
    use crate::test_lock::{pin, seconds};
    use crate::test_pass::content;
    use crate::test_server::TestServer;
    use doorstep::keypad::issue::Pin;
    use doorstep::keypad::tuple::Form;
    use doorstep::pass::claims::{Pass, PassId, Scope};
    use doorstep::pass::document::Content;
    use doorstep::time::{Timestamp, Window};
    use serde_json::{Value, json};

    #[tokio::test]
    async fn what_should_not_have_opened_is_told() {
        let server = TestServer::new().await;
        let body = json!({"site": "demo", "name": "1", "profile": {"kind": "courts"}});
        let (_, made) = server.post("/v1/locks", body).await;
        let mut lock = crate::test_lock::TestLock::install(&made, server.now());
        let (_, booking) = server
            .try_book(&lock.id, "10:00", "11:00", json!({"reference": "R-1", "holders": 2}))
            .await;
        server.clock.set(seconds("10:00"));
        lock.press(&pin(&booking, 1), seconds("10:00")).unwrap();
        server.clock.set(seconds("10:10"));
        server.to_booking(&booking, "cancel", json!({})).await;
        lock.press(&pin(&booking, 0), seconds("10:20")).unwrap();
        // Who opened the lock has its root, and makes a PIN of his own.
        let bundle =
            doorstep::door::bundle::Bundle::parse(made["bundle"].as_str().unwrap()).unwrap();
        let at = |time| Timestamp::from_seconds(seconds(time));
        let window = Window::new(at("10:15"), at("11:15")).unwrap();
        let tuple = bundle.profile.fit(&window, false).unwrap().tuple(0, 0);
        let forged = Pin::derive(&bundle.root, 0, &bundle.profile, &tuple).unwrap().code(Form::Pin);
        lock.press(core::str::from_utf8(forged.expose()).unwrap(), seconds("10:30")).unwrap();
        lock.bring_home(&server).await;
        let path = format!("/v1/locks/{}/events", lock.id);
        let (status, list) = server.get(&path).await;
        assert_eq!(status, 200);
        let seen: Vec<_> = list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| {
                (event["warning"].clone(), event["reference"].clone(), event["holder"].clone())
            })
            .collect();
        assert_eq!(
            seen,
            [
                (Value::Null, json!("R-1"), json!(1)),
                (json!("pin_ended"), json!("R-1"), json!(0)),
                (json!("pin_never_given"), Value::Null, Value::Null),
            ]
        );
        let (_, page) = server.get(&format!("{path}?limit=2")).await;
        let cursor = page["next_cursor"].as_str().unwrap();
        let (_, rest) = server.get(&format!("{path}?limit=2&cursor={cursor}")).await;
        assert_eq!((&rest["data"][0], &rest["next_cursor"]), (&list["data"][2], &Value::Null));
        assert_eq!(server.get("/v1/locks/lck_0/events").await.0, 404);
        assert_eq!(server.get(&format!("{path}?limit=0")).await.0, 400);
    }

    #[tokio::test]
    async fn openings_by_passes_that_should_not_open_are_told() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let good = server.pass(&lock.id, "10:00", "11:00", json!({})).await;
        let (_, booked) =
            server.try_book(&lock.id, "10:00", "11:00", json!({"access": "pass"})).await;
        server.clock.set(seconds("10:00"));
        server.to_booking(&booked, "cancel", json!({})).await;
        // Somebody has the key that passes are signed with, and makes one of his own.
        let keys = server.context.store.read(crate::store::pass_keys::all).await.unwrap();
        let key = crate::pass_keys::open(&server.context.keys, &keys[0]).unwrap();
        let Content::Pass(said) = content(&good["document"]) else { panic!("a rider") };
        let id = PassId::from_bytes(&[7; 8]).unwrap();
        let forged = key.sign(&Content::Pass(Pass { id, ..said })).unwrap();
        let later = server.now() + 60;
        lock.tap(&good, later).unwrap();
        lock.tap(&booked["passes"][0], later).unwrap();
        lock.present(forged.as_ref(), None, later).unwrap();
        let riders = server.riders(&lock.id).await;
        lock.bring_riders(&riders["documents"], later);
        assert_eq!(lock.refuses_pass(&booked["passes"][0], later), Some("revoked"));
        let _ = lock.tap(&booked["passes"][0], later);
        server.clock.set(later);
        let told = lock.bring_home(&server).await;
        assert_eq!((&told["openings"], &told["refused"]), (&json!(3), &json!(1)));
        let (_, events) = server.get(&format!("/v1/locks/{}/events", lock.id)).await;
        let events = events["data"].as_array().unwrap();
        let of = |field: &str| -> Vec<Value> {
            events.iter().map(|event| event[field].clone()).collect()
        };
        assert_eq!(of("kind"), ["opened", "opened", "opened", "list_taken"]);
        assert_eq!(of("form")[..3], ["pass", "pass", "pass"]);
        let warnings =
            [Value::Null, json!("pass_revoked"), json!("pass_never_issued"), Value::Null];
        assert_eq!(of("warning"), warnings);
        assert_eq!((&events[0]["pass"], &events[0]["booking"]), (&good["id"], &Value::Null));
        assert_eq!(events[1]["booking"], booked["id"]);
        assert_eq!(events[2]["pass"], "0707070707070707");
        let (status, _) = server.get("/v1/passes/0707070707070707").await;
        assert_eq!(status, 404, "a journal makes no pass");
    }

    #[tokio::test]
    async fn forged_passes_under_ids_that_were_issued_are_told() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts"})).await;
        let other = server.lock("2", json!({"kind": "courts"})).await;
        let good = server.pass(&lock.id, "10:00", "11:00", json!({"uses": 2})).await;
        let elsewhere = server.pass(&other.id, "10:00", "11:00", json!({})).await;
        let past = server.pass(&lock.id, "10:00", "11:00", json!({})).await;
        // Somebody has the key that passes are signed with, and has seen ids.
        let keys = server.context.store.read(crate::store::pass_keys::all).await.unwrap();
        let key = crate::pass_keys::open(&server.context.keys, &keys[0]).unwrap();
        let said = |pass: &Value| match content(&pass["document"]) {
            Content::Pass(said) => said,
            Content::Rider(_) => panic!("a rider"),
        };
        let forge = |pass: Pass| key.sign(&Content::Pass(pass)).unwrap();
        let ten = seconds("10:00");
        lock.tap(&good, ten).unwrap();
        lock.tap(&past, ten).unwrap();
        lock.tap(&good, ten + 60).unwrap();
        let often = forge(Pass { scope: Scope::default(), ..said(&good) });
        lock.present(often.as_ref(), None, ten + 60).unwrap();
        let audience = said(&good).audience;
        let here = forge(Pass { audience, ..said(&elsewhere) });
        lock.present(here.as_ref(), None, ten + 60).unwrap();
        let late = ten + 2 * 86_400;
        let from = Timestamp::from_seconds(late);
        let window = Window::new(from, from.later(3_600)).unwrap();
        let later = forge(Pass { window, ..said(&past) });
        server.clock.set(ten + 120);
        lock.bring_home(&server).await;
        lock.present(later.as_ref(), None, late + 60).unwrap();
        server.clock.set(late + 120);
        lock.bring_home(&server).await;
        let (_, events) = server.get(&format!("/v1/locks/{}/events", lock.id)).await;
        let opened = events["data"].as_array().unwrap().iter();
        let opened = opened.filter(|event| event["kind"] == "opened");
        let warnings: Vec<_> = opened.map(|event| event["warning"].clone()).collect();
        let (fine, forged) = (Value::Null, json!("pass_not_for_this"));
        let said = [&fine, &fine, &fine, &forged, &forged, &forged].map(Value::clone);
        assert_eq!(warnings, said);
    }
}
