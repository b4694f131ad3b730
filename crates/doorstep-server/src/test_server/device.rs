//! A driver's device in the test's own process, with the core's own rules.

use super::TestServer;
use crate::http::base64url::{read, write};
use crate::ticket::Ticket;
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
    pub(super) async fn enrol(server: &TestServer, driver: &str, managed: bool) -> Self {
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
        let (status, answer) = server.post("/v1/claims", self.upload_of(upload)).await;
        self.acknowledged(server, &answer);
        (status, answer)
    }

    /// The request with these claims.
    pub(crate) fn upload_of(&self, upload: &Upload) -> Value {
        let unsigned = upload.unsigned(&self.key.public());
        let document = unsigned.signed(&self.key.sign(&unsigned.to_be_signed()));
        serde_json::json!({"upload": write(&document)})
    }

    /// The request with the claims that the server does not have.
    pub(crate) fn upload_body(&self) -> Value {
        self.upload_of(&self.device.upload(MAX_UPLOAD))
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
            let shared = self.key.agree(sealed.ephemeral());
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
