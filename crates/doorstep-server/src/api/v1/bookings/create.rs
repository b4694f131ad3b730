//! Books a window of a lock and gives its holders their PINs and passes.

use super::{BookingView, Passes, asked, shown};
use crate::api::v1::locks;
use crate::api::v1::passes::terms::AskedTerms;
use crate::context::Context;
use crate::http::extract::ApiJson;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::ids::make_id;
use crate::issuing::{self, Issuer};
use crate::store::StoreError;
use crate::store::bookings::{self, Access, Booking, State as BookingState};
use crate::text;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// A booking to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateBooking {
    /// The lock's id.
    #[schema(example = "lck_01m7zpcgdg2c2rbw8qte4qcp8y")]
    lock: String,
    /// When it begins, in any zone.
    #[schema(example = "2026-11-22T18:00:00+01:00")]
    from: String,
    /// When it ends; not over yet.
    #[schema(example = "2026-11-22T19:00:00+01:00")]
    until: String,
    /// How its holders come in: with a `pin` each (when left out), a `pass` each, or `both`.
    #[schema(example = "pin")]
    #[serde(default)]
    access: Option<String>,
    /// How its passes open, and whose they are.
    #[serde(default)]
    pass: Option<AskedTerms>,
    /// How many; 1 when left out.
    #[schema(minimum = 1)]
    #[serde(default)]
    holders: Option<u8>,
    /// Whether each PIN opens once; not when left out.
    #[serde(default)]
    once: bool,
    /// The business's own name for it, 1 to 64 characters: of the bookings of a lock that stand, no other has
    /// it, so that a request that is repeated does not book twice.
    #[schema(min_length = 1, max_length = 64)]
    #[serde(default)]
    reference: Option<String>,
}

/// Books a window.
#[utoipa::path(post, path = "/v1/bookings", tag = "bookings", operation_id = "create_booking",
    security(("api_key" = [])), request_body = CreateBooking,
    responses((status = 201, description = "the booking with its PINs and passes", body = BookingView), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiJson(request): ApiJson<CreateBooking>,
) -> Result<(StatusCode, Json<BookingView>), Problem> {
    let now = context.now();
    let asked = asked(&request.from, &request.until, now)?;
    if let Some(reference) = &request.reference {
        text::reference(reference).map_err(|error| Problem::field("reference", error))?;
    }
    let holders = request.holders.unwrap_or(1);
    if holders == 0 {
        return Err(Problem::field("holders", "is 0; a booking has at least one"));
    }
    let access = request.access.as_deref().map_or(Ok(Access::Pin), Access::parse);
    let access = access.map_err(|()| Problem::field("access", "is none of pin, pass, both"))?;
    if request.pass.is_some() && !access.has_passes() {
        return Err(Problem::field("pass", "needs access by pass, or both"));
    }
    let terms = request.pass.unwrap_or_default().read("pass.")?;
    let id = context.with_rng(|rng| make_id("bkg", now, rng));
    let inner = Arc::clone(&context);
    let view = context
        .store
        .write(move |connection| {
            let lock = locks::find(connection, &request.lock)?;
            if holders > lock.profile.holders() {
                let most = lock.profile.holders();
                return Err(Problem::field(
                    "holders",
                    format!("is more than the {most} that this lock has for a window"),
                ));
            }
            if let Some(reference) = &request.reference
                && bookings::is_referred(connection, lock.seq, reference)?
            {
                return Err(duplicate());
            }
            let fit = issuing::fit(&lock.profile, &asked, request.once)?;
            let issuer = Issuer::new(connection, &inner.keys, &lock, now)?;
            issuer.require_free(&fit, &asked, None)?;
            let class = bookings::class_number(&lock.profile, &fit);
            let mut booking = Booking {
                seq: 0,
                id,
                lock: lock.seq,
                reference: request.reference,
                state: BookingState::Booked,
                access,
                asked,
                class: class.ok_or(StoreError::Corrupt { column: "locks.profile" })?,
                index: fit.index,
                opens: fit.window,
                created_at: now,
                cancelled_at: None,
            };
            booking.seq = bookings::insert(connection, &booking)?;
            if access.has_pins() {
                issuer.give(booking.seq, &fit, holders)?;
            }
            let mut issued = Vec::new();
            if access.has_passes() {
                let passes = Passes::new(connection, &inner, &lock, now);
                for _ in 0..holders {
                    issued.push(passes.give(&booking, &terms)?);
                }
            }
            shown(connection, &inner, &booking.id, (&lock, &issued), now)
        })
        .await?;
    Ok((StatusCode::CREATED, Json(view)))
}

