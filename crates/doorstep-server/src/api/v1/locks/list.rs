//! Lists locks, page by page.

use super::LockView;
use crate::context::Context;
use crate::http::cursor;
use crate::http::extract::ApiQuery;
use crate::http::problem::{Problem, ProblemBody};
use crate::store::locks;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Which locks, and how many at a time.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListLocks {
    /// How many on a page, 1 to 200; 50 when left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only those of this site.
    site: Option<String>,
    /// Only those of this name.
    name: Option<String>,
}

/// A page of locks, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LockList {
    data: Vec<LockView>,
    /// Where the next page starts; null on the last.
    next_cursor: Option<String>,
}

/// Lists locks, oldest first.
#[utoipa::path(get, path = "/v1/locks", tag = "locks", operation_id = "list_locks",
    security(("api_key" = [])), params(ListLocks),
    responses((status = 200, description = "a page of locks", body = LockList), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiQuery(query): ApiQuery<ListLocks>,
) -> Result<Json<LockList>, Problem> {
    let limit = cursor::limit(query.limit)?;
    let after = cursor::read(query.cursor.as_deref())?;
    let now = context.now();
    let list = context
        .store
        .read(move |connection| {
            let (site, name) = (query.site.as_deref(), query.name.as_deref());
            let page = locks::page(connection, site, name, after, limit.saturating_add(1))?;
            let (page, next_cursor) = cursor::cut(page, limit, |lock| lock.seq);
            let views = page.iter().map(|lock| LockView::new(connection, lock, now));
            Ok::<_, Problem>(LockList { data: views.collect::<Result<_, _>>()?, next_cursor })
        })
        .await?;
    Ok(Json(list))
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::json;

    #[tokio::test]
    async fn locks_are_found_by_site_and_name_and_page_by_page() {
        let server = TestServer::new().await;
        for (site, name) in [("north", "1"), ("north", "2"), ("south", "1")] {
            server
                .lock_with(json!({"site": site, "name": name, "profile": {"kind": "courts"}}))
                .await;
        }
        for (query, found) in [
            ("", 3),
            ("site=north", 2),
            ("site=North", 0),
            ("site=south&name=1", 1),
            ("site=south&name=2", 0),
            ("name=1", 2),
            ("limit=2", 2),
        ] {
            let (status, list) = server.get(&format!("/v1/locks?{query}")).await;
            assert_eq!((status, list["data"].as_array().unwrap().len()), (200, found), "{query}");
        }
        let (_, page) = server.get("/v1/locks?limit=2").await;
        let cursor = page["next_cursor"].as_str().unwrap();
        let (_, rest) = server.get(&format!("/v1/locks?limit=2&cursor={cursor}")).await;
        assert_eq!(
            (&rest["data"][0]["site"], &rest["next_cursor"]),
            (&json!("south"), &json!(null))
        );
        for query in ["limit=0", "cursor=x", "sites=north"] {
            assert_eq!(server.get(&format!("/v1/locks?{query}")).await.0, 400, "{query}");
        }
        for id in ["lck_0", "x", "%00"] {
            let (status, problem) = server.get(&format!("/v1/locks/{id}")).await;
            assert_eq!((status, &problem["code"]), (404, &json!("unknown_lock")));
        }
    }
}
