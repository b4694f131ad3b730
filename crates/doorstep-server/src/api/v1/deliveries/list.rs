//! Lists deliveries, page by page.

use super::DeliveryView;
use crate::context::Context;
use crate::http::cursor;
use crate::http::extract::ApiQuery;
use crate::http::problem::{Code, Problem, ProblemBody};
use crate::store::deliveries::{Delivery, State as DeliveryState};
use crate::store::delivery_list::{self, After, Filter, Order};
use crate::store::words::Question;
use crate::store::{StoreError, devices};
use crate::utc::{self, Utc};
use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorstep::id::DeviceId;
use doorstep::time::Timestamp;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Which deliveries, and how many at a time.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListDeliveries {
    /// How many on a page, 1 to 200; 50 when left out. A page may be shorter and not the last.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `next_cursor` of the page before, with the same filters.
    cursor: Option<String>,
    /// Only those in this state.
    #[param(example = "planned")]
    state: Option<String>,
    /// Only those planned for this device.
    device: Option<String>,
    /// Only those planned for a device of this driver.
    #[param(example = "Ana")]
    driver: Option<String>,
    /// Only those expected at this time or later; the list is then in this order.
    #[param(format = DateTime)]
    expected_from: Option<String>,
    /// Only those expected before this time; the list is then in this order.
    #[param(format = DateTime)]
    expected_until: Option<String>,
    /// Only the one with this id, or with this reference if no delivery has the id.
    named: Option<String>,
    /// Only the one with this reference.
    reference: Option<String>,
    /// Only those whose reference begins so; the list is then in order of references, unless it is in
    /// another.
    reference_prefix: Option<String>,
    /// Only those with all of these words, or words that begin so, in their reference, address, names or
    /// phone numbers; accents and case make no difference.
    #[param(example = "zoe high st", max_length = 100)]
    q: Option<String>,
}

/// A delivery in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListedDelivery {
    #[serde(flatten)]
    delivery: DeliveryView,
    /// The device that it is planned for.
    device: Option<String>,
    /// Whose device that is.
    driver: Option<String>,
    /// When the driver should be there.
    expected_at: Option<Utc>,
}

/// A page of deliveries.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryList {
    data: Vec<ListedDelivery>,
    /// Where the next page starts; null on the last.
    next_cursor: Option<String>,
}

