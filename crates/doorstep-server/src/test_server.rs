//! A server in the test's own process: a settable clock, seeded randomness, one API key.

mod device;

pub(crate) use device::{TestDevice, proof};

use crate::api::router as router_of;
use crate::config::Config;
use crate::context::{Clock, Context};
use crate::init::{Mode, init};
use crate::scope::Scopes;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use doorstep::handover::stop::Stop;
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
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.0.load(Ordering::SeqCst))
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn set(&self, at: u64) {
        self.0.store(at, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.now()
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
    /// Null when the body is not JSON.
    pub(crate) json: Value,
    pub(crate) text: String,
    pub(crate) headers: HeaderMap,
}

impl Answer {
    /// A header, empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl TestServer {
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// A server whose settings were changed.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock(AtomicU64::new(START)));
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        init(dir.path(), Mode::Test, &mut rng, clock.now()).unwrap();
        let mut config = Config::new(dir.path().to_owned());
        config.deliveries.default_region = "ES".parse().ok();
        change(&mut config);
        let context = Context::open(config, clock.clone(), Box::new(rng)).unwrap();
        let context = Arc::new(context);
        let key = crate::create_api_key(&context, "test", Scopes::admin(), None).await.unwrap();
        let router = router_of(&context);
        Self { dir, clock, context, router, bearer: format!("Bearer {}", key.secret) }
    }

    /// The same directory, served anew.
    pub(crate) fn restart(self) -> Self {
        let Self { dir, clock, context, router, bearer } = self;
        drop(router);
        drop(context);
        let rng = Box::new(ChaCha20Rng::seed_from_u64(8));
        let config = Config::new(dir.path().to_owned());
        let context = Arc::new(Context::open(config, clock.clone(), rng).unwrap());
        let router = router_of(&context);
        Self { dir, clock, context, router, bearer }
    }

    /// What is in another directory, served at the same address, with the same clock and API key.
    pub(crate) fn moved_to(self, dir: tempfile::TempDir) -> Self {
        Self { dir, ..self }.restart()
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
        let (parts, body) = response.into_parts();
        let header = |name: &str| {
            parts.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned()
        };
        let (content_type, request_id) = (header("content-type"), header("x-request-id"));
        let status = parts.status.as_u16();
        let bytes = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status, content_type, request_id, json, text, headers: parts.headers }
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

impl TestServer {
    /// Takes in a delivery and gives back its id.
    pub(crate) async fn delivery(&self, reference: &str) -> String {
        self.delivery_for(reference, &["+34 612 345 678"]).await
    }

    /// The same, for recipients with these numbers.
    pub(crate) async fn delivery_for(&self, reference: &str, phones: &[&str]) -> String {
        let recipients: Vec<Value> =
            phones.iter().map(|phone| serde_json::json!({"name": "Ana", "phone": phone})).collect();
        let body = serde_json::json!({"reference": reference, "address": "Quay 1",
            "recipients": recipients});
        let (status, made) = self.post("/v1/deliveries", body).await;
        assert_eq!(status, 201, "{made}");
        made["id"].as_str().unwrap().to_owned()
    }

    /// Plans it for 10:00, an hour more or less.
    pub(crate) async fn plan(&self, delivery: &str, device: &str) -> (u16, Value) {
        self.plan_at(delivery, device, "2027-01-15T10:00:00Z").await
    }

    pub(crate) async fn plan_at(&self, delivery: &str, device: &str, at: &str) -> (u16, Value) {
        let body = serde_json::json!({"device": device, "expected_at": at});
        self.post(&format!("/v1/deliveries/{delivery}/plan"), body).await
    }

    /// A delivery that a device of a dishonest driver reported with a code of its own making: another,
    /// honest device, the forger's, and the delivery.
    pub(crate) async fn disputed(&self) -> (TestDevice, TestDevice, String) {
        let honest = self.device("Marta").await;
        let mut forger = self.device("Leo").await;
        let delivery = self.delivery("A").await;
        self.plan(&delivery, forger.id()).await;
        let stop = forger.sync(self).await.remove(0);
        self.clock.advance(2 * 3600);
        self.run_jobs().await;
        let forged = forger.forged(&stop, &self.code(0));
        forger.present(&delivery, &forged, self.clock.now()).unwrap();
        forger.sync(self).await;
        self.run_jobs().await;
        (honest, forger, delivery)
    }

    /// A new device, enrolled.
    pub(crate) async fn device(&self, driver: &str) -> TestDevice {
        TestDevice::enrol(self, driver, false).await
    }

    /// The same, managed by the business.
    pub(crate) async fn managed_device(&self, driver: &str) -> TestDevice {
        TestDevice::enrol(self, driver, true).await
    }

    pub(crate) async fn run_jobs(&self) {
        crate::jobs::once(&self.context).await;
        self.context.telling.idle().await;
    }

    /// What the provider has.
    pub(crate) fn messages(&self) -> Vec<Value> {
        let text =
            std::fs::read_to_string(self.dir.path().join("messages.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The code in the message of this index.
    pub(crate) fn code(&self, index: usize) -> String {
        let text = self.messages()[index]["text"].as_str().unwrap().to_owned();
        let (_, rest) = text.split_once("code is ").unwrap();
        rest.split_once('.').unwrap().0.to_owned()
    }

    fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.dir.path().join("doorstep.db")).unwrap()
    }

    /// A number out of the database.
    pub(crate) fn query(&self, sql: &str) -> i64 {
        self.database().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    pub(crate) fn execute(&self, sql: &str) {
        self.database().execute_batch(sql).unwrap();
    }
}

impl TestServer {
    /// A delivery at its door: planned, handed out, its code sent, its window open. With its device, its
    /// id, its stop and its code.
    pub(crate) async fn at_the_door() -> (Self, TestDevice, String, Stop, String) {
        let server = Self::new().await;
        let mut device = server.device("Marta").await;
        let delivery = server.delivery("A").await;
        server.plan(&delivery, device.id()).await;
        let stop = device.sync(&server).await.remove(0);
        server.clock.advance(2 * 3600);
        server.run_jobs().await;
        let code = server.code(0);
        (server, device, delivery, stop, code)
    }

    /// A delivery as the API shows it.
    pub(crate) async fn shown(&self, delivery: &str) -> Value {
        let (status, shown) = self.get(&format!("/v1/deliveries/{delivery}")).await;
        assert_eq!(status, 200, "{shown}");
        shown
    }
}

/// The verdicts of a delivery that is shown.
pub(crate) fn verdicts(shown: &Value) -> Vec<&str> {
    let claims = shown["claims"].as_array().unwrap().iter();
    claims.map(|claim| claim["verdict"].as_str().unwrap_or("-")).collect()
}
