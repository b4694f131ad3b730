//! Numbers for whoever watches the service, in the text format of Prometheus. They name endpoints as
//! the router does and never an id: neither a delivery nor a driver becomes a label.

use super::problem::Problem;
use crate::api::access::{self, Route};
use crate::context::Context;
use crate::store::numbers;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Seconds that answers are sorted by.
const BUCKETS: [f64; 8] = [0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 30.0];

/// What was answered since the start.
#[derive(Default)]
pub(crate) struct Metrics(Mutex<BTreeMap<Endpoint, Answers>>);

/// The path, as it stands in the router, and the method.
type Endpoint = (&'static str, &'static str);

#[derive(Default)]
struct Answers {
    /// How many of each status.
    statuses: BTreeMap<u16, u64>,
    /// How many within each of [`BUCKETS`], and not within the one before.
    within: [u64; BUCKETS.len()],
    count: u64,
    took: Duration,
}

impl Metrics {
    fn add(&self, route: &Route, status: u16, took: Duration) {
        let mut endpoints = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = endpoints.entry((route.path, route.method)).or_default();
        *answers.statuses.entry(status).or_default() += 1;
        let seconds = took.as_secs_f64();
        let bucket = BUCKETS.iter().position(|bucket| seconds <= *bucket);
        if let Some(count) = bucket.and_then(|bucket| answers.within.get_mut(bucket)) {
            *count += 1;
        }
        answers.count += 1;
        answers.took = answers.took.saturating_add(took);
    }

    fn write(&self, text: &mut Text) {
        let endpoints = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = "doorstep_http_requests_total";
        text.about(name, "counter", "Requests that were answered.");
        for ((path, method), answers) in endpoints.iter() {
            for (status, count) in &answers.statuses {
                let labels = format!("path=\"{path}\",method=\"{method}\",status=\"{status}\"");
                text.line(name, &labels, count);
            }
        }
        let name = "doorstep_http_request_duration_seconds";
        text.about(name, "histogram", "How long answers took.");
        for ((path, method), answers) in endpoints.iter() {
            let labels = format!("path=\"{path}\",method=\"{method}\"");
            let mut within = 0;
            for (bucket, count) in BUCKETS.iter().zip(answers.within) {
                within += count;
                text.line(&format!("{name}_bucket"), &format!("{labels},le=\"{bucket}\""), within);
            }
            text.line(&format!("{name}_bucket"), &format!("{labels},le=\"+Inf\""), answers.count);
            text.line(&format!("{name}_sum"), &labels, answers.took.as_secs_f64());
            text.line(&format!("{name}_count"), &labels, answers.count);
        }
    }
}

/// Lines of the text format.
#[derive(Default)]
struct Text(String);

impl Text {
    fn about(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String never fails.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = match labels {
            "" => writeln!(self.0, "{name} {value}"),
            _ => writeln!(self.0, "{name}{{{labels}}} {value}"),
        };
    }

    /// A number that stands alone.
    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.about(name, "gauge", help);
        self.line(name, "", value);
    }
}

/// Counts an answer and how long it took.
pub(crate) async fn measure(
    State(context): State<Arc<Context>>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    let route = path.and_then(|path| access::find(request.method(), path.as_str()));
    let began = Instant::now();
    let response = next.run(request).await;
    if let Some(route) = route {
        context.metrics.add(route, response.status().as_u16(), began.elapsed());
    }
    response
}

/// Numbers about the service, in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "service", operation_id = "metrics",
    security(("api_key" = [])),
    responses((status = 200, description = "the numbers", content_type = "text/plain"),
        (status = "4XX", description = "refused", body = crate::http::problem::ProblemBody, content_type = "application/problem+json")))]