/// Lists deliveries, oldest first; by expected time or by reference if filtered by these. Deliveries that
/// come in meanwhile leave cursors as they are.
#[utoipa::path(get, path = "/v1/deliveries", tag = "deliveries", operation_id = "list_deliveries",
    security(("api_key" = [])), params(ListDeliveries),
    responses((status = 200, description = "a page of deliveries", body = DeliveryList), (status = "4XX", description = "refused",
            body = ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(
    State(context): State<Arc<Context>>,
    ApiQuery(query): ApiQuery<ListDeliveries>,
) -> Result<Json<DeliveryList>, Problem> {
    let limit = cursor::limit(query.limit)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let filter = filter(&context, &query)?;
    let after = query.cursor.map(|cursor| read(&cursor, filter.order())).transpose()?;
    let list = context
        .store
        .read(move |connection| -> Result<_, StoreError> {
            let (page, next) = delivery_list::page(connection, &filter, after.as_ref(), limit)?;
            let data = page.into_iter().map(|delivery| listed(connection, delivery));
            let data = data.collect::<Result<_, _>>()?;
            Ok(DeliveryList { data, next_cursor: next.as_ref().map(write) })
        })
        .await?;
    Ok(Json(list))
}

fn listed(connection: &Connection, delivery: Delivery) -> Result<ListedDelivery, StoreError> {
    let device = match &delivery.device {
        Some(id) => devices::find(connection, id)?,
        None => None,
    };
    Ok(ListedDelivery {
        device: delivery.device.as_ref().map(DeviceId::to_string),
        driver: device.map(|device| device.driver),
        expected_at: delivery.expected_at.map(Utc),
        delivery: delivery.into(),
    })
}

fn filter(context: &Context, query: &ListDeliveries) -> Result<Filter, Problem> {
    let state = query.state.as_deref().map(DeliveryState::parse).transpose().map_err(|()| {
        let names: Vec<&str> = DeliveryState::ALL.iter().map(|state| state.as_str()).collect();
        Problem::new(Code::InvalidQuery, "state: not a state of deliveries")
            .hint(format!("one of {}", names.join(", ")))
    })?;
    let words = match query.q.as_deref() {
        Some(text) if text.chars().count() > 100 => {
            return Err(Problem::new(Code::InvalidQuery, "q: has more than 100 characters"));
        }
        Some(text) => {
            let question = Question::new(text, context.config.deliveries.default_region)?;
            Some(question.ok_or_else(|| {
                Problem::new(Code::InvalidQuery, "q: has neither letters nor digits")
                    .hint("look for the beginning of a reference, name, street or phone number")
            })?)
        }
        None => None,
    };
    Ok(Filter {
        state,
        device: query.device.clone(),
        driver: query.driver.clone(),
        expected_from: time("expected_from", query.expected_from.as_deref())?,
        expected_until: time("expected_until", query.expected_until.as_deref())?,
        named: query.named.clone(),
        reference: query.reference.clone(),
        reference_prefix: query.reference_prefix.clone(),
        words,
    })
}

fn time(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    text.map(utc::read)
        .transpose()
        .map_err(|error| Problem::new(Code::InvalidQuery, format!("{name}: {error}")))
}

fn write(after: &After) -> String {
    match after {
        After::Created(seq) => cursor::write(*seq),
        After::Expected(at, seq) => {
            URL_SAFE_NO_PAD.encode([at.to_be_bytes(), seq.to_be_bytes()].concat())
        }
        After::Reference(reference) => URL_SAFE_NO_PAD.encode(reference),
    }
}

fn read(text: &str, order: Order) -> Result<After, Problem> {
    let foreign = || {
        Problem::new(Code::InvalidQuery, "cursor: not one that this server gave out for this list")
            .hint("take next_cursor of the previous page as it is, with the same filters")
    };
    let bytes = || URL_SAFE_NO_PAD.decode(text).map_err(|_| foreign());
    match order {
        Order::Created => cursor::read(Some(text)).map(After::Created),
        Order::Expected => {
            let bytes = bytes()?;
            let (at, seq) = bytes.split_at_checked(8).ok_or_else(foreign)?;
            match (at.try_into(), seq.try_into()) {
                (Ok(at), Ok(seq)) => {
                    Ok(After::Expected(i64::from_be_bytes(at), i64::from_be_bytes(seq)))
                }
                _ => Err(foreign()),
            }
        }
        Order::Reference => {
            String::from_utf8(bytes()?).map(After::Reference).map_err(|_| foreign())
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;
    use serde_json::json;

    async fn filled() -> TestServer {
        let server = TestServer::new().await;
        let rows: Vec<_> = (0..5)
            .map(|n| {
                json!({"reference": format!("R{n}"), "address": format!("{n} Große Straße"),
                       "recipients": [{"name": "Zoë O’Neill", "phone": format!("61234567{n}")}]})
            })
            .collect();
        server.post("/v1/deliveries/import", json!({"deliveries": rows})).await;
        server
    }

    /// The references on all pages.
    async fn all(server: &TestServer, query: &str) -> Vec<String> {
        let mut seen = Vec::new();
        let mut path = format!("/v1/deliveries?limit=2&{query}");
        loop {
            let (status, page) = server.get(&path).await;
            assert_eq!(status, 200, "{page}");
            let data = page["data"].as_array().unwrap();
            seen.extend(data.iter().map(|d| d["reference"].as_str().unwrap().to_owned()));
            let Some(next) = page["next_cursor"].as_str() else { return seen };
            let query = query.split("&cursor=").next().unwrap();
            path = format!("/v1/deliveries?limit=2&{query}&cursor={next}");
        }
    }

    /// Plans R0 for 12:00, R1 for 11:00 and so on, the last two for Leo.
    async fn planned() -> TestServer {
        let server = filled().await;
        let (ana, leo) = (server.device("Ana").await, server.device("Leo").await);
        for (n, delivery) in server.deliveries().await.iter().take(4).enumerate() {
            let device = if n < 2 { &ana } else { &leo };
            let at = format!("2027-01-15T{:02}:00:00Z", 12 - n);
            let (status, _) =
                server.plan_at(delivery["id"].as_str().unwrap(), device.id(), &at).await;
            assert_eq!(status, 200);
        }
        server
    }

    #[tokio::test]
    async fn pages_join_without_gap_or_repetition_in_every_order() {
        let server = planned().await;
        assert_eq!(all(&server, "").await, ["R0", "R1", "R2", "R3", "R4"]);
        assert_eq!(all(&server, "reference_prefix=R").await, ["R0", "R1", "R2", "R3", "R4"]);
        let from = "expected_from=2027-01-15T09:00:00Z";
        assert_eq!(all(&server, from).await, ["R3", "R2", "R1", "R0"]);
        assert_eq!(all(&server, "q=zoe").await, ["R0", "R1", "R2", "R3", "R4"]);
        assert_eq!(all(&server, "driver=Leo").await, ["R2", "R3"]);
        assert_eq!(all(&server, "state=planned").await, ["R0", "R1", "R2", "R3"]);
    }

    #[tokio::test]
    async fn a_cursor_stays_valid_while_deliveries_come_in() {
        let server = filled().await;
        let (_, page) = server.get("/v1/deliveries?limit=3&q=zoe").await;
        let cursor = page["next_cursor"].as_str().unwrap().to_owned();
        let late = json!({"reference": "R9", "address": "Quay 9",
                          "recipients": [{"name": "ZOE", "phone": "612345679"}]});
        server.post("/v1/deliveries", late).await;
        assert_eq!(all(&server, &format!("q=zoe&cursor={cursor}")).await, ["R3", "R4", "R9"]);
    }

    #[tokio::test]
    async fn filters_narrow_the_list_together() {
        let server = planned().await;
        let leo = server.query("SELECT count(*) FROM devices WHERE driver = 'Leo'");
        assert_eq!(leo, 1);
        for (query, found) in [
            ("reference=R3", &["R3"][..]),
            ("reference=R", &[]),
            ("reference=R3&state=created", &[]),
            ("named=R3", &["R3"]),
            ("named=R", &[]),
            ("named=R3&reference=R2", &[]),
            ("named=R3&state=created", &[]),
            ("state=created", &["R4"]),
            ("state=cancelled", &[]),
            ("driver=Leo&expected_until=2027-01-15T10:00:00Z", &["R3"]),
            ("driver=Ana&expected_until=2027-01-15T12:00:00Z", &["R1"]),
            ("driver=Nobody", &[]),
            ("device=dev_0", &[]),
            ("state=planned&reference_prefix=R1", &["R1"]),
            ("q=zoe&driver=Leo", &["R2", "R3"]),
            ("q=zoe+r2", &["R2"]),
            ("q=STRA%C3%9FE+2", &["R2"]),
            ("q=neill&reference_prefix=R4", &["R4"]),
            ("q=612+34+56+73", &["R3"]),
            ("q=%2B34612345673", &["R3"]),
            ("q=0034+612+345+673", &["R3"]),
            ("q=12345673", &[]),
            ("q=nobody", &[]),
        ] {
            assert_eq!(all(&server, query).await, found, "{query}");
        }
        let (_, page) = server.get("/v1/deliveries?q=r2").await;
        let listed = &page["data"][0];
        assert_eq!(
            (&listed["driver"], &listed["expected_at"]),
            (&json!("Leo"), &json!("2027-01-15T10:00:00Z"))
        );
    }

    #[tokio::test]
    async fn what_is_erased_is_found_no_more() {
        let server = filled().await;
        server.execute("UPDATE recipients SET name = '', phone = '' WHERE phone LIKE '%1'");
        assert_eq!(all(&server, "q=zoe").await, ["R0", "R2", "R3", "R4"]);
        assert_eq!(all(&server, "q=r1").await, ["R1"]);
        server.execute("UPDATE deliveries SET address = '' WHERE reference = 'R1'");
        assert_eq!(all(&server, "q=1+gro%C3%9Fe").await, [""; 0]);
        server.execute("DELETE FROM recipients WHERE name = ''");
        assert_eq!(all(&server, "q=r1").await, ["R1"]);
    }

    #[tokio::test]
    async fn a_page_looks_at_a_bounded_number_of_rows_and_goes_on() {
        let server = TestServer::new().await;
        let rows: Vec<_> = (0..2500)
            .map(|n| {
                json!({"reference": format!("R{n:04}"), "address": "Quay 1",
                       "recipients": [{"name": "Ana", "phone": "612345678"}]})
            })
            .collect();
        server.post("/v1/deliveries/import", json!({"deliveries": rows})).await;
        server.execute("UPDATE deliveries SET state = 'expired' WHERE reference = 'R2400'");
        let (_, page) = server.get("/v1/deliveries?q=quay&state=expired").await;
        assert_eq!(page["data"], json!([]));
        assert!(page["next_cursor"].is_string());
        assert_eq!(all(&server, "q=quay&state=expired").await, ["R2400"]);
    }

    #[tokio::test]
    async fn queries_that_mean_nothing_are_refused() {
        let server = filled().await;
        let long = format!("q={}", "a".repeat(101));
        for query in [
            "limit=0",
            "limit=201",
            "limit=-1",
            "limit=many",
            "limit=99999999999",
            "cursor=x",
            "cursor=",
            "state=Created",
            "state=",
            "sort=name",
            "limit=1&limit=2",
            "expected_from=today",
            "expected_until=2027-01-15T10:00",
            "expected_from=2027-01-15T10:00:00Z&cursor=AAAA",
            "reference_prefix=R&cursor=_w",
            "q=",
            "q=%22*",
            &long,
        ] {
            let (status, problem) = server.get(&format!("/v1/deliveries?{query}")).await;
            assert_eq!((status, &problem["code"]), (400, &json!("invalid_query")), "{query}");
        }
    }
}
