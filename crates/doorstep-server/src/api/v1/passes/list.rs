//! Lists passes, page by page.

use super::view::PassView;
use crate::api::v1::{bookings, locks};
use crate::context::Context;
use crate::http::cursor;
use crate::http::extract::ApiQuery;
use crate::http::problem::{Problem, ProblemBody};
use crate::store::passes::{self, Filter};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Which passes, and how many at a time.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListPasses {
    /// How many on a page, 1 to 200; 50 when left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only those of the lock with this id, without those of its groups.
    lock: Option<String>,
    /// Only those of the booking with this id.
    booking: Option<String>,
}

/// A page of passes, oldest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct PassList {
    data: Vec<PassView>,
    /// Where the next page starts; null on the last.
    next_cursor: Option<String>,
}

/// Lists passes in the order in which they were made, without their documents.
#[utoipa::path(get, path = "/v1/passes", tag = "passes", operation_id = "list_passes",
    security(("api_key" = [])), params(ListPasses),
    responses((status = 200, description = "a page of passes", body = PassList), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiQuery(query): ApiQuery<ListPasses>,
) -> Result<Json<PassList>, Problem> {
    let limit = cursor::limit(query.limit)?;
    let after = cursor::read(query.cursor.as_deref())?;
    let now = context.now();
    let list = context
        .store
        .read(move |connection| {
            let lock = query.lock.map(|id| locks::find(connection, &id)).transpose()?;
            let booking = query.booking.map(|id| bookings::find(connection, &id)).transpose()?;
            let filter = Filter {
                lock: lock.map(|lock| lock.seq),
                booking: booking.map(|(booking, _)| booking.seq),
            };
            let page = passes::page(connection, filter, after, limit.saturating_add(1))?;
            let (page, next_cursor) = cursor::cut(page, limit, |pass| pass.seq);
            let views = page.iter().map(|pass| PassView::new(connection, pass, now));
            Ok::<_, Problem>(PassList { data: views.collect::<Result<_, _>>()?, next_cursor })
        })
        .await?;
    Ok(Json(list))
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::{Value, json};

    async fn ids(server: &TestServer, query: &str) -> Vec<Value> {
        let (status, page) = server.get(&format!("/v1/passes{query}")).await;
        assert_eq!(status, 200, "{page}");
        page["data"].as_array().unwrap().iter().map(|pass| pass["id"].clone()).collect()
    }

    #[tokio::test]
    async fn pages_follow_each_other_and_show_no_document() {
        let server = TestServer::new().await;
        let first = server.lock("1", json!({"kind": "courts"})).await;
        let second = server.lock("2", json!({"kind": "courts"})).await;
        let booking = server.book(&first.id, "10:00", "11:00").await;
        let mut all = Vec::new();
        for lock in [&first, &second, &first] {
            let pass = server.pass(&lock.id, "10:00", "11:00", json!({"reference": "R"})).await;
            all.push(pass["id"].clone());
        }
        let (status, of_booking) =
            server.post("/v1/passes", json!({"booking": booking["id"]})).await;
        assert_eq!((status, &of_booking["booking"]), (201, &booking["id"]), "{of_booking}");
        assert_eq!(
            (&of_booking["from"], &of_booking["lock"]),
            (&booking["from"], &booking["lock"])
        );
        all.push(of_booking["id"].clone());
        assert_eq!(ids(&server, "").await, all);
        let (_, page) = server.get("/v1/passes?limit=3").await;
        assert!(page["data"][0].get("document").is_none());
        let cursor = page["next_cursor"].as_str().unwrap();
        assert_eq!(ids(&server, &format!("?cursor={cursor}")).await, all[3..]);
        let id = second.id.as_str();
        assert_eq!(ids(&server, &format!("?lock={id}")).await, all[1..2]);
        let booking = booking["id"].as_str().unwrap();
        assert_eq!(ids(&server, &format!("?booking={booking}")).await, all[3..]);
        assert!(ids(&server, &format!("?booking={booking}&lock={id}")).await.is_empty());
        for (query, status) in
            [("?lock=lck_0", 404), ("?booking=bkg_0", 404), ("?limit=0", 400), ("?x=1", 400)]
        {
            assert_eq!(server.get(&format!("/v1/passes{query}")).await.0, status, "{query}");
        }
        let with_window = json!({"booking": booking, "from": "2027-01-15T10:00:00Z"});
        let (status, problem) = server.post("/v1/passes", with_window).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("from")));
    }
}
