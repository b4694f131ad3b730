//! A driver's device in memory, by the core's own rules: it prepares what is uploaded, and its own
//! speed is measured elsewhere.

use crate::shop::{Client, text};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorstep::cose::encrypt::Sealed;
use doorstep::cose::keys::SoftwareKey;
use doorstep::cose::sign1::Unsigned;
use doorstep::handover::claim::Upload;
use doorstep::handover::device::Device;
use doorstep::handover::enrolment::{self, Welcome};
use doorstep::handover::event::Record;
use doorstep::handover::route::Route;
use doorstep::handover::stop::Whose;
use doorstep::id::DeliveryId;
use doorstep::ledger::Receipt;
use doorstep::time::Timestamp;
use doorstep_server::ticket::Ticket;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Any reading: the device goes by the issuer's signed time, which is later.
const CLOCK: Timestamp = Timestamp::from_seconds(0);

pub(crate) struct Phone {
    key: SoftwareKey,
    device: Device,
    rng: ChaCha20Rng,
}

impl Phone {
    /// Invites and enrols a device; every `number` is another one.
    pub(crate) fn enrol(client: &Client, number: u64) -> Self {
        let driver = format!("Driver {number}");
        let ticket = text(&client.post("/v1/devices", &json!({ "driver": driver })), "ticket");
        let parsed = Ticket::parse(&ticket).expect("a ticket");
        let mut rng = ChaCha20Rng::seed_from_u64(number);
        let key = SoftwareKey::make(&mut rng);
        let public = key.public();
        let body = json!({
            "ticket": ticket,
            "public_key": URL_SAFE_NO_PAD.encode(public.to_bytes()),
            "proof": signed(&enrolment::request(parsed.secret(), &public), &key),
        });
        let answer = client.post("/v1/devices/enrol", &body);
        let welcome = Welcome::verify(&decode(&answer["welcome"]), &public, |_, _| true);
        let welcome = welcome.expect("a welcome");
        let first = Device::enrol(welcome.identity("http://127.0.0.1".to_owned()), CLOCK);
        let device = Device::replay([first.body()]).expect("an enrolment");
        Self { key, device, rng }
    }

    pub(crate) fn id(&self) -> &str {
        self.device.identity().device.as_str()
    }

    /// Fetches the route.
    pub(crate) fn sync(&mut self, client: &Client) {
        let answer = client.post("/v1/claims", &self.body(&self.device.upload(0)));
        let acknowledgement = decode(&answer["acknowledgement"]);
        let record = self.device.acknowledge(&acknowledgement, CLOCK).expect("the issuer's");
        self.append(&record);
        let request = self.device.request_route().expect("it was acknowledged");
        let unsigned = request.unsigned(&self.key.public());
        let answer = client.post("/v1/routes", &json!({ "request": signed(&unsigned, &self.key) }));
        for route in answer["routes"].as_array().expect("routes") {
            let document = decode(route);
            let sealed = Sealed::parse(&document).expect("sealed");
            let shared = self.key.agree(sealed.ephemeral());
            let route =
                Route::open(&sealed, &shared, self.device.identity()).expect("for this device");
            let record = self.device.take_in(route, CLOCK).expect("a new route");
            self.append(&record);
        }
    }

    /// How many stops it has.
    pub(crate) fn stops(&self) -> usize {
        self.device.stops().count()
    }

    /// Hands over everything that was handed out.
    pub(crate) fn deliver(&mut self, codes: &BTreeMap<String, String>) {
        let stops: Vec<DeliveryId> = self.device.stops().map(|known| known.stop.delivery).collect();
        for delivery in stops {
            let code = codes.get(delivery.as_str()).expect("its message was sent");
            let (record, attempt) = self
                .device
                .attempt_typed(delivery, code, Whose::Anybody, CLOCK)
                .expect("in its window");
            let receipt = self.append(&record);
            let counted = attempt.counted(receipt).expect("its own receipt");
            let matched = counted.compare().expect("the right code");
            let claiming = self.device.claim(&matched, CLOCK, &mut self.rng);
            let claiming = claiming.expect("the issuer's key").expect("not spent");
            let signature = self.key.sign(&claiming.to_be_signed());
            let (record, _) = claiming.signed(&signature).expect("in its window");
            self.append(&record);
        }
    }

    /// The bodies of the uploads that bring all claims home, `size` at a time.
    pub(crate) fn uploads(&self, size: usize) -> Vec<String> {
        let all = self.device.upload(usize::MAX);
        let upload = |claims: &[_]| Upload { device: all.device, claims: claims.to_vec() };
        all.claims.chunks(size).map(|claims| self.body(&upload(claims)).to_string()).collect()
    }

    /// How many claims an answer of the server acknowledges.
    pub(crate) fn received(&self, answer: &Value) -> u64 {
        let document = decode(&answer["acknowledgement"]);
        self.device.verify_acknowledgement(&document).expect("the issuer's").received
    }

    pub(crate) fn claims(&self) -> u64 {
        self.device.count_claims()
    }

    fn body(&self, upload: &Upload) -> Value {
        json!({ "upload": signed(&upload.unsigned(&self.key.public()), &self.key) })
    }

    fn append(&mut self, record: &Record) -> Receipt {
        self.device.apply(record.body()).expect("it follows");
        record.place().appended()
    }
}

fn signed(unsigned: &Unsigned, key: &SoftwareKey) -> String {
    URL_SAFE_NO_PAD.encode(unsigned.signed(&key.sign(&unsigned.to_be_signed())))
}

fn decode(value: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(value.as_str().expect("a text")).expect("base64url")
}
