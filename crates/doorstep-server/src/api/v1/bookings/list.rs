//! Lists bookings, page by page.

use super::{BookingView, Shown};
use crate::context::Context;
use crate::http::cursor;
use crate::http::extract::ApiQuery;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::store::bookings::{self, Booking, Filter};
use crate::store::locks;
use crate::utc;
use axum::Json;
use axum::extract::State;
use doorstep::time::{Timestamp, Window};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// Which bookings, and how many at a time.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListBookings {
    /// How many on a page, 1 to 200; 50 when left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only those of the lock with this id.
    lock: Option<String>,
    /// With a lock: only those that end after this time.
    #[param(example = "2026-11-22T00:00:00Z")]
    from: Option<String>,
    /// With a lock: only those that begin before this time.
    #[param(example = "2026-11-23T00:00:00Z")]
    until: Option<String>,
    /// Only those with this reference.
    reference: Option<String>,
}

/// A page of bookings, oldest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct BookingList {
    data: Vec<BookingView>,
    /// Where the next page starts; null on the last.
    next_cursor: Option<String>,
}

/// Lists bookings in the order in which they were made.
#[utoipa::path(get, path = "/v1/bookings", tag = "bookings", operation_id = "list_bookings",
    security(("api_key" = [])), params(ListBookings),
    responses((status = 200, description = "a page of bookings", body = BookingList), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiQuery(query): ApiQuery<ListBookings>,
) -> Result<Json<BookingList>, Problem> {
    let limit = cursor::limit(query.limit)?;
    let after = cursor::read(query.cursor.as_deref())?;
    let span = span(query.from.as_deref(), query.until.as_deref())?;
    if span.is_some() && query.lock.is_none() {
        return Err(Problem::new(Code::InvalidQuery, "from and until need a lock")
            .hint("name the lock by its id: lock=lck_..."));
    }
    let now = context.now();
    let inner = Arc::clone(&context);
    let list = context
        .store
        .read(move |connection| {
            let mut filter = Filter { span, reference: query.reference, ..Filter::default() };
            if let Some(id) = &query.lock {
                let lock = crate::api::v1::locks::find(connection, id)?;
                filter.lock = Some((lock.seq, lock.profile.longest()));
            }
            let page = bookings::page(connection, &filter, after, limit.saturating_add(1))?;
            let (page, next_cursor) = cursor::cut(page, limit, |booking| booking.seq);
            let mut locks_of = HashMap::new();
            for Booking { lock, .. } in &page {
                if !locks_of.contains_key(lock) {
                    locks_of.insert(*lock, locks::at(connection, *lock)?);
                }
            }
            let mut shown = HashMap::new();
            for (seq, lock) in &locks_of {
                shown.insert(*seq, Shown::new(connection, &inner.keys, lock, now)?);
            }
            let views = page.iter().filter_map(|booking| {
                shown.get(&booking.lock).map(|shown| shown.booking(booking, &[]))
            });
            Ok::<_, Problem>(BookingList { data: views.collect::<Result<_, _>>()?, next_cursor })
        })
        .await?;
    Ok(Json(list))
}

fn span(from: Option<&str>, until: Option<&str>) -> Result<Option<Window>, Problem> {
    if from.is_none() && until.is_none() {
        return Ok(None);
    }
    let read = |name: &str, text: Option<&str>, otherwise: u64| {
        text.map_or_else(|| Ok(Timestamp::from_seconds(otherwise)), utc::read)
            .map_err(|error| Problem::new(Code::InvalidQuery, format!("{name}: {error}")))
    };
    // The latest time that a column holds.
    let window = Window::new(read("from", from, 0)?, read("until", until, u64::MAX >> 1)?);
    let backward = || Problem::new(Code::InvalidQuery, "until: is not after from");
    window.map(Some).ok_or_else(backward)
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::json;

    #[tokio::test]
    async fn bookings_are_found_by_lock_time_and_reference() {
        let server = TestServer::new().await;
        let one = server.lock("1", json!({"kind": "general"})).await;
        let two = server.lock("2", json!({"kind": "general"})).await;
        let mut all = Vec::new();
        for (lock, from, until, reference) in [
            (&one, "10:00", "11:00", "a"),
            (&two, "10:00", "11:00", "a"),
            (&one, "11:00", "11:30", "b"),
            (&one, "08:00", "20:00", "c"),
        ] {
            let (status, booking) =
                server.try_book(&lock.id, from, until, json!({"reference": reference})).await;
            assert_eq!(status, 201, "{booking}");
            all.push(booking);
        }
        server.to_booking(&all[2], "cancel", json!({})).await;
        let lock = format!("lock={}", one.id);
        for (query, found) in [
            (String::new(), &[0, 1, 2, 3][..]),
            (lock.clone(), &[0, 2, 3]),
            ("reference=a".to_owned(), &[0, 1]),
            (format!("{lock}&reference=a"), &[0]),
            ("reference=d".to_owned(), &[]),
            (format!("{lock}&from=2027-01-15T11:00:00Z"), &[2, 3]),
            (format!("{lock}&until=2027-01-15T11:00:00Z"), &[0, 3]),
            (format!("{lock}&from=2027-01-15T11:30:00Z&until=2027-01-15T12:00:00Z"), &[3]),
            (format!("{lock}&from=2027-01-15T21:00:00Z"), &[]),
            (format!("{lock}&from=2027-01-15T12:30:00%2B01:00&reference=c"), &[3]),
        ] {
            let (status, list) = server.get(&format!("/v1/bookings?{query}")).await;
            assert_eq!(status, 200, "{query} {list}");
            let ids: Vec<_> =
                list["data"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
            let wanted: Vec<_> = found.iter().map(|index| &all[*index]["id"]).collect();
            assert_eq!(ids, wanted, "{query}");
        }
        let (_, list) = server.get("/v1/bookings").await;
        assert_eq!(list["data"][0], all[0]);
        let (_, page) = server.get(&format!("/v1/bookings?{lock}&limit=2")).await;
        let cursor = page["next_cursor"].as_str().unwrap();
        let (_, rest) = server.get(&format!("/v1/bookings?{lock}&limit=2&cursor={cursor}")).await;
        assert_eq!((&rest["data"][0], &rest["next_cursor"]), (&all[3], &json!(null)));
    }

    #[tokio::test]
    async fn queries_that_mean_nothing_are_refused() {
        let server = TestServer::new().await;
        let lock = server.lock("1", json!({"kind": "general"})).await.id;
        for query in [
            "limit=0".to_owned(),
            "cursor=x".to_owned(),
            "from=2027-01-15T10:00:00Z".to_owned(),
            format!("lock={lock}&from=today"),
            format!("lock={lock}&from=2027-01-15T10:00:00Z&until=2027-01-15T10:00:00Z"),
            format!("lock={lock}&state=booked"),
        ] {
            let (status, problem) = server.get(&format!("/v1/bookings?{query}")).await;
            assert_eq!((status, &problem["code"]), (400, &json!("invalid_query")), "{query}");
        }
        let (status, problem) = server.get("/v1/bookings?lock=lck_0").await;
        assert_eq!((status, &problem["code"]), (404, &json!("unknown_lock")));
        let (status, problem) = server.get("/v1/bookings/bkg_0").await;
        assert_eq!((status, &problem["code"]), (404, &json!("unknown_booking")));
    }
}
