//! A server in the test's own process: a settable clock, seeded randomness, one API key.

use crate::api::router as router_of;
use crate::config::Config;
use crate::context::{Clock, Context};
use crate::http::base64url::{read, write};
use crate::init::{Mode, init};
use crate::scope::Scopes;
use crate::ticket::Ticket;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use doorstep::code::Code;
use doorstep::cose::Kind;
use doorstep::cose::encrypt::Sealed;
use doorstep::cose::keys::SoftwareKey;
use doorstep::cose::sign1::{Signer, Unsigned};
use doorstep::handover::check::Check;
use doorstep::handover::claim::{Claim, Evidence, MAX_UPLOAD, Outcome, Upload};
use doorstep::handover::device::Device;
use doorstep::handover::enrolment::Welcome;
use doorstep::handover::event::{Event, Record};
use doorstep::handover::failure::{Note, Reason};
use doorstep::handover::route::Route;
use doorstep::handover::stop::{Presented, Stop, Whose};
use doorstep::handover::tag::Tag;
use doorstep::id::DeliveryId;
use doorstep::ledger::Receipt;
use doorstep::refusal::Refusal;
use doorstep::time::Timestamp;
use doorstep::verifier::Grant;
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
        let body = serde_json::json!({"reference": reference, "address": "Quay 1",
            "recipients": [{"name": "Ana", "phone": "+34 612 345 678"}]});
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

/// A driver's device in memory, with the core's own rules.
#[derive(Clone)]
pub(crate) struct TestDevice {
    pub(crate) key: SoftwareKey,
    pub(crate) device: Device,
    journal: Vec<Vec<u8>>,
    rng: ChaCha20Rng,
}

/// What a device shows with its ticket.
pub(crate) fn proof(ticket: &str, key: &SoftwareKey, kind: Kind) -> Vec<u8> {
    let ticket = Ticket::parse(ticket).unwrap();
    let payload = [ticket.secret().expose().as_slice(), &key.public().to_bytes()].concat();
    let unsigned = Unsigned::new(kind, &Signer::P256(key.public()), "enrolment", payload);
    unsigned.signed(&key.sign(&unsigned.to_be_signed()))
}

impl TestDevice {
    async fn enrol(server: &TestServer, driver: &str, managed: bool) -> Self {
        let body = serde_json::json!({"driver": driver, "managed": managed});
        let (_, invited) = server.post("/v1/devices", body).await;
        let ticket = invited["ticket"].as_str().unwrap();
        let mut rng = server.context.with_rng(|rng| ChaCha20Rng::seed_from_u64(rng.next_u64()));
        let key = SoftwareKey::make(&mut rng);
        let body = serde_json::json!({"ticket": ticket, "public_key": write(&key.public().to_bytes()),
            "proof": write(&proof(ticket, &key, Kind::Enrolment))});
        let (status, answer) = server.post("/v1/devices/enrol", body).await;
        assert_eq!(status, 200, "{answer}");
        let welcome = read("welcome", answer["welcome"].as_str().unwrap()).unwrap();
        let ticket = Ticket::parse(ticket).unwrap();
        let welcome = Welcome::verify(&welcome, &key.public(), |a, b| ticket.fits(a, b)).unwrap();
        let record = Device::enrol(welcome.identity("http://test".to_owned()), welcome.time);
        let device = Device::replay([record.body()]).unwrap();
        Self { key, device, journal: vec![record.body().to_vec()], rng }
    }

    pub(crate) fn id(&self) -> &str {
        self.device.identity().device.as_str()
    }

    fn record(&mut self, record: &Record) -> Receipt {
        assert_eq!(record.place().before, self.device.head());
        self.device.apply(record.body()).unwrap();
        self.journal.push(record.body().to_vec());
        record.place().appended()
    }

    /// Sends the claims that the server does not have, and takes in the acknowledgement.
    pub(crate) async fn upload(&mut self, server: &TestServer) -> (u16, Value) {
        let upload = self.device.upload(MAX_UPLOAD);
        self.send(server, &upload).await
    }

    pub(crate) async fn send(&mut self, server: &TestServer, upload: &Upload) -> (u16, Value) {
        let (status, answer) = server.post("/v1/claims", self.signed_upload(upload)).await;
        self.acknowledged(server, &answer);
        (status, answer)
    }

    fn signed_upload(&self, upload: &Upload) -> Value {
        let unsigned = upload.unsigned(&self.key.public());
        let document = unsigned.signed(&self.key.sign(&unsigned.to_be_signed()));
        serde_json::json!({"upload": write(&document)})
    }

    /// The request with the claims that the server does not have.
    pub(crate) fn upload_body(&self) -> Value {
        self.signed_upload(&self.device.upload(MAX_UPLOAD))
    }

    /// Takes in the acknowledgement in an answer, if there is one.
    pub(crate) fn acknowledged(&mut self, server: &TestServer, answer: &Value) {
        if let Some(text) = answer["acknowledgement"].as_str() {
            let document = read("acknowledgement", text).unwrap();
            let record = self.device.acknowledge(&document, server.clock.now()).unwrap();
            self.record(&record);
        }
    }

    /// The request for routes.
    pub(crate) fn route_body(&self) -> Value {
        let unsigned = self.device.request_route().unwrap().unsigned(&self.key.public());
        let document = unsigned.signed(&self.key.sign(&unsigned.to_be_signed()));
        serde_json::json!({"request": write(&document)})
    }

