//! Lists events in order, from where the caller left off.

use super::EventView;
use crate::context::Context;
use crate::http::cursor;
use crate::http::extract::ApiQuery;
use crate::http::problem::{Problem, ProblemBody};
use crate::store::events;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Which events, and how many at a time.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListEvents {
    /// How many on a page, 1 to 200; 50 when left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the answer before.
    cursor: Option<String>,
    /// Only those of this delivery.
    delivery: Option<String>,
}

/// A page of events, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventList {
    data: Vec<EventView>,
    /// Where the next page starts, also when there is none yet: ask again with it later.
    next_cursor: String,
    /// Whether there are more already.
    more: bool,
}

/// Lists events, oldest first. Asked again with `next_cursor`, it goes on where it ended: none is
/// left out and none comes twice.
#[utoipa::path(get, path = "/v1/events", tag = "events", operation_id = "list_events",
    security(("api_key" = [])), params(ListEvents),
    responses((status = 200, description = "a page of events", body = EventList), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiQuery(query): ApiQuery<ListEvents>,
) -> Result<Json<EventList>, Problem> {
    let limit = cursor::limit(query.limit)?;
    let after = cursor::read(query.cursor.as_deref())?;
    let page = context
        .store
        .read(move |connection| {
            events::page(connection, query.delivery.as_deref(), after, limit.saturating_add(1))
        })
        .await?;
    let (page, next) = cursor::cut(page, limit, |event| event.seq);
    let last = page.last().map_or(after, |event| event.seq);
    Ok(Json(EventList {
        data: page.into_iter().map(EventView::from).collect(),
        next_cursor: cursor::write(last),
        more: next.is_some(),
    }))
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::{Value, json};

    fn types(list: &Value) -> Vec<&str> {
        list["data"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap()).collect()
    }

    #[tokio::test]
    async fn a_delivery_tells_its_story_in_order() {
        let server = TestServer::new().await;
        let mut device = server.device("Marta").await;
        let delivery = server.delivery("A").await;
        server.plan(&delivery, device.id()).await;
        device.sync(&server).await;
        server.clock.advance(2 * 3600);
        server.run_jobs().await;
        let now = server.clock.now();
        device.present(&delivery, &server.code(0), now).unwrap();
        device.sync(&server).await;
        server.run_jobs().await;
        let (status, list) = server.get(&format!("/v1/events?delivery={delivery}")).await;
        assert_eq!(status, 200);
        assert_eq!(
            types(&list),
            [
                "delivery.created",
                "delivery.planned",
                "delivery.handed_out",
                "delivery.notified",
                "delivery.reported",
                "delivery.delivered"
            ]
        );
        let last = &list["data"][5];
        assert_eq!(last["data"], json!({"delivery": delivery, "reference": "A", "generation": 1}));
        assert_eq!(last["timestamp"], "2027-01-15T10:00:00Z");
        let (_, list) = server.get("/v1/events").await;
        assert!(types(&list).contains(&"device.enrolled"));
        let text = list.to_string();
        for private in ["Ana", "612", "Quay", "Marta", &server.code(0)] {
            assert!(!text.contains(private), "{private}");
        }
    }

    #[tokio::test]
    async fn whoever_asks_again_goes_on_where_the_list_ended() {
        let server = TestServer::new().await;
        server.delivery("A").await;
        server.delivery("B").await;
        let (_, first) = server.get("/v1/events?limit=1").await;
        assert_eq!((types(&first).len(), &first["more"]), (1, &json!(true)));
        let next =
            |page: &Value| format!("/v1/events?cursor={}", page["next_cursor"].as_str().unwrap());
        let (_, second) = server.get(&next(&first)).await;
        assert_eq!((types(&second).len(), &second["more"]), (1, &json!(false)));
        let (_, none) = server.get(&next(&second)).await;
        assert_eq!(none["data"], json!([]));
        server.delivery("C").await;
        let (_, later) = server.get(&next(&none)).await;
        assert_eq!(later["data"][0]["data"]["reference"], "C");
    }

    #[tokio::test]
    async fn a_refused_change_leaves_no_event() {
        let server = TestServer::new().await;
        server.delivery("A").await;
        let body = json!({"deliveries": [
            {"reference": "B", "address": "Quay 1", "recipients": [{"name": "Ana", "phone": "+34612345678"}]},
            {"reference": "A", "address": "Quay 1", "recipients": [{"name": "Ana", "phone": "+34612345678"}]}]});
        let (status, _) = server.post("/v1/deliveries/import", body).await;
        assert!(status >= 400);
        assert_eq!(server.query("SELECT count(*) FROM events"), 1);
    }

    #[tokio::test]
    async fn queries_that_mean_nothing_are_refused() {
        let server = TestServer::new().await;
        for query in ["limit=0", "cursor=%FF", "type=x"] {
            let (status, problem) = server.get(&format!("/v1/events?{query}")).await;
            assert_eq!((status, &problem["code"]), (400, &json!("invalid_query")), "{query}");
        }
    }
}