fn duplicate() -> Problem {
    Problem::new(Code::DuplicateReference, "a booking of this lock that stands has this reference")
        .hint("GET /v1/bookings?reference=... shows it")
}

#[cfg(test)]
mod tests {
    use crate::test_lock::{at, pin, seconds};
    use crate::test_server::TestServer;
    use serde_json::{Value, json};
    use std::collections::BTreeSet;
    use std::sync::Arc;

    #[tokio::test]
    async fn a_booking_opens_its_lock_in_its_true_window_and_no_other_lock() {
        let server = TestServer::new().await;
        let mut court = server.lock("1", json!({"kind": "courts"})).await;
        let mut other = server.lock("2", json!({"kind": "courts"})).await;
        let body = json!({"holders": 2, "reference": "R-1"});
        let (status, booking) = server.try_book(&court.id, "10:05", "11:00", body).await;
        assert_eq!(status, 201, "{booking}");
        assert_eq!(booking["from"], at("10:05"));
        assert_eq!(
            (&booking["opens_from"], &booking["opens_until"]),
            (&json!(at("10:00")), &json!(at("11:00")))
        );
        assert_eq!(booking["grace"], json!({"early_seconds": 600, "late_seconds": 300}));
        assert_eq!((&booking["state"], &booking["once"]), (&json!("booked"), &json!(false)));
        assert_eq!(booking["revocations"], json!([]));
        let first = pin(&booking, 0);
        assert_eq!(first.len(), 9);
        assert_eq!(court.refuses(&first, seconds("09:45")), Some("not_yet_valid"));
        assert_eq!(other.press(&first, seconds("10:00")).unwrap_err().code(), "wrong_code");
        court.press(&first, seconds("09:52")).unwrap();
        court
            .press(booking["holders"][1]["pin_spaced"].as_str().unwrap(), seconds("10:30"))
            .unwrap();
        court
            .press(booking["holders"][0]["long_form"].as_str().unwrap(), seconds("10:31"))
            .unwrap();
        court
            .press(booking["holders"][0]["long_form_spaced"].as_str().unwrap(), seconds("11:04"))
            .unwrap();
        assert_eq!(court.refuses(&first, seconds("11:10")), Some("expired"));
        assert_eq!(
            server.booking(&booking).await,
            booking,
            "nothing is stored of PINs, and they stay"
        );
    }

    #[tokio::test]
    async fn times_may_have_any_offset_and_leap_days() {
        let server = TestServer::new().await;
        let lock = server.lock("1", json!({"kind": "general"})).await;
        for (from, until, opens) in [
            ("2027-01-16T00:00:00+14:00", "2027-01-16T00:30:00+14:00", "2027-01-15T10:00:00Z"),
            ("2027-01-15T00:00:00-09:30", "2027-01-15T10:00:00Z", "2027-01-15T09:30:00Z"),
            ("2028-02-29T23:45:00Z", "2028-03-01T00:15:00Z", "2028-02-29T23:45:00Z"),
            ("2027-12-31T23:45:00Z", "2028-01-01T00:15:00Z", "2027-12-31T23:45:00Z"),
            ("2099-12-31T20:00:00Z", "2099-12-31T20:30:00Z", "2099-12-31T20:00:00Z"),
        ] {
            let body = json!({"lock": lock.id, "from": from, "until": until});
            let (status, booking) = server.post("/v1/bookings", body).await;
            assert_eq!((status, &booking["opens_from"]), (201, &json!(opens)), "{booking}");
        }
    }