    /// What a driver sends who takes a delivery on.
    pub(crate) fn take_request(&self, delivery: &str, expected_at: Timestamp) -> Value {
        let take = self.device.take(delivery.to_owned(), expected_at, None).unwrap();
        let unsigned = take.unsigned(&self.key.public());
        let document = unsigned.signed(&self.key.sign(&unsigned.to_be_signed()));
        serde_json::json!({"request": write(&document)})
    }

    pub(crate) async fn take(
        &self,
        server: &TestServer,
        delivery: &str,
        expected_at: Timestamp,
    ) -> (u16, Value) {
        server.post("/v1/routes/take", self.take_request(delivery, expected_at)).await
    }

    /// Asks for routes without taking them in.
    pub(crate) async fn fetch(&self, server: &TestServer) -> (u16, Value) {
        server.post("/v1/routes", self.route_body()).await
    }

    /// Takes in the routes of an answer, and gives back the new stops.
    pub(crate) fn take_in(&mut self, server: &TestServer, answer: &Value) -> Vec<Stop> {
        let mut stops = Vec::new();
        for route in answer["routes"].as_array().unwrap() {
            let document = read("route", route.as_str().unwrap()).unwrap();
            let sealed = Sealed::parse(&document).unwrap();
            let shared = self.key.agree(sealed.ephemeral()).unwrap();
            let route = Route::open(&sealed, &shared, self.device.identity()).unwrap();
            stops.extend(route.stops.iter().cloned());
            let record = self.device.take_in(route, server.clock.now()).unwrap();
            self.record(&record);
        }
        stops
    }

    /// Uploads and fetches as the command does, and gives back the new stops.
    pub(crate) async fn sync(&mut self, server: &TestServer) -> Vec<Stop> {
        let (status, answer) = self.upload(server).await;
        assert_eq!(status, 200, "{answer}");
        let (status, answer) = self.fetch(server).await;
        assert_eq!(status, 200, "{answer}");
        self.take_in(server, &answer)
    }

    /// Presents a code at the door, offline.
    pub(crate) fn present(
        &mut self,
        delivery: &str,
        code: &str,
        now: Timestamp,
    ) -> Result<Grant, Refusal> {
        let delivery = DeliveryId::parse(delivery).unwrap();
        let (record, attempt) = self.device.attempt_typed(delivery, code, Whose::Anybody, now)?;
        let receipt = self.record(&record);
        let matched = attempt.counted(receipt).unwrap().compare()?;
        let claiming = self.device.claim(&matched, now, &mut self.rng).unwrap()?;
        let signature = self.key.sign(&claiming.to_be_signed());
        let (record, spending) = claiming.signed(&signature)?;
        let receipt = self.record(&record);
        Ok(spending.granted(receipt).unwrap())
    }

    /// Says that a delivery could not be handed over.
    pub(crate) fn fail(
        &mut self,
        delivery: &str,
        reason: Reason,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let delivery = DeliveryId::parse(delivery).unwrap();
        let note = Note::new("rang twice".to_owned()).unwrap();
        let failing = self.device.fail(delivery, reason, note, now)?;
        let signature = self.key.sign(&failing.to_be_signed());
        let record = failing.signed(&signature);
        self.record(&record);
        Ok(())
    }

    /// Sets the device back to before its first claim, as an old copy of its directory would.
    pub(crate) fn forget_claims(&mut self) {
        let journal = std::mem::take(&mut self.journal);
        let is_claim = |body: &Vec<u8>| matches!(Event::decode(body).unwrap(), Event::Claimed(..));
        let end = journal.iter().position(is_claim).unwrap();
        // The attempt before the claim went with it.
        self.journal = journal[..end - 1].to_vec();
        self.device = Device::replay(self.journal.iter().map(Vec::as_slice)).unwrap();
    }

    pub(crate) fn stop_of(&self, delivery: &str) -> &Stop {
        &self.device.stop(DeliveryId::parse(delivery).unwrap()).unwrap().stop
    }

    /// A signed claim, made past the device's own checks, as its first.
    pub(crate) fn claim_for(&mut self, stop: &Stop, code: &str, at: Timestamp) -> Vec<u8> {
        let identity = self.device.identity();
        let presented = Presented::Typed(Code::parse(code, stop.shape).unwrap());
        let issuer = identity.agreement_key().unwrap();
        let evidence =
            Evidence::seal(stop.delivery, stop.generation, 0, &presented, &issuer, &mut self.rng)
                .unwrap();
        let claim = Claim {
            issuer: identity.issuer,
            device: identity.device,
            number: 1,
            previous: [0; 32],
            delivery: stop.delivery,
            generation: stop.generation,
            at,
            signed_time: self.device.signed_time(),
            outcome: Outcome::Granted { slot: 0, means: presented.means(), evidence },
        };
        let unsigned = claim.unsigned(&self.key.public());
        unsigned.signed(&self.key.sign(&unsigned.to_be_signed()))
    }

    /// A code that this device takes and the customer does not have: what a dishonest driver finds
    /// by searching.
    pub(crate) fn forged(&self, stop: &Stop, right: &str) -> String {
        let identity = self.device.identity();
        let Check::Split { bits, slots } = &stop.check else { panic!("a split check") };
        let slot = slots[0];
        let subject = stop.subject(identity.issuer, self.key.public().fingerprint(), slot.number);
        (0..)
            .map(|n| format!("{n:08}"))
            .find(|text| {
                let code = Code::parse(text, stop.shape).unwrap();
                Tag::derive(&slot.salt, *bits, &subject, &code) == slot.code
                    && *text != right.replace(' ', "")
            })
            .unwrap()
    }
}
