//! A server in the test's own process: a settable clock, seeded randomness, one API key.

use crate::api::router;
use crate::config::Config;
use crate::context::{Clock, Context};
use crate::init::{Mode, init};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use doorstep::time::Timestamp;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tower::ServiceExt as _;

/// 2027-01-15T08:00:00Z.
pub(crate) const START: u64 = 1_800_000_000;

/// A clock that stands still until it is advanced.
pub(crate) struct TestClock(AtomicU64);

impl TestClock {
    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn set(&self, at: u64) {
        self.0.store(at, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.0.load(Ordering::SeqCst))
    }
}

pub(crate) struct TestServer {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) context: Arc<Context>,
    router: Router,
    bearer: String,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) request_id: String,
    pub(crate) bytes: Vec<u8>,
    /// Null when the body is not JSON.
    pub(crate) json: Value,
}

impl TestServer {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock(AtomicU64::new(START)));
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        init(dir.path(), Mode::Test, &mut rng, clock.now()).unwrap();
        let config = Config::new(dir.path().to_owned());
        let context =
            Context::open(config, Arc::clone(&clock) as Arc<dyn Clock>, Box::new(rng)).unwrap();
        let context = Arc::new(context);
        let key = crate::create_api_key(&context, "test").await.unwrap();
        let router = router(&context);
        Self {
            dir,
            clock,
            context,
            router,
            bearer: format!("Bearer {}", key.secret),
        }
    }

    pub(crate) fn bearer(&self) -> (&'static str, &str) {
        ("authorization", &self.bearer)
    }

    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, value.as_bytes());
        }
        let response = self
            .router
            .clone()
            .oneshot(request.body(Body::from(body.into())).unwrap())
            .await
            .unwrap();
        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .and_then(|v| v.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        let (content_type, request_id) = (header("content-type"), header("x-request-id"));
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap()
            .to_vec();
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer {
            status,
            content_type,
            request_id,
            bytes,
            json,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.request("GET", path, &[self.bearer()], "").await;
        (answer.status, answer.json)
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let headers = [self.bearer(), ("content-type", "application/json")];
        let answer = self.request("POST", path, &headers, body.to_string()).await;
        (answer.status, answer.json)
    }

    /// All deliveries, as the API lists them.
    pub(crate) async fn deliveries(&self) -> Vec<Value> {
        let (_, page) = self.get("/v1/deliveries?limit=200").await;
        page["data"].as_array().unwrap().clone()
    }
}