    #[tokio::test]
    async fn windows_that_are_none_over_or_too_long_are_refused() {
        let server = TestServer::new().await;
        let lock = server.lock("1", json!({"kind": "courts"})).await;
        for (from, until, status, code) in [
            (at("10:00"), at("10:00"), 422, "invalid_fields"),
            (at("10:00"), at("09:59"), 422, "invalid_fields"),
            (at("06:00"), at("08:00"), 422, "invalid_fields"),
            (at("06:00"), at("07:00"), 422, "invalid_fields"),
            (at("10:00"), "2027-02-30T00:00:00Z".to_owned(), 422, "invalid_fields"),
            (at("10:00"), "2100-01-01T00:00:00Z".to_owned(), 422, "invalid_fields"),
            (at("10:00"), "2027-01-15T11:00:00".to_owned(), 422, "invalid_fields"),
            (at("10:00"), at("14:01"), 422, "too_long"),
            (at("10:01"), at("14:01"), 422, "too_long"),
        ] {
            let body = json!({"lock": lock.id, "from": from, "until": until});
            let (got, problem) = server.post("/v1/bookings", body).await;
            assert_eq!((got, &problem["code"]), (status, &json!(code)), "{from} {until} {problem}");
        }
        let (_, problem) = server.try_book(&lock.id, "10:00", "15:00", json!({})).await;
        assert!(problem["detail"].as_str().unwrap().contains("240 minutes"), "{problem}");
        let booking = server.book(&lock.id, "07:45", "08:01").await;
        assert_eq!(booking["opens_until"], at("08:15"), "one that has begun is taken");
        assert_eq!(server.query("SELECT count(*) FROM bookings"), 1);
        assert_eq!(server.query("SELECT count(*) FROM pins"), 1);
    }

    #[tokio::test]
    async fn holders_uses_references_and_locks_that_are_none_are_refused() {
        let server = TestServer::new().await;
        let lock = server.lock("1", json!({"kind": "courts"})).await;
        let long = "x".repeat(65);
        for (more, status, code) in [
            (json!({"holders": 0}), 422, "invalid_fields"),
            (json!({"holders": 3}), 422, "invalid_fields"),
            (json!({"holders": -1}), 422, "invalid_fields"),
            (json!({"holders": 256}), 422, "invalid_fields"),
            (json!({"once": true}), 422, "no_such_use"),
            (json!({"once": "yes"}), 422, "invalid_fields"),
            (json!({"reference": ""}), 422, "invalid_fields"),
            (json!({"reference": long}), 422, "invalid_fields"),
            (json!({"lock": "lck_0"}), 404, "unknown_lock"),
            (json!({"pin": "123456789"}), 422, "invalid_fields"),
        ] {
            let (got, problem) = server.try_book(&lock.id, "10:00", "11:00", more.clone()).await;
            assert_eq!((got, &problem["code"]), (status, &json!(code)), "{more} {problem}");
        }
        let once = server.lock("2", json!({"kind": "courts", "uses": "once"})).await;
        let (status, problem) = server.try_book(&once.id, "10:00", "11:00", json!({})).await;
        assert_eq!((status, &problem["code"]), (422, &json!("no_such_use")));
        assert_eq!(server.query("SELECT count(*) FROM bookings"), 0);
    }

