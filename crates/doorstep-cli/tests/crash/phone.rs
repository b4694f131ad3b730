//! A driver's device in memory, by the core's own rules, that bears with a server that dies under it.

use crate::line::{Down, Line};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorstep::cose::encrypt::Sealed;
use doorstep::cose::keys::SoftwareKey;
use doorstep::cose::sign1::Unsigned;
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
/// Claims in one upload.
const BATCH: usize = 50;

pub(crate) struct Phone {
    key: SoftwareKey,
    device: Device,
    rng: ChaCha20Rng,
}

impl Phone {
    /// Invites and enrols a device; every `number` is another one.
    pub(crate) fn enrol(line: &Line, number: u64) -> Result<Self, Down> {
        let invited = line.post("/v1/devices", &json!({ "driver": format!("Driver {number}") }))?;
        let ticket = invited["ticket"].as_str().unwrap();
        let parsed = Ticket::parse(ticket).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(number);
        let key = SoftwareKey::make(&mut rng);
        let public = key.public();
        let proof = signed(&enrolment::request(parsed.secret(), &public), &key);
        let body = json!({
            "ticket": ticket, "public_key": URL_SAFE_NO_PAD.encode(public.to_bytes()), "proof": proof,
        });
        let answer = line.post("/v1/devices/enrol", &body)?;
        let welcome = decode(&answer["welcome"]);
        let welcome = Welcome::verify(&welcome, &public, |a, b| parsed.fits(a, b)).unwrap();
        let first = Device::enrol(welcome.identity("http://127.0.0.1".to_owned()), CLOCK);
        Ok(Self { key, device: Device::replay([first.body()]).unwrap(), rng })
    }

    pub(crate) fn id(&self) -> &str {
        self.device.identity().device.as_str()
    }

    /// How many claims the server has said it has.
    pub(crate) fn received(&self) -> u64 {
        self.device.received()
    }

    pub(crate) fn claims(&self) -> u64 {
        self.device.count_claims()
    }

    /// Brings outcomes home and fetches the route. Between the two the server may die.
    pub(crate) fn sync(&mut self, line: &Line) -> Result<(), Down> {
        loop {
            let upload = self.device.upload(BATCH).unsigned(&self.key.public());
            let body = json!({ "upload": signed(&upload, &self.key) });
            let answer = line.post("/v1/claims", &body)?;
            let acknowledgement = decode(&answer["acknowledgement"]);
            let record = self.device.acknowledge(&acknowledgement, CLOCK).unwrap();
            self.append(&record);
            if self.received() == self.claims() {
                break;
            }
        }
        let request = self.device.request_route().unwrap().unsigned(&self.key.public());
        let answer = line.post("/v1/routes", &json!({ "request": signed(&request, &self.key) }))?;
        for route in answer["routes"].as_array().unwrap() {
            let document = decode(route);
            let sealed = Sealed::parse(&document).unwrap();
            let shared = self.key.agree(sealed.ephemeral());
            let route = Route::open(&sealed, &shared, self.device.identity()).unwrap();
            let record = self.device.take_in(route, CLOCK).expect("no stop comes twice");
            self.append(&record);
        }
        Ok(())
    }

    /// Hands over all that was handed out and whose code is known.
    pub(crate) fn deliver(&mut self, codes: &BTreeMap<String, String>) {
        let open = self.device.stops().filter(|known| known.spent.is_none() && !known.withdrawn);
        let open: Vec<DeliveryId> = open.map(|known| known.stop.delivery).collect();
        for delivery in open {
            let Some(code) = codes.get(delivery.as_str()) else { continue };
            // Its window may be over, or its code replaced.
            let Ok((record, attempt)) =
                self.device.attempt_typed(delivery, code, Whose::Anybody, CLOCK)
            else {
                continue;
            };
            let receipt = self.append(&record);
            let Ok(matched) = attempt.counted(receipt).unwrap().compare() else { continue };
            let claiming = self.device.claim(&matched, CLOCK, &mut self.rng).unwrap();
            let Ok(claiming) = claiming else { continue };
            let signature = self.key.sign(&claiming.to_be_signed());
            let Ok((record, _)) = claiming.signed(&signature) else { continue };
            self.append(&record);
        }
    }

    fn append(&mut self, record: &Record) -> Receipt {
        self.device.apply(record.body()).unwrap();
        record.place().appended()
    }
}

fn signed(unsigned: &Unsigned, key: &SoftwareKey) -> String {
    URL_SAFE_NO_PAD.encode(unsigned.signed(&key.sign(&unsigned.to_be_signed())))
}

fn decode(value: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap()
}