pub(crate) async fn handler(State(context): State<Arc<Context>>) -> Result<Response, Problem> {
    let now = context.now();
    let numbers = context.store.read(move |connection| numbers::read(connection, now)).await?;
    let mut text = Text::default();
    let version = env!("CARGO_PKG_VERSION");
    text.about("doorstep_build_info", "gauge", "The version of the server.");
    text.line(
        "doorstep_build_info",
        &format!("version=\"{version}\",mode=\"{}\"", context.mode()),
        1,
    );
    context.metrics.write(&mut text);
    text.gauge("doorstep_messages_due", "Messages whose time has come.", numbers.messages_due);
    let help = "How long the message that is due longest has waited.";
    text.gauge("doorstep_message_lag_seconds", help, numbers.message_lag);
    let help = "Messages that no provider took.";
    text.gauge("doorstep_messages_failed", help, numbers.messages_failed);
    text.gauge(
        "doorstep_claims_waiting",
        "Claims that were not judged yet.",
        numbers.claims_waiting,
    );
    text.gauge("doorstep_disputes_open", "Deliveries in dispute.", numbers.disputes);
    text.about("doorstep_devices", "gauge", "Drivers' devices by state.");
    for (state, count) in &numbers.devices {
        text.line("doorstep_devices", &format!("state=\"{state}\""), count);
    }
    text.gauge("doorstep_database_bytes", "The size of the database.", numbers.database_bytes);
    if let Some(age) = context.heartbeat.age() {
        let help = "How long ago the jobs came round.";
        text.gauge("doorstep_jobs_age_seconds", help, age.as_secs_f64());
    }
    if let Some(age) = context.outbox.heartbeat.age() {
        let help = "How long ago the outbox looked for messages that are due.";
        text.gauge("doorstep_outbox_age_seconds", help, age.as_secs_f64());
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text.0).into_response())
}

#[cfg(test)]
mod tests {
    use crate::test_server::TestServer;

    fn value(text: &str, line: &str) -> Option<f64> {
        let found = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
        found.map(|number| number.parse().unwrap())
    }

    #[tokio::test]
    async fn requests_are_counted_by_endpoint_and_no_id_is_told() {
        let server = TestServer::new().await;
        let device = server.device("Marta").await;
        let delivery = server.delivery("A-7").await;
        server.plan(&delivery, device.id()).await;
        for path in [format!("/v1/deliveries/{delivery}"), "/v1/deliveries/dlv_0".to_owned()] {
            server.get(&path).await;
        }
        let text = server.request("GET", "/metrics", &[server.bearer()], "").await.text;
        let labels = "path=\"/v1/deliveries/{id}\",method=\"GET\"";
        let requests = |status| {
            value(&text, &format!("doorstep_http_requests_total{{{labels},status=\"{status}\"}}"))
        };
        assert_eq!((requests(200), requests(404)), (Some(1.0), Some(1.0)));
        let name = "doorstep_http_request_duration_seconds";
        assert_eq!(value(&text, &format!("{name}_count{{{labels}}}")), Some(2.0));
        assert_eq!(value(&text, &format!("{name}_bucket{{{labels},le=\"+Inf\"}}")), Some(2.0));
        assert_eq!(value(&text, "doorstep_devices{state=\"enrolled\"}"), Some(1.0));
        for secret in [delivery.as_str(), device.id(), "A-7", "Marta", "Ana", "ds_test"] {
            assert!(!text.contains(secret), "{secret}");
        }
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (_, number) = line.rsplit_once(' ').unwrap();
            number.parse::<f64>().unwrap();
        }
    }

    #[tokio::test]
    async fn lag_is_how_long_a_message_is_due() {
        let server = TestServer::new().await;
        let device = server.device("Marta").await;
        let delivery = server.delivery("A").await;
        server.plan(&delivery, device.id()).await;
        let metrics = async || {
            let answer = server.request("GET", "/metrics", &[server.bearer()], "").await;
            let read = |name| value(&answer.text, name);
            (read("doorstep_messages_due"), read("doorstep_message_lag_seconds"))
        };
        assert_eq!(metrics().await, (Some(0.0), Some(0.0)));
        server.execute(
            "UPDATE messages SET state = 'waiting', next_at = 1800000000 - 90 WHERE slot = 0",
        );
        assert_eq!(metrics().await, (Some(1.0), Some(90.0)));
    }
}