    #[tokio::test]
    async fn a_reference_is_one_booking_of_a_lock_until_it_is_cancelled() {
        let server = TestServer::new().await;
        let lock = server.lock("1", json!({"kind": "general"})).await;
        let door = server.lock("2", json!({"kind": "general"})).await;
        let reference = json!({"reference": "R-1"});
        let (status, first) = server.try_book(&lock.id, "10:00", "11:00", reference.clone()).await;
        assert_eq!(status, 201);
        let (status, problem) =
            server.try_book(&lock.id, "10:00", "11:00", reference.clone()).await;
        assert_eq!((status, &problem["code"]), (409, &json!("duplicate_reference")));
        assert_eq!(server.try_book(&door.id, "10:00", "11:00", reference.clone()).await.0, 201);
        server.to_booking(&first, "cancel", json!({})).await;
        assert_eq!(server.try_book(&lock.id, "10:00", "11:00", reference).await.0, 201);
    }

    #[tokio::test]
    async fn a_pin_of_single_use_opens_once() {
        let server = TestServer::new().await;
        let mut lock = server.lock("1", json!({"kind": "courts", "uses": "both"})).await;
        let (status, booking) =
            server.try_book(&lock.id, "10:00", "11:00", json!({"once": true})).await;
        assert_eq!((status, &booking["once"]), (201, &json!(true)));
        lock.press(&pin(&booking, 0), seconds("10:01")).unwrap();
        assert_eq!(lock.refuses(&pin(&booking, 0), seconds("10:02")), Some("already_used"));
        let many = server.book(&lock.id, "11:00", "12:00").await;
        lock.press(&pin(&many, 0), seconds("11:01")).unwrap();
        lock.press(&pin(&many, 0), seconds("11:02")).unwrap();
    }

    #[tokio::test]
    async fn a_place_for_one_party_is_not_given_twice() {
        let server = TestServer::new().await;
        let court = server.lock("1", json!({"kind": "courts"})).await;
        let taken = server.book(&court.id, "10:00", "11:10").await;
        assert_eq!(taken["opens_until"], at("11:30"));
        for (from, until, free) in [
            ("10:00", "11:00", "09:00"),
            ("09:00", "10:15", "08:30"),
            ("10:30", "12:30", "11:30"),
            ("11:10", "12:10", "11:30"),
            // The other's PINs open until 11:30, and its use would end them before.
            ("11:15", "12:15", "11:30"),
        ] {
            let (status, problem) = server.try_book(&court.id, from, until, json!({})).await;
            assert_eq!((status, &problem["code"]), (409, &json!("window_unavailable")), "{from}");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(taken["id"].as_str().unwrap()), "{detail}");
            assert_eq!(problem["nearest_free"]["from"], at(free), "{from} {problem}");
            let offered = problem["nearest_free"].clone();
            let length = |from: &Value, until: &Value| {
                let read = |time: &Value| crate::utc::read(time.as_str().unwrap()).unwrap();
                read(until).since(read(from))
            };
            assert_eq!(length(&offered["from"], &offered["until"]), seconds(until) - seconds(from));
        }
        let before = server.book(&court.id, "09:00", "10:00").await;
        let after = server.book(&court.id, "11:30", "12:30").await;
        assert_eq!(
            (&before["opens_until"], &after["opens_from"]),
            (&json!(at("10:00")), &json!(at("11:30")))
        );
        // What is offered is taken.
        let (_, problem) = server.try_book(&court.id, "09:30", "10:30", json!({})).await;
        let body = json!({"lock": court.id, "from": problem["nearest_free"]["from"],
            "until": problem["nearest_free"]["until"]});
        assert_eq!(server.post("/v1/bookings", body).await.0, 201);
        server.to_booking(&taken, "cancel", json!({})).await;
        assert_eq!(server.try_book(&court.id, "10:00", "11:00", json!({})).await.0, 201);
    }

    /// Who comes ten minutes early, at a lock whose clock is a little fast, ends nobody's PIN.
    #[tokio::test]
    async fn the_next_party_never_ends_the_pin_of_the_one_before() {
        let server = TestServer::new().await;
        let mut court = server.lock("1", json!({"kind": "courts"})).await;
        let one = server.book(&court.id, "14:00", "15:10").await;
        for (from, until) in [("15:15", "16:15"), ("13:30", "14:01"), ("14:15", "14:45")] {
            let (status, problem) = server.try_book(&court.id, from, until, json!({})).await;
            assert_eq!((status, &problem["code"]), (409, &json!("window_unavailable")), "{from}");
        }
        let opens = one["opens_until"].as_str().unwrap();
        let body = json!({"lock": court.id, "from": opens, "until": at("16:15")});
        let (status, two) = server.post("/v1/bookings", body).await;
        assert_eq!(status, 201, "{two}");
        court.press(&pin(&two, 0), seconds("15:21")).unwrap();
        assert_eq!(court.refuses(&pin(&one, 0), seconds("15:21")), None);
        // What is taken is refused whichever was booked first.
        let later = server.book(&court.id, "18:15", "19:15").await;
        let (status, problem) = server.try_book(&court.id, "17:00", "18:10", json!({})).await;
        assert_eq!(status, 409);
        assert!(problem["detail"].as_str().unwrap().contains(later["id"].as_str().unwrap()));
    }

    /// A lock keeps 24 of its places for PINs that open once; the 25th would not open.
    #[tokio::test]
    async fn no_more_single_uses_are_given_than_a_lock_remembers() {
        let server = TestServer::new().await;
        let profile = json!({"kind": "general", "uses": "both", "holders": 8, "generations": 2});
        let mut lock = server.lock("1", profile).await;
        let once = |holders: u8| json!({"once": true, "holders": holders});
        let mut given = Vec::new();
        for (from, until) in [("10:00", "11:00"), ("10:15", "11:15"), ("10:30", "11:30")] {
            let (status, booking) = server.try_book(&lock.id, from, until, once(8)).await;
            assert_eq!(status, 201, "{booking}");
            given.push(booking);
        }
        for (from, until, holders) in
            [("10:45", "11:45", 1), ("11:15", "12:15", 17), ("09:00", "12:00", 2)]
        {
            let (status, problem) = server.try_book(&lock.id, from, until, once(holders)).await;
            let refused = if holders > 8 { (422, "invalid_fields") } else { (409, "lock_full") };
            assert_eq!((status, &problem["code"]), (refused.0, &json!(refused.1)), "{problem}");
        }
        let path = format!("/v1/bookings/{}/holders", given[0]["id"].as_str().unwrap());
        assert_eq!(server.post(&path, json!({})).await.0, 409);
        assert_eq!(server.try_book(&lock.id, "11:30", "12:30", once(8)).await.0, 201);
        server.book(&lock.id, "10:45", "11:45").await;
        // One that is given up leaves its place to another.
        server.to_booking(&given[2], "cancel", json!({})).await;
        // Another generation's use is two things to remember.
        let (status, problem) = server.try_book(&lock.id, "10:30", "11:30", once(5)).await;
        assert_eq!((status, &problem["code"]), (409, &json!("lock_full")), "{problem}");
        let (status, again) = server.try_book(&lock.id, "10:30", "11:30", once(4)).await;
        assert_eq!(status, 201, "{again}");
        given[2] = again;
        for (minute, booking) in given.iter().enumerate() {
            for place in 0..if minute < 2 { 8 } else { 4 } {
                // The keypad gives attempts back with the time.
                let now = seconds("10:35") + 480 * u64::try_from(minute).unwrap() + 60 * place;
                lock.press(&pin(booking, usize::try_from(place).unwrap()), now).unwrap();
            }
        }
        assert_eq!(lock.state.keypad.marks().room(true), 0);
        // What was used is remembered, whether or not it was given up.
        server.clock.set(seconds("10:59"));
        lock.bring_home(&server).await;
        server.to_booking(&given[2], "cancel", json!({})).await;
        let (status, problem) = server.try_book(&lock.id, "10:30", "11:30", once(1)).await;
        assert_eq!((status, &problem["code"]), (409, &json!("lock_full")), "{problem}");
    }

    #[tokio::test]
    async fn guests_of_nights_follow_each_other() {
        let server = TestServer::new().await;
        let profile =
            json!({"kind": "stays", "check_in": "14:00", "check_out": "10:00", "nights": 3});
        let room = server.lock("101", profile).await;
        let book = async |from: &str, until: &str| {
            let body = json!({"lock": room.id, "from": from, "until": until});
            server.post("/v1/bookings", body).await
        };
        let (status, stay) = book("2027-01-15T16:00:00Z", "2027-01-17T10:00:00Z").await;
        assert_eq!((status, &stay["opens_from"]), (201, &json!(at("14:00"))), "{stay}");
        assert_eq!(book("2027-01-17T14:00:00Z", "2027-01-18T09:00:00Z").await.0, 201);
        let (status, problem) = book("2027-01-16T14:00:00Z", "2027-01-17T10:00:00Z").await;
        assert_eq!(
            (status, &problem["nearest_free"]["from"]),
            (409, &json!("2027-01-18T14:00:00Z"))
        );
        let (status, problem) = book("2027-01-20T14:00:00Z", "2027-01-24T10:00:00Z").await;
        assert_eq!((status, &problem["code"]), (422, &json!("too_long")));
        let (status, _) = book("2027-01-20T14:00:00Z", "2027-01-21T10:01:00Z").await;
        assert_eq!(status, 201, "a departure after the hour is one more night");
    }

    #[tokio::test]
    async fn nobody_is_given_what_somebody_was_given() {
        let server = TestServer::new().await;
        let lock = server.lock("1", json!({"kind": "general"})).await;
        let mut seen = BTreeSet::new();
        for round in 0..2 {
            let both = [
                server.book(&lock.id, "10:00", "11:00").await,
                server.book(&lock.id, "10:00", "11:00").await,
            ];
            for booking in &both {
                let holder = &booking["holders"][0];
                assert_eq!(holder["generation"], round);
                assert!(
                    seen.insert((holder["holder"].to_string(), holder["generation"].to_string()))
                );
            }
            let (status, problem) = server.try_book(&lock.id, "10:00", "11:00", json!({})).await;
            assert_eq!((status, &problem["code"]), (409, &json!("no_pins_left")));
            for booking in &both {
                server.to_booking(booking, "cancel", json!({})).await;
            }
        }
        let (status, problem) = server.try_book(&lock.id, "10:00", "11:00", json!({})).await;
        assert_eq!(
            (status, &problem["code"]),
            (409, &json!("no_pins_left")),
            "also after all were cancelled"
        );
        assert_eq!(server.query("SELECT count(*) FROM bookings"), 4);
        server.book(&lock.id, "10:15", "11:15").await;
    }

    #[tokio::test]
    async fn of_many_bookings_at_once_no_two_share_a_pin() {
        let server = Arc::new(TestServer::new().await);
        let profile = json!({"kind": "general", "holders": 16, "generations": 1});
        let lock = server.lock("1", profile).await;
        let tasks: Vec<_> = (0..32)
            .map(|_| {
                let (server, lock) = (Arc::clone(&server), lock.id.clone());
                tokio::spawn(
                    async move { server.try_book(&lock, "10:00", "11:00", json!({})).await },
                )
            })
            .collect();
        let (mut pins, mut refused) = (BTreeSet::new(), 0);
        for task in tasks {
            match task.await.unwrap() {
                (201, booking) => assert!(pins.insert(pin(&booking, 0))),
                (409, problem) => {
                    assert_eq!(problem["code"], "no_pins_left");
                    refused += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((pins.len(), refused), (16, 16));
        let court = server.lock("2", json!({"kind": "courts"})).await;
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let (server, lock) = (Arc::clone(&server), court.id.clone());
                tokio::spawn(
                    async move { server.try_book(&lock, "10:00", "11:00", json!({})).await.0 },
                )
            })
            .collect();
        let mut booked = 0;
        for task in tasks {
            booked += usize::from(task.await.unwrap() == 201);
        }
        assert_eq!(booked, 1, "the court is one party's");
    }
}
